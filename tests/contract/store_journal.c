/* SPDX-License-Identifier: Apache-2.0
 *
 * store_journal.c: what only the store with a journal can do or suffer: faults of the store below, files that are
 * missing or of another time, sizes.
 */
#include "journal_bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record.h"
#include "thread.h"

static void assert_refused(struct fixture *fixture, enum err_code code, const char *text)
{
    for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
        struct how how = bench_rarely;
        how.is_read_only = is_read_only != 0;
        assert_int_equal(bench_try_open(fixture, fixture->folder, &how), code);
        if (strstr(fixture->err.text, text) == NULL || strstr(fixture->err.text, fixture->folder) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", text, fixture->err.text);
        }
    }
}

static void put_and_commit(struct fixture *fixture, const char *key, const char *value)
{
    fixture_put(fixture, STORE_INSTANCE, key, value);
    fixture_commit(fixture);
}

static void remove_file(const struct fixture *fixture, const char *name)
{
    char path[512];

    folder_path(path, sizeof path, fixture->folder, name);
    assert_int_equal(unlink(path), 0);
}
/* ---- files ---------------------------------------------------------------------------------------------------- */

static void test_folder_of_a_version_before(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = BENCH_MAP_BYTES};
    struct how tool = bench_rarely;

    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "b", "2");
    bench_close(fixture);
    tool.is_read_only = true;
    bench_open(fixture, fixture->folder, &tool);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b");
    bench_close(fixture);
    bench_open(fixture, fixture->folder, &bench_rarely);
    put_and_commit(fixture, "c", "3");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b c");
    assert_int_equal(fixture->rows.epoch, 3);
}

/* After a clean end the tables have it all: a version before, which knows no journal, may go on with them. */
static void test_closed_store_is_in_the_tables(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = BENCH_MAP_BYTES};

    bench_open(fixture, fixture->folder, &bench_rarely);
    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "b", "2");
    bench_close(fixture);
    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b");
    assert_int_equal(store_epoch(fixture->store), 2);
    put_and_commit(fixture, "c", "3");
    bench_close(fixture);
    bench_open(fixture, fixture->folder, &bench_rarely); /* the journal's own epochs are old */
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b c");
}

/* As if the process ended here: what `folder` has now is what the next start finds. */
static void crash(struct fixture *fixture)
{
    char copy[256];

    folder_make(copy, sizeof copy);
    folder_copy(fixture->folder, copy);
    bench_close(fixture);
    folder_copy(copy, fixture->folder);
    folder_remove(copy);
}

static void test_files_of_different_times(void **state)
{
    struct fixture *fixture = *state;
    char backup[256];

    folder_make(backup, sizeof backup);
    bench_open(fixture, fixture->folder, &bench_rarely);
    put_and_commit(fixture, "a", "1");
    crash(fixture);
    folder_copy(fixture->folder, backup); /* the tables have none of it */
    for (int i = 0; i < 3; i++) {
        bench_open(fixture, fixture->folder, &bench_rarely);
        put_and_commit(fixture, "b", "2");
        put_and_commit(fixture, "c", "3");
        crash(fixture);
    }
    folder_copy_file(backup, fixture->folder, "data.mdb");
    assert_refused(fixture, ERR_CORRUPT, "restore the data folder, whole, from a backup");
    folder_copy(backup, fixture->folder); /* which does it */
    bench_open(fixture, fixture->folder, &bench_rarely);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a");
    put_and_commit(fixture, "d", "4");
    crash(fixture);
    remove_file(fixture, "journal.1");
    assert_refused(fixture, ERR_CORRUPT, "journal.1 is missing");
    folder_remove(backup);
}

/* What the tables lack can be anywhere but in these files. */
static void assert_gone(struct fixture *fixture)
{
    struct how tool = bench_rarely;

    assert_refused(fixture, ERR_CORRUPT, "not those that the store was left with; restore the data folder, whole");
    tool.is_read_only = true;
    assert_int_equal(bench_try_open(fixture, fixture->folder, &tool), ERR_CORRUPT);
}

