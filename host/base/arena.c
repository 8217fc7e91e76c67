/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES_MIN =
        896, /* with the arena in front of it within 1,032 bytes: glibc's fast path, for one small answer */
    CHUNK_BYTES_SECOND = 4096,
    CHUNK_BYTES_MAX = 1 << 20,
};

struct chunk {
    struct chunk *next;
    size_t capacity;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

struct arena {
    struct chunk *head;
    size_t bytes;
    size_t bytes_max;
    size_t chunk_bytes_next;
    struct chunk first; /* its bytes follow the arena in the same allocation */
};

_Static_assert(sizeof(struct arena) + CHUNK_BYTES_MIN <= 1032, "a new arena is served from the cache of a thread");

struct arena *arena_create(size_t bytes_max)
{
    struct arena *arena = malloc(sizeof *arena + CHUNK_BYTES_MIN);

    if (arena == NULL) {
        return NULL;
    }
    arena->head = &arena->first;
    arena->bytes = 0;
    arena->bytes_max = bytes_max;
    arena->chunk_bytes_next = CHUNK_BYTES_SECOND;
    arena->first.next = NULL;
    arena->first.capacity = CHUNK_BYTES_MIN;
    arena->first.used = 0;
    return arena;
}

static void free_chunks(struct arena *arena, struct chunk *from)
{
    for (struct chunk *chunk = from; chunk != &arena->first;) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_reset(struct arena *arena)
{
    struct chunk *newest = arena->head; /* the largest: what comes next is probably like what was */

    if (newest != &arena->first) {
        free_chunks(arena, newest->next);
        newest->next = &arena->first;
    }
    newest->used = 0;
    arena->bytes = 0;
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_chunks(arena, arena->head);
    free(arena);
}

static struct chunk *chunk_add(struct arena *arena, size_t size)
{
    const size_t capacity = size > arena->chunk_bytes_next ? size : arena->chunk_bytes_next;
    struct chunk *chunk = malloc(sizeof *chunk + capacity);

    if (chunk == NULL) {
        return NULL;
    }
    chunk->capacity = capacity;
    chunk->used = 0;
    chunk->next = arena->head;
    arena->head = chunk;
    if (arena->chunk_bytes_next < CHUNK_BYTES_MAX) {
        arena->chunk_bytes_next *= 2;
    }
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena->bytes_max || arena->bytes > arena->bytes_max - size) {
        return NULL;
    }
    const size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct chunk *chunk = arena->head;

    if (chunk->capacity - chunk->used < rounded) {
        chunk = chunk_add(arena, rounded);
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *at = chunk->bytes + chunk->used;
    chunk->used += rounded;
    arena->bytes += rounded;
    memset(at, 0, size);
    return at;
}

struct slice arena_copy(struct arena *arena, struct slice slice)
{
    uint8_t *copy = slice.size == 0 ? NULL : arena_alloc(arena, slice.size);

    if (copy == NULL) {
        return (struct slice){NULL, slice.size};
    }
    memcpy(copy, slice.data, slice.size);
    return (struct slice){copy, slice.size};
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}
