/* SPDX-License-Identifier: Apache-2.0
 *
 * store_full_disk.c: the store with a journal on a small disk that is full, or nearly: nothing that was promised is
 * lost, and what is inside can go.
 */
#include "journal_bench.h"
#include "small_disk.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file beside the store that takes the disk's room but for `left` bytes; never more, because a checkpoint may be
 * under way. */
static void hog(const struct fixture *fixture, uint64_t left)
{
    static const uint8_t zeros[BENCH_PAGE];
    struct statvfs disk;
    char path[512];

    folder_path(path, sizeof path, fixture->folder, "hog");
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fstatvfs(fd, &disk), 0);
    while ((uint64_t)disk.f_bavail * disk.f_frsize > left && write(fd, zeros, sizeof zeros) > 0) {
        assert_int_equal(fstatvfs(fd, &disk), 0);
    }
    assert_int_equal(close(fd), 0);
}

static void give_back(const struct fixture *fixture)
{
    char path[512];

    folder_path(path, sizeof path, fixture->folder, "hog");
    assert_int_equal(unlink(path), 0);
}

static void put_chunk(struct fixture *fixture, uint32_t number)
{
    static uint8_t bytes[100 * 1000];
    char key[32];

    memset(bytes, (int)number, sizeof bytes);
    (void)snprintf(key, sizeof key, "%06u", number);
    fixture_put_slice(fixture, OP_PUT, STORE_STATE, slice_of(key), (struct slice){bytes, sizeof bytes});
}

static void assert_chunks(struct fixture *fixture, uint32_t first, uint32_t end)
{
    const struct read_range range = {RANGE_FROM, STORE_STATE, SLICE_EMPTY};
    char key[32];

    fixture_read(fixture, &range, 1, 10000, UINT32_MAX);
    assert_int_equal(fixture->rows.row_count, end - first);
    for (uint32_t i = first; i < end; i++) {
        const struct row *row = &fixture->rows.rows[i - first];
        (void)snprintf(key, sizeof key, "%06u", i);
        assert_true(slice_equal(row->key, slice_of(key)));
        assert_int_equal(row->value.data[row->value.size - 1], i & 0xff);
    }
}

/* Commits chunks from `*end` on until one does not fit; that one is forgotten. */
static void fill_up(struct fixture *fixture, uint32_t *end)
{
    enum store_apply applied = STORE_APPLIED;

    while (applied == STORE_APPLIED) {
        put_chunk(fixture, *end);
        applied = fixture_apply(fixture);
        *end += applied == STORE_APPLIED;
    }
    assert_int_equal(applied, STORE_IS_FULL);
    assert_int_equal(fixture->err.code, ERR_STORE_FULL);
    for (uint32_t tries = 0; tries < 3 && applied == STORE_IS_FULL; tries++) { /* also with nothing else to store */
        store_journal_settle(fixture->store);
        applied = store_apply(fixture->store, fixture->epoch, &fixture->err);
    }
    *end += applied == STORE_APPLIED;
    fixture->number -= applied != STORE_APPLIED;
    fixture_drop(fixture);
}

/* Small epochs: they always get through, if not at the first try. */
static void commit_in_the_end(struct fixture *fixture)
{
    enum store_apply applied = fixture_apply(fixture);

    for (uint32_t tries = 0; tries < 20 && applied == STORE_IS_FULL; tries++) {
        store_journal_settle(fixture->store);
        applied = store_apply(fixture->store, fixture->epoch, &fixture->err);
    }
    if (applied != STORE_APPLIED) {
        fail_msg("%s", fixture->err.text);
    }
    if (fixture->epoch != NULL) {
        fixture_drop(fixture);
    }
}

static const struct how durable = {.is_durable = true, .checkpoint_bytes = 1 << 20, .checkpoint_ms = UINT32_MAX};

static void check_room_again(struct fixture *fixture, uint32_t first, uint32_t end)
{
    bench_close(fixture); /* a write that is cut short, and room behind it at once, is an error of the disk */
    give_back(fixture);
    bench_open(fixture, fixture->folder, &durable);
    for (uint32_t i = 0; i < 5; i++) {
        put_chunk(fixture, end++);
        commit_in_the_end(fixture);
    }
    assert_chunks(fixture, first, end);
    store_journal_settle(fixture->store);
    assert_false(store_figures(fixture->store).is_short);
    bench_close(fixture);
    bench_open(fixture, fixture->folder, &bench_rarely);
    assert_chunks(fixture, first, end);
    bench_close(fixture);
}

/* Polite: stops to bring anything new in as soon as the store says that it is short, as a host does. Then what is
 * inside can go, whatever happens. Else only promises are kept. */
