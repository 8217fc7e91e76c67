/* SPDX-License-Identifier: Apache-2.0 */
#include "layer.h"

#include <stdlib.h>

#include "arena.h"
#include "check.h"

enum {
    LEVELS_MAX = 12, /* a quarter of the rows of one level stand in the next: enough for 16 million */
    OPS_CAPACITY_MIN = 64,
};
#define LAYER_BYTES_MAX ((size_t)8 << 30) /* the journal ends a layer long before: this only tells a bug */

struct layer {
    struct arena *arena; /* of all rows; the adding thread's */
    uint64_t bytes;      /* likewise */
    uint64_t keys;       /* likewise; see layer_keys */
    uint64_t random;     /* likewise; for the heights of rows, the same in every run */
    _Atomic(struct layer_row *) first[LEVELS_MAX];
};

struct layer *layer_create(void)
{
    struct layer *layer = calloc(1, sizeof *layer);

    check(layer != NULL);
    layer->arena = arena_create(LAYER_BYTES_MAX);
    check(layer->arena != NULL);
    layer->random = 0x9e3779b97f4a7c15;
    return layer;
}

void layer_destroy(struct layer *layer)
{
    if (layer != NULL) {
        arena_destroy(layer->arena);
        free(layer);
    }
}

uint64_t layer_bytes(const struct layer *layer)
{
    return layer->bytes;
}

uint64_t layer_keys(const struct layer *layer)
{
    return layer->keys;
}

static bool is_same_key(const struct layer_row *a, const struct layer_row *b)
{
    return a->table == b->table && slice_equal(a->key, b->key);
}

/* Where a version stands: table, key, the newest epoch first. */
static int compare(const struct layer_row *row, enum store_table table, struct slice key, uint64_t epoch)
{
    if (row->table != table) {
        return row->table < table ? -1 : 1;
    }
    const int order = slice_compare(row->key, key);
    if (order != 0 || row->epoch == epoch) {
        return order;
    }
    return row->epoch > epoch ? -1 : 1;
}

/* The first version not before (table, key, epoch). Sets out_links, unless NULL, to the links that lead to it, level
 * by level: where a row of that place would be hung in. */
static struct layer_row *find(const struct layer *layer, enum store_table table, struct slice key, uint64_t epoch,
                              _Atomic(struct layer_row *) **out_links)
{
    const _Atomic(struct layer_row *) *links = layer->first;
    struct layer_row *row = NULL;

    for (int level = LEVELS_MAX - 1; level >= 0; level--) {
        row = atomic_load_explicit(&links[level], memory_order_acquire);
        while (row != NULL && compare(row, table, key, epoch) < 0) {
            links = row->next;
            row = atomic_load_explicit(&links[level], memory_order_acquire);
        }
        if (out_links != NULL) {
            out_links[level] = (_Atomic(struct layer_row *) *)(uintptr_t)&links[level]; /* only layer_add asks */
        }
    }
    return row;
}

static int random_height(struct layer *layer)
{
    layer->random ^= layer->random << 13;
    layer->random ^= layer->random >> 7;
    layer->random ^= layer->random << 17;
    uint64_t bits = layer->random >> 16;
    int height = 1;
    while (height < LEVELS_MAX && (bits & 3) == 0) {
        height++;
        bits >>= 2;
    }
    return height;
}

static struct slice copy_behind(uint8_t **at, struct slice slice)
{
    return slice.size == 0 ? SLICE_EMPTY : slice_pack(at, slice);
}

void layer_add(struct layer *layer, const struct op *op, uint64_t epoch)
{
    _Atomic(struct layer_row *) *links[LEVELS_MAX];
    const int height = random_height(layer);
    const size_t links_bytes = (size_t)height * sizeof(_Atomic(struct layer_row *));
    struct layer_row *row = arena_alloc(layer->arena, sizeof *row + links_bytes + op->key.size + op->value.size);

    check(row != NULL);
    uint8_t *at = (uint8_t *)row + sizeof *row + links_bytes;
    row->key = copy_behind(&at, op->key);
    row->value = copy_behind(&at, op->value);
    row->epoch = epoch;
    row->table = op->table;
    row->kind = op->kind;
    layer->bytes += op->key.size + op->value.size;
    const struct layer_row *next = find(layer, row->table, row->key, epoch, links);
    layer->keys += op->kind != OP_APPEND && (next == NULL || !is_same_key(next, row));
    for (int level = 0; level < height; level++) {
        atomic_init(&row->next[level], atomic_load_explicit(links[level], memory_order_relaxed));
        atomic_store_explicit(links[level], row, memory_order_release);
    }
}

/* From the version that find gave: the first that is as old as `epoch` or older, or none in this table. */
static const struct layer_row *settle(const struct layer *layer, const struct layer_row *row, enum store_table table,
                                      uint64_t epoch)
{
    while (row != NULL && row->table == table && row->epoch > epoch) {
        row = find(layer, table, row->key, epoch, NULL);
    }
    return row != NULL && row->table == table ? row : NULL;
}

const struct layer_row *layer_seek(const struct layer *layer, enum store_table table, struct slice key, uint64_t epoch)
{
    return settle(layer, find(layer, table, key, epoch, NULL), table, epoch);
}

const struct layer_row *layer_next(const struct layer *layer, const struct layer_row *row, uint64_t epoch)
{
    /* No version is as old as epoch 0, so this is the first version of the next key. */
    return settle(layer, find(layer, row->table, row->key, 0, NULL), row->table, epoch);
}

/* ---- fold ----------------------------------------------------------------------------------------------------- */

static const struct layer_row *row_after(const struct layer_row *row)
{
    return atomic_load_explicit(&row->next[0], memory_order_acquire);
}

static void push_op(struct epoch *epoch, const struct layer_row *row, enum op_kind kind)
{
    if (epoch->op_count == epoch->op_capacity) {
        epoch->op_capacity = epoch->op_capacity == 0 ? OPS_CAPACITY_MIN : epoch->op_capacity * 2;
        epoch->ops = realloc(epoch->ops, epoch->op_capacity * sizeof epoch->ops[0]);
        check(epoch->ops != NULL);
    }
    epoch->ops[epoch->op_count++] = (struct op){kind, row->table, row->key, row->value};
}

/* An append stays one only if nothing but appends is behind it in its table: what stood there when it was made may
 * be a delete of this very epoch, and comes after it now. */
static void demote_appends(struct epoch *epoch)
{
    bool is_last = true;

    for (uint32_t i = epoch->op_count; i-- > 0;) {
        struct op *op = &epoch->ops[i];
        is_last = i + 1 == epoch->op_count || epoch->ops[i + 1].table != op->table || is_last;
        is_last = is_last && op->kind == OP_APPEND;
        if (op->kind == OP_APPEND && !is_last) {
            op->kind = OP_PUT;
        }
    }
}

void layer_fold(const struct layer *layer, uint64_t number, struct epoch *out)
{
    const struct layer_row *newest = atomic_load_explicit(&layer->first[0], memory_order_acquire);

    *out = (struct epoch){.number = number};
    while (newest != NULL) {
        const struct layer_row *oldest = newest;
        const struct layer_row *next = row_after(newest);
        while (next != NULL && is_same_key(next, newest)) {
            oldest = next;
            next = row_after(next);
        }
        if (newest->kind != OP_DELETE || oldest->kind != OP_APPEND) {
            /* What was appended where something had been before may still have that under it. */
            const bool is_put = newest->kind == OP_APPEND && newest != oldest;
            push_op(out, newest, is_put ? OP_PUT : newest->kind);
        }
        newest = next;
    }
    demote_appends(out);
}
