/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* strptime */
#include "answer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BODY_KEPT_BYTES_MAX = 64 << 10, /* a larger buffer is freed between two calls */
    ERROR_TEXT_BYTES = 200,
    RETRY_AFTER_S_MAX = 24 * 60 * 60,
};

void answer_begin(struct answer *answer, size_t body_bytes_max)
{
    struct buf body = answer->body;
    if (body.capacity > BODY_KEPT_BYTES_MAX) {
        buf_done(&body);
    }
    *answer = (struct answer){.body_bytes_max = body_bytes_max, .body = body};
    if (answer->body.data == NULL) {
        buf_init(&answer->body, body_bytes_max);
    }
    answer->body.bytes_max = body_bytes_max;
    buf_clear(&answer->body);
}

void answer_done(struct answer *answer)
{
    buf_done(&answer->body);
}

bool answer_is_success(const struct answer *answer)
{
    return answer->status >= 200 && answer->status <= 299;
}

static struct slice trim(struct slice text)
{
    return slice_trim(text, " \t\r\n\v\f");
}

static bool is_word(struct slice text, const char *word)
{
    return slice_equal_nocase(text, slice_of(word));
}

/* Cuts the part before the first `mark` off *text and returns it, trimmed. */
static struct slice cut(struct slice *text, uint8_t mark)
{
    const struct slice part = {text->data, slice_find(*text, mark)};

    *text = part.size == text->size ? SLICE_EMPTY : slice_from(*text, part.size + 1);
    return trim(part);
}

/* "HTTP/1.1 200 OK" */
static int status_of(struct slice line)
{
    const struct slice rest = slice_from(line, slice_find(line, ' '));
    const uint8_t *digits = rest.data + 1;
    if (rest.size < 4 || !isdigit(digits[0]) || !isdigit(digits[1]) || !isdigit(digits[2])) {
        return 0;
    }
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

/* Counts what a list of codings names that changes bytes. */
static void count_codings(struct answer *answer, struct slice list)
{
    while (list.size > 0) {
        const struct slice coding = cut(&list, ',');
        answer->codings += coding.size > 0 && !is_word(coding, "identity") && !is_word(coding, "chunked");
    }
}

static void take_field(struct answer *answer, struct slice line)
{
    struct slice value = line;
    struct slice name = cut(&value, ':');
    if (is_word(name, "content-type")) {
        answer->is_octet_stream = is_word(trim(value), "application/octet-stream");
    } else if (is_word(name, "proa-features")) {
        while (value.size > 0) {
            answer->knows_partial |= is_word(cut(&value, ','), "partial");
        }
    } else if (is_word(name, "content-encoding")) {
        count_codings(answer, value);
    } else if (is_word(name, "transfer-encoding")) {
        count_codings(answer, value);
        answer->has_end = true;
    } else if (is_word(name, "content-length")) {
        answer->has_end = true;
    } else if (is_word(name, "retry-after")) {
        value = trim(value);
        size_t size = value.size < ANSWER_RETRY_AFTER_BYTES ? value.size : 0;
        memcpy(answer->retry_after, value.data, size);
        answer->retry_after[size] = '\0';
    }
}

bool answer_take_line(struct answer *answer, struct slice line)
{
    answer->head_bytes += line.size;
    if (answer->head_bytes > ANSWER_HEAD_BYTES_MAX) {
        answer->is_over = true;
        return false;
    }
    if (answer->is_head_done) {
        return true; /* trailer fields mean nothing here */
    }
    bool is_interim = answer->status >= 100 && answer->status <= 199;
    bool begins = line.size > 5 && memcmp(line.data, "HTTP/", 5) == 0;
    if (begins && (answer->status == 0 || is_interim)) {
        answer->status = status_of(line);
        answer->is_octet_stream = false;
        answer->knows_partial = false;
        answer->has_end = line.data[5] != '1'; /* HTTP/2 marks the end of each body; one cut short is a failure */
        answer->retry_after[0] = '\0';
    } else if (trim(line).size == 0) {
        answer->is_head_done = answer->status >= 200;
    } else {
        take_field(answer, line);
    }
    return answer->codings <= ANSWER_CODINGS_MAX; /* those of interim heads too, as libcurl has them */
}

bool answer_take_body(struct answer *answer, struct slice bytes)
{
    answer->body_bytes += bytes.size;
    if (answer->body_bytes > answer->body_bytes_max) {
        answer->is_over = true;
        return false;
    }
    if (!answer_is_success(answer)) {
        size_t room = ANSWER_ERROR_BODY_BYTES_MAX - answer->body.size;
        bytes.size = bytes.size < room ? bytes.size : room;
    }
    buf_append_slice(&answer->body, bytes);
    return !answer->body.overflow;
}

const char *answer_print_body(const struct answer *answer, char text[ERROR_TEXT_BYTES + 1])
{
    struct slice body = trim(buf_slice(&answer->body));
    size_t size = body.size < ERROR_TEXT_BYTES ? body.size : ERROR_TEXT_BYTES;
    for (size_t i = 0; i < size; i++) {
        text[i] = body.data[i] >= 0x20 && body.data[i] < 0x7F ? (char)body.data[i] : '.';
    }
    text[size] = '\0';
    return text;
}

/* The seconds since 1970 of an HTTP date in any of its three forms (RFC 9110 5.6.7), or -1. */
static int64_t date_of(const char *text)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            return (int64_t)timegm(&tm);
        }
    }
    return -1;
}

uint32_t answer_retry_after_ms(const struct answer *answer, int64_t now_s)
{
    const char *text = answer->retry_after;
    char *end = NULL;
    int64_t seconds = 0;

    if (isdigit((unsigned char)text[0])) {
        unsigned long long number = strtoull(text, &end, 10);
        seconds = *end != '\0' ? 0 : number > RETRY_AFTER_S_MAX ? RETRY_AFTER_S_MAX : (int64_t)number;
    } else {
        seconds = date_of(text) - now_s;
    }
    if (seconds <= 0) {
        return 0;
    }
    return (uint32_t)(seconds > RETRY_AFTER_S_MAX ? RETRY_AFTER_S_MAX : seconds) * 1000;
}