static void test_journal_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    char early[256];
    char whole[256];
    char other[256];

    folder_make(early, sizeof early);
    folder_make(whole, sizeof whole);
    folder_make(other, sizeof other);
    bench_open(fixture, other, &bench_rarely);
    put_and_commit(fixture, "x", "1");
    bench_close(fixture);
    bench_open(fixture, fixture->folder, &bench_rarely);
    put_and_commit(fixture, "a", "1");
    store_journal_settle(fixture->store);
    put_and_commit(fixture, "b", "2");
    crash(fixture);
    folder_copy(fixture->folder, early);
    for (int has_more = 0; has_more < 2; has_more++) { /* whether the turn after the checkpoint has an epoch or not */
        bench_open(fixture, fixture->folder, &bench_rarely);
        for (int i = 0; i < 3; i++) {
            put_and_commit(fixture, "c", "3");
            store_journal_settle(fixture->store);
        }
        if (has_more) {
            put_and_commit(fixture, "d", "4");
        }
        crash(fixture);
        folder_copy(fixture->folder, whole);
        remove_file(fixture, "journal.0");
        remove_file(fixture, "journal.1");
        assert_gone(fixture);
        folder_copy_file(early, fixture->folder, "journal.0");
        folder_copy_file(early, fixture->folder, "journal.1");
        assert_gone(fixture);
        folder_copy_file(other, fixture->folder, "journal.0");
        folder_copy_file(other, fixture->folder, "journal.1");
        assert_gone(fixture);
        folder_copy(whole, fixture->folder);
        bench_open(fixture, fixture->folder, &bench_rarely);
        fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
        assert_keys(fixture, has_more ? "a b c d" : "a b c");
        bench_close(fixture);
    }
    folder_remove(early);
    folder_remove(whole);
    folder_remove(other);
}

/* A version that knows no journal opens what was left by a kill, and goes on from the tables alone; then this one
 * finds epochs in the journal that come after the same number, but were of another history. */
static void test_tables_that_went_on_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = BENCH_MAP_BYTES};
    struct buf row;

    bench_open(fixture, fixture->folder, &bench_rarely);
    for (int i = 0; i < 4; i++) {
        put_and_commit(fixture, "a", "1");
    }
    crash(fixture);
    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    const struct epoch_record record = {.number = 2, .time_ms = 2000, .ceiling = 77};
    buf_init(&row, 1000);
    record_put_epoch(&row, &record);
    fixture->epoch = epoch_create(2, 10000);
    fixture_put_slice(fixture, OP_PUT, STORE_META, SLICE("epoch"), buf_slice(&row));
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    buf_done(&row);
    bench_close(fixture);
    assert_refused(fixture, ERR_CORRUPT, "epoch 3 belongs to another epoch 2 than the store has");
}

