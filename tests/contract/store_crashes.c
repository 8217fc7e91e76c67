/* SPDX-License-Identifier: Apache-2.0
 *
 * store_crashes.c: the store with a journal after crashes at any moment, in copies of its folder and by real kills.
 */
#include "journal_bench.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- crashes -------------------------------------------------------------------------------------------------- */

enum { KEYS = 16, LIVES = 60, LIFE_EPOCHS = 40 };

/* What the rows must be after an epoch. */
struct model {
    uint64_t epoch;
    uint32_t values[KEYS]; /* 0: no such row */
    uint64_t mail_first;   /* numbers from here to mail_end have a row */
    uint64_t mail_end;
};

static size_t value_of(uint8_t *bytes, uint32_t value)
{
    const size_t size = 4 + (value % 7 == 0 ? value % 9000 : value % 50);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (i % 4)));
    }
    return size;
}

/* A random epoch into the fixture and the model: some rows of one table, mail that comes in at the end of another and
 * leaves at its beginning. */
static void fill_epoch(struct fixture *fixture, struct model *model)
{
    uint8_t bytes[10000];
    char key[32];

    for (uint32_t i = bench_random(3), from = bench_random(KEYS); i > 0; i--) {
        const uint32_t place = (from + i) % KEYS;
        const uint32_t value = bench_random(3) == 0 ? 0 : 1 + bench_random(1000000);
        (void)snprintf(key, sizeof key, "%u", place);
        fixture_put_slice(fixture, value == 0 ? OP_DELETE : OP_PUT, STORE_INSTANCE, slice_of(key),
                          (struct slice){bytes, value == 0 ? 0 : value_of(bytes, value)});
        model->values[place] = value;
    }
    const uint64_t end = model->mail_end;
    for (uint32_t i = bench_random(4); i > 0; i--) {
        (void)snprintf(key, sizeof key, "%08" PRIu64, model->mail_end++);
        fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), slice_of(key));
    }
    for (uint32_t i = bench_random(4); i > 0 && model->mail_first < end; i--) {
        (void)snprintf(key, sizeof key, "%08" PRIu64, model->mail_first++);
        fixture_delete(fixture, STORE_MAIL, key);
    }
    model->epoch++;
}

static bool is_as(struct fixture *fixture, const struct model *model)
{
    static const struct read_range ranges[] = {{RANGE_FROM, STORE_INSTANCE, {NULL, 0}},
                                               {RANGE_FROM, STORE_MAIL, {NULL, 0}}};
    uint64_t mail = model->mail_first;
    uint32_t rows = 0;

    fixture_read(fixture, ranges, 2, 10000, 10000000);
    for (uint32_t i = 0; i < fixture->rows.row_count; i++) {
        const struct row *row = &fixture->rows.rows[i];
        uint8_t bytes[10000];
        char key[32];
        if (row->range == 1) {
            (void)snprintf(key, sizeof key, "%08" PRIu64, mail++);
            if (!slice_equal(row->key, slice_of(key)) || !slice_equal(row->value, slice_of(key))) {
                return false;
            }
            continue;
        }
        (void)snprintf(key, sizeof key, "%.*s", (int)row->key.size, (const char *)row->key.data);
        const uint32_t value = model->values[strtoul(key, NULL, 10)];
        if (value == 0 || !slice_equal(row->value, (struct slice){bytes, value_of(bytes, value)})) {
            return false;
        }
        rows++;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        rows -= model->values[i] != 0;
    }
    return rows == 0 && mail == model->mail_end && fixture->rows.epoch == model->epoch;
}

static void assert_is_as(struct fixture *fixture, const struct model *model)
{
    assert_int_equal(store_epoch(fixture->store), model->epoch);
    assert_true(is_as(fixture, model));
}

static void commit_some(struct fixture *fixture, struct model *model, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fill_epoch(fixture, model);
        fixture_commit(fixture);
    }
}

/* Where the newest epoch's record stands, and how long it is: found by its number, as only it has it. */
static bool find_record(const char *folder, uint64_t number, char *path, size_t path_size, off_t *at, off_t *size)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t header[64];
        folder_path(path, path_size, folder, i == 0 ? "journal.0" : "journal.1");
        const int fd = open(path, O_RDONLY);
        assert_true(fd >= 0);
        for (*at = 0; pread(fd, header, sizeof header, *at) == (ssize_t)sizeof header; *at += BENCH_PAGE) {
            uint64_t found = 0;
            uint64_t bytes = 0;
            memcpy(&found, header + 32, sizeof found);
            memcpy(&bytes, header + 48, sizeof bytes);
            if (memcmp(header, "PROJ", 4) == 0 && found == number) {
                *size = (off_t)(sizeof header + bytes);
                assert_int_equal(close(fd), 0);
                return true;
            }
        }
        assert_int_equal(close(fd), 0);
    }
    return false;
}

