/* SPDX-License-Identifier: Apache-2.0
 *
 * journal.h: the files to which epochs are appended and synced, one after the other: that is the promise.
 *
 * Two files take turns: while the tables take what one holds, the other is appended to; then the first is written
 * over from its start. A record is one epoch, padded to whole pages, so that an interrupted write can harm no record
 * before it. It names the epoch before it: a gap is seen, and so are tables of another history. A checksum tells a torn
 * record, which nobody was promised, and a secret number of the turn tells records from what merely looks like one:
 * values are chosen by strangers, and old pages stand behind the newest record. Each turn names the secret of the next,
 * so that rot at its very beginning is seen too.
 * Not here: what is in memory of the epochs, and when a turn ends (store_journal.h).
 * Thread: one at a time.
 */
#pragma once

#include "epoch.h"
#include "err.h"
#include "record.h"
#include "store.h"

enum { JOURNAL_PAGE_BYTES = 4096 };

struct journal;

struct journal_options {
    const char *folder;  /* the store's, locked by the caller */
    bool is_read_only;   /* replays and no more; missing files are no error */
    bool is_not_durable; /* for tests that cut no power: does not wait for the disk */
};

/* Opens the files, makes them if they are missing. ERR_SYSTEM: they cannot be opened, made or read. */
MUST_USE enum err_code journal_open(const struct journal_options *options, struct journal **out, struct err *err);
void journal_close(struct journal *journal); /* accepts NULL */

/* What the tables below have. */
struct journal_tables {
    uint64_t number;             /* of their newest epoch */
    struct slice epoch_row;      /* value of row `epoch` of meta; empty: none */
    struct journal_record turns; /* what journal_mark said when that epoch was stored, or before; zeros: nothing */
};
/* Takes one epoch; its slices live until it returns. */
typedef void journal_take(void *context, const struct epoch *epoch);
/* Hands over, in order, every epoch that the tables do not have. Once, before the first turn. ERR_CORRUPT: an epoch
 * that was promised is missing or damaged, or the tables are of another history, or the files are. ERR_NEWER_FORMAT:
 * written by a newer version. */
MUST_USE enum err_code journal_replay(struct journal *journal, const struct journal_tables *tables, journal_take *take,
                                      void *context, struct err *err);
/* Makes sure that what was replayed is on disk: the newest record may have been read from memory that never got there,
 * after a sync that failed or did not come to be. */
MUST_USE enum err_code journal_confirm(struct journal *journal, struct err *err);

/* False while the current turn has no record: the tables know of it and of the one before it, whose record is the one
 * that a start finds, until then, in the other file. */
bool journal_may_turn(const struct journal *journal);
/* Begins a turn of the other file, if it may: its records are written over. */
void journal_turn(struct journal *journal);
/* Makes sure that the current turn has a record on disk, and names it. For the tables, which are told what to find
 * again before the other file is written over. STORE_IS_FULL: it has none. */
enum store_apply journal_mark(struct journal *journal, struct journal_record *out, struct err *err);
/* Appends a sealed epoch and waits until it is on disk. STORE_IS_FULL: nothing of it counts, it may be tried again. */
enum store_apply journal_append(struct journal *journal, const struct epoch *epoch, struct err *err);
/* Bytes of the file that is appended to that this turn has used. */
uint64_t journal_used(const struct journal *journal);
/* Bytes of both files. */
uint64_t journal_bytes(const struct journal *journal);
/* Bytes this user may still write to the files' disk; a great many if unknown. Quotas do not show. Any thread. */
uint64_t journal_disk_free(const struct journal *journal);
