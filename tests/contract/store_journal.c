/* SPDX-License-Identifier: Apache-2.0
 *
 * store_journal.c: what only the store with a journal can do or suffer: crashes at any moment, kills, faults of the
 * store below, a full disk, files that are missing or of another time.
 */
#define _GNU_SOURCE /* unshare */
#include "contract.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record.h"

enum { MAP_BYTES = 64 << 20, PAGE = 4096 };

static uint64_t seed;

static uint32_t random_below(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 20) % bound);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    folder_make(fixture->folder, sizeof fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    epoch_destroy(fixture->epoch);
    arena_destroy(fixture->arena);
    store_close(fixture->store);
    folder_remove(fixture->folder);
    free(fixture);
    return 0;
}

/* How a store is opened. */
struct how {
    bool is_durable;
    bool is_read_only;
    uint64_t checkpoint_bytes;
    uint32_t checkpoint_ms;
};
static const struct how rarely = {.checkpoint_bytes = UINT32_MAX, .checkpoint_ms = UINT32_MAX};

static enum err_code try_open(struct fixture *fixture, const char *folder, const struct how *how)
{
    const struct store_lmdb_options tables = {.folder = folder,
                                              .map_bytes = MAP_BYTES,
                                              .is_read_only = how->is_read_only,
                                              .is_not_durable = !how->is_durable};
    struct store_journal_options options = {.folder = folder,
                                            .is_read_only = how->is_read_only,
                                            .is_not_durable = !how->is_durable,
                                            .checkpoint_bytes = how->checkpoint_bytes,
                                            .checkpoint_ms = how->checkpoint_ms};
    const enum err_code code = store_lmdb_open(&tables, &options.below, &fixture->err);

    assert_null(fixture->store);
    return code != ERR_NONE ? code : store_journal_open(&options, &fixture->store, &fixture->err);
}

static void open_store(struct fixture *fixture, const char *folder, const struct how *how)
{
    if (try_open(fixture, folder, how) != ERR_NONE) {
        fail_msg("%s", fixture->err.text);
    }
    fixture->number = store_epoch(fixture->store);
}

static void close_store(struct fixture *fixture)
{
    store_close(TAKE(fixture->store));
}

static void assert_refused(struct fixture *fixture, enum err_code code, const char *text)
{
    for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
        struct how how = rarely;
        how.is_read_only = is_read_only != 0;
        assert_int_equal(try_open(fixture, fixture->folder, &how), code);
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

static void path_of(char *path, size_t size, const char *folder, const char *name)
{
    assert_in_range(snprintf(path, size, "%s/%s", folder, name), 1, size - 1);
}

static void remove_file(const struct fixture *fixture, const char *name)
{
    char path[512];

    path_of(path, sizeof path, fixture->folder, name);
    assert_int_equal(unlink(path), 0);
}

/* A copy of a file as it is now, zeros without blocks of their own. */
static void copy_file(const char *from_folder, const char *to_folder, const char *name)
{
    uint8_t bytes[PAGE];
    char path[512];
    off_t at = 0;
    ssize_t got = 0;

    path_of(path, sizeof path, from_folder, name);
    const int from = open(path, O_RDONLY);
    path_of(path, sizeof path, to_folder, name);
    const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(from >= 0 && to >= 0);
    while ((got = read(from, bytes, sizeof bytes)) > 0) {
        static const uint8_t zeros[PAGE];
        if (memcmp(bytes, zeros, (size_t)got) != 0) {
            assert_int_equal(pwrite(to, bytes, (size_t)got, at), got);
        }
        at += got;
    }
    assert_int_equal(got, 0);
    assert_int_equal(ftruncate(to, at), 0);
    assert_int_equal(close(from), 0);
    assert_int_equal(close(to), 0);
}

static const char *const files[] = {"data.mdb", "journal.0", "journal.1", "lock"};

static void copy_folder(const char *from, const char *to)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        copy_file(from, to, files[i]);
    }
}

/* ---- crashes -------------------------------------------------------------------------------------------------- */