static void test_one_host_a_folder(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = {0};
    struct how tool = bench_rarely;

    bench_open(fixture, fixture->folder, &bench_rarely);
    put_and_commit(fixture, "a", "1");
    assert_int_equal(bench_try_open(&other, fixture->folder, &bench_rarely), ERR_IN_USE);
    tool.is_read_only = true;
    assert_int_equal(bench_try_open(&other, fixture->folder, &tool), ERR_IN_USE);
    put_and_commit(fixture, "b", "1"); /* the refused ones did no harm */
    crash(fixture);
    bench_open(fixture, fixture->folder, &tool);
    bench_open(&other, fixture->folder, &tool);
    fixture_range(&other, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(&other, "a b");
    bench_close(&other);
    arena_destroy(other.arena);
}

/* ---- sizes ---------------------------------------------------------------------------------------------------- */

static void put_big(struct fixture *fixture, const char *key, size_t size)
{
    uint8_t *bytes = malloc(size);

    assert_non_null(bytes);
    memset(bytes, key[0], size);
    fixture_put_slice(fixture, OP_PUT, STORE_STATE, slice_of(key), (struct slice){bytes, size});
    free(bytes);
}

/* An epoch larger than a checkpoint, than all that is kept, than the engine ever makes. */
static void test_huge_epochs(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {
        .folder = fixture->folder, .map_bytes = CONTRACT_MAP_BYTES, .is_not_durable = true};
    struct store_journal_options options = {
        .folder = fixture->folder, .is_not_durable = true, .checkpoint_ms = UINT32_MAX};

    for (int starts = 0; starts < 2; starts++) {
        options.checkpoint_bytes = starts == 0 ? UINT32_MAX : 1 << 20;
        assert_int_equal(store_lmdb_open(&tables, &options.below, &fixture->err), ERR_NONE);
        assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
        for (int i = 0; i < 2; i++) {
            put_big(fixture, "a", (size_t)(i + 1) << 20);
            put_big(fixture, "b", ((size_t)24 << 20) + (size_t)i);
            put_big(fixture, "c", (size_t)42 << 20);
            fixture_commit(fixture);
            const struct read_range range = {RANGE_PREFIX, STORE_STATE, SLICE_EMPTY};
            fixture_read(fixture, &range, 1, 10, UINT32_MAX);
            assert_int_equal(fixture->rows.row_count, 3);
            assert_int_equal(fixture->rows.rows[0].value.size, (i + 1) << 20);
            assert_int_equal(fixture->rows.rows[1].value.size, (24 << 20) + i);
        }
        if (starts == 0) {
            crash(fixture);
        }
    }
    assert_int_equal(store_epoch(fixture->store), 4);
}

/* A short read over very many rows that a layer deletes, and the store below still has. */
static void test_reads_over_what_is_gone(void **state)
{
    enum { ROWS = 100000, EACH = 1000 };
    struct fixture *fixture = *state;
    char key[32];

    bench_open(fixture, fixture->folder, &bench_rarely);
    for (int is_delete = 0; is_delete < 2; is_delete++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            (void)snprintf(key, sizeof key, "%08u", i);
            fixture_put_slice(fixture, is_delete != 0 ? OP_DELETE : OP_PUT, STORE_TIMER, slice_of(key), SLICE_EMPTY);
            if (i % EACH == EACH - 1) {
                fixture_commit(fixture);
            }
        }
        if (is_delete == 0) {
            fixture_put(fixture, STORE_TIMER, "z", "");
            fixture_commit(fixture);
            store_journal_settle(fixture->store);
        }
    }
    const struct read_range ranges[] = {{RANGE_PREFIX, STORE_TIMER, SLICE("0")}, {RANGE_FROM, STORE_TIMER, SLICE("0")}};
    for (uint32_t i = 0; i < 20; i++) {
        fixture_read(fixture, ranges, 2, 1, 0);
        assert_keys(fixture, "z");
        assert_int_equal(fixture->rows.rows[0].range, 1);
        assert_false(fixture->rows.is_cut);
    }
}

static void append(struct fixture *fixture, const char *key)
{
    fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), SLICE("mail"));
}

/* Wherever the row stands that an append may not be below: in the tables, a layer or, after a start, both. */
static void test_appends_out_of_order(void **state)
{
    struct fixture *fixture = *state;

    bench_open(fixture, fixture->folder, &bench_rarely);
    append(fixture, "3");
    fixture_commit(fixture);
    for (int i = 0; i < 4; i++) {
        append(fixture, i % 2 == 0 ? "2" : "3");
        assert_int_equal(fixture_apply(fixture), STORE_FAILED);
        assert_non_null(strstr(fixture->err.text, "out of order"));
        fixture_drop(fixture);
        fixture->number--;
        if (i == 1) {
            store_journal_settle(fixture->store);
        } else {
            crash(fixture);
            bench_open(fixture, fixture->folder, &bench_rarely);
        }
    }
    /* A key is free again when the row is gone, and above it too. */
    fixture_delete(fixture, STORE_MAIL, "3");
    fixture_commit(fixture);
    append(fixture, "1");
    append(fixture, "3");
    fixture_commit(fixture);
    store_journal_settle(fixture->store);
    fixture_delete(fixture, STORE_MAIL, "3");
    fixture_commit(fixture);
    append(fixture, "3");
    fixture_commit(fixture);
    crash(fixture);
    bench_open(fixture, fixture->folder, &bench_rarely);
    fixture_range(fixture, RANGE_FROM, STORE_MAIL, "");
    assert_keys(fixture, "1 3");
}

