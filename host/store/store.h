/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h: ordered tables that take whole epochs and give snapshots.
 *
 * Two implementations with one contract (tests/contract): LMDB, and a twin in memory with faults.
 * Threads: one thread applies; any number read, each snapshot on the thread that began it.
 */
#pragma once

#include "epoch.h"
#include "err.h"
#include "port.h"

struct store;

enum store_apply {
    STORE_APPLIED,
    STORE_IS_FULL, /* no space: nothing of the epoch is stored; the same epoch may be applied again */
    STORE_FAILED,  /* any other write error: whether it is on disk is unknown; only recovery is safe */
};

/* Applies a sealed, sorted epoch in one transaction and makes it durable. */
enum store_apply store_apply(struct store *store, const struct epoch *epoch, struct err *err);
/* Figures of some 100 ms ago or newer; by one thread at a time, which need not be the one that applies. */
struct store_figures store_figures(struct store *store);
/* Number of the newest epoch applied (from the `epoch` row of meta); 0: a new store. */
uint64_t store_epoch(struct store *store);
void store_close(struct store *store); /* accepts NULL; no snapshot may be open */

/* Reads what `read` asks for from one snapshot: rows go into `arena`, in order; sets *out but for read number. */
MUST_USE enum err_code store_read(struct store *store, const struct effect_read *read, struct arena *arena,
                                  struct input_rows *out, struct err *err);

struct store_vtable {
    enum store_apply (*apply)(struct store *store, const struct epoch *epoch, struct err *err);
    struct store_figures (*figures)(struct store *store);
    uint64_t (*epoch)(struct store *store);
    enum err_code (*read)(struct store *store, const struct effect_read *read, struct arena *arena,
                          struct input_rows *out, struct err *err);
    void (*close)(struct store *store);
};
/* First member of every implementation. */
struct store {
    const struct store_vtable *vtable;
};