enum { KEYS = 16, LIVES = 60, LIFE_EPOCHS = 40, HISTORY = 4 };

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

    for (uint32_t i = random_below(3), from = random_below(KEYS); i > 0; i--) {
        const uint32_t place = (from + i) % KEYS;
        const uint32_t value = random_below(3) == 0 ? 0 : 1 + random_below(1000000);
        (void)snprintf(key, sizeof key, "%u", place);
        fixture_put_slice(fixture, value == 0 ? OP_DELETE : OP_PUT, STORE_INSTANCE, slice_of(key),
                          (struct slice){bytes, value == 0 ? 0 : value_of(bytes, value)});
        model->values[place] = value;
    }
    const uint64_t end = model->mail_end;
    for (uint32_t i = random_below(4); i > 0; i--) {
        (void)snprintf(key, sizeof key, "%08" PRIu64, model->mail_end++);
        fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), slice_of(key));
    }
    for (uint32_t i = random_below(4); i > 0 && model->mail_first < end; i--) {
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
    for (size_t i = 1; i <= 2; i++) {
        uint8_t header[64];
        path_of(path, path_size, folder, files[i]);
        const int fd = open(path, O_RDONLY);
        assert_true(fd >= 0);
        for (*at = 0; pread(fd, header, sizeof header, *at) == (ssize_t)sizeof header; *at += PAGE) {
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
    if (random_below(4) == 0) {
        assert_int_equal(ftruncate(fd, at + (off_t)random_below((uint32_t)size)), 0);
    } else {
        uint8_t byte = 0;
        const off_t place = at + (off_t)random_below((uint32_t)size);
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
    struct how tool = rarely;
    const struct how often = {.checkpoint_bytes = 1, .checkpoint_ms = UINT32_MAX};
    const bool is_torn = random_below(2) == 0 && tear(folder, newest->epoch);
    struct model model = is_torn ? *before : *newest;

    tool.is_read_only = true;
    open_store(fixture, folder, &tool);
    assert_is_as(fixture, &model);
    close_store(fixture);
    folder_make(again, sizeof again);
    for (uint32_t crashes = 0; crashes < 3; crashes++) {
        /* A copy of what recovery left, or began with: whether the crash comes before it or after it. */
        copy_folder(folder, again);
        open_store(fixture, folder, random_below(2) == 0 ? &rarely : &often);
        assert_is_as(fixture, &model);
        if (random_below(2) == 0) {
            close_store(fixture);
            copy_folder(again, folder);
            open_store(fixture, folder, &rarely);
            assert_is_as(fixture, &model);
        }
        commit_some(fixture, &model, random_below(6));
        assert_is_as(fixture, &model);
        store_journal_settle(fixture->store); /* no checkpoint is under way while the copy is made */
        commit_some(fixture, &model, random_below(3));
        copy_folder(folder, again);
        close_store(fixture);
        copy_folder(again, folder);
    }
    open_store(fixture, folder, &rarely);
    assert_is_as(fixture, &model);
    close_store(fixture);
    folder_remove(again);
}

/* Random lives of a store; at random moments its files are copied as they are, torn or not, and opened. */
static void test_crash_images(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = {0};
    struct model model = {.mail_end = 1, .mail_first = 1};
    uint32_t copies = 0;

    seed = 0x9e3779b97f4a7c15U;
    for (uint32_t life = 0; life < LIVES; life++) {
        open_store(fixture, fixture->folder, &rarely);
        assert_is_as(fixture, &model);
        for (uint32_t i = random_below(LIFE_EPOCHS); i > 0; i--) {
            const struct model before = model;
            commit_some(fixture, &model, 1);
            if (random_below(12) == 0) {
                store_journal_settle(fixture->store);
            } else if (random_below(8) == 0) {
                char copy[256];
                folder_make(copy, sizeof copy);
                copy_folder(fixture->folder, copy);
                check_copy(&other, copy, &before, &model);
                folder_remove(copy);
                copies++;
            }
        }
        close_store(fixture);
    }
    assert_true(copies > 50);
    arena_destroy(other.arena);
}

/* ---- killed --------------------------------------------------------------------------------------------------- */

enum { KILL_ROWS = 10, KILLS = 40 };

/* Commits epochs for ever: each puts its number into rows of two tables, lets mail come and go, and is told. */
NO_RETURN static void commit_until_killed(struct fixture *fixture, int fd)
{
    const struct how how = {.checkpoint_bytes = 3 * PAGE, .checkpoint_ms = 3};

    open_store(fixture, fixture->folder, &how);
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

    seed = 1;
    for (uint32_t round = 0; round < KILLS; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            commit_until_killed(fixture, fds[1]);
        }
        assert_int_equal(close(fds[1]), 0);
        for (uint32_t i = 2 + random_below(40); i > 0; i--) {
            assert_int_equal(read(fds[0], &told, sizeof told), sizeof told);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(fds[0], &told, sizeof told) == sizeof told) {
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(close(fds[0]), 0);
        struct how how = rarely;
        how.is_read_only = round % 2 == 0;
        open_store(fixture, fixture->folder, &how);
        assert_whole(fixture, told);
        close_store(fixture);
    }
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

static void test_folder_of_a_version_before(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = MAP_BYTES};
    struct how tool = rarely;

    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "b", "2");
    close_store(fixture);
    tool.is_read_only = true;
    open_store(fixture, fixture->folder, &tool);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b");
    close_store(fixture);
    open_store(fixture, fixture->folder, &rarely);
    put_and_commit(fixture, "c", "3");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b c");
    assert_int_equal(fixture->rows.epoch, 3);
}

/* After a clean end the tables have it all: a version before, which knows no journal, may go on with them. */
static void test_closed_store_is_in_the_tables(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = MAP_BYTES};

    open_store(fixture, fixture->folder, &rarely);
    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "b", "2");
    close_store(fixture);
    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b");
    assert_int_equal(store_epoch(fixture->store), 2);
    put_and_commit(fixture, "c", "3");
    close_store(fixture);
    open_store(fixture, fixture->folder, &rarely); /* the journal's own epochs are old */
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b c");
}

