/* SPDX-License-Identifier: Apache-2.0
 *
 * config_source.h: one source of configuration while it is read, and what is said of it.
 *
 * A source is a module file or a flag. Every mistake in it becomes a line with its place, so that a person sees all
 * of them at once; whoever reads on after one goes on with what is right.
 * Included by config*.c only.
 */
#pragma once

#include "arena.h"
#include "config.h"

/* How much of a foreign text a sentence shows. */
enum { CONFIG_SHOWN_BYTES_MAX = 80 };
/* So many of its bytes: for "%.*s". */
static inline int config_shown(struct slice text)
{
    return slice_shown(text, CONFIG_SHOWN_BYTES_MAX);
}

struct config_source {
    const struct config_input *input; /* its text is empty when a flag is read */
    struct arena *arena;              /* of nodes; freed with the source */
    struct buf *messages;
    uint32_t error_count;
    uint32_t warning_count;
};

/* Adds one line "file:line: sentence"; line 0: only the file. Beyond a hundred they are counted, not written. */
void config_error(struct config_source *source, uint32_t line, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with "warning: " before the sentence; the source stays good. */
void config_warn(struct config_source *source, uint32_t line, const char *format, ...) PRINTF_LIKE(3, 4);
