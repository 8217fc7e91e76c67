/* SPDX-License-Identifier: Apache-2.0
 *
 * store_journal.h: a store over another: epochs are promised by a journal, and reach the other store later, many at
 * once.
 *
 * Why: to put a small row into a tree writes a page of 4 KiB for each, and two syncs. A journal writes what changed,
 * and one. The trees then get every row once a checkpoint, however often it changed, and rows that came and went not
 * at all.
 * store_apply appends the epoch, waits for the disk, and adds it to the newest layer in memory. store_read merges the
 * layers over the store below. A checkpoint freezes the layer, goes on with a new one and the journal's other file,
 * and applies the frozen one below as one epoch. To open is to replay and to make a checkpoint.
 * Threads: as store.h says; the checkpointer is a thread of its own, in here.
 */
#pragma once

#include "store.h"

struct store_journal_options {
    const char *folder;        /* where the journal's files are; locked by the store below */
    struct store *below;       /* owned from now on, also if opening fails */
    bool is_read_only;         /* for tools, while no host runs: store_apply is not allowed */
    bool is_not_durable;       /* for tests that cut no power: does not wait for the disk */
    uint64_t checkpoint_bytes; /* bytes of journal that call for a checkpoint; 0: 16 MiB */
    uint32_t checkpoint_ms;    /* age of the oldest epoch that does; 0: 5 s */
};

/* ERR_CORRUPT: what was promised is missing in the journal. ERR_NEWER_FORMAT: a newer version wrote it. ERR_SYSTEM: it
 * cannot be made or read, or what it holds cannot be stored below for another reason than want of room. */
MUST_USE enum err_code store_journal_open(const struct store_journal_options *options, struct store **out,
                                          struct err *err);
/* Waits until all epochs are in the store below, or the checkpointer has given up for now. For tests. */
void store_journal_settle(struct store *store);
