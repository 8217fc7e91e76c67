/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool slice_begins_with(struct slice slice, struct slice prefix)
{
    return slice.size >= prefix.size && slice_equal((struct slice){slice.data, prefix.size}, prefix);
}

bool slice_begins_with_nocase(struct slice slice, struct slice prefix)
{
    size_t i = 0;

    while (i < prefix.size && i < slice.size && byte_lower(slice.data[i]) == byte_lower(prefix.data[i])) {
        i++;
    }
    return i == prefix.size;
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
    return a.size == b.size && slice_begins_with_nocase(a, b);
}

size_t slice_find(struct slice slice, uint8_t byte)
{
    const uint8_t *found = slice.size == 0 ? NULL : memchr(slice.data, byte, slice.size);

    return found == NULL ? slice.size : (size_t)(found - slice.data);
}

bool slice_has(struct slice slice, uint8_t byte)
{
    return slice_find(slice, byte) < slice.size;
}

struct slice slice_trim(struct slice text, const char *set)
{
    const size_t set_size = strlen(set);

    while (text.size > 0 && memchr(set, text.data[text.size - 1], set_size) != NULL) {
        text.size--;
    }
    while (text.size > 0 && memchr(set, text.data[0], set_size) != NULL) {
        text = slice_from(text, 1);
    }
    return text;
}

int slice_compare(struct slice a, struct slice b)
{
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

struct slice slice_pack(uint8_t **at, struct slice slice)
{
    const struct slice copy = {*at, slice.size};

    if (slice.size > 0) {
        memcpy(*at, slice.data, slice.size);
        *at += slice.size;
    }
    return copy;
}

/* Bytes of the UTF-8 sequence at `at`, or 0 if it is malformed (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    const uint8_t first = at[0];
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t size = 0;

    if (first < 0x80) {
        return first == 0 ? 0 : 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        size = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        size = 3;
        low = first == 0xE0 ? 0xA0 : low;
        high = first == 0xED ? 0x9F : high;
    } else if (first >= 0xF0 && first <= 0xF4) {
        size = 4;
        low = first == 0xF0 ? 0x90 : low;
        high = first == 0xF4 ? 0x8F : high;
    }
    if (size == 0 || size > left || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool slice_is_utf8_text(struct slice text)
{
    size_t at = 0;

    while (at < text.size) {
        const size_t size = utf8_sequence(text.data + at, text.size - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

bool slice_is_utf8(struct slice text)
{
    while (text.size > 0) {
        const size_t size = slice_find(text, 0);
        if (!slice_is_utf8_text((struct slice){text.data, size})) {
            return false;
        }
        text = size == text.size ? SLICE_EMPTY : slice_from(text, size + 1);
    }
    return true;
}

void buf_init(struct buf *buf, size_t bytes_max)
{
    check(bytes_max > 0);
    *buf = (struct buf){.bytes_max = bytes_max};
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.bytes_max = buf->bytes_max};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->overflow = false;
}

uint8_t *buf_reserve(struct buf *buf, size_t size)
{
    check(buf->bytes_max > 0);
    if (buf->overflow || size > buf->bytes_max - buf->size) {
        buf->overflow = true;
        return NULL;
    }
    if (buf->capacity - buf->size < size) {
        size_t capacity = buf->capacity == 0 ? 256 : buf->capacity * 2;
        while (capacity < buf->size + size) {
            capacity *= 2;
        }
        if (capacity > buf->bytes_max) {
            capacity = buf->bytes_max;
        }
        uint8_t *grown = realloc(buf->data, capacity);
        if (grown == NULL) {
            buf->overflow = true;
            return NULL;
        }
        buf->data = grown;
        buf->capacity = capacity;
    }
    return buf->data + buf->size;
}

void buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    uint8_t *at = buf_reserve(buf, size);
    if (at != NULL) {
        memcpy(at, data, size);
        buf->size += size;
    }
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
    buf_append(buf, slice.data, slice.size);
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_append_u8(struct buf *buf, uint8_t value)
{
    buf_append(buf, &value, 1);
}

void buf_appendf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    char small[512];

    va_start(arguments, format);
    const int size = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    check(size >= 0);
    if ((size_t)size < sizeof small) {
        buf_append(buf, small, (size_t)size);
        return;
    }
    uint8_t *at = buf_reserve(buf, (size_t)size + 1);
    if (at != NULL) {
        va_start(arguments, format);
        (void)vsnprintf((char *)at, (size_t)size + 1, format, arguments); /* measured above */
        va_end(arguments);
        buf->size += (size_t)size;
    }
}