/* ---- faults of the store below -------------------------------------------------------------------------------- */

/* Over the twin, whose faults can be ordered; it is the fixture's to look at. */
static struct store *open_twin(struct fixture *fixture, uint64_t checkpoint_bytes)
{
    struct store *twin = store_memory_create();
    const struct store_journal_options options = {.folder = fixture->folder,
                                                  .below = twin,
                                                  .is_not_durable = true,
                                                  .checkpoint_bytes = checkpoint_bytes,
                                                  .checkpoint_ms = UINT32_MAX};

    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    return twin;
}

static void test_checkpoint_does_not_fit(void **state)
{
    struct fixture *fixture = *state;
    struct store *twin = open_twin(fixture, UINT32_MAX);

    put_and_commit(fixture, "a", "1");
    assert_false(store_figures(fixture->store).is_short);
    store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX);
    store_journal_settle(fixture->store);
    assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 0);
    assert_true(store_figures(fixture->store).is_short);
    put_and_commit(fixture, "b", "2"); /* it goes on: the journal has room */
    fixture_delete(fixture, STORE_INSTANCE, "a");
    fixture_commit(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "b");
    bench_close(fixture); /* what could not be stored stays in the journal: */
    twin = store_memory_create();
    struct store_journal_options options = {
        .folder = fixture->folder, .below = twin, .is_not_durable = true, .checkpoint_ms = UINT32_MAX};
    store_memory_fail_next(twin, STORE_IS_FULL, false, 1);
    char path[512];
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct stat stat_of;
    folder_path(path, sizeof path, fixture->folder, "journal.1"); /* it has the newest epoch */
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_true(stat_of.st_mtime != 1); /* it was written again, and synced, before anything can be promised of it */
    assert_int_equal(store_epoch(fixture->store), 3);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "b");
    store_journal_settle(fixture->store); /* there is room again */
    assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 1);
    assert_false(store_figures(fixture->store).is_short);
    put_and_commit(fixture, "c", "3");
}

/* Both files are needed after a start whose checkpoint does not fit: nothing new is promised before it does. */
static void test_start_that_does_not_fit(void **state)
{
    struct fixture *fixture = *state;
    struct store *twin = open_twin(fixture, UINT32_MAX);

    put_and_commit(fixture, "a", "1");
    store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX);
    store_journal_settle(fixture->store);
    put_and_commit(fixture, "b", "2"); /* into the other file */
    bench_close(fixture);
    for (int crashes = 0; crashes < 3; crashes++) {
        twin = store_memory_create();
        store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX);
        const struct store_journal_options options = {
            .folder = fixture->folder, .below = twin, .is_not_durable = true, .checkpoint_ms = UINT32_MAX};
        assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
        fixture->number = 2;
        fixture_put(fixture, STORE_INSTANCE, "c", "3");
        assert_int_equal(fixture_apply(fixture), STORE_IS_FULL);
        assert_int_equal(fixture->err.code, ERR_STORE_FULL);
        fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
        assert_keys(fixture, "a b");
        if (crashes < 2) {
            fixture_drop(fixture);
            bench_close(fixture);
        }
    }
    bench_close(fixture);
    twin = open_twin(fixture, UINT32_MAX);
    assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 2);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX); /* from then on it is as ever */
    store_journal_settle(fixture->store);
    put_and_commit(fixture, "d", "4");
}

/* Bytes on their way below are used already. */
static void test_figures_before_the_checkpoint(void **state)
{
    enum { BYTES = 1 << 20 };
    struct fixture *fixture = *state;
    struct store *twin = open_twin(fixture, UINT32_MAX);

    for (int i = 0; i < 2; i++) {
        put_big(fixture, i == 0 ? "a" : "b", BYTES);
        fixture_commit(fixture);
        assert_int_equal(store_memory_count(twin, STORE_STATE), 0);
        assert_in_range(store_figures(fixture->store).bytes_used, (i + 1) * BYTES, (i + 1) * BYTES + 1000);
    }
    store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX);
    store_journal_settle(fixture->store);
    put_big(fixture, "c", BYTES);
    fixture_commit(fixture);
    assert_in_range(store_figures(fixture->store).bytes_used, 3 * BYTES, 3 * BYTES + 1000);
}

