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
/* True if both hold the same bytes. */
bool slice_equal(struct slice a, struct slice b);
/* memcmp order, shorter first on a tie: the order of LMDB keys. */
int slice_compare(struct slice a, struct slice b);
/* Copies the bytes to *at, moves *at behind them, and returns the copy: for texts that live behind a struct. */
struct slice slice_pack(uint8_t **at, struct slice slice);
bool slice_is_utf8_text(struct slice text); /* valid UTF-8 (RFC 3629) without NUL */

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
