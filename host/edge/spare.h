/* SPDX-License-Identifier: Apache-2.0
 *
 * spare.h: memory for libcurl: what it gives back is kept at hand for the next transfer.
 *
 * Why: a transfer takes 33 pieces and gives them back, many transfers in step. That is more than malloc's own cache
 * holds of a size, and two of them are larger than what it keeps at all. Pieces up to SPARE_SIZE_MAX are kept in one
 * list a size, SPARE_BYTES_MAX in all; what is beyond goes to malloc and back. The functions are for
 * curl_global_init_mem and have the meaning of their namesakes in libc.
 * Thread: the lists are those of the thread that called spare_open; on any other every piece is malloc's. A piece may
 * be given back on another thread than it was taken on. Memory: the lists' own.
 */
#pragma once

#include <stddef.h>

enum { SPARE_SIZE_MAX = 2048, SPARE_BYTES_MAX = 4 << 20 };

/* From here on this thread keeps what it is given back; not twice without spare_close between. */
void spare_open(void);
/* Frees what is kept, and keeps nothing more. */
void spare_close(void);
/* Bytes that are kept, this thread's. */
size_t spare_bytes(void);

/* As malloc. */
void *spare_malloc(size_t size);
/* As calloc: all zero. */
void *spare_calloc(size_t count, size_t size);
/* As realloc, but never smaller; accepts NULL. */
void *spare_realloc(void *memory, size_t size);
/* As strdup. */
char *spare_strdup(const char *text);
/* As free; accepts NULL. */
void spare_free(void *memory);