/* As if the process ended here: what `folder` has now is what the next start finds. */
static void crash(struct fixture *fixture)
{
    char copy[256];

    folder_make(copy, sizeof copy);
    copy_folder(fixture->folder, copy);
    close_store(fixture);
    copy_folder(copy, fixture->folder);
    folder_remove(copy);
}

static void test_files_of_different_times(void **state)
{
    struct fixture *fixture = *state;
    char backup[256];

    folder_make(backup, sizeof backup);
    open_store(fixture, fixture->folder, &rarely);
    put_and_commit(fixture, "a", "1");
    crash(fixture);
    copy_folder(fixture->folder, backup); /* the tables have none of it */
    for (int i = 0; i < 3; i++) {
        open_store(fixture, fixture->folder, &rarely);
        put_and_commit(fixture, "b", "2");
        put_and_commit(fixture, "c", "3");
        crash(fixture);
    }
    copy_file(backup, fixture->folder, "data.mdb");
    assert_refused(fixture, ERR_CORRUPT, "restore the data folder, whole, from a backup");
    copy_folder(backup, fixture->folder); /* which does it */
    open_store(fixture, fixture->folder, &rarely);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a");
    put_and_commit(fixture, "d", "4");
    close_store(fixture);
    copy_file(backup, fixture->folder, "journal.0"); /* tables that are newer have all of it */
    copy_file(backup, fixture->folder, "journal.1");
    open_store(fixture, fixture->folder, &rarely);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a d");
    put_and_commit(fixture, "e", "5");
    crash(fixture);
    remove_file(fixture, "journal.1");
    assert_refused(fixture, ERR_CORRUPT, "journal.1 is missing");
    folder_remove(backup);
}

/* A version that knows no journal opens what was left by a kill, and goes on from the tables alone; then this one
 * finds epochs in the journal that come after the same number, but were of another history. */
static void test_tables_that_went_on_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options tables = {.folder = fixture->folder, .map_bytes = MAP_BYTES};
    struct buf row;

    open_store(fixture, fixture->folder, &rarely);
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
    close_store(fixture);
    assert_refused(fixture, ERR_CORRUPT, "epoch 3 belongs to another epoch 2 than the store has");
}

static void test_one_host_a_folder(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = {0};
    struct how tool = rarely;

    open_store(fixture, fixture->folder, &rarely);
    put_and_commit(fixture, "a", "1");
    assert_int_equal(try_open(&other, fixture->folder, &rarely), ERR_IN_USE);
    tool.is_read_only = true;
    assert_int_equal(try_open(&other, fixture->folder, &tool), ERR_IN_USE);
    put_and_commit(fixture, "b", "1"); /* the refused ones did no harm */
    crash(fixture);
    open_store(fixture, fixture->folder, &tool);
    open_store(&other, fixture->folder, &tool);
    fixture_range(&other, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(&other, "a b");
    close_store(&other);
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

    open_store(fixture, fixture->folder, &rarely);
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

    open_store(fixture, fixture->folder, &rarely);
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
            open_store(fixture, fixture->folder, &rarely);
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
    open_store(fixture, fixture->folder, &rarely);
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
    close_store(fixture); /* what could not be stored stays in the journal: */
    twin = store_memory_create();
    struct store_journal_options options = {
        .folder = fixture->folder, .below = twin, .is_not_durable = true, .checkpoint_ms = UINT32_MAX};
    store_memory_fail_next(twin, STORE_IS_FULL, false, 1);
    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
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
    close_store(fixture);
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
            close_store(fixture);
        }
    }
    close_store(fixture);
    twin = open_twin(fixture, UINT32_MAX);
    assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 2);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
}

