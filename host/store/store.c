/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "check.h"
#include "record.h"
#include "store_internal.h"

enum { ROWS_CAPACITY_MIN = 8 };

enum store_apply store_apply(struct store *store, const struct epoch *epoch, struct err *err)
{
    return store->vtable->apply(store, epoch, err);
}

struct store_figures store_figures(struct store *store)
{
    return store->vtable->figures(store);
}

uint64_t store_epoch(struct store *store)
{
    return store->vtable->epoch(store);
}

void store_close(struct store *store)
{
    if (store != NULL) {
        store->vtable->close(store);
    }
}

enum err_code store_read(struct store *store, const struct effect_read *read, struct arena *arena,
                         struct input_rows *out, struct err *err)
{
    check(read->rows_max > 0);
    check(read->range_count <= LIMIT_READ_RANGES_MAX);
    return store->vtable->read(store, read, arena, out, err);
}

void store_rows_begin(struct store_rows *rows, const struct effect_read *read, struct arena *arena)
{
    *rows = (struct store_rows){.read = read, .arena = arena};
}

/* The array of rows doubles within the arena: what it leaves behind is at most as large again. */
static bool make_room(struct store_rows *rows)
{
    if (rows->count < rows->capacity) {
        return true;
    }
    const uint32_t capacity = rows->capacity == 0 ? ROWS_CAPACITY_MIN : rows->capacity * 2;
    struct row *grown = arena_alloc(rows->arena, capacity * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    if (rows->count > 0) {
        memcpy(grown, rows->rows, rows->count * sizeof *grown);
    }
    rows->rows = grown;
    rows->capacity = capacity;
    return true;
}

enum store_rows_add store_rows_add(struct store_rows *rows, uint32_t range, struct slice key, struct slice value,
                                   struct err *err)
{
    const uint64_t bytes = rows->count == 0 ? 0 : rows->bytes + key.size + value.size;

    if (rows->count == rows->read->rows_max || bytes > rows->read->bytes_max) {
        rows->is_cut = true;
        return STORE_ROWS_CUT;
    }
    struct row row = {.range = range};
    bool has_room = make_room(rows);
    if (has_room) {
        row.key = arena_copy(rows->arena, key);
        row.value = arena_copy(rows->arena, value);
        has_room = (key.size == 0 || row.key.data != NULL) && (value.size == 0 || row.value.data != NULL);
    }
    if (!has_room) {
        (void)err_set(err, ERR_NO_MEMORY, "no memory for a row of %zu bytes", key.size + value.size);
        return STORE_ROWS_NO_MEMORY;
    }
    rows->rows[rows->count++] = row;
    rows->bytes = bytes;
    return STORE_ROWS_ADDED;
}

void store_rows_end(const struct store_rows *rows, uint64_t epoch, struct input_rows *out)
{
    const uint64_t read = out->read;

    *out = (struct input_rows){
        .read = read, .epoch = epoch, .is_cut = rows->is_cut, .row_count = rows->count, .rows = rows->rows};
}

bool store_has_prefix(struct slice key, struct slice prefix)
{
    return key.size >= prefix.size && (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

enum err_code store_epoch_number(struct slice value, uint64_t *out, struct err *err)
{
    struct epoch_record record;

    if (value.data == NULL) {
        *out = 0;
        return ERR_NONE;
    }
    const enum err_code code = record_get_epoch(value, &record, err);
    if (code != ERR_NONE) {
        return err_wrap(err, "row epoch of meta");
    }
    *out = record.number;
    return ERR_NONE;
}

void store_check_sorted(const struct epoch *epoch)
{
    for (uint32_t i = 1; i < epoch->op_count; i++) {
        const struct op *before = &epoch->ops[i - 1];
        const struct op *op = &epoch->ops[i];
        check(before->table <= op->table);
        check(before->table < op->table || slice_compare(before->key, op->key) < 0);
    }
}
