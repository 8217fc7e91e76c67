/* SPDX-License-Identifier: Apache-2.0
 *
 * store_memory.h: the store's twin in memory, with faults and with snapshots of the past.
 *
 * For tests and the simulation. It outlives the engine that uses it: to crash a host is to drop its engine
 * and to begin a new one on the same store, which holds exactly what its newest epoch left.
 * Threads: as store.h says; faults and looks inside from any.
 */
#pragma once

#include "store.h"

enum { STORE_MEMORY_SNAPSHOTS_MAX = 8 }; /* epochs that can still be read, the newest included */

/* A new store; never fails but by ending the process. */
MUST_USE struct store *store_memory_create(void);
/* A store of its own with the rows of the newest epoch; its faults are not copied. */
MUST_USE struct store *store_memory_clone(struct store *store);

/* The next `times` epochs end as `how`, which is not STORE_APPLIED. Full: nothing is stored. Failed: whether
 * it is stored is for `is_stored` to say, and for nobody else to know. 0 times: no more faults. */
void store_memory_fail_next(struct store *store, enum store_apply how, bool is_stored, uint32_t times);
/* The next `times` reads fail with ERR_SYSTEM. */
void store_memory_fail_reads(struct store *store, uint32_t times);
/* Reads see the snapshot of so many epochs ago, as one that was begun then and is slow; 0: the newest. At
 * most as far back as there are snapshots. */
void store_memory_set_age(struct store *store, uint32_t epochs);

typedef void store_memory_row(void *context, struct slice key, struct slice value);
/* Shows each row of a table of the newest epoch, in the order of keys; slices are borrowed for the call, which may not
 * use the store. */
void store_memory_each(struct store *store, enum store_table table, store_memory_row *row, void *context);
uint32_t store_memory_count(struct store *store, enum store_table table);
