/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "limit.h"

enum {
    ESCAPE_BYTES_MAX = 6, /* \u00XX */
    TIME_BYTES = 32,
    BARE_BYTES_MAX = 128,
};

struct log {
    int fd;
    enum log_level level;
    bool is_json;
    atomic_uint_fast64_t dropped;
    pthread_mutex_t mutex; /* from poll to write: another thread's line could fill what poll found free */
};

/* A line under construction. Writes beyond its end are not made and set the mark. */
struct line {
    char bytes[LIMIT_LOG_LINE_BYTES_MAX];
    size_t size;
    size_t size_max;
    bool is_cut;
};

struct log *log_create(int fd, enum log_level level, bool is_json)
{
    struct log *log = malloc(sizeof *log);

    check(log != NULL);
    log->fd = fd;
    log->level = level;
    log->is_json = is_json;
    atomic_init(&log->dropped, 0);
    check(pthread_mutex_init(&log->mutex, NULL) == 0);
    return log;
}

void log_destroy(struct log *log)
{
    if (log != NULL) {
        (void)pthread_mutex_destroy(&log->mutex);
        free(log);
    }
}

uint64_t log_dropped(const struct log *log)
{
    return log == NULL ? 0 : atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    check(level <= LOG_ERROR);
    return names[level];
}

/* All of it or nothing. */
static bool line_put(struct line *line, const char *text, size_t size)
{
    if (line->is_cut || size > line->size_max - line->size) {
        line->is_cut = true;
        return false;
    }
    memcpy(line->bytes + line->size, text, size);
    line->size += size;
    return true;
}

static bool line_put_text(struct line *line, const char *text)
{
    return line_put(line, text, strlen(text));
}

/* Bytes of the character at `at`, or 0 if it is not valid UTF-8 or is a control character, C1 included: terminals
 * obey those. */
static size_t plain_character(const uint8_t *at, size_t left)
{
    if (at[0] < 0x80) {
        return at[0] < 0x20 || at[0] == 0x7F ? 0 : 1;
    }
    const size_t size = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    const bool is_c1 = at[0] == 0xC2 && left > 1 && at[1] < 0xA0;

    return size <= left && !is_c1 && slice_is_utf8_text((struct slice){at, size}) ? size : 0;
}

/* One character, escaped as JSON has it; returns how many bytes of the input it took. */
static size_t line_put_character(struct line *line, const uint8_t *at, size_t left)
{
    char escape[ESCAPE_BYTES_MAX + 1];
    const size_t size = plain_character(at, left);

    if (at[0] == '"' || at[0] == '\\') {
        escape[0] = '\\';
        escape[1] = (char)at[0];
        line_put(line, escape, 2);
        return 1;
    }
    if (size > 0) {
        line_put(line, (const char *)at, size);
        return size;
    }
    if (at[0] == '\n') {
        line_put(line, "\\n", 2);
    } else if (at[0] < 0x80) {
        (void)snprintf(escape, sizeof escape, "\\u%04x", at[0]);
        line_put(line, escape, ESCAPE_BYTES_MAX);
    } else {
        line_put(line, "\\ufffd", ESCAPE_BYTES_MAX); /* not UTF-8 */
    }
    return 1;
}

/* A quoted string; what does not fit is left out, the closing quote is not. */
static void line_put_quoted(struct line *line, struct slice text)
{
    if (line->size + 2 > line->size_max || !line_put(line, "\"", 1)) {
        line->is_cut = true;
        return;
    }
    line->size_max -= 1;
    for (size_t at = 0; at < text.size && !line->is_cut;) {
        at += line_put_character(line, text.data + at, text.size - at);
    }
    line->size_max += 1;
    line->bytes[line->size++] = '"';
}

/* True if the text can stand after `key=` without quotes; a long one may have to be cut, which quotes show. */
static bool is_bare(struct slice text)
{
    if (text.size > BARE_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = text.data[i];
        if (byte <= 0x20 || byte >= 0x7F || byte == '"' || byte == '\\' || byte == '=') {
            return false;
        }
    }
    return text.size > 0;
}

static void line_put_value(struct line *line, const struct log_field *field, bool is_json)
{
    char number[24];

    switch (field->kind) {
    case LOG_FIELD_NUMBER:
        (void)snprintf(number, sizeof number, "%" PRId64, field->number);
        line_put_text(line, number);
        return;
    case LOG_FIELD_TEXT:
        if (!is_json && is_bare(field->text)) {
            line_put(line, (const char *)field->text.data, field->text.size);
        } else {
            line_put_quoted(line, field->text);
        }
        return;
    }
}

static void line_put_time(struct line *line, bool is_json)
{
    const uint64_t now_ms = clock_os_read().wall_ms;
    const time_t seconds = (time_t)(now_ms / 1000);
    char text[TIME_BYTES];
    char millis[8];
    struct tm parts;

    check(gmtime_r(&seconds, &parts) != NULL);
    check(strftime(text, sizeof text, is_json ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &parts) > 0);
    (void)snprintf(millis, sizeof millis, ".%03u%s", (unsigned)(now_ms % 1000), is_json ? "Z" : "");
    line_put_text(line, text);
    line_put_text(line, millis);
}

static void line_begin(struct line *line, enum log_level level, const char *event, bool is_json)
{
    char head[32];

    if (is_json) {
        line_put_text(line, "{\"time\":\"");
        line_put_time(line, true);
        (void)snprintf(head, sizeof head, "\",\"level\":\"%s\",\"event\":", level_name(level));
        line_put_text(line, head);
        line_put_quoted(line, slice_of(event));
        return;
    }
    line_put_time(line, false);
    (void)snprintf(head, sizeof head, " %-5s ", level_name(level));
    line_put_text(line, head);
    line_put_text(line, event);
}

static void line_put_field(struct line *line, const struct log_field *field, bool is_json)
{
    const size_t before = line->size;

    line_put_text(line, is_json ? ",\"" : " ");
    line_put_text(line, field->key);
    line_put_text(line, is_json ? "\":" : "=");
    const size_t value_at = line->size;
    if (!line->is_cut) {
        line_put_value(line, field, is_json);
    }
    if (value_at == line->size) {
        line->size = before; /* not one byte of its value fitted: it goes as a whole */
    }
}

static void write_line(struct log *log, const char *bytes, size_t size)
{
    struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
    ssize_t written = -1;

    (void)pthread_mutex_lock(&log->mutex);
    if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLOUT) {
        written = write(log->fd, bytes, size);
    }
    (void)pthread_mutex_unlock(&log->mutex);
    if (written < 0 || (size_t)written != size) {
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
    }
}

void log_write(struct log *log, enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    static const char cut_json[] = ",\"cut\":true}\n";
    static const char cut_text[] = " cut=true\n";
    struct line line;

    if (log == NULL || level < log->level) {
        return;
    }
    line.size = 0;
    line.size_max = sizeof line.bytes - sizeof cut_json;
    line.is_cut = false;
    line_begin(&line, level, event, log->is_json);
    for (size_t i = 0; i < count && !line.is_cut; i++) {
        line_put_field(&line, &fields[i], log->is_json);
    }
    const char *end = log->is_json ? "}\n" : "\n";
    if (line.is_cut) {
        end = log->is_json ? cut_json : cut_text;
    }
    line.size_max = sizeof line.bytes;
    line.is_cut = false;
    check(line_put_text(&line, end));
    write_line(log, line.bytes, line.size);
}
