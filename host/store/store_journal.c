/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds what: `appending` is held by whoever appends or begins a turn of the journal; `mutex` guards the view, and
 * is held for some instructions only. A reader pins the layers it looks at. What is below may move while it reads, but
 * only on to what the pinned frozen layer says anyway: the checkpoint of the layer that was the newest for this reader
 * waits for it.
 */
#include "store_journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "clock.h"
#include "journal.h"
#include "layer.h"
#include "merge.h"
#include "store_internal.h"
#include "thread.h"

enum {
    CHECKPOINT_BYTES = 16 << 20,
    CHECKPOINT_MS = 5000,
    FULL_FACTOR = 4,           /* so many times the bytes of a checkpoint, and appending waits for the one under way */
    RETRY_MS = 500,            /* between tries of a checkpoint that does not fit */
    FIGURES_MS = 100,          /* age of figures of the store below: to count them takes system calls */
    FIGURES_BYTES = 256 << 10, /* that came since: on a small disk they matter */
    PAGE_BYTES = 4096,         /* of a tree below */
    ROW_BYTES_MAX = 64,
};

/* A layer, and who looks at it. */
struct held {
    struct layer *layer;
    uint64_t newest;     /* number of its newest epoch; 0: it is empty */
    uint64_t begun_us;   /* when its first epoch came */
    uint64_t bytes;      /* of its keys and values */
    uint64_t keys;       /* see layer_keys */
    uint32_t pins;       /* readers that look at it */
    uint32_t early_pins; /* those of them that came while it was the newest */
    bool is_marked;      /* it says which turn of the journal is to be found again */
};

struct store_journal {
    struct store store;
    struct store *below; /* applied to by the checkpointer, and by opening and closing */
    struct journal *journal;
    uint64_t checkpoint_bytes;
    uint32_t checkpoint_ms;
    bool is_read_only;

    pthread_mutex_t appending;
    bool has_turn; /* guarded by `appending`: the journal has begun one */

    /* owned by the applying thread */
    struct slice highest[STORE_TABLE_COUNT]; /* see check_appends; empty: unknown */
    uint8_t highest_bytes[STORE_TABLE_COUNT][LIMIT_STORE_KEY_BYTES_MAX];
    struct store_figures figures; /* of the store below */
    uint64_t figures_us;          /* when they were taken */
    uint64_t figures_tries;       /* of checkpoints, at that time */
    uint64_t figures_needed;      /* see bytes_needed, at that time */

    pthread_mutex_t mutex;
    pthread_cond_t stirred; /* anything below changed */
    struct held *newest;    /* epochs are added to it */
    struct held *frozen;    /* on its way below; NULL: none */
    uint64_t epoch;         /* number of the newest epoch */
    uint64_t used;          /* of the journal's current file */
    enum store_apply last;  /* how the last checkpoint went */
    struct err err;         /* why it failed */
    uint64_t tries;         /* checkpoints tried */
    bool is_wanted;         /* a checkpoint now, whatever the bytes and the time */
    bool is_journal_full;   /* the newest epoch did not fit into it */
    bool is_tight;          /* what is on its way below may not fit there much longer */
    bool is_journal_held;   /* both of its files are needed: no epoch may come before the frozen layer is gone */
    bool is_ending;

    bool has_thread;
    struct thread thread;
};

static struct store_journal *journal_of(struct store *store)
{
    return (struct store_journal *)(void *)store;
}

/* ---- held layers ---------------------------------------------------------------------------------------------- */

static struct held *held_create(void)
{
    struct held *held = calloc(1, sizeof *held);

    check(held != NULL);
    held->layer = layer_create();
    return held;
}

static void held_destroy(struct held *held)
{
    if (held != NULL) {
        layer_destroy(held->layer);
        free(held);
    }
}

static void lock(struct store_journal *store)
{
    check(pthread_mutex_lock(&store->mutex) == 0);
}

static void unlock(struct store_journal *store)
{
    check(pthread_mutex_unlock(&store->mutex) == 0);
}

static void stir(struct store_journal *store)
{
    check(pthread_cond_broadcast(&store->stirred) == 0);
}

/* With the mutex held: waits until anything stirs, or until `until_us` (CLOCK_MONOTONIC). */
static void wait_until(struct store_journal *store, uint64_t until_us)
{
    const struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                                   .tv_nsec = (long)(until_us % 1000000) * 1000};
    const int waited = pthread_cond_timedwait(&store->stirred, &store->mutex, &until);

    check(waited == 0 || waited == ETIMEDOUT);
}

