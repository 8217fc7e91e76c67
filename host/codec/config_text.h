/* SPDX-License-Identifier: Apache-2.0
 *
 * config_text.h: what a text in a configuration may mean: numbers with units, choices, names, URLs.
 *
 * Shared by the module file (config_table.h) and by the options of the command line, so that both take the
 * same spellings, answer mistakes with the same sentences and print the same reference.
 * Thread: any; no state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "config.h"
#include "err.h"

enum config_type {
    CONFIG_TEXT,           /* any text that is not empty */
    CONFIG_DURATION,       /* milliseconds */
    CONFIG_BYTES,          /* bytes */
    CONFIG_NUMBER,         /* a whole number */
    CONFIG_NUMBER_OR_AUTO, /* a whole number, or 0 for `auto` */
    CONFIG_FACTOR,         /* a decimal number, in thousandths */
    CONFIG_BOOL,           /* 0 or 1 */
    CONFIG_CHOICE,         /* index of one word of `choices` */
    CONFIG_URL,            /* the URL of an endpoint */
    CONFIG_TYPENAME,       /* of a value: namespace/name */
    CONFIG_NAME,           /* of an egress: namespace/name */
    CONFIG_ENTRIES,        /* a mapping with keys of its own; never a text */
    CONFIG_PATTERN,        /* of functions: namespace/name or namespace/ and a star */
    CONFIG_FILE,           /* the path of a file; `classpath:` has no meaning here */
    CONFIG_FLINK_DURATION, /* milliseconds, in any of the forms Flink takes */
    CONFIG_NUMBER_OR_OFF,  /* a whole number; 0 for it and for those below it */
    CONFIG_LIST,           /* a list of texts; never a text */
};

/* What one key or option takes. */
struct config_rule {
    enum config_type type;
    uint64_t min; /* of what has a number; both 0: no bounds */
    uint64_t max;
    const char *choices; /* words with one space between them */
};

/* Reads a text by its rule; `out_number` is set for types that have one. The sentence begins with the text itself. */
MUST_USE enum err_code config_rule_parse(const struct config_rule *rule, struct slice text, uint64_t *out_number,
                                         struct err *err);
/* Appends what the rule takes, for reference pages: "duration, 1ms to 1d". */
void config_rule_describe(const struct config_rule *rule, struct buf *out);

/* A whole decimal number without sign; false if it is not one or overflows. */
bool config_parse_number(struct slice text, uint64_t *out_number);
/* A decimal number with at most three digits after the point, in thousandths: "1.5" is 1500. */
bool config_parse_factor(struct slice text, uint64_t *out_permille);

/* A duration as Flink writes it: an integer, perhaps spaces, and a unit from ns to d in any of its spellings, in any
 * case; without a unit milliseconds. What is finer than a millisecond is rounded up. */
bool config_parse_flink_duration(struct slice text, uint64_t *out_ms);

/* How much of a foreign text a sentence shows. */
enum { CONFIG_SHOWN_BYTES_MAX = 80 };
/* So many of its bytes: for "%.*s". */
static inline int config_shown(struct slice text)
{
    return slice_shown(text, CONFIG_SHOWN_BYTES_MAX);
}

/* Appends `text` with each ${NAME} and ${NAME:-default} replaced; "$${" stands for "${". An empty variable counts as
 * unset, as in a shell. */
MUST_USE enum err_code config_expand(struct slice text, config_getenv *lookup, void *lookup_context, struct buf *out,
                                     struct err *err);

/* A URL of an endpoint: http or https and a host, or http+unix and a socket; no credentials, {function.name} only in
 * its path. */
MUST_USE enum err_code config_check_url(struct slice url, struct err *err);
/* True if calls to this URL are encrypted. */
bool config_is_https(struct slice url);
/* The path of the Unix socket in a URL that was checked: of http+unix:///run/f.sock/a/b it is /run/f.sock. Empty: the
 * URL names a host. */
struct slice config_socket_of(struct slice url);
/* A pattern of functions: namespace/name or namespace/ and a star; outside the host's own namespaces. */
MUST_USE enum err_code config_check_pattern(struct slice text, struct slice *out_space, struct slice *out_name,
                                            struct err *err);
/* The path of a file, or its URL (file:). */
MUST_USE enum err_code config_check_file(struct slice text, struct err *err);
/* The path in either. */
struct slice config_file_path(struct slice text);
/* The type of a value: namespace/name; within the built-in namespaces only what is there. */
MUST_USE enum err_code config_check_typename(struct slice text, struct err *err);
/* The name of an egress: namespace/name, outside the host's own namespaces. */
MUST_USE enum err_code config_check_name(struct slice text, struct slice *out_space, struct slice *out_name,
                                         struct err *err);