/* Takes a part of the newest record back, as a write that was interrupted would. False: it is in no journal. */
static bool tear(const char *folder, uint64_t number)
{
    char path[512];
    off_t at = 0;
    off_t size = 0;

    if (!find_record(folder, number, path, sizeof path, &at, &size)) {
        return false;
    }
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (bench_random(4) == 0) {
        assert_int_equal(ftruncate(fd, at + (off_t)bench_random((uint32_t)size)), 0);
    } else {
        uint8_t byte = 0;
        const off_t place = at + (off_t)bench_random((uint32_t)size);
        assert_int_equal(pread(fd, &byte, 1, place), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    }
    assert_int_equal(close(fd), 0);
    return true;
}

/* What a host finds after a crash, and again after the next: the copy of a folder. `before`: one epoch earlier. */
static void check_copy(struct fixture *fixture, const char *folder, const struct model *before,
                       const struct model *newest)
{
    char again[300];
    struct how tool = bench_rarely;
    const struct how often = {.checkpoint_bytes = 1, .checkpoint_ms = UINT32_MAX};
    const bool is_torn = bench_random(2) == 0 && tear(folder, newest->epoch);
    struct model model = is_torn ? *before : *newest;

    tool.is_read_only = true;
    bench_open(fixture, folder, &tool);
    assert_is_as(fixture, &model);
    bench_close(fixture);
    folder_make(again, sizeof again);
    for (uint32_t crashes = 0; crashes < 3; crashes++) {
        /* A copy of what recovery left, or began with: whether the crash comes before it or after it. */
        folder_copy(folder, again);
        bench_open(fixture, folder, bench_random(2) == 0 ? &bench_rarely : &often);
        assert_is_as(fixture, &model);
        if (bench_random(2) == 0) {
            bench_close(fixture);
            folder_copy(again, folder);
            bench_open(fixture, folder, &bench_rarely);
            assert_is_as(fixture, &model);
        }
        commit_some(fixture, &model, bench_random(6));
        assert_is_as(fixture, &model);
        bench_close(fixture);
        bench_open(fixture, folder, &bench_rarely); /* no checkpoint is under way while the copy is made */
        commit_some(fixture, &model, bench_random(3));
        folder_copy(folder, again);
        bench_close(fixture);
        folder_copy(again, folder);
    }
    bench_open(fixture, folder, &bench_rarely);
    assert_is_as(fixture, &model);
    bench_close(fixture);
    folder_remove(again);
}

/* Random lives of a store; at random moments its files are copied as they are, torn or not, and opened. */
static void test_crash_images(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = {0};
    struct model model = {.mail_end = 1, .mail_first = 1};
    uint32_t copies = 0;

    bench_seed(0x9e3779b97f4a7c15U);
    for (uint32_t life = 0; life < LIVES; life++) {
        bench_open(fixture, fixture->folder, &bench_rarely);
        assert_is_as(fixture, &model);
        for (uint32_t i = bench_random(LIFE_EPOCHS); i > 0; i--) {
            const struct model before = model;
            commit_some(fixture, &model, 1);
            if (bench_random(12) == 0) {
                store_journal_settle(fixture->store);
            } else if (bench_random(8) == 0) {
                char copy[256];
                folder_make(copy, sizeof copy);
                folder_copy(fixture->folder, copy);
                check_copy(&other, copy, &before, &model);
                folder_remove(copy);
                copies++;
            }
        }
        bench_close(fixture);
    }
    assert_true(copies > 50);
    arena_destroy(other.arena);
}

/* ---- killed --------------------------------------------------------------------------------------------------- */

enum { KILL_ROWS = 10, KILLS = 40 };

/* Commits epochs for ever: each puts its number into rows of two tables, lets mail come and go, and is told. */
NO_RETURN static void commit_until_killed(struct fixture *fixture, int fd)
{
    const struct how how = {.checkpoint_bytes = 3 * BENCH_PAGE, .checkpoint_ms = 3};

    bench_open(fixture, fixture->folder, &how);
    for (;;) {
        const uint64_t number = fixture->number + 1;
        const struct slice value = {(const uint8_t *)&number, sizeof number};
        char key[32];
        for (int i = 0; i < KILL_ROWS; i++) {
            (void)snprintf(key, sizeof key, "%d", i);
            fixture_put_slice(fixture, OP_PUT, i % 2 == 0 ? STORE_INSTANCE : STORE_STATE, slice_of(key), value);
        }
        (void)snprintf(key, sizeof key, "%08" PRIu64, number);
        fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), value);
        if (number > 2) {
            (void)snprintf(key, sizeof key, "%08" PRIu64, number - 2);
            fixture_delete(fixture, STORE_MAIL, key);
        }
        fixture_commit(fixture);
        if (write(fd, &number, sizeof number) != sizeof number) {
            _exit(1);
        }
    }
}

static void assert_whole(struct fixture *fixture, uint64_t told)
{
    const uint64_t newest = store_epoch(fixture->store);
    const struct slice value = {(const uint8_t *)&newest, sizeof newest};
    const struct read_range ranges[] = {{RANGE_FROM, STORE_INSTANCE, SLICE_EMPTY},
                                        {RANGE_FROM, STORE_STATE, SLICE_EMPTY}};
    char last[64];

    assert_true(newest == told || newest == told + 1); /* on disk before it is told, so it may be one ahead */
    fixture_read(fixture, ranges, 2, 1000, 100000);
    assert_int_equal(fixture->rows.row_count, KILL_ROWS);
    for (uint32_t i = 0; i < KILL_ROWS; i++) {
        assert_true(slice_equal(fixture->rows.rows[i].value, value));
    }
    (void)snprintf(last, sizeof last, "%08" PRIu64 " %08" PRIu64, newest - 1, newest);
    fixture_range(fixture, RANGE_FROM, STORE_MAIL, "");
    assert_keys(fixture, last);
}

static void test_killed_at_checkpoints(void **state)
{
    struct fixture *fixture = *state;
    uint64_t told = 0;

    bench_seed(1);
    for (uint32_t round = 0; round < KILLS; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            commit_until_killed(fixture, fds[1]);
        }
        assert_int_equal(close(fds[1]), 0);
        for (uint32_t i = 2 + bench_random(40); i > 0; i--) {
            assert_int_equal(read(fds[0], &told, sizeof told), sizeof told);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(fds[0], &told, sizeof told) == sizeof told) {
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(close(fds[0]), 0);
        struct how how = bench_rarely;
        how.is_read_only = round % 2 == 0;
        bench_open(fixture, fixture->folder, &how);
        assert_whole(fixture, told);
        bench_close(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_crash_images, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_killed_at_checkpoints, bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
