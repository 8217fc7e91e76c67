/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "check.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->due != b->due ? a->due < b->due : a->sequence < b->sequence;
}

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes[place] = node;
    node->place = place;
}

static void sift_up(struct heap *heap, size_t place, struct heap_node *node)
{
    while (place > 1 && before(node, heap->nodes[place / 2])) {
        put(heap, place, heap->nodes[place / 2]);
        place /= 2;
    }
    put(heap, place, node);
}

static void sift_down(struct heap *heap, size_t place, struct heap_node *node)
{
    for (;;) {
        size_t child = place * 2;
        if (child > heap->count) {
            break;
        }
        if (child < heap->count && before(heap->nodes[child + 1], heap->nodes[child])) {
            child++;
        }
        if (!before(heap->nodes[child], node)) {
            break;
        }
        put(heap, place, heap->nodes[child]);
        place = child;
    }
    put(heap, place, node);
}

void heap_done(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

void heap_push(struct heap *heap, struct heap_node *node)
{
    check(node->place == 0);
    if (heap->count + 1 >= heap->capacity) {
        const size_t capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
        struct heap_node **grown = realloc(heap->nodes, capacity * sizeof(*grown));
        check(grown != NULL);
        heap->nodes = grown;
        heap->capacity = capacity;
    }
    heap->count++;
    sift_up(heap, heap->count, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    const size_t place = node->place;

    check(place > 0 && place <= heap->count && heap->nodes[place] == node);
    struct heap_node *last = heap->nodes[heap->count--];
    node->place = 0;
    if (last == node) {
        return;
    }
    if (place > 1 && before(last, heap->nodes[place / 2])) {
        sift_up(heap, place, last);
    } else {
        sift_down(heap, place, last);
    }
}

struct heap_node *heap_peek(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[1];
}

struct heap_node *heap_pop(struct heap *heap)
{
    struct heap_node *first = heap_peek(heap);

    if (first != NULL) {
        heap_remove(heap, first);
    }
    return first;
}
