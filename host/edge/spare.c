/* SPDX-License-Identifier: Apache-2.0 */
#include "spare.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { STEP_BYTES = 32, LISTS = SPARE_SIZE_MAX / STEP_BYTES + 1 };

/* Stands before every piece. */
struct piece {
    _Alignas(max_align_t) struct piece *next; /* while it is kept */
    size_t size;                              /* what it has room for; a multiple of STEP_BYTES */
};

static _Thread_local struct {
    bool is_open;
    size_t bytes;
    struct piece *lists[LISTS]; /* by size in steps */
} spare;

void spare_open(void)
{
    check(!spare.is_open);
    spare.is_open = true;
}

void spare_close(void)
{
    for (size_t i = 0; i < LISTS; i++) {
        while (spare.lists[i] != NULL) {
            struct piece *first = spare.lists[i];
            spare.lists[i] = first->next;
            free(first);
        }
    }
    spare.bytes = 0;
    spare.is_open = false;
}

size_t spare_bytes(void)
{
    return spare.bytes;
}

static struct piece *piece_of(void *memory)
{
    return (struct piece *)memory - 1;
}

void *spare_malloc(size_t size)
{
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    const size_t steps = (size + STEP_BYTES - 1) / STEP_BYTES;
    struct piece *piece = steps < LISTS ? spare.lists[steps] : NULL;

    if (piece != NULL) {
        spare.lists[steps] = piece->next;
        spare.bytes -= piece->size;
        return piece + 1;
    }
    piece = malloc(sizeof(*piece) + steps * STEP_BYTES);
    if (piece == NULL) {
        return NULL;
    }
    piece->size = steps * STEP_BYTES;
    return piece + 1;
}

void spare_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct piece *piece = piece_of(memory);
    const size_t steps = piece->size / STEP_BYTES;

    if (!spare.is_open || steps >= LISTS || piece->size > SPARE_BYTES_MAX - spare.bytes) {
        free(piece);
        return;
    }
    piece->next = spare.lists[steps];
    spare.lists[steps] = piece;
    spare.bytes += piece->size;
}

void *spare_calloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *memory = spare_malloc(bytes);
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

void *spare_realloc(void *memory, size_t size)
{
    if (memory == NULL) {
        return spare_malloc(size);
    }
    const size_t room = piece_of(memory)->size;
    if (size <= room) {
        return memory;
    }
    void *moved = spare_malloc(size);
    if (moved == NULL) {
        return NULL;
    }
    memcpy(moved, memory, room);
    spare_free(memory);
    return moved;
}

char *spare_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = spare_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}
