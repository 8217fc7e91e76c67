/* SPDX-License-Identifier: Apache-2.0
 *
 * store_internal.h: what the stores share, so that their answers to a read are equal row by row.
 */
#pragma once

#include "store.h"

/* The answer to a read while it grows. Rows and their bytes live in the arena. */
struct store_rows {
    const struct effect_read *read;
    struct arena *arena;
    struct row *rows;
    uint32_t count;
    uint32_t capacity;
    uint64_t bytes; /* keys and values of all rows but the first */
    bool is_cut;
};

enum store_rows_add {
    STORE_ROWS_ADDED,
    STORE_ROWS_CUT,       /* a limit of the read is reached: the row is not in, the read is over */
    STORE_ROWS_NO_MEMORY, /* the arena's budget is spent: *err is set */
};

/* Begins an answer without rows. */
void store_rows_begin(struct store_rows *rows, const struct effect_read *read, struct arena *arena);
/* Copies one row that matches range number `range`. */
enum store_rows_add store_rows_add(struct store_rows *rows, uint32_t range, struct slice key, struct slice value,
                                   struct err *err);
/* Writes the answer, from the snapshot of epoch `epoch`; leaves out->read alone. */
void store_rows_end(const struct store_rows *rows, uint64_t epoch, struct input_rows *out);

/* True if `key` begins with `prefix`. */
bool store_has_prefix(struct slice key, struct slice prefix);
/* The epoch's number in the value of row `epoch` of meta; an empty slice (no such row) is 0. */
MUST_USE enum err_code store_epoch_number(struct slice value, uint64_t *out, struct err *err);
/* Fails a check unless the epoch is sorted and each key stands once: anything else is the host's own bug. */
void store_check_sorted(const struct epoch *epoch);
