/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h: every option of `proa serve` once: flag, environment variable, default, bounds, help.
 *
 * A flag wins over its environment variable, which wins over the default. The table makes the parser,
 * `--help` and docs/configuration.md. Not here: what the options mean (host.h). Thread: any; no state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "config.h"
#include "err.h"
#include "log.h"

enum options_log_format { OPTIONS_LOG_AUTO, OPTIONS_LOG_TEXT, OPTIONS_LOG_JSON };

struct serve_options {
    const char *module_file; /* NULL: none */
    const char *data_folder;
    const char *listen; /* numeric address of all ports */
    uint16_t ingress_port;
    uint16_t admin_port;
    const char *const *functions; /* texts for config_add_function */
    const char *const *egresses;  /* texts for config_add_egress */
    uint32_t function_count;
    uint32_t egress_count;
    uint32_t stop_timeout_ms;
    uint32_t commit_interval_ms;
    uint32_t commit_bytes;
    uint64_t store_bytes_max; /* soft limit */
    uint64_t store_map_bytes;
    uint64_t memory_bytes;
    uint64_t messages_max; /* soft limit */
    uint32_t parked_max;
    uint32_t reader_threads;
    uint32_t helper_threads;
    enum log_level log_level;
    enum options_log_format log_format;
    bool allow_clock_ahead;
};

/* What the caller asked for besides serving. */
enum options_help { OPTIONS_HELP_NONE, OPTIONS_HELP_TEXT, OPTIONS_HELP_MARKDOWN };

struct options_input {
    int argument_count;
    char *const *arguments; /* after the verb; texts must outlive the options */
    config_getenv *getenv;  /* NULL: no environment */
    void *getenv_context;
};

/* Fills *out, with lists in the arena. Every mistake is one line in `messages`; ERR_CONFIG if there was any.
 * When help is asked for, nothing else is looked at and *out is not set. */
MUST_USE enum err_code options_parse(const struct options_input *input, struct arena *arena, struct serve_options *out,
                                     enum options_help *out_help, struct buf *messages);
/* True if the log is to be JSON: said so, or standard error is no terminal. */
bool options_is_log_json(const struct serve_options *serve);
/* Appends the text of `proa serve --help`. */
void options_print_help(struct buf *out);
/* Appends the reference page, in Markdown. */
void options_print_reference(struct buf *out);
