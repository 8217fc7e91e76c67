/* SPDX-License-Identifier: Apache-2.0
 *
 * A table is a sorted array of pointers to rows that never change. An epoch makes new arrays for the tables it
 * touches and shares the others and all untouched rows with the version before it, which stays readable. What
 * an epoch replaced or deleted is remembered by the version it stood in last, and freed together with it.
 */
#include "store_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "store_internal.h"

struct memory_row {
    struct slice key;
    struct slice value;
    uint8_t bytes[]; /* of both */
};

struct memory_table {
    struct memory_row **rows;
    uint32_t count;
    bool is_shared; /* the array is the next version's too, and freed by that */
};

struct version {
    struct memory_table tables[STORE_TABLE_COUNT];
    uint64_t bytes;
    struct memory_row **dead; /* rows that are in this version, but not in the next */
    uint32_t dead_count;
    uint32_t dead_capacity;
};

struct store_memory {
    struct store store;
    pthread_mutex_t mutex;                                /* held by each call, for all that follows */
    struct version *versions[STORE_MEMORY_SNAPSHOTS_MAX]; /* the oldest first */
    uint32_t version_count;
    uint32_t age;
    enum store_apply fault;
    bool fault_is_stored;
    uint32_t fault_times;
    uint32_t read_fault_times;
};

static struct store_memory *memory_of(struct store *store)
{
    return (struct store_memory *)(void *)store;
}

static struct store_memory *lock(struct store *store)
{
    struct store_memory *memory = memory_of(store);

    check(pthread_mutex_lock(&memory->mutex) == 0); /* tidy: allow impure-call: a lock asks nothing of the world */
    return memory;
}

static void unlock(struct store_memory *memory)
{
    check(pthread_mutex_unlock(&memory->mutex) == 0); /* tidy: allow impure-call: likewise */
}

static struct version *newest_version(const struct store_memory *store)
{
    return store->versions[store->version_count - 1];
}

static struct version *aged_version(const struct store_memory *store)
{
    const uint32_t last = store->version_count - 1;

    return store->versions[store->age < last ? last - store->age : 0];
}

/* ---- rows and versions ---------------------------------------------------------------------------------------- */

static struct memory_row *row_create(struct slice key, struct slice value)
{
    struct memory_row *row = malloc(sizeof *row + key.size + value.size);

    check(row != NULL);
    memcpy(row->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(row->bytes + key.size, value.data, value.size);
    }
    row->key = (struct slice){row->bytes, key.size};
    row->value = (struct slice){row->bytes + key.size, value.size};
    return row;
}

static uint64_t row_bytes(const struct memory_row *row)
{
    return row->key.size + row->value.size;
}

static void add_dead(struct version *version, struct memory_row *row)
{
    if (version->dead_count == version->dead_capacity) {
        version->dead_capacity = version->dead_capacity == 0 ? 16 : version->dead_capacity * 2;
        version->dead = realloc(version->dead, version->dead_capacity * sizeof version->dead[0]);
        check(version->dead != NULL);
    }
    version->dead[version->dead_count++] = row;
}

/* Frees a version whose successor, if any, lives on. */
static void version_destroy(struct version *version)
{
    for (uint32_t i = 0; i < STORE_TABLE_COUNT; i++) {
        if (!version->tables[i].is_shared) {
            free(version->tables[i].rows);
        }
    }
    for (uint32_t i = 0; i < version->dead_count; i++) {
        free(version->dead[i]);
    }
    free(version->dead);
    free(version);
}