/* ---- read ----------------------------------------------------------------------------------------------------- */

/* What one read holds. */
struct pinned {
    struct held *newest;
    struct held *frozen; /* NULL: none */
    bool is_plain;       /* no layer has a row */
    uint64_t epoch;
};

static void pin(struct store_journal *store, struct pinned *out)
{
    lock(store);
    *out = (struct pinned){.newest = store->newest, .frozen = store->frozen, .epoch = store->epoch};
    out->is_plain = store->frozen == NULL && store->newest->newest == 0;
    out->newest->pins++;
    out->newest->early_pins++;
    if (out->frozen != NULL) {
        out->frozen->pins++;
    }
    unlock(store);
}

/* With the mutex held. A layer that is in use no more belongs to its last reader. */
static struct held *let_go(const struct store_journal *store, struct held *held)
{
    held->pins--;
    return held->pins == 0 && held != store->newest && held != store->frozen ? held : NULL;
}

static void unpin(struct store_journal *store, const struct pinned *pinned)
{
    lock(store);
    pinned->newest->early_pins--;
    if (pinned->newest->early_pins == 0 && pinned->newest == store->frozen) {
        stir(store); /* its checkpoint waits for this */
    }
    struct held *const first = let_go(store, pinned->newest);
    struct held *const second = pinned->frozen == NULL ? NULL : let_go(store, pinned->frozen);
    unlock(store);
    held_destroy(first);
    held_destroy(second);
}

static enum err_code read_rows(struct store *base, const struct effect_read *read, struct arena *arena,
                               struct input_rows *out, struct err *err)
{
    struct store_journal *store = journal_of(base);
    struct pinned pinned;

    pin(store, &pinned);
    struct merge_view view = {.below = store->below, .newest = pinned.newest->layer, .epoch = pinned.epoch};
    view.frozen = pinned.frozen == NULL ? NULL : pinned.frozen->layer;
    /* Without layers it is what is below, which stays as it is while this is pinned. */
    const enum err_code code =
        pinned.is_plain ? store_read(store->below, read, arena, out, err) : merge_read(&view, read, arena, out, err);
    unpin(store, &pinned);
    return code;
}

/* ---- checkpoint ----------------------------------------------------------------------------------------------- */

/* With `appending` and the mutex held, and no frozen layer: the newest becomes that. What comes now goes into the
 * journal's other file, which is free, because what it held is below: see begin_turn. */
static void freeze(struct store_journal *store)
{
    store->frozen = store->newest;
    store->newest = held_create();
    store->is_wanted = false;
    store->used = 0;
    stir(store);
}

/* With `appending` held, after a freeze, or when there is nothing to freeze. Not with the mutex: it asks the disk. */
static void begin_turn(struct store_journal *store)
{
    journal_turn(store->journal);
    store->has_turn = true;
}

/* With the mutex held: that something failed stays, whatever goes well beside it or after it. */
static void end_try(struct store_journal *store, enum store_apply applied, const struct err *err)
{
    if (store->last != STORE_FAILED) {
        store->last = applied;
        store->err = *err;
    }
    store->tries++;
    stir(store);
}

/* Adds row `journal` of meta to the frozen layer: the turn that goes on after it. */
static enum store_apply mark(struct store_journal *store, struct held *frozen, struct err *err)
{
    struct journal_record turns = {0};
    struct buf row;

    check(pthread_mutex_lock(&store->appending) == 0);
    const enum store_apply marked = journal_mark(store->journal, &turns, err);
    check(pthread_mutex_unlock(&store->appending) == 0);
    if (marked == STORE_FAILED) {
        return STORE_FAILED;
    }
    buf_init(&row, ROW_BYTES_MAX); /* of no turn if the disk is full: then nothing is looked for */
    record_put_journal(&row, &turns);
    const struct op op = {OP_PUT, STORE_META, SLICE("journal"), buf_slice(&row)};
    layer_add(frozen->layer, &op, frozen->newest); /* frozen: nobody else adds */
    buf_done(&row);
    frozen->is_marked = true;
    return STORE_APPLIED;
}

