/* SPDX-License-Identifier: Apache-2.0
 *
 * store_lmdb.h: the store on disk: one LMDB environment in the data folder, one database a table.
 *
 * Keys stand in memcmp order. An epoch is one write transaction, synced to disk before store_apply returns.
 * A read is one short read transaction on the calling thread.
 * The map is reserved once, far larger than the disk, and never resized.
 */
#pragma once

#include "store.h"

#ifdef PROA_SMALL_MAP
#define STORE_LMDB_MAP_BYTES ((uint64_t)16 << 30) /* sanitizers and valgrind shadow what is mapped */
#else
#define STORE_LMDB_MAP_BYTES ((uint64_t)1 << 40) /* address space only: a new store is a file of some pages */
#endif

struct store_lmdb_options {
    const char *folder;  /* made if it is missing, but not its parents */
    uint64_t map_bytes;  /* most the data file can ever hold; 0: STORE_LMDB_MAP_BYTES */
    bool is_read_only;   /* for tools, while no host runs: store_apply is not allowed */
    bool is_not_durable; /* for tests that cut no power: does not wait for the disk */
};

/* ERR_IN_USE: a process holds the folder. ERR_NEWER_FORMAT: a newer version wrote it. ERR_CORRUPT: what stands
 * in it is no store of ours. ERR_SYSTEM: it cannot be made, written or mapped. */
MUST_USE enum err_code store_lmdb_open(const struct store_lmdb_options *options, struct store **out, struct err *err);