static void check_full_disk(struct fixture *fixture, uint64_t left, bool is_polite)
{
    uint32_t first = 0;
    uint32_t end = 0;

    bench_open(fixture, fixture->folder, &durable);
    for (; end < 10; end++) {
        put_chunk(fixture, end);
        fixture_commit(fixture);
    }
    hog(fixture, left);
    while (is_polite && !store_figures(fixture->store).is_short) {
        put_chunk(fixture, end++);
        fixture_commit(fixture);
    }
    if (!is_polite) {
        fill_up(fixture, &end);
    }
    assert_true(store_figures(fixture->store).is_short);
    assert_chunks(fixture, first, end);
    for (int starts = 0; starts < 3; starts++) {
        if (starts == 1) {
            bench_close(fixture);
        } else if (starts == 2) {
            const pid_t child = fork(); /* a host that is killed, as it cannot be copied here */
            assert_true(child >= 0);
            if (child == 0) {
                bench_open(fixture, fixture->folder, &durable);
                fixture_delete(fixture, STORE_STATE, "nothing");
                (void)fixture_apply(fixture);
                (void)raise(SIGKILL);
            }
            assert_int_equal(waitpid(child, NULL, 0), child);
        }
        if (starts > 0) {
            if (!is_polite) {
                hog(fixture, 0);
            }
            bench_open(fixture, fixture->folder, &durable); /* a host can start on a full disk */
        }
        assert_chunks(fixture, first, end);
        for (uint32_t i = 0; i < 3 && is_polite; i++) { /* what is inside can go */
            char key[32];
            (void)snprintf(key, sizeof key, "%06u", first);
            fixture_delete(fixture, STORE_STATE, key);
            commit_in_the_end(fixture);
            first++;
            assert_chunks(fixture, first, end);
        }
        if (starts == 1) {
            bench_close(fixture);
        }
    }
    check_room_again(fixture, first, end);
    assert_int_equal(umount(fixture->folder), 0);
}

enum { DISK_MEBIBYTES = 32 };

static void check_full_disks(struct fixture *fixture)
{
    for (uint32_t i = 0; i < 12; i++) {
        small_disk_mount(fixture, DISK_MEBIBYTES);
        check_full_disk(fixture, (uint64_t)(i % 2 == 0 ? 6 + i / 2 : i / 2) << 20, i % 2 == 0);
    }
}

static void test_full_disk(void **state)
{
    small_disk_test(*state, check_full_disks);
}

/* An epoch that fits into neither of the journal's files: what it wrote there is not all that a start finds. */
static void check_large_epoch(struct fixture *fixture)
{
    const struct how how = {.is_durable = true, .checkpoint_bytes = 1 << 20, .checkpoint_ms = 1};

    small_disk_mount(fixture, DISK_MEBIBYTES);
    bench_open(fixture, fixture->folder, &how);
    put_chunk(fixture, 0);
    fixture_commit(fixture);
    store_journal_settle(fixture->store);
    hog(fixture, 0);
    for (uint32_t i = 1; i <= 40; i++) {
        put_chunk(fixture, i);
    }
    enum store_apply applied = fixture_apply(fixture);
    for (uint32_t tries = 0; tries < 4; tries++) {
        assert_int_equal(applied, STORE_IS_FULL);
        applied = store_apply(fixture->store, fixture->epoch, &fixture->err);
    }
    bench_close(fixture);
    bench_open(fixture, fixture->folder, &how);
    assert_chunks(fixture, 0, 1);
    give_back(fixture);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    assert_chunks(fixture, 0, 41);
    bench_close(fixture);
    assert_int_equal(umount(fixture->folder), 0);
}

static void test_large_epoch_on_a_full_disk(void **state)
{
    small_disk_test(*state, check_large_epoch);
}

enum { SCATTERED_ROWS = 60000, SCATTERED_EPOCH = 50, ROWS_OF_PAGE = 25 };

/* An epoch of small changes, each to a page of its own. Returns the row that comes next. */
static uint32_t scatter(struct fixture *fixture, enum op_kind kind, uint32_t row, uint32_t step)
{
    static uint8_t bytes[100];
    char key[32];

    for (uint32_t i = 0; i < SCATTERED_EPOCH && row < SCATTERED_ROWS; i++, row += step) {
        (void)snprintf(key, sizeof key, "%08u", row);
        fixture_put_slice(fixture, kind, STORE_INSTANCE, slice_of(key),
                          (struct slice){bytes, kind == OP_DELETE ? 0 : sizeof bytes});
    }
    commit_in_the_end(fixture);
    return row;
}

/* Small changes all over large tables are little in the journal, but a new page each below. */
static void check_scattered(struct fixture *fixture)
{
    const struct how how = {.is_durable = true, .checkpoint_bytes = 16 << 20, .checkpoint_ms = UINT32_MAX};
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = BENCH_MAP_BYTES};

    small_disk_mount(fixture, DISK_MEBIBYTES);
    bench_open(fixture, fixture->folder, &how);
    for (uint32_t row = 0; row < SCATTERED_ROWS;) {
        row = scatter(fixture, OP_PUT, row, 1);
        if (row % 5000 == 0) {
            store_journal_settle(fixture->store);
        }
    }
    hog(fixture, 6 << 20);
    assert_false(store_figures(fixture->store).is_short);
    for (uint32_t row = 0; row < SCATTERED_ROWS && !store_figures(fixture->store).is_short;) {
        row = scatter(fixture, OP_PUT, row, ROWS_OF_PAGE);
    }
    for (uint32_t row = 1; row < SCATTERED_ROWS;) { /* what is inside can go */
        row = scatter(fixture, OP_DELETE, row, ROWS_OF_PAGE);
        (void)store_figures(fixture->store); /* as a host does after each */
    }
    const uint64_t newest = store_epoch(fixture->store);
    bench_close(fixture);
    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    assert_int_equal(store_epoch(fixture->store), newest); /* all of it came to be below */
    bench_close(fixture);
}

static void test_full_disk_of_scattered_rows(void **state)
{
    small_disk_test(*state, check_scattered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_large_epoch_on_a_full_disk, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk_of_scattered_rows, bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
