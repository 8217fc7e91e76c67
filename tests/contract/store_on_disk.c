/* SPDX-License-Identifier: Apache-2.0
 *
 * store_on_disk.c: what only the store on disk can do or suffer: locks, kills, formats, a full disk.
 */
#define _GNU_SOURCE /* syscall */
#include "contract.h"
#include "small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hash.h"
#include "record.h"

/* A folder that is not made yet, in a new one. */
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

static struct store_lmdb_options options_of(const struct fixture *fixture)
{
    return (struct store_lmdb_options){.folder = fixture->folder, .map_bytes = CONTRACT_MAP_BYTES};
}

static void open_store(struct fixture *fixture)
{
    const struct store_lmdb_options options = options_of(fixture);

    if (store_lmdb_open(&options, &fixture->store, &fixture->err) != ERR_NONE) {
        fail_msg("%s", fixture->err.text);
    }
}

static void close_store(struct fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
}

static void path_of(char *path, size_t size, const struct fixture *fixture, const char *name)
{
    assert_in_range(snprintf(path, size, "%s/%s", fixture->folder, name), 1, size - 1);
}

static int64_t file_bytes(const struct fixture *fixture, const char *name)
{
    char path[512];
    struct stat stat_of;

    path_of(path, sizeof path, fixture, name);
    return stat(path, &stat_of) == 0 ? (int64_t)stat_of.st_size : -1;
}

/* Opening must fail with `code`, and the sentence must hold `text`. */
static void assert_refused(const struct store_lmdb_options *options, enum err_code code, const char *text)
{
    struct store *store = NULL;
    struct err err = {0};

    assert_int_equal(store_lmdb_open(options, &store, &err), code);
    assert_null(store);
    if (strstr(err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
    }
}

static void test_reopen(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t number = 1; number <= 3; number++) {
        open_store(fixture);
        assert_int_equal(store_epoch(fixture->store), number - 1);
        char key[8];
        (void)snprintf(key, sizeof key, "%" PRIu64, number);
        fixture_put(fixture, STORE_INSTANCE, key, "value");
        fixture_commit(fixture);
        close_store(fixture);
    }
    open_store(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "1 2 3");
    assert_int_equal(fixture->rows.epoch, 3);
}

