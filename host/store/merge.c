/* SPDX-License-Identifier: Apache-2.0 */
#include "merge.h"

#include "check.h"
#include "store_internal.h"

enum { PIECE_ROWS_MIN = 64, PIECE_BYTES_MIN = 16 << 10 };

/* The rows of both layers in one range, in order, a key once. */
struct layers_walk {
    const struct merge_view *view;
    const struct layer_row *newest;
    const struct layer_row *frozen;
};

static void walk_seek(struct layers_walk *walk, const struct merge_view *view, enum store_table table, struct slice key)
{
    walk->view = view;
    walk->newest = layer_seek(view->newest, table, key, view->epoch);
    walk->frozen = view->frozen == NULL ? NULL : layer_seek(view->frozen, table, key, view->epoch);
}

/* How the keys of the two stand: below 0, the newest layer's comes first. */
static int walk_order(const struct layers_walk *walk)
{
    if (walk->newest == NULL || walk->frozen == NULL) {
        return walk->newest == NULL ? 1 : -1;
    }
    return slice_compare(walk->newest->key, walk->frozen->key);
}

static const struct layer_row *walk_row(const struct layers_walk *walk)
{
    return walk_order(walk) <= 0 ? walk->newest : walk->frozen;
}

static void walk_next(struct layers_walk *walk)
{
    const int order = walk_order(walk);

    if (order <= 0 && walk->newest != NULL) {
        walk->newest = layer_next(walk->view->newest, walk->newest, walk->view->epoch);
    }
    if (order >= 0 && walk->frozen != NULL) {
        walk->frozen = layer_next(walk->view->frozen, walk->frozen, walk->view->epoch);
    }
}

static bool is_in(const struct read_range *range, struct slice key)
{
    switch (range->kind) {
    case RANGE_KEY:
        return slice_equal(key, range->key);
    case RANGE_PREFIX:
        return store_has_prefix(key, range->key);
    case RANGE_FROM:
        return true;
    }
    return false;
}

/* The merge of one read. What is below comes in pieces: a read of `ranges` from number `first` on, of which the first
 * begins where the piece before ended. */
struct merge {
    const struct effect_read *read;
    const struct merge_view *view;
    struct store_rows rows;
    enum store_rows_add added;

    struct arena *arena; /* of one piece */
    struct read_range ranges[LIMIT_READ_RANGES_MAX];
    uint32_t first;
    struct input_rows piece;
    uint32_t place; /* of the piece's next row */
    uint8_t from[LIMIT_STORE_KEY_BYTES_MAX + 1];
};

/* Reads the next piece: of range number `first`, from `from` on, and of all ranges behind it. */
static enum err_code read_piece(struct merge *merge, uint32_t first, const struct slice *from, struct err *err)
{
    struct effect_read read = *merge->read;

    merge->first = first;
    memcpy(merge->ranges, read.ranges + first, (read.range_count - first) * sizeof merge->ranges[0]);
    if (from != NULL) {
        /* Rows are hidden here, maybe many: to read them one by one, as a short read would, took long. */
        read.rows_max = read.rows_max < PIECE_ROWS_MIN ? PIECE_ROWS_MIN : read.rows_max;
        read.bytes_max = read.bytes_max < PIECE_BYTES_MIN ? PIECE_BYTES_MIN : read.bytes_max;
        merge->ranges[0].kind = RANGE_FROM; /* of a prefix too: is_in tells where that ends */
        merge->ranges[0].key = *from;
    }
    read.ranges = merge->ranges;
    read.range_count -= first;
    arena_reset(merge->arena);
    merge->piece = (struct input_rows){0};
    merge->place = 0;
    return store_read(merge->view->below, &read, merge->arena, &merge->piece, err);
}