/* The place of the first row whose key is not below `key`, from `from` on. */
static uint32_t find_place(const struct memory_table *table, uint32_t from, struct slice key)
{
    uint32_t low = from;
    uint32_t high = table->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (slice_compare(table->rows[middle]->key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct memory_table *table, uint32_t place, struct slice key)
{
    return place < table->count && slice_equal(table->rows[place]->key, key);
}

/* ---- apply ---------------------------------------------------------------------------------------------------- */

static void copy_rows(struct memory_table *to, const struct memory_table *from, uint32_t begin, uint32_t end)
{
    if (end > begin) {
        memcpy(to->rows + to->count, from->rows + begin, (end - begin) * sizeof to->rows[0]);
        to->count += end - begin;
    }
}

/* Merges the sorted operations [begin, end) of one table into a new array. False: an append is out of order. */
static bool merge(struct version *old, struct version *new, const struct epoch *epoch, uint32_t begin, uint32_t end)
{
    const enum store_table number = epoch->ops[begin].table;
    const struct memory_table *from = &old->tables[number];
    struct memory_table *to = &new->tables[number];
    uint32_t place = 0;

    *to = (struct memory_table){.rows = malloc((from->count + (end - begin)) * sizeof to->rows[0])};
    check(to->rows != NULL);
    for (uint32_t i = begin; i < end; i++) {
        const struct op *op = &epoch->ops[i];
        const uint32_t next = find_place(from, place, op->key);
        copy_rows(to, from, place, next);
        place = next;
        if (op->kind == OP_APPEND && place < from->count) {
            return false;
        }
        if (is_at(from, place, op->key)) {
            new->bytes -= row_bytes(from->rows[place]);
            add_dead(old, from->rows[place++]);
        }
        if (op->kind != OP_DELETE) {
            struct memory_row *row = row_create(op->key, op->value);
            new->bytes += row_bytes(row);
            to->rows[to->count++] = row;
        }
    }
    copy_rows(to, from, place, from->count);
    return true;
}

/* Takes the half-made version back; rows it made itself are those that the old one does not have. */
static void abandon(struct version *old, struct version *new)
{
    for (uint32_t t = 0; t < STORE_TABLE_COUNT; t++) {
        const struct memory_table *from = &old->tables[t];
        const struct memory_table *to = &new->tables[t];
        for (uint32_t i = 0; to->rows != from->rows && i < to->count; i++) {
            const uint32_t place = find_place(from, 0, to->rows[i]->key);
            if (place == from->count || from->rows[place] != to->rows[i]) {
                free(to->rows[i]);
            }
        }
        new->tables[t].is_shared = to->rows == from->rows;
    }
    old->dead_count = 0;
    version_destroy(new);
}

/* The version after `old`, or NULL if the epoch cannot be applied. */
static struct version *version_after(struct version *old, const struct epoch *epoch)
{
    struct version *new = calloc(1, sizeof *new);
    bool is_good = true;

    check(new != NULL);
    memcpy(new->tables, old->tables, sizeof new->tables);
    new->bytes = old->bytes;
    for (uint32_t begin = 0, end = 0; begin < epoch->op_count && is_good; begin = end) {
        while (end < epoch->op_count && epoch->ops[end].table == epoch->ops[begin].table) {
            end++;
        }
        is_good = merge(old, new, epoch, begin, end);
    }
    if (!is_good) {
        abandon(old, new);
        return NULL;
    }
    for (uint32_t t = 0; t < STORE_TABLE_COUNT; t++) {
        old->tables[t].is_shared = old->tables[t].rows == new->tables[t].rows;
    }
    return new;
}

static void push_version(struct store_memory *store, struct version *version)
{
    if (store->version_count == STORE_MEMORY_SNAPSHOTS_MAX) {
        version_destroy(store->versions[0]);
        memmove(store->versions, store->versions + 1, (STORE_MEMORY_SNAPSHOTS_MAX - 1) * sizeof store->versions[0]);
        store->version_count--;
    }
    store->versions[store->version_count++] = version;
}

static enum err_code version_epoch(const struct version *version, uint64_t *out, struct err *err)
{
    const struct memory_table *meta = &version->tables[STORE_META];
    const struct slice key = SLICE("epoch");
    const uint32_t place = find_place(meta, 0, key);

    return store_epoch_number(is_at(meta, place, key) ? meta->rows[place]->value : SLICE_EMPTY, out, err);
}

static enum store_apply apply_now(struct store_memory *store, const struct epoch *epoch, struct err *err)
{
    uint64_t newest = 0;

    if (version_epoch(newest_version(store), &newest, err) != ERR_NONE) {
        return STORE_FAILED;
    }
    if (epoch->number <= newest) {
        (void)err_set(err, ERR_SYSTEM, "epoch %llu comes after epoch %llu, which is stored already",
                      (unsigned long long)epoch->number, (unsigned long long)newest);
        return STORE_FAILED;
    }
    struct version *next = version_after(newest_version(store), epoch);
    if (next == NULL) {
        (void)err_set(err, ERR_SYSTEM, "epoch %llu appends out of order", (unsigned long long)epoch->number);
        return STORE_FAILED;
    }
    push_version(store, next);
    return STORE_APPLIED;
}

static enum store_apply apply_or_fail(struct store_memory *store, const struct epoch *epoch, struct err *err)
{
    if (store->fault_times == 0) {
        return apply_now(store, epoch, err);
    }
    store->fault_times--;
    if (store->fault == STORE_IS_FULL) {
        (void)err_set(err, ERR_STORE_FULL, "epoch %llu does not fit: a fault was ordered",
                      (unsigned long long)epoch->number);
        return STORE_IS_FULL;
    }
    if (store->fault_is_stored && apply_now(store, epoch, err) != STORE_APPLIED) {
        return STORE_FAILED;
    }
    (void)err_set(err, ERR_SYSTEM, "epoch %llu cannot be stored: a fault was ordered",
                  (unsigned long long)epoch->number);
    return STORE_FAILED;
}

static enum store_apply apply(struct store *base, const struct epoch *epoch, struct err *err)
{
    store_check_sorted(epoch);
    struct store_memory *store = lock(base);
    const enum store_apply applied = apply_or_fail(store, epoch, err);
    unlock(store);
    return applied;
}

/* ---- read ----------------------------------------------------------------------------------------------------- */

static enum store_rows_add read_range(const struct version *version, struct store_rows *rows, uint32_t index,
                                      struct err *err)
{
    const struct read_range *range = &rows->read->ranges[index];
    const struct memory_table *table = &version->tables[range->table];
    enum store_rows_add added = STORE_ROWS_ADDED;

    for (uint32_t place = find_place(table, 0, range->key); place < table->count && added == STORE_ROWS_ADDED;
         place++) {
        const struct memory_row *row = table->rows[place];
        if ((range->kind == RANGE_KEY && !slice_equal(row->key, range->key)) ||
            (range->kind == RANGE_PREFIX && !store_has_prefix(row->key, range->key))) {
            break;
        }
        added = store_rows_add(rows, index, row->key, row->value, err);
    }
    return added;
}

static enum err_code read_or_fail(struct store_memory *store, const struct effect_read *read, struct arena *arena,
                                  struct input_rows *out, struct err *err)
{
    const struct version *version = aged_version(store);
    enum store_rows_add added = STORE_ROWS_ADDED;
    struct store_rows rows;
    uint64_t newest = 0;

    if (store->read_fault_times > 0) {
        store->read_fault_times--;
        return err_set(err, ERR_SYSTEM, "the store cannot be read: a fault was ordered");
    }
    const enum err_code code = version_epoch(version, &newest, err);
    if (code != ERR_NONE) {
        return code;
    }
    store_rows_begin(&rows, read, arena);
    for (uint32_t i = 0; i < read->range_count && added == STORE_ROWS_ADDED; i++) {
        added = read_range(version, &rows, i, err);
    }
    if (added == STORE_ROWS_NO_MEMORY) {
        return err->code;
    }
    store_rows_end(&rows, newest, out);
    return ERR_NONE;
}

static enum err_code read_rows(struct store *base, const struct effect_read *read, struct arena *arena,
                               struct input_rows *out, struct err *err)
{
    struct store_memory *store = lock(base);
    const enum err_code code = read_or_fail(store, read, arena, out, err);

    unlock(store);
    return code;
}

static struct store_figures figures(struct store *base)
{
    struct store_memory *store = lock(base);
    const uint64_t bytes = newest_version(store)->bytes;

    unlock(store);
    return (struct store_figures){.bytes_used = bytes, .bytes_file = bytes};
}

static uint64_t epoch_now(struct store *base)
{
    struct store_memory *store = lock(base);
    struct err err;
    uint64_t newest = 0;

    if (version_epoch(newest_version(store), &newest, &err) != ERR_NONE) {
        newest = 0;
    }
    unlock(store);
    return newest;
}

static void close_store(struct store *base)
{
    struct store_memory *store = memory_of(base);
    struct version *newest = newest_version(store);

    for (uint32_t t = 0; t < STORE_TABLE_COUNT; t++) {
        for (uint32_t i = 0; i < newest->tables[t].count; i++) {
            free(newest->tables[t].rows[i]);
        }
    }
    for (uint32_t i = 0; i < store->version_count; i++) {
        version_destroy(store->versions[i]);
    }
    free(store);
}

struct store *store_memory_create(void)
{
    static const struct store_vtable vtable = {apply, figures, epoch_now, read_rows, close_store};
    struct store_memory *store = calloc(1, sizeof *store);
    struct version *first = calloc(1, sizeof *first);

    check(store != NULL);
    check(first != NULL);
    store->store.vtable = &vtable;
    store->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    push_version(store, first);
    return &store->store;
}

struct store *store_memory_clone(struct store *base)
{
    struct store_memory *store = lock(base);
    const struct version *from = newest_version(store);
    struct store *clone = store_memory_create();
    struct version *to = newest_version(memory_of(clone));

    to->bytes = from->bytes;
    for (uint32_t t = 0; t < STORE_TABLE_COUNT; t++) {
        const uint32_t count = from->tables[t].count;
        to->tables[t].rows = calloc(count + 1, sizeof to->tables[t].rows[0]);
        check(to->tables[t].rows != NULL);
        to->tables[t].count = count;
        for (uint32_t i = 0; i < count; i++) {
            to->tables[t].rows[i] = row_create(from->tables[t].rows[i]->key, from->tables[t].rows[i]->value);
        }
    }
    unlock(store);
    return clone;
}

/* ---- for tests and the simulation ----------------------------------------------------------------------------- */

void store_memory_fail_next(struct store *base, enum store_apply how, bool is_stored, uint32_t times)
{
    check(how != STORE_APPLIED || times == 0);
    check(how == STORE_FAILED || !is_stored);
    struct store_memory *store = lock(base);
    store->fault = how;
    store->fault_is_stored = is_stored;
    store->fault_times = times;
    unlock(store);
}

void store_memory_fail_reads(struct store *base, uint32_t times)
{
    struct store_memory *store = lock(base);

    store->read_fault_times = times;
    unlock(store);
}

void store_memory_set_age(struct store *base, uint32_t epochs)
{
    struct store_memory *store = lock(base);

    store->age = epochs;
    unlock(store);
}

void store_memory_each(struct store *base, enum store_table table, store_memory_row *row, void *context)
{
    struct store_memory *store = lock(base);
    const struct memory_table *rows = &newest_version(store)->tables[table];

    for (uint32_t i = 0; i < rows->count; i++) {
        row(context, rows->rows[i]->key, rows->rows[i]->value);
    }
    unlock(store);
}

uint32_t store_memory_count(struct store *base, enum store_table table)
{
    struct store_memory *store = lock(base);
    const uint32_t count = newest_version(store)->tables[table].count;

    unlock(store);
    return count;
}