static void test_checkpoint_comes_with_time(void **state)
{
    struct fixture *fixture = *state;
    struct store *twin = store_memory_create();
    const struct store_journal_options options = {.folder = fixture->folder,
                                                  .below = twin,
                                                  .is_not_durable = true,
                                                  .checkpoint_bytes = UINT32_MAX,
                                                  .checkpoint_ms = 1};

    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    for (uint32_t i = 1; i <= 3; i++) {
        put_and_commit(fixture, i == 1 ? "a" : i == 2 ? "b" : "c", "");
        while (store_memory_count(twin, STORE_INSTANCE) < i) {
            (void)sched_yield();
        }
    }
}

/* The journal is not endless: behind a checkpoint that does not fit, epochs wait at some point, and then go on. */
static void test_journal_waits_for_the_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct store *twin = open_twin(fixture, 2 * BENCH_PAGE);
    enum store_apply applied = STORE_APPLIED;
    uint32_t count = 0;

    store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX);
    for (; applied == STORE_APPLIED; count += applied == STORE_APPLIED) {
        assert_in_range(count, 0, 100);
        fixture_put(fixture, STORE_INSTANCE, "a", "1");
        applied = fixture_apply(fixture);
    }
    assert_int_equal(applied, STORE_IS_FULL);
    assert_in_range(count, 2 + 4 * 2 - 1, 2 + 4 * 2); /* the record that marks the turn may stand among them */
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_IS_FULL);
    assert_int_equal(store_epoch(fixture->store), count);
    assert_true(store_figures(fixture->store).bytes_file < 4 << 20);
    store_memory_fail_next(twin, STORE_APPLIED, false, 0);
    while (store_apply(fixture->store, fixture->epoch, &fixture->err) == STORE_IS_FULL) { /* until it was tried again */
    }
    fixture_drop(fixture);
    assert_int_equal(store_epoch(fixture->store), count + 1);
    put_and_commit(fixture, "b", "2");
}

static void test_checkpoint_fails(void **state)
{
    struct fixture *fixture = *state;

    for (int is_stored = 0; is_stored < 2; is_stored++) {
        struct store *twin = open_twin(fixture, UINT32_MAX);
        fixture->number = store_epoch(fixture->store);
        put_and_commit(fixture, "a", "1");
        store_memory_fail_next(twin, STORE_FAILED, is_stored != 0, 1);
        store_journal_settle(fixture->store);
        fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
        assert_keys(fixture, "a"); /* whichever of the two it is, it is read right */
        for (int i = 0; i < 2; i++) {
            fixture_put(fixture, STORE_INSTANCE, "b", "1");
            assert_int_equal(fixture_apply(fixture), STORE_FAILED);
            assert_non_null(strstr(fixture->err.text, "a fault was ordered"));
            fixture_drop(fixture);
            fixture->number--;
        }
        bench_close(fixture);
        twin = open_twin(fixture, UINT32_MAX);
        assert_int_equal(store_epoch(fixture->store), 1);
        assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 1);
        bench_close(fixture);
        remove_file(fixture, "journal.0");
        remove_file(fixture, "journal.1");
    }
}

/* After a write error what is on disk is unknown: no later epoch may be promised, whatever becomes of it. */
static void test_append_fails(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit limit;
    struct store *twin = open_twin(fixture, UINT32_MAX);

    put_and_commit(fixture, "a", "1");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {.rlim_cur = BENCH_PAGE, .rlim_max = limit.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fixture_put(fixture, STORE_INSTANCE, "b", "2");
    const enum store_apply applied = fixture_apply(fixture);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(applied, STORE_FAILED);
    assert_non_null(strstr(fixture->err.text, "epoch 2: the journal cannot be written: File too large"));
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_FAILED);
    store_journal_settle(fixture->store);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_FAILED);
    fixture_drop(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a");
    bench_close(fixture);
    twin = open_twin(fixture, UINT32_MAX);
    assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 1);
}