/* Applies the frozen layer below. Its epochs stay readable all the while: first in it, then below. */
static void apply_frozen(struct store_journal *store)
{
    struct held *const frozen = store->frozen; /* changed by nobody else */
    struct epoch epoch;
    struct err err = {0};
    enum store_apply applied = frozen->is_marked ? STORE_APPLIED : mark(store, frozen, &err);

    if (applied == STORE_APPLIED) {
        layer_fold(frozen->layer, frozen->newest, &epoch);
        applied = store_apply(store->below, &epoch, &err);
        free(epoch.ops);
    }

    lock(store);
    end_try(store, applied, &err);
    struct held *done = NULL;
    if (applied == STORE_APPLIED) {
        done = frozen->pins == 0 ? frozen : NULL; /* else its last reader frees it */
        store->frozen = NULL;
        store->is_journal_held = false;
    }
    unlock(store);
    held_destroy(done);
}

/* With the mutex held: the newest layer is to be frozen. */
static bool is_due(const struct store_journal *store, uint64_t now_us)
{
    return store->frozen == NULL && store->newest->newest != 0 &&
           (store->is_wanted || store->is_ending || store->used >= store->checkpoint_bytes ||
            now_us >= store->newest->begun_us + (uint64_t)store->checkpoint_ms * 1000);
}

/* Freezes the newest layer if it is still due; with no lock held, because `appending` comes first. */
static void freeze_if_due(struct store_journal *store)
{
    check(pthread_mutex_lock(&store->appending) == 0);
    lock(store);
    const bool is_frozen = is_due(store, clock_monotonic_us());
    if (is_frozen) {
        freeze(store);
    }
    unlock(store);
    if (is_frozen) {
        begin_turn(store);
    }
    check(pthread_mutex_unlock(&store->appending) == 0);
}

/* With the mutex held: nothing more can be done, and nothing more will come. */
static bool is_over(const struct store_journal *store)
{
    const bool is_all_below = store->frozen == NULL && store->newest->newest == 0;

    return store->last == STORE_FAILED || (store->is_ending && (is_all_below || store->last == STORE_IS_FULL));
}

/* With the mutex held, nothing to be done: waits for a reason to look again. */
static void wait_for_work(struct store_journal *store, uint64_t now_us, uint64_t retry_us)
{
    uint64_t until_us = now_us + (uint64_t)store->checkpoint_ms * 1000;

    if (store->frozen != NULL && retry_us > now_us) {
        until_us = retry_us;
    } else if (store->frozen == NULL && store->newest->newest != 0) {
        until_us = store->newest->begun_us + (uint64_t)store->checkpoint_ms * 1000;
    }
    wait_until(store, until_us);
}

/* The checkpointer. */
static void run(void *context)
{
    struct store_journal *store = context;
    uint64_t retry_us = 0; /* not before this, unless it is the end */

    lock(store);
    while (!is_over(store)) {
        const uint64_t now_us = clock_monotonic_us();
        if (store->frozen != NULL && store->frozen->early_pins == 0 && (now_us >= retry_us || store->is_ending)) {
            unlock(store);
            apply_frozen(store);
            lock(store);
            retry_us = store->last == STORE_IS_FULL ? clock_monotonic_us() + RETRY_MS * 1000 : 0;
        } else if (is_due(store, now_us)) {
            unlock(store);
            freeze_if_due(store);
            lock(store);
        } else {
            wait_for_work(store, now_us, retry_us);
        }
    }
    unlock(store);
}

/* ---- apply ---------------------------------------------------------------------------------------------------- */

/* Some row of the table stands at or behind `key`. */
static enum err_code find_row_from(struct store_journal *store, const struct op *op, bool *out, struct err *err)
{
    const struct read_range range = {RANGE_FROM, op->table, op->key};
    const struct effect_read read = {.ranges = &range, .range_count = 1, .rows_max = 1};
    struct arena *arena = arena_create(LIMIT_ARENA_BYTES_MAX);
    struct input_rows rows = {0};

    check(arena != NULL);
    const enum err_code code = read_rows(&store->store, &read, arena, &rows, err);
    arena_destroy(arena);
    *out = rows.row_count > 0;
    return code;
}

/* An append below a row that is there is a number handed out twice: it must be found before anything is promised. So
 * for a table that was appended to, the highest key put since is kept: an append above it is good without a look. */
