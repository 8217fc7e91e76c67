/* SPDX-License-Identifier: Apache-2.0
 *
 * merge.h: a read of a store with layers over it.
 *
 * The newest layer speaks before the frozen one, and that before the store; a delete hides what is under it. The store
 * is read in pieces, because rows that are hidden make room for others within the limits of the read.
 */
#pragma once

#include "layer.h"
#include "store.h"

struct merge_view {
    struct store *below; /* what it says may only change, while this goes on, to what the frozen layer says */
    const struct layer *newest;
    const struct layer *frozen; /* NULL: none */
    uint64_t epoch;             /* as of which the layers are looked at */
};

/* As store_read. Any thread. */
MUST_USE enum err_code merge_read(const struct merge_view *view, const struct effect_read *read, struct arena *arena,
                                  struct input_rows *out, struct err *err);
