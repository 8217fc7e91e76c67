/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes.h: borrowed slices, and growing buffers that must name a maximum.
 *
 * A slice owns nothing and may hold any byte. A buffer owns its bytes; appending beyond its maximum or out
 * of memory sets a sticky mark instead of failing each call, so a chain of appends is checked once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data; /* may be NULL if size is 0 */
    size_t size;
};

#define SLICE_EMPTY ((struct slice){NULL, 0})
/* A slice over a string literal. */
#define SLICE(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})

/* A slice over a NUL-terminated string; borrowed. */
static inline struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}
/* What is left of it from byte `at` on, which is not beyond its end. */
static inline struct slice slice_from(struct slice slice, size_t at)
{
    return (struct slice){slice.data + at, slice.size - at};
}
/* For "%.*s" of foreign text in a sentence: its size, at most `bytes_max`. */
static inline int slice_shown(struct slice text, int bytes_max)
{
    return text.size < (size_t)bytes_max ? (int)text.size : bytes_max;
}
/* A capital letter of ASCII as a small one, every other byte as it is. */
static inline uint8_t byte_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}
/* True if both hold the same bytes. */
bool slice_equal(struct slice a, struct slice b);
/* The same, but the letters of ASCII have no case. */
bool slice_equal_nocase(struct slice a, struct slice b);
bool slice_begins_with(struct slice slice, struct slice prefix);
bool slice_begins_with_nocase(struct slice slice, struct slice prefix);
/* The index of the first such byte; its size if there is none. */
size_t slice_find(struct slice slice, uint8_t byte);
bool slice_has(struct slice slice, uint8_t byte);
/* Without the bytes of `set` at both ends. */
struct slice slice_trim(struct slice text, const char *set);
/* memcmp order, shorter first on a tie: the order of LMDB keys. */
int slice_compare(struct slice a, struct slice b);
/* Copies the bytes to *at, moves *at behind them, and returns the copy: for texts that live behind a struct. */
struct slice slice_pack(uint8_t **at, struct slice slice);
bool slice_is_utf8(struct slice text);      /* valid UTF-8 (RFC 3629) */
bool slice_is_utf8_text(struct slice text); /* the same without NUL: no name may hold one */

struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t bytes_max;
    bool overflow; /* sticky: something did not fit, the content is not to be used */
};

/* An empty buffer; memory comes with the first append. */
void buf_init(struct buf *buf, size_t bytes_max);
void buf_done(struct buf *buf);  /* frees; accepts a zeroed buffer */
void buf_clear(struct buf *buf); /* keeps the memory, forgets content and mark */
void buf_append(struct buf *buf, const void *data, size_t size);
void buf_append_slice(struct buf *buf, struct slice slice);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_u8(struct buf *buf, uint8_t value);
void buf_appendf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for `size` more bytes and returns where they go, or NULL (mark set); add to buf->size after writing. */
uint8_t *buf_reserve(struct buf *buf, size_t size);
static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->data, buf->size};
}