static void test_start_fails(void **state)
{
    struct fixture *fixture = *state;

    (void)open_twin(fixture, UINT32_MAX);
    put_and_commit(fixture, "a", "1");
    bench_close(fixture);
    struct store_journal_options options = {.folder = fixture->folder, .below = store_memory_create()};
    store_memory_fail_next(options.below, STORE_FAILED, false, 1);
    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_SYSTEM);
    assert_non_null(strstr(fixture->err.text, "the journal cannot be taken over"));
    options.below = store_memory_create();
    store_memory_fail_reads(options.below, 1);
    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_SYSTEM);
    struct store *twin = open_twin(fixture, UINT32_MAX);
    assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 1);
}

/* ---- a slow reader --------------------------------------------------------------------------------------------- */

enum { LOOK_MS = 200 };

/* A store below whose reads take until the test lets them go, or until something is applied meanwhile. */
struct slow {
    struct store store;
    struct store *twin;
    pthread_mutex_t mutex;
    pthread_cond_t stirred;
    uint32_t held; /* reads that wait */
    bool is_slow;
    bool is_stuck; /* applying waits likewise */
    bool is_applying;
    bool is_applied; /* while a read waited */
};

static enum store_apply slow_apply(struct store *base, const struct epoch *epoch, struct err *err)
{
    struct slow *slow = (struct slow *)(void *)base;

    (void)pthread_mutex_lock(&slow->mutex);
    slow->is_applying = true;
    (void)pthread_cond_broadcast(&slow->stirred);
    while (slow->is_stuck) {
        (void)pthread_cond_wait(&slow->stirred, &slow->mutex);
    }
    const enum store_apply applied = store_apply(slow->twin, epoch, err);
    slow->is_applied = slow->is_applied || slow->held > 0;
    slow->is_slow = false;
    (void)pthread_cond_broadcast(&slow->stirred);
    (void)pthread_mutex_unlock(&slow->mutex);
    return applied;
}

static enum err_code slow_read(struct store *base, const struct effect_read *read, struct arena *arena,
                               struct input_rows *out, struct err *err)
{
    struct slow *slow = (struct slow *)(void *)base;

    (void)pthread_mutex_lock(&slow->mutex);
    slow->held++;
    (void)pthread_cond_broadcast(&slow->stirred);
    while (slow->is_slow) {
        (void)pthread_cond_wait(&slow->stirred, &slow->mutex);
    }
    slow->held--;
    const enum err_code code = store_read(slow->twin, read, arena, out, err);
    (void)pthread_mutex_unlock(&slow->mutex);
    return code;
}

static struct store_figures slow_figures(struct store *base)
{
    return store_figures(((struct slow *)(void *)base)->twin);
}

static uint64_t slow_epoch(struct store *base)
{
    return store_epoch(((struct slow *)(void *)base)->twin);
}

static void slow_close(struct store *base)
{
    store_close(((struct slow *)(void *)base)->twin);
}

static void read_slowly(void *context)
{
    fixture_range(context, RANGE_FROM, STORE_INSTANCE, "");
}

static const struct store_vtable slow_vtable = {slow_apply, slow_figures, slow_epoch, slow_read, slow_close};

static void release(struct slow *slow)
{
    (void)pthread_mutex_lock(&slow->mutex);
    slow->is_slow = false;
    slow->is_stuck = false;
    (void)pthread_cond_broadcast(&slow->stirred);
    (void)pthread_mutex_unlock(&slow->mutex);
}