/* The piece's next row if it is of this range, else NULL. */
static const struct row *piece_row(const struct merge *merge, uint32_t range)
{
    const struct row *row = merge->place < merge->piece.row_count ? &merge->piece.rows[merge->place] : NULL;

    return row != NULL && row->range + merge->first == range && is_in(&merge->read->ranges[range], row->key) ? row
                                                                                                             : NULL;
}

/* The piece is used up, but there is more of this range below. */
static bool is_more_below(const struct merge *merge)
{
    return merge->place == merge->piece.row_count && merge->piece.is_cut;
}

/* Goes on behind the piece's last row, which is of range number `range`. */
static enum err_code read_on(struct merge *merge, uint32_t range, struct err *err)
{
    const struct row *last = merge->piece.row_count > 0 ? &merge->piece.rows[merge->piece.row_count - 1] : NULL;

    if (last == NULL || last->range + merge->first != range) {
        return read_piece(merge, range, NULL, err); /* the cut was before the first row of this range */
    }
    memcpy(merge->from, last->key.data, last->key.size);
    merge->from[last->key.size] = 0; /* the key that comes next in memcmp order */
    const struct slice from = {merge->from, last->key.size + 1};
    return read_piece(merge, range, &from, err);
}

/* Passes over what a piece has of a range that is done: a prefix that was read on goes beyond itself. */
static void leave_range(struct merge *merge, uint32_t range)
{
    while (merge->place < merge->piece.row_count && merge->piece.rows[merge->place].range + merge->first <= range) {
        merge->place++;
    }
}

/* One row of the answer, or of what is passed over. False: the range has no more. */
static bool merge_row(struct merge *merge, uint32_t number, struct layers_walk *walk, struct err *err)
{
    const struct read_range *range = &merge->read->ranges[number];
    const struct row *below = piece_row(merge, number);
    const struct layer_row *above = walk_row(walk);

    if (above != NULL && !is_in(range, above->key)) {
        above = NULL;
    }
    if (above == NULL && below == NULL) {
        return false;
    }
    const int order = above == NULL ? 1 : below == NULL ? -1 : slice_compare(above->key, below->key);
    if (order > 0) {
        merge->added = store_rows_add(&merge->rows, number, below->key, below->value, err);
    } else if (above->kind != OP_DELETE) {
        merge->added = store_rows_add(&merge->rows, number, above->key, above->value, err);
    }
    if (order >= 0) {
        merge->place++;
    }
    if (order <= 0) {
        walk_next(walk);
    }
    return range->kind != RANGE_KEY;
}

static enum err_code merge_range(struct merge *merge, uint32_t number, struct err *err)
{
    const struct read_range *range = &merge->read->ranges[number];
    struct layers_walk walk;
    bool goes_on = true;

    walk_seek(&walk, merge->view, range->table, range->key);
    while (goes_on && merge->added == STORE_ROWS_ADDED) {
        if (is_more_below(merge)) {
            const enum err_code code = read_on(merge, number, err);
            if (code != ERR_NONE) {
                return code;
            }
        }
        goes_on = merge_row(merge, number, &walk, err);
    }
    leave_range(merge, number);
    return merge->added == STORE_ROWS_NO_MEMORY ? err->code : ERR_NONE;
}

enum err_code merge_read(const struct merge_view *view, const struct effect_read *read, struct arena *arena,
                         struct input_rows *out, struct err *err)
{
    struct merge merge = {.read = read, .view = view, .added = STORE_ROWS_ADDED};

    merge.arena = arena_create(LIMIT_ARENA_BYTES_MAX);
    check(merge.arena != NULL);
    store_rows_begin(&merge.rows, read, arena);
    enum err_code code = read_piece(&merge, 0, NULL, err);
    for (uint32_t i = 0; i < read->range_count && code == ERR_NONE && merge.added == STORE_ROWS_ADDED; i++) {
        code = merge_range(&merge, i, err);
    }
    arena_destroy(merge.arena);
    if (code == ERR_NONE) {
        store_rows_end(&merge.rows, view->epoch, out);
    }
    return code;
}
