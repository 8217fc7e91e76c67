/* SPDX-License-Identifier: Apache-2.0
 *
 * heap.h: a binary heap of members ordered by (due, sequence); removal from the middle.
 *
 * The sequence breaks ties, so equal inputs give equal order. Members live elsewhere and carry a heap_node.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t due;      /* milliseconds; the smallest comes first */
    uint64_t sequence; /* unique among members of one heap */
    size_t place;      /* 1-based place in the heap; 0 when not in it */
};

struct heap {
    struct heap_node **nodes; /* [0] unused */
    size_t count;
    size_t capacity;
};

void heap_done(struct heap *heap);                         /* frees the heap, not its members */
void heap_push(struct heap *heap, struct heap_node *node); /* ends the process if memory is out */
void heap_remove(struct heap *heap, struct heap_node *node);
struct heap_node *heap_peek(const struct heap *heap); /* NULL if empty */
struct heap_node *heap_pop(struct heap *heap);        /* NULL if empty */