/* The journal is not endless: behind a checkpoint that does not fit, epochs wait at some point, and then go on. */
static void test_journal_waits_for_the_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct store *twin = open_twin(fixture, 2 * PAGE);
    enum store_apply applied = STORE_APPLIED;
    uint32_t count = 0;

    store_memory_fail_next(twin, STORE_IS_FULL, false, UINT32_MAX);
    for (; applied == STORE_APPLIED; count += applied == STORE_APPLIED) {
        assert_in_range(count, 0, 100);
        fixture_put(fixture, STORE_INSTANCE, "a", "1");
        applied = fixture_apply(fixture);
    }
    assert_int_equal(applied, STORE_IS_FULL);
    assert_int_equal(count, 2 + 4 * 2);
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
        close_store(fixture);
        twin = open_twin(fixture, UINT32_MAX);
        assert_int_equal(store_epoch(fixture->store), 1);
        assert_int_equal(store_memory_count(twin, STORE_INSTANCE), 1);
        close_store(fixture);
        remove_file(fixture, "journal.0");
        remove_file(fixture, "journal.1");
    }
}

static void test_start_fails(void **state)
{
    struct fixture *fixture = *state;

    (void)open_twin(fixture, UINT32_MAX);
    put_and_commit(fixture, "a", "1");
    close_store(fixture);
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

/* ---- full disk ------------------------------------------------------------------------------------------------ */

/* A file beside the store that takes the disk's room but for `left` bytes. */
static void hog(const struct fixture *fixture, uint64_t left)
{
    static const uint8_t zeros[PAGE];
    char path[512];

    path_of(path, sizeof path, fixture->folder, "hog");
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    while (write(fd, zeros, sizeof zeros) > 0) {
        size += (off_t)sizeof zeros;
    }
    assert_int_equal(ftruncate(fd, size > (off_t)left ? size - (off_t)left : 0), 0);
    assert_int_equal(close(fd), 0);
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

/* Polite: stops to bring anything new in as soon as the store says that it is short, as a host does. Then what is
 * inside can go, whatever happens. Else only promises are kept. */
static void check_full_disk(struct fixture *fixture, uint64_t left, bool is_polite)
{
    struct how how = {.is_durable = true, .checkpoint_bytes = 1 << 20, .checkpoint_ms = UINT32_MAX};
    uint32_t first = 0;
    uint32_t end = 0;

    open_store(fixture, fixture->folder, &how);
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
            close_store(fixture);
        } else if (starts == 2) {
            const pid_t child = fork(); /* a host that is killed, as it cannot be copied here */
            assert_true(child >= 0);
            if (child == 0) {
                open_store(fixture, fixture->folder, &how);
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
            open_store(fixture, fixture->folder, &how); /* a host can start on a full disk */
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
            close_store(fixture);
        }
    }
    remove_file(fixture, "hog");
    for (uint32_t i = 0; i < 5; i++) {
        put_chunk(fixture, end);
        commit_in_the_end(fixture);
        end++;
    }
    assert_chunks(fixture, first, end);
    store_journal_settle(fixture->store);
    assert_false(store_figures(fixture->store).is_short);
    close_store(fixture);
    open_store(fixture, fixture->folder, &rarely);
    assert_chunks(fixture, first, end);
    close_store(fixture);
    assert_int_equal(umount(fixture->folder), 0);
}

static void test_full_disk(void **state)
{
    struct fixture *fixture = *state;
    const pid_t child = fork(); /* its mount namespace is no other test's */

    assert_true(child >= 0);
    if (child == 0) {
        for (uint32_t i = 0; i < 12; i++) {
            if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
                mount("proa-test", fixture->folder, "tmpfs", 0, "size=32m") != 0) {
                _exit(77);
            }
            check_full_disk(fixture, (uint64_t)(i % 2 == 0 ? 6 + i / 2 : i / 2) << 20, i % 2 == 0);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("a small disk cannot be mounted here: the full disk is not tested\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_crash_images),
        JOURNAL_TEST(test_killed_at_checkpoints),
        JOURNAL_TEST(test_folder_of_a_version_before),
        JOURNAL_TEST(test_closed_store_is_in_the_tables),
        JOURNAL_TEST(test_files_of_different_times),
        JOURNAL_TEST(test_tables_that_went_on_alone),
        JOURNAL_TEST(test_one_host_a_folder),
        JOURNAL_TEST(test_huge_epochs),
        JOURNAL_TEST(test_reads_over_what_is_gone),
        JOURNAL_TEST(test_appends_out_of_order),
        JOURNAL_TEST(test_checkpoint_does_not_fit),
        JOURNAL_TEST(test_start_that_does_not_fit),
        JOURNAL_TEST(test_journal_waits_for_the_checkpoint),
        JOURNAL_TEST(test_checkpoint_fails),
        JOURNAL_TEST(test_start_fails),
        JOURNAL_TEST(test_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