/* The whole address space is reserved, the disk is not. */
static void test_default_map_is_small_on_disk(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options options = {.folder = fixture->folder};

    assert_int_equal(store_lmdb_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    assert_in_range(file_bytes(fixture, "data.mdb"), 1, 200000);
    assert_int_equal(file_bytes(fixture, "ballast"), 1 << 20);
}

static void test_makes_the_folder(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct store_lmdb_options options = options_of(fixture);

    path_of(path, sizeof path, fixture, "data");
    options.folder = path;
    assert_int_equal(store_lmdb_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    close_store(fixture);
    folder_remove(path);
    path_of(path, sizeof path, fixture, "no/data");
    assert_refused(&options, ERR_SYSTEM, "cannot be made: No such file or directory");
}

static void test_folder_that_cannot_be_written(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct store_lmdb_options options = options_of(fixture);

    path_of(path, sizeof path, fixture, "file");
    const int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    options.folder = path;
    assert_refused(&options, ERR_SYSTEM, "Not a directory");
    assert_int_equal(unlink(path), 0);

    options.folder = fixture->folder;
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    const uid_t user = geteuid();
    if (user == 0) {
        assert_int_equal(seteuid(65534), 0); /* permissions do not bind root */
    }
    assert_refused(&options, ERR_SYSTEM, "is not writable: Permission denied; mend that, or choose another --data");
    options.folder = path;
    assert_refused(&options, ERR_SYSTEM, "cannot be made: Permission denied; make it, or choose another --data");
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(chmod(fixture->folder, 0700), 0);
}

static void test_one_host_a_folder(void **state)
{
    struct fixture *fixture = *state;
    struct store_lmdb_options options = options_of(fixture);

    open_store(fixture);
    assert_refused(&options, ERR_IN_USE, "another process holds /");
    assert_refused(&options, ERR_IN_USE, "stop it or choose another --data");
    options.is_read_only = true;
    assert_refused(&options, ERR_IN_USE, "another process holds /");
    fixture_put(fixture, STORE_META, "a", "b"); /* the refused ones did no harm */
    fixture_commit(fixture);
    close_store(fixture);
    open_store(fixture);
}

static void test_read_only(void **state)
{
    struct fixture *fixture = *state;
    struct store_lmdb_options options = options_of(fixture);
    struct store *second = NULL;

    options.is_read_only = true;
    assert_refused(&options, ERR_SYSTEM, "holds no store");
    assert_int_equal(file_bytes(fixture, "lock"), -1); /* a tool leaves nothing behind */
    options.is_read_only = false;
    open_store(fixture);
    fixture_put(fixture, STORE_OUTBOX, "a", "record");
    fixture_commit(fixture);
    close_store(fixture);

    options.is_read_only = true;
    assert_int_equal(store_lmdb_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    assert_int_equal(store_lmdb_open(&options, &second, &fixture->err), ERR_NONE);
    fixture_range(fixture, RANGE_FROM, STORE_OUTBOX, "");
    assert_keys(fixture, "a");
    assert_int_equal(store_epoch(second), 1);
    assert_true(store_figures(second).bytes_used > 0);
    store_close(second);
    options.is_read_only = false;
    assert_refused(&options, ERR_IN_USE, "another process holds /");
    options.is_read_only = true;
    options.folder = "/nonexistent/folder";
    assert_refused(&options, ERR_SYSTEM, "cannot be opened");
}

static void put_meta(struct fixture *fixture, const char *name, const struct buf *buf)
{
    open_store(fixture);
    fixture->epoch = epoch_create(++fixture->number, 1 << 20);
    fixture_put_slice(fixture, OP_PUT, STORE_META, slice_of(name), buf_slice(buf));
    epoch_sort(fixture->epoch);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    close_store(fixture);
}

/* Gives a record another format byte, as a version that knows it would: with the checksum over it. */
static void set_format(struct buf *buf, uint8_t format)
{
    buf->data[0] = format;
    const uint32_t crc = hash_crc32c(0, (struct slice){buf->data, buf->size - 4});
    for (size_t i = 0; i < 4; i++) {
        buf->data[buf->size - 4 + i] = (uint8_t)(crc >> (8 * i));
    }
}

static void test_newer_format_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct store_lmdb_options options = options_of(fixture);
    const struct epoch_record epoch = {.number = 1};
    const struct store_record store = {.created_ms = 1};
    struct buf buf;

    buf_init(&buf, 1000);
    record_put_store(&buf, &store);
    set_format(&buf, RECORD_FORMAT + 1);
    put_meta(fixture, "store", &buf);
    assert_refused(&options, ERR_NEWER_FORMAT, fixture->folder);
    options.is_read_only = true;
    assert_refused(&options, ERR_NEWER_FORMAT, "row store of meta");
    folder_remove(fixture->folder);
    options.is_read_only = false;

    buf_clear(&buf);
    record_put_epoch(&buf, &epoch);
    set_format(&buf, RECORD_FORMAT + 1);
    put_meta(fixture, "epoch", &buf);
    assert_refused(&options, ERR_NEWER_FORMAT, "row epoch of meta");
    folder_remove(fixture->folder);

    set_format(&buf, RECORD_FORMAT);
    buf.data[3] ^= 1;
    put_meta(fixture, "epoch", &buf);
    assert_refused(&options, ERR_CORRUPT, "row epoch of meta");
    buf_done(&buf);
}

static void test_foreign_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct store_lmdb_options options = options_of(fixture);
    char path[512];

    path_of(path, sizeof path, fixture, "data.mdb");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++) {
        assert_true(fputs("no store at all ", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_refused(&options, ERR_CORRUPT, "MDB_INVALID");
}

/* ---- killed --------------------------------------------------------------------------------------------------- */

enum { KILL_ROWS = 40 };

/* Commits epochs for ever: each puts its number into KILL_ROWS rows of three tables, and tells it when it is durable.
 */
NO_RETURN static void commit_until_killed(struct fixture *fixture, int fd)
{
    open_store(fixture);
    fixture->number = store_epoch(fixture->store);
    for (;;) {
        const uint64_t number = fixture->number + 1;
        const struct slice value = {(const uint8_t *)&number, sizeof number};
        char key[16];
        for (int i = 0; i < KILL_ROWS; i++) {
            (void)snprintf(key, sizeof key, "%d", i);
            fixture_put_slice(fixture, OP_PUT, i % 2 == 0 ? STORE_INSTANCE : STORE_STATE, slice_of(key), value);
        }
        (void)snprintf(key, sizeof key, "%08" PRIu64, number);
        fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), value);
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
    char last[16];

    assert_true(newest == told || newest == told + 1); /* on disk before it is told, so it may be one ahead */
    fixture_read(fixture, ranges, 2, 1000, 100000);
    assert_int_equal(fixture->rows.row_count, KILL_ROWS);
    for (uint32_t i = 0; i < KILL_ROWS; i++) {
        assert_true(slice_equal(fixture->rows.rows[i].value, value));
    }
    (void)snprintf(last, sizeof last, "%08" PRIu64, newest);
    fixture_range(fixture, RANGE_FROM, STORE_MAIL, last);
    assert_keys(fixture, last);
}

static void test_killed_while_committing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t told = 0;

    for (uint64_t round = 1; round <= 5; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            commit_until_killed(fixture, fds[1]);
        }
        assert_int_equal(close(fds[1]), 0);
        for (uint64_t i = 0; i < 7 * round; i++) {
            assert_int_equal(read(fds[0], &told, sizeof told), sizeof told);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(fds[0], &told, sizeof told) == sizeof told) {
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(close(fds[0]), 0);
        open_store(fixture); /* the lock went with the process */
        assert_whole(fixture, told);
        close_store(fixture);
    }
}

/* ---- full ----------------------------------------------------------------------------------------------------- */

enum { CHUNK_BYTES = 100 * 1000 };

static void put_chunk(struct fixture *fixture, uint32_t number)
{
    static uint8_t bytes[CHUNK_BYTES];
    char key[16];

    memset(bytes, (int)number, sizeof bytes);
    (void)snprintf(key, sizeof key, "%06u", number);
    fixture_put_slice(fixture, OP_PUT, STORE_STATE, slice_of(key), (struct slice){bytes, sizeof bytes});
}

/* Commits chunks until one does not fit; returns how many did. The one that did not is kept. */
static uint32_t fill_up(struct fixture *fixture)
{
    for (uint32_t i = 0; i < 10000; i++) {
        put_chunk(fixture, i);
        const enum store_apply applied = fixture_apply(fixture);
        if (applied != STORE_APPLIED) {
            assert_int_equal(applied, STORE_IS_FULL);
            assert_int_equal(fixture->err.code, ERR_STORE_FULL);
            return i;
        }
    }
    fail_msg("it never got full");
    return 0;
}

static void assert_chunks(struct fixture *fixture, uint32_t count)
{
    const struct read_range range = {RANGE_FROM, STORE_STATE, SLICE_EMPTY};

    fixture_read(fixture, &range, 1, 10000, UINT32_MAX);
    assert_int_equal(fixture->rows.row_count, count);
    assert_int_equal(fixture->rows.epoch, store_epoch(fixture->store));
}

static void test_full_map(void **state)
{
    struct fixture *fixture = *state;
    struct store_lmdb_options options = options_of(fixture);

    options.map_bytes = 4 << 20;
    assert_int_equal(store_lmdb_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    const uint32_t count = fill_up(fixture);
    assert_in_range(count, 20, 41);
    assert_non_null(strstr(fixture->err.text, "map is full"));
    struct epoch *kept = fixture->epoch;
    assert_int_equal(store_apply(fixture->store, kept, &fixture->err), STORE_IS_FULL);
    assert_chunks(fixture, count);
    assert_int_equal(store_epoch(fixture->store), count);
    epoch_destroy(kept);
    fixture->epoch = NULL;
    fixture->number--;
    /* What is inside can drain; freed pages serve again two epochs later. */
    for (uint32_t i = 0; i < 10; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%06u", i);
        fixture_delete(fixture, STORE_STATE, key);
        fixture_commit(fixture);
    }
    assert_chunks(fixture, count - 10);
    put_chunk(fixture, count);
    fixture_commit(fixture);
}

/* A file beside the store that takes the disk's room but for `left` bytes. */
static void hog(const struct fixture *fixture, uint64_t left)
{
    static const uint8_t zeros[4096];
    char path[512];

    path_of(path, sizeof path, fixture, "hog");
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    while (write(fd, zeros, sizeof zeros) > 0) {
        size += (off_t)sizeof zeros;
    }
    assert_int_equal(ftruncate(fd, size > (off_t)left ? size - (off_t)left : 0), 0);
    assert_int_equal(close(fd), 0);
}

enum { DISK_MEBIBYTES = 24 };

static void check_full_disk(struct fixture *fixture)
{
    small_disk_mount(fixture, DISK_MEBIBYTES);
    open_store(fixture);
    assert_int_equal(file_bytes(fixture, "ballast"), 1 << 20);
    put_chunk(fixture, 10000); /* a first row, to be deleted on the full disk */
    fixture_commit(fixture);
    hog(fixture, 0);

    uint32_t count = fill_up(fixture) + 1; /* room in freed pages may still take some */
    assert_non_null(strstr(fixture->err.text, "disk is full"));
    assert_int_equal(file_bytes(fixture, "ballast"), -1);
    assert_chunks(fixture, count);
    /* The very same epoch fits once the ballast is given up. */
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    assert_chunks(fixture, ++count);

    /* Without ballast and with room for some pages only, a big epoch waits, and then goes on. */
    hog(fixture, 256 << 10);
    for (uint32_t i = 0; i < 30; i++) {
        put_chunk(fixture, 20000 + i);
    }
    for (uint32_t tries = 0; tries < 4; tries++) {
        assert_int_equal(fixture->epoch->op_count >= 30 ? STORE_IS_FULL : STORE_APPLIED,
                         tries == 0 ? fixture_apply(fixture)
                                    : store_apply(fixture->store, fixture->epoch, &fixture->err));
    }
    hog(fixture, 0);
    struct epoch *kept = TAKE(fixture->epoch);
    close_store(fixture);
    open_store(fixture); /* a host can start on a full disk */
    fixture->epoch = kept;
    assert_chunks(fixture, count);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_IS_FULL);
    char path[512];
    path_of(path, sizeof path, fixture, "hog");
    assert_int_equal(unlink(path), 0);
    if (store_apply(fixture->store, fixture->epoch, &fixture->err) != STORE_APPLIED) {
        fail_msg("%s", fixture->err.text);
    }
    fixture_drop(fixture);
    assert_chunks(fixture, count + 30);
    fixture_delete(fixture, STORE_STATE, "010000");
    fixture_commit(fixture);
    close_store(fixture);
    open_store(fixture); /* nothing of the failed tries shows after a start */
    assert_chunks(fixture, count + 29);
    close_store(fixture);
}

static bool is_allotting_large; /* see writev */

/* LMDB's, instead of the C library's. A file system that allots blocks in large pieces, as ext4 does on large folios,
 * takes little of what does not fit, and leaves megabytes free. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct statvfs disk;
    uint64_t bytes = 0;

    for (int i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    if (is_allotting_large && fstatvfs(fd, &disk) == 0 && bytes > (uint64_t)disk.f_bavail * disk.f_frsize) {
        count = 1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

/* There is room for many pages, but not for all of the epoch. */
static void check_nearly_full_disk(struct fixture *fixture)
{
    small_disk_mount(fixture, DISK_MEBIBYTES);
    open_store(fixture);
    hog(fixture, 3 << 20);
    is_allotting_large = true;
    for (uint32_t i = 0; i < 60; i++) {
        put_chunk(fixture, i);
    }
    if (fixture_apply(fixture) != STORE_IS_FULL) {
        fail_msg("%s", fixture->err.text);
    }
    assert_int_equal(fixture->err.code, ERR_STORE_FULL);
    assert_chunks(fixture, 0);
    hog(fixture, 16 << 20);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    assert_chunks(fixture, 60);
    is_allotting_large = false;
    close_store(fixture);
}

static void test_full_disk(void **state)
{
    small_disk_test(*state, check_full_disk);
}

static void test_nearly_full_disk(void **state)
{
    small_disk_test(*state, check_nearly_full_disk);
}

/* A new store on a disk without room is a sentence, not a signal, and leaves nothing that is in the way later. */
static void check_new_on_full_disk(struct fixture *fixture)
{
    const struct store_lmdb_options options = options_of(fixture);

    small_disk_mount(fixture, DISK_MEBIBYTES);
    for (uint64_t left = 0; left <= 512 << 10; left += 4 << 10) {
        hog(fixture, left);
        assert_refused(&options, ERR_SYSTEM, "the disk is full");
    }
    hog(fixture, 2 << 20);
    open_store(fixture);
    fixture_put(fixture, STORE_META, "a", "b");
    fixture_commit(fixture);
    close_store(fixture);
}

static void test_new_on_full_disk(void **state)
{
    small_disk_test(*state, check_new_on_full_disk);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_reopen),
        DISK_TEST(test_default_map_is_small_on_disk),
        DISK_TEST(test_makes_the_folder),
        DISK_TEST(test_folder_that_cannot_be_written),
        DISK_TEST(test_one_host_a_folder),
        DISK_TEST(test_read_only),
        DISK_TEST(test_newer_format_is_refused),
        DISK_TEST(test_foreign_file_is_refused),
        DISK_TEST(test_killed_while_committing),
        DISK_TEST(test_full_map),
        DISK_TEST(test_full_disk),
        DISK_TEST(test_nearly_full_disk),
        DISK_TEST(test_new_on_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
