/* SPDX-License-Identifier: Apache-2.0
 *
 * contract.c: the fixture of the contract: stores made and removed, epochs filled and applied, answers read.
 */
#include "contract.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "record.h"

enum { EPOCH_BYTES_MAX = 256 << 20, ANSWER_BYTES_MAX = 256 << 20 };

void folder_make(char *path, size_t size)
{
    const char *place = getenv("TMPDIR");

    assert_in_range(snprintf(path, size, "%s/proa-store-XXXXXX", place != NULL ? place : "/tmp"), 1, size - 1);
    assert_non_null(mkdtemp(path));
}

void folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry = NULL;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0); /* fails for "." and ".." */
    }
    assert_int_equal(closedir(folder), 0);
    assert_int_equal(rmdir(path), 0);
}

int fixture_memory(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->store = store_memory_create();
    *state = fixture;
    return 0;
}

static struct store *open_lmdb(struct fixture *fixture)
{
    const struct store_lmdb_options options = {
        .folder = fixture->folder, .map_bytes = CONTRACT_MAP_BYTES, .is_not_durable = true};
    struct store *store = NULL;

    assert_int_equal(store_lmdb_open(&options, &store, &fixture->err), ERR_NONE);
    return store;
}

static struct fixture *create_on_disk(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->has_folder = true;
    folder_make(fixture->folder, sizeof fixture->folder);
    return fixture;
}

int fixture_lmdb(void **state)
{
    struct fixture *fixture = create_on_disk();

    fixture->store = open_lmdb(fixture);
    *state = fixture;
    return 0;
}

static int open_journal(void **state, bool is_twin, uint64_t checkpoint_bytes)
{
    struct fixture *fixture = create_on_disk();
    const struct store_journal_options options = {.folder = fixture->folder,
                                                  .below = is_twin ? store_memory_create() : open_lmdb(fixture),
                                                  .is_not_durable = true,
                                                  .checkpoint_bytes = checkpoint_bytes,
                                                  .checkpoint_ms = UINT32_MAX};

    fixture->is_journal = true;
    assert_int_equal(store_journal_open(&options, &fixture->store, &fixture->err), ERR_NONE);
    *state = fixture;
    return 0;
}

int fixture_journal(void **state)
{
    return open_journal(state, false, UINT32_MAX);
}

int fixture_journal_checkpoints(void **state)
{
    return open_journal(state, false, 1);
}

int fixture_journal_twin(void **state)
{
    return open_journal(state, true, UINT32_MAX);
}

int fixture_journal_twin_checkpoints(void **state)
{
    return open_journal(state, true, 1);
}

struct store_figures fixture_figures(struct fixture *fixture)
{
    if (fixture->is_journal) {
        store_journal_settle(fixture->store);
    }
    return store_figures(fixture->store);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    epoch_destroy(fixture->epoch);
    arena_destroy(fixture->arena);
    store_close(fixture->store);
    if (fixture->has_folder) {
        folder_remove(fixture->folder);
    }
    free(fixture);
    return 0;
}

static void begin(struct fixture *fixture)
{
    if (fixture->epoch == NULL) {
        fixture->epoch = epoch_create(++fixture->number, EPOCH_BYTES_MAX);
    }
}

void fixture_put_slice(struct fixture *fixture, enum op_kind kind, enum store_table table, struct slice key,
                       struct slice value)
{
    begin(fixture);
    epoch_add(fixture->epoch, kind, table, key, value);
}

void fixture_put(struct fixture *fixture, enum store_table table, const char *key, const char *value)
{
    fixture_put_slice(fixture, OP_PUT, table, slice_of(key), slice_of(value));
}

void fixture_delete(struct fixture *fixture, enum store_table table, const char *key)
{
    fixture_put_slice(fixture, OP_DELETE, table, slice_of(key), SLICE_EMPTY);
}

enum store_apply fixture_apply(struct fixture *fixture)
{
    begin(fixture);
    const struct epoch_record record = {.number = fixture->number, .time_ms = 1000, .ceiling = 77};
    struct buf buf;

    buf_init(&buf, 4096);
    record_put_epoch(&buf, &record);
    assert_false(buf.overflow);
    fixture_put_slice(fixture, OP_PUT, STORE_META, SLICE("epoch"), buf_slice(&buf));
    buf_done(&buf);
    epoch_sort(fixture->epoch);
    const enum store_apply applied = store_apply(fixture->store, fixture->epoch, &fixture->err);
    if (applied == STORE_APPLIED) {
        fixture_drop(fixture);
    }
    return applied;
}

void fixture_commit(struct fixture *fixture)
{
    const enum store_apply applied = fixture_apply(fixture);

    if (applied != STORE_APPLIED) {
        fail_msg("%s", fixture->err.text);
    }
}

void fixture_drop(struct fixture *fixture)
{
    epoch_destroy(fixture->epoch);
    fixture->epoch = NULL;
}

void fixture_read(struct fixture *fixture, const struct read_range *ranges, uint32_t count, uint32_t rows_max,
                  uint32_t bytes_max)
{
    const struct effect_read read = {
        .read = 5, .ranges = ranges, .range_count = count, .rows_max = rows_max, .bytes_max = bytes_max};

    arena_destroy(fixture->arena);
    fixture->arena = arena_create(ANSWER_BYTES_MAX);
    assert_non_null(fixture->arena);
    fixture->rows = (struct input_rows){.read = 9};
    if (store_read(fixture->store, &read, fixture->arena, &fixture->rows, &fixture->err) != ERR_NONE) {
        fail_msg("%s", fixture->err.text);
    }
    assert_int_equal(fixture->rows.read, 9);
    assert_false(fixture->rows.has_failed);
}

void fixture_range(struct fixture *fixture, enum range_kind kind, enum store_table table, const char *key)
{
    const struct read_range range = {kind, table, slice_of(key)};

    fixture_read(fixture, &range, 1, LIMIT_READ_ROWS_MAX, LIMIT_READ_BYTES_MAX);
}

void assert_keys(const struct fixture *fixture, const char *expected)
{
    struct buf buf;

    buf_init(&buf, 65536);
    for (uint32_t i = 0; i < fixture->rows.row_count; i++) {
        buf_append_text(&buf, i == 0 ? "" : " ");
        buf_append_slice(&buf, fixture->rows.rows[i].key);
    }
    buf_append_u8(&buf, 0);
    assert_false(buf.overflow);
    assert_string_equal((const char *)buf.data, expected);
    buf_done(&buf);
}

void assert_value(const struct fixture *fixture, uint32_t row, const char *expected)
{
    assert_in_range(row, 0, fixture->rows.row_count - 1);
    assert_true(slice_equal(fixture->rows.rows[row].value, slice_of(expected)));
}
