/* SPDX-License-Identifier: Apache-2.0
 *
 * journal_bench.c: stores with a journal, opened as tests need them; copies of their folders.
 */
#include "journal_bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t seed;

void bench_seed(uint64_t number)
{
    seed = number;
}

uint32_t bench_random(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 20) % bound);
}

int bench_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    folder_make(fixture->folder, sizeof fixture->folder);
    *state = fixture;
    return 0;
}

int bench_teardown(void **state)
{
    struct fixture *fixture = *state;

    epoch_destroy(fixture->epoch);
    arena_destroy(fixture->arena);
    store_close(fixture->store);
    folder_remove(fixture->folder);
    free(fixture);
    return 0;
}

const struct how bench_rarely = {.checkpoint_bytes = UINT32_MAX, .checkpoint_ms = UINT32_MAX};

enum err_code bench_try_open(struct fixture *fixture, const char *folder, const struct how *how)
{
    const struct store_lmdb_options tables = {.folder = folder,
                                              .map_bytes = BENCH_MAP_BYTES,
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

void bench_open(struct fixture *fixture, const char *folder, const struct how *how)
{
    if (bench_try_open(fixture, folder, how) != ERR_NONE) {
        fail_msg("%s", fixture->err.text);
    }
    fixture->number = store_epoch(fixture->store);
}

void bench_close(struct fixture *fixture)
{
    store_close(TAKE(fixture->store));
}

void folder_path(char *path, size_t size, const char *folder, const char *name)
{
    assert_in_range(snprintf(path, size, "%s/%s", folder, name), 1, size - 1);
}

/* A copy of a file as it is now, zeros without blocks of their own. */
void folder_copy_file(const char *from_folder, const char *to_folder, const char *name)
{
    uint8_t bytes[BENCH_PAGE];
    char path[512];
    off_t at = 0;
    ssize_t got = 0;

    folder_path(path, sizeof path, from_folder, name);
    const int from = open(path, O_RDONLY);
    folder_path(path, sizeof path, to_folder, name);
    const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(from >= 0 && to >= 0);
    while ((got = read(from, bytes, sizeof bytes)) > 0) {
        static const uint8_t zeros[BENCH_PAGE];
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

void folder_copy(const char *from, const char *to)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        folder_path(path, sizeof path, from, files[i]);
        if (access(path, F_OK) == 0) {
            folder_copy_file(from, to, files[i]);
            continue;
        }
        folder_path(path, sizeof path, to, files[i]);
        (void)unlink(path); /* it may be missing there too */
    }
}
