/* SPDX-License-Identifier: Apache-2.0
 *
 * config_rule.h: what a text in a configuration may be, and what it then means.
 *
 * Shared by the module file (config_table.h) and by the options of the command line, so that both take the
 * same spellings, answer mistakes with the same sentences and print the same reference. A new type is a row in
 * config_rule.c, and one in config_print.c if a key of our own kinds has it.
 * Thread: any; no state.
 */
#pragma once

#include <stdint.h>

#include "bytes.h"
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
    CONFIG_TYPE_COUNT
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