/* A checkpoint that is under way goes well after an append that failed: that is no reason to go on. */
static void test_append_fails_beside_a_checkpoint(void **state)
{
    struct slow slow = {.store = {&slow_vtable},
                        .twin = store_memory_create(),
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .stirred = PTHREAD_COND_INITIALIZER,
                        .is_stuck = true};
    struct fixture *fixture = *state;
    const struct store_journal_options options = {.folder = fixture->folder,
                                                  .below = &slow.store,
                                                  .is_not_durable = true,
                                                  .checkpoint_bytes = BENCH_PAGE,
                                                  .checkpoint_ms = UINT32_MAX};
    struct rlimit limit;

    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "b", "2"); /* the first is on its way below */
    (void)pthread_mutex_lock(&slow.mutex);
    while (!slow.is_applying) {
        (void)pthread_cond_wait(&slow.stirred, &slow.mutex);
    }
    (void)pthread_mutex_unlock(&slow.mutex);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {.rlim_cur = BENCH_PAGE, .rlim_max = limit.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fixture_put(fixture, STORE_INSTANCE, "c", "3");
    const enum store_apply applied = fixture_apply(fixture);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(applied, STORE_FAILED);
    release(&slow);
    while (store_memory_count(slow.twin, STORE_INSTANCE) == 0) {
        (void)sched_yield();
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_FAILED);
    }
    fixture_drop(fixture);
    bench_close(fixture);
}

/* The tables may not move on to epochs that are newer than a read that looks at them. */
static void test_checkpoint_waits_for_a_reader(void **state)
{
    struct slow slow = {.store = {&slow_vtable},
                        .twin = store_memory_create(),
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .stirred = PTHREAD_COND_INITIALIZER};
    struct fixture *fixture = *state;
    const struct store_journal_options options = {.folder = fixture->folder,
                                                  .below = &slow.store,
                                                  .is_not_durable = true,
                                                  .checkpoint_bytes = 2 * BENCH_PAGE,
                                                  .checkpoint_ms = UINT32_MAX};
    struct fixture reader = {0};
    struct thread thread;
    struct timespec until;

    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    reader.store = fixture->store;
    put_and_commit(fixture, "a", "1");
    slow.is_slow = true;
    assert_int_equal(thread_start(&thread, "reader", read_slowly, &reader, &fixture->err), ERR_NONE);
    (void)pthread_mutex_lock(&slow.mutex);
    while (slow.held == 0) {
        (void)pthread_cond_wait(&slow.stirred, &slow.mutex);
    }
    (void)pthread_mutex_unlock(&slow.mutex);
    put_and_commit(fixture, "b", "2"); /* the reader's layer gets it, and is frozen by the next */
    put_and_commit(fixture, "c", "3");
    /* A checkpoint that does not wait comes now; that one waits cannot be waited for. */
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&slow.mutex);
    while (slow.is_slow && pthread_cond_timedwait(&slow.stirred, &slow.mutex, &until) == 0) {
    }
    const bool is_applied = slow.is_applied;
    (void)pthread_mutex_unlock(&slow.mutex);
    release(&slow);
    thread_join(&thread);
    assert_false(is_applied);
    assert_keys(&reader, "a");
    assert_int_equal(reader.rows.epoch, 1);
    arena_destroy(reader.arena);
    store_journal_settle(fixture->store);
    assert_int_equal(store_memory_count(slow.twin, STORE_INSTANCE), 3);
    bench_close(fixture);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_folder_of_a_version_before),
        JOURNAL_TEST(test_closed_store_is_in_the_tables),
        JOURNAL_TEST(test_files_of_different_times),
        JOURNAL_TEST(test_journal_that_is_gone),
        JOURNAL_TEST(test_tables_that_went_on_alone),
        JOURNAL_TEST(test_one_host_a_folder),
        JOURNAL_TEST(test_huge_epochs),
        JOURNAL_TEST(test_reads_over_what_is_gone),
        JOURNAL_TEST(test_appends_out_of_order),
        JOURNAL_TEST(test_checkpoint_does_not_fit),
        JOURNAL_TEST(test_start_that_does_not_fit),
        JOURNAL_TEST(test_figures_before_the_checkpoint),
        JOURNAL_TEST(test_checkpoint_comes_with_time),
        JOURNAL_TEST(test_journal_waits_for_the_checkpoint),
        JOURNAL_TEST(test_checkpoint_fails),
        JOURNAL_TEST(test_append_fails),
        JOURNAL_TEST(test_start_fails),
        JOURNAL_TEST(test_append_fails_beside_a_checkpoint),
        JOURNAL_TEST(test_checkpoint_waits_for_a_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