static bool check_appends(struct store_journal *store, const struct epoch *epoch, struct err *err)
{
    for (uint32_t i = 0; i < epoch->op_count; i++) {
        const struct op *op = &epoch->ops[i];
        struct slice *highest = &store->highest[op->table];
        const bool is_known = highest->size > 0;
        const bool is_above = is_known && slice_compare(op->key, *highest) > 0;
        if (op->kind == OP_APPEND && !is_above) {
            bool is_there = false;
            if (find_row_from(store, op, &is_there, err) != ERR_NONE) {
                return false;
            }
            if (is_there) {
                (void)err_set(err, ERR_SYSTEM, "epoch %" PRIu64 " cannot be stored: table %s: appended out of order",
                              epoch->number, store_table_name(op->table));
                return false;
            }
        }
        if (op->kind == OP_APPEND || (op->kind == OP_PUT && is_above)) {
            memcpy(store->highest_bytes[op->table], op->key.data, op->key.size);
            *highest = (struct slice){store->highest_bytes[op->table], op->key.size};
        }
    }
    return true;
}

/* With the mutex held: the journal takes no more before the frozen layer is below. Where room is tight, what comes next
 * must stay little enough to fit; behind a checkpoint that was refused it makes no difference. */
static bool is_blocked(const struct store_journal *store)
{
    return store->frozen != NULL && (store->is_journal_held || store->used >= store->checkpoint_bytes * FULL_FACTOR ||
                                     (store->is_tight && store->last == STORE_APPLIED));
}

/* Waits until the journal takes more. With no lock held: the checkpointer may need `appending` to go on. */
static enum store_apply wait_for_room(struct store_journal *store, struct err *err)
{
    lock(store);
    const uint64_t tries = store->tries;
    while (store->last != STORE_FAILED && is_blocked(store) &&
           (store->last != STORE_IS_FULL || (store->tries == tries && !store->is_journal_held))) {
        wait_until(store, clock_monotonic_us() + RETRY_MS * 1000);
    }
    const bool has_room = store->last != STORE_FAILED && !is_blocked(store);
    const enum store_apply room = has_room ? STORE_APPLIED : store->last;
    if (!has_room) {
        *err = store->err;
    }
    unlock(store);
    return room;
}

/* With `appending` held: the file that is appended to has enough, or more than may fit below. Not left to the
 * checkpointer, to whom a busy appender may not leave the lock for long. */
static void turn_if_due(struct store_journal *store)
{
    lock(store);
    const bool is_due = store->frozen == NULL && store->newest->newest != 0 &&
                        (store->is_tight || store->used >= store->checkpoint_bytes);
    if (is_due) {
        freeze(store);
    }
    unlock(store);
    if (is_due || !store->has_turn) {
        begin_turn(store);
    }
}

/* With `appending` held, the disk being full: tries the other file, which has room of its own. False: it is needed. */
static bool change_files(struct store_journal *store)
{
    lock(store);
    const bool is_free = store->frozen == NULL && journal_may_turn(store->journal);
    if (is_free && store->newest->newest != 0) {
        freeze(store);
    }
    unlock(store);
    if (is_free) {
        begin_turn(store);
    }
    return is_free;
}

/* With `appending` held: the epoch is on disk; now it can be read. */
static void add_to_layer(struct store_journal *store, const struct epoch *epoch)
{
    struct held *newest = store->newest; /* nobody freezes it now */

    for (uint32_t i = 0; i < epoch->op_count; i++) {
        layer_add(newest->layer, &epoch->ops[i], epoch->number);
    }
    lock(store);
    if (newest->newest == 0) {
        newest->begun_us = clock_monotonic_us();
    }
    newest->newest = epoch->number;
    newest->bytes = layer_bytes(newest->layer);
    newest->keys = layer_keys(newest->layer);
    store->epoch = epoch->number;
    store->used = journal_used(store->journal);
    unlock(store);
}

/* With `appending` held. */
static enum store_apply append(struct store_journal *store, const struct epoch *epoch, struct err *err)
{
    turn_if_due(store);
    enum store_apply applied = journal_append(store->journal, epoch, err);
    if (applied == STORE_IS_FULL && change_files(store)) {
        applied = journal_append(store->journal, epoch, err);
    }
    if (applied == STORE_APPLIED) {
        add_to_layer(store, epoch);
    }
    lock(store);
    store->is_journal_full = applied == STORE_IS_FULL;
    if (applied == STORE_FAILED) {
        end_try(store, applied, err);
    }
    unlock(store);
    return applied;
}

static enum store_apply apply(struct store *base, const struct epoch *epoch, struct err *err)
{
    struct store_journal *store = journal_of(base);

