/* SPDX-License-Identifier: Apache-2.0
 *
 * layer.h: what a run of epochs changed, in memory and in key order, while the tables do not have it yet.
 *
 * A skip list of versions: a row for every change, by table, key and epoch, the newest of a key first. One thread
 * adds; any number look at the same time and need no lock, because a row never changes once a link leads to it. Who
 * looks does so as of an epoch: what came later is passed over.
 * Not here: which layers there are and when they end (store_journal.c).
 */
#pragma once

#include <stdatomic.h>

#include "epoch.h"

struct layer;

/* One version of one row. Lives as long as its layer; all but the links are fixed. */
struct layer_row {
    struct slice key;
    struct slice value; /* empty for deletes */
    uint64_t epoch;
    enum store_table table;
    enum op_kind kind;
    _Atomic(struct layer_row *) next[]; /* a link a level, as many as the row was given */
};

/* An empty layer. Ends the process if memory is out. */
struct layer *layer_create(void);
void layer_destroy(struct layer *layer); /* accepts NULL; nobody may be looking */

/* Adds one change of epoch `epoch`, which is not older than any in the layer; copies key and value. */
void layer_add(struct layer *layer, const struct op *op, uint64_t epoch);
/* Bytes of the keys and values added; by the adding thread. */
uint64_t layer_bytes(const struct layer *layer);
/* Keys that were put or deleted, each once. What was appended is not counted: it stands side by side in its table. */
uint64_t layer_keys(const struct layer *layer);

/* As of epoch `epoch`, the first row of `table` whose key is not below `key`; NULL: none. Deletes are rows too. */
const struct layer_row *layer_seek(const struct layer *layer, enum store_table table, struct slice key, uint64_t epoch);
/* As of epoch `epoch`, the row of the next key of the same table; NULL: none. */
const struct layer_row *layer_next(const struct layer *layer, const struct layer_row *row, uint64_t epoch);

/* The whole layer as one epoch of number `number`: the newest change of every key, sorted. Keys and values are
 * the layer's. A row that was appended and deleted again is left out: who applies it never had it. To be freed with
 * free(out->ops); nobody may be adding. */
void layer_fold(const struct layer *layer, uint64_t number, struct epoch *out);
