/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h: events with typed fields, one line each: text on a terminal, JSON otherwise.
 *
 * A line is at most LIMIT_LOG_LINE_BYTES_MAX bytes and is written to standard error only when poll(2) says
 * that it would not wait; otherwise it is dropped and counted: a stalled pipe never stops the host. The
 * descriptor is inherited, so it is never made non-blocking. Any thread.
 * Only the floors that end an error log it: app, api and edge. Engine, store and codec return theirs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key; /* snake_case, static */
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
    struct slice text; /* any bytes: escaped for the format in use */
    int64_t number;
};

#define LOG_TEXT(key, slice) ((struct log_field){(key), LOG_FIELD_TEXT, (slice), 0})
#define LOG_STRING(key, string) ((struct log_field){(key), LOG_FIELD_TEXT, slice_of(string), 0})
#define LOG_NUMBER(key, number) ((struct log_field){(key), LOG_FIELD_NUMBER, {NULL, 0}, (int64_t)(number)})

struct log;

/* Where lines go (a file descriptor, not owned) and which level begins; is_json false: text for people. */
struct log *log_create(int fd, enum log_level level, bool is_json);
void log_destroy(struct log *log); /* accepts NULL */
/* Writes one event: log_event(log, LOG_INFO, "host.ready", LOG_NUMBER("port", 8090)). A NULL log is silent. */
#define log_event(log, level, event, ...)                                       \
    log_write((log), (level), (event), (const struct log_field[]){__VA_ARGS__}, \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
/* The same with the fields as an array; `fields` may be NULL if `count` is 0. */
void log_write(struct log *log, enum log_level level, const char *event, const struct log_field *fields, size_t count);
/* Lines not written because standard error would have blocked; of a NULL log, 0. */
uint64_t log_dropped(const struct log *log);