    check(!store->is_read_only);
    store_check_sorted(epoch);
    if (epoch->number <= store_epoch(base)) {
        (void)err_set(err, ERR_SYSTEM, "epoch %" PRIu64 " comes after epoch %" PRIu64 ", which is stored already",
                      epoch->number, store_epoch(base));
        return STORE_FAILED;
    }
    if (!check_appends(store, epoch, err)) {
        return STORE_FAILED;
    }
    enum store_apply applied = wait_for_room(store, err);
    if (applied == STORE_APPLIED) {
        check(pthread_mutex_lock(&store->appending) == 0);
        applied = append(store, epoch, err);
        check(pthread_mutex_unlock(&store->appending) == 0);
    }
    return applied;
}

/* ---- figures -------------------------------------------------------------------------------------------------- */

/* With the mutex held: bytes on their way below. */
static uint64_t bytes_pending(const struct store_journal *store)
{
    return store->newest->bytes + (store->frozen == NULL ? 0 : store->frozen->bytes);
}

/* With the mutex held: room that a checkpoint of everything may take. A tree writes each page it changes anew, before
 * it gives up the old one, and small changes all over a large tree are a page each. */
static uint64_t bytes_needed(const struct store_journal *store)
{
    const uint64_t keys = store->newest->keys + (store->frozen == NULL ? 0 : store->frozen->keys);
    const uint64_t pages = keys * PAGE_BYTES;
    const uint64_t most = store->figures.bytes_used;

    return bytes_pending(store) + (pages < most ? pages : most);
}

/* What is free there, in the file and around it. */
static uint64_t room_below(const struct store_journal *store)
{
    const struct store_figures *below = &store->figures;
    const uint64_t inside = below->bytes_file > below->bytes_used ? below->bytes_file - below->bytes_used : 0;

    return inside + journal_disk_free(store->journal);
}

/* Takes the figures of the store below. */
static void take_figures(struct store_journal *store, uint64_t now_us)
{
    store->figures_us = now_us;
    store->figures = store_figures(store->below);
    const uint64_t room = room_below(store);
    lock(store);
    const uint64_t needed = bytes_needed(store);
    store->figures_needed = needed;
    /* Half of it, because the pages that one checkpoint gave up are free for the next but one. */
    store->is_tight = needed > room / 2;
    if (needed > room / 4) { /* in time, so that it does not come to that */
        store->is_wanted = true;
        stir(store);
    }
    unlock(store);
    store->figures.is_short = store->figures.is_short || store->is_tight;
}

static struct store_figures figures(struct store *base)
{
    struct store_journal *store = journal_of(base);
    const uint64_t now_us = clock_monotonic_us();

    lock(store);
    const uint64_t pending = bytes_pending(store);
    const bool is_full = store->last == STORE_IS_FULL || store->is_journal_full;
    const bool is_old = store->figures_tries != store->tries || now_us >= store->figures_us + FIGURES_MS * 1000 ||
                        bytes_needed(store) >= store->figures_needed + FIGURES_BYTES;
    store->figures_tries = store->tries;
    unlock(store);
    if (is_old) {
        take_figures(store, now_us);
    }
    struct store_figures figures = store->figures;
    figures.bytes_used += pending;
    figures.is_short = figures.is_short || is_full;
    check(pthread_mutex_lock(&store->appending) == 0);
    figures.bytes_file += journal_bytes(store->journal);
    check(pthread_mutex_unlock(&store->appending) == 0);
    return figures;
}

static uint64_t epoch_now(struct store *base)
{
    struct store_journal *store = journal_of(base);

    lock(store);
    const uint64_t epoch = store->epoch;
    unlock(store);
    return epoch;
}

void store_journal_settle(struct store *base)
{
    struct store_journal *store = journal_of(base);

    lock(store);
    const uint64_t tries = store->tries;
    store->is_wanted = true;
    stir(store);
    while ((store->frozen != NULL || store->newest->newest != 0) && store->last != STORE_FAILED &&
           (store->last == STORE_APPLIED || store->tries == tries)) {
        wait_until(store, clock_monotonic_us() + RETRY_MS * 1000);
    }
    store->is_wanted = false;
    unlock(store);
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

static void close_store(struct store *base)
{
    struct store_journal *store = journal_of(base);

    if (store->has_thread) {
        lock(store);
        store->is_ending = true;
        stir(store);
        unlock(store);
        thread_join(&store->thread);
    }
    held_destroy(store->newest);
    held_destroy(store->frozen); /* what could not be stored below is in the journal */
    journal_close(store->journal);
    store_close(store->below); /* last: it holds the lock */
    check(pthread_cond_destroy(&store->stirred) == 0);
    check(pthread_mutex_destroy(&store->mutex) == 0);
    check(pthread_mutex_destroy(&store->appending) == 0);
    free(store);
}

static void take_replayed(void *context, const struct epoch *epoch)
{
    struct store_journal *store = context;

    add_to_layer(store, epoch);
}

static enum err_code replay(struct store_journal *store, struct err *err)
{
    const struct read_range ranges[] = {{RANGE_KEY, STORE_META, SLICE("epoch")},
                                        {RANGE_KEY, STORE_META, SLICE("journal")}};
    const struct effect_read read = {.ranges = ranges, .range_count = 2, .rows_max = 2, .bytes_max = UINT32_MAX};
    struct arena *arena = arena_create(LIMIT_ARENA_BYTES_MAX);
    struct input_rows rows = {0};
    struct journal_tables tables = {.number = store->epoch};

    check(arena != NULL);
    enum err_code code = store_read(store->below, &read, arena, &rows, err);
    for (uint32_t i = 0; i < rows.row_count && code == ERR_NONE; i++) {
        if (rows.rows[i].range == 0) {
            tables.epoch_row = rows.rows[i].value;
        } else {
            code = record_get_journal(rows.rows[i].value, &tables.turns, err);
        }
    }
    if (code == ERR_NONE) {
        code = journal_replay(store->journal, &tables, take_replayed, store, err);
    }
    arena_destroy(arena);
    return code;
}

/* Everything the journal holds goes below before anything new comes. */
static enum err_code recover(struct store_journal *store, struct err *err)
{
    enum err_code code = replay(store, err);

    if (code != ERR_NONE || store->is_read_only || store->newest->newest == 0) {
        return code;
    }
    /* What only the journal has can be read from now on, and be promised; and the tables will tell of its turn. */
    code = journal_confirm(store->journal, err);
    if (code != ERR_NONE) {
        return code;
    }
    store->frozen = store->newest;
    store->newest = held_create();
    store->is_journal_held = true;
    apply_frozen(store);
    if (store->last == STORE_FAILED) {
        *err = store->err;
        return err_wrap(err, "the journal cannot be taken over");
    }
    return ERR_NONE;
}

static struct store_journal *create(const struct store_journal_options *options)
{
    static const struct store_vtable vtable = {apply, figures, epoch_now, read_rows, close_store};
    struct store_journal *store = calloc(1, sizeof *store);
    pthread_condattr_t attributes;

    check(store != NULL);
    store->store.vtable = &vtable;
    store->below = options->below;
    store->is_read_only = options->is_read_only;
    store->checkpoint_bytes = options->checkpoint_bytes == 0 ? CHECKPOINT_BYTES : options->checkpoint_bytes;
    store->checkpoint_ms = options->checkpoint_ms == 0 ? CHECKPOINT_MS : options->checkpoint_ms;
    store->last = STORE_APPLIED;
    store->epoch = store_epoch(store->below);
    store->newest = held_create();
    check(pthread_mutex_init(&store->appending, NULL) == 0);
    check(pthread_mutex_init(&store->mutex, NULL) == 0);
    check(pthread_condattr_init(&attributes) == 0);
    check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0); /* a step of the wall clock is no time-out */
    check(pthread_cond_init(&store->stirred, &attributes) == 0);
    check(pthread_condattr_destroy(&attributes) == 0);
    return store;
}

enum err_code store_journal_open(const struct store_journal_options *options, struct store **out, struct err *err)
{
    struct store_journal *store = create(options);
    const struct journal_options journal = {options->folder, options->is_read_only, options->is_not_durable};
    enum err_code code = journal_open(&journal, &store->journal, err);

    if (code == ERR_NONE) {
        code = recover(store, err);
    }
    if (code == ERR_NONE && !options->is_read_only) {
        code = thread_start(&store->thread, "checkpointer", run, store, err);
        store->has_thread = code == ERR_NONE;
    }
    if (code != ERR_NONE) {
        close_store(&store->store);
        return err_wrap(err, "the store in %s", options->folder);
    }
    *out = &store->store;
    return ERR_NONE;
}
