/* SPDX-License-Identifier: Apache-2.0
 *
 * test_layer.c: layers: every version as of every epoch, whoever adds meanwhile; and the fold, which must leave in a
 * store what its epochs one by one would have left.
 */
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "layer.h"
#include "record.h"
#include "store_memory.h"
#include "thread.h"

enum { KEYS = 24, TABLES = 2, EPOCHS = 60, SEEDS = 60 };

static const enum store_table tables[TABLES] = {STORE_STATE, STORE_MAIL};
static uint64_t seed;

static uint32_t random_below(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 20) % bound);
}

static void begin_random(uint64_t number)
{
    seed = (number + 1) * 0x9e3779b97f4a7c15U;
}

/* In the order of their numbers; some are prefixes of others. */
static struct slice key_of(char *buffer, size_t size, uint32_t number)
{
    (void)snprintf(buffer, size, number % 3 == 0 ? "%02u" : number % 3 == 1 ? "%02u-" : "%02u--", number / 3);
    return slice_of(buffer);
}

static void add(struct layer *layer, enum op_kind kind, enum store_table table, const char *key, const char *value,
                uint64_t epoch)
{
    const struct op op = {kind, table, slice_of(key), slice_of(value)};

    layer_add(layer, &op, epoch);
}

static void assert_row(const struct layer_row *row, const char *key, const char *value, uint64_t epoch)
{
    assert_non_null(row);
    assert_true(slice_equal(row->key, slice_of(key)));
    assert_true(slice_equal(row->value, slice_of(value)));
    assert_int_equal(row->epoch, epoch);
}

static void an_empty_layer_has_nothing(void **state)
{
    struct layer *layer = layer_create();
    struct epoch epoch;

    (void)state;
    assert_null(layer_seek(layer, STORE_META, SLICE_EMPTY, UINT64_MAX));
    assert_int_equal(layer_bytes(layer), 0);
    layer_fold(layer, 7, &epoch);
    assert_int_equal(epoch.op_count, 0);
    assert_int_equal(epoch.number, 7);
    free(epoch.ops);
    layer_destroy(layer);
    layer_destroy(NULL);
}

static void a_row_is_seen_as_of_an_epoch(void **state)
{
    struct layer *layer = layer_create();
    const struct layer_row *row = NULL;

    (void)state;
    add(layer, OP_PUT, STORE_STATE, "b", "1", 3);
    add(layer, OP_PUT, STORE_STATE, "b", "two", 5);
    add(layer, OP_DELETE, STORE_STATE, "b", "", 6);
    add(layer, OP_PUT, STORE_STATE, "a", "x", 6);
    add(layer, OP_PUT, STORE_TIMER, "a", "of another table", 6);
    assert_int_equal(layer_bytes(layer), 1 + 1 + 1 + 3 + 1 + 2 + 1 + 16);
    assert_null(layer_seek(layer, STORE_STATE, SLICE_EMPTY, 2));
    assert_row(layer_seek(layer, STORE_STATE, SLICE_EMPTY, 3), "b", "1", 3);
    assert_row(layer_seek(layer, STORE_STATE, SLICE_EMPTY, 4), "b", "1", 3);
    assert_row(layer_seek(layer, STORE_STATE, SLICE("a"), 5), "b", "two", 5);
    row = layer_seek(layer, STORE_STATE, SLICE_EMPTY, 6);
    assert_row(row, "a", "x", 6);
    row = layer_next(layer, row, 6);
    assert_row(row, "b", "", 6);
    assert_int_equal(row->kind, OP_DELETE);
    assert_null(layer_next(layer, row, 6)); /* the next table's rows are its own */
    assert_null(layer_seek(layer, STORE_STATE, SLICE("b\0"), 6));
    assert_null(layer_seek(layer, STORE_INSTANCE, SLICE_EMPTY, 6));
    layer_destroy(layer);
}

static void keys_are_counted_once(void **state)
{
    struct layer *layer = layer_create();

    (void)state;
    assert_int_equal(layer_keys(layer), 0);
    add(layer, OP_PUT, STORE_STATE, "b", "1", 1);
    add(layer, OP_DELETE, STORE_STATE, "a", "", 1);
    add(layer, OP_PUT, STORE_TIMER, "b", "", 1);
    assert_int_equal(layer_keys(layer), 3);
    add(layer, OP_DELETE, STORE_STATE, "b", "", 2);
    add(layer, OP_PUT, STORE_STATE, "a", "", 2);
    add(layer, OP_APPEND, STORE_MAIL, "1", "", 2);
    add(layer, OP_DELETE, STORE_MAIL, "1", "", 3);
    assert_int_equal(layer_keys(layer), 3);
    layer_destroy(layer);
}

/* By epoch, table and key: the epoch of the version; 0: none. */
typedef uint64_t versions[EPOCHS + 1][TABLES][KEYS];

static struct layer *random_layer(versions newest)
{
    struct layer *layer = layer_create();
    char name[16];

    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        memcpy(newest[epoch], newest[epoch - 1], sizeof newest[0]);
        for (uint32_t changes = random_below(6); changes > 0; changes--) {
            const uint32_t table = random_below(TABLES);
            const uint32_t key = random_below(KEYS);
            if (newest[epoch][table][key] != epoch) {
                newest[epoch][table][key] = epoch;
                const struct op op = {random_below(2) == 0 ? OP_PUT : OP_DELETE, tables[table],
                                      key_of(name, sizeof name, key), SLICE_EMPTY};
                layer_add(layer, &op, epoch);
            }
        }
    }
    return layer;
}

/* The keys of one table as of one epoch, from one of them on. */
static void compare(const struct layer *layer, versions newest, uint64_t epoch, uint32_t table)
{
    const uint32_t from = random_below(KEYS);
    char name[16];
    const struct layer_row *row = layer_seek(layer, tables[table], key_of(name, sizeof name, from), epoch);

    for (uint32_t key = from; key < KEYS; key++) {
        if (newest[epoch][table][key] != 0) {
            assert_non_null(row);
            assert_true(slice_equal(row->key, key_of(name, sizeof name, key)));
            assert_int_equal(row->epoch, newest[epoch][table][key]);
            row = layer_next(layer, row, epoch);
        }
    }
    assert_null(row);
}

/* Random changes against a plain table of who wrote what when; every key, as of every epoch. */
static void every_version_is_found(void **state)
{
    static versions newest;

    (void)state;
    for (uint64_t number = 0; number < SEEDS; number++) {
        begin_random(number);
        memset(newest, 0, sizeof newest);
        struct layer *layer = random_layer(newest);
        for (uint64_t epoch = 0; epoch <= EPOCHS; epoch++) {
            for (uint32_t table = 0; table < TABLES; table++) {
                compare(layer, newest, epoch, table);
            }
        }
        layer_destroy(layer);
    }
}

/* One key that every epoch changes: to pass over its versions one by one would take hours. */
static void many_versions_of_one_key_are_quick(void **state)
{
    enum { VERSIONS = 300000 };
    struct layer *layer = layer_create();

    (void)state;
    add(layer, OP_PUT, STORE_STATE, "b", "", 1);
    for (uint64_t epoch = 1; epoch <= VERSIONS; epoch++) {
        add(layer, OP_PUT, STORE_STATE, "a", "", epoch);
    }
    for (uint64_t epoch = 1; epoch <= VERSIONS; epoch++) {
        const struct layer_row *row = layer_seek(layer, STORE_STATE, SLICE_EMPTY, epoch);
        assert_int_equal(row->epoch, epoch);
        assert_row(layer_next(layer, row, epoch), "b", "", 1);
    }
    layer_destroy(layer);
}

/* ---- fold ----------------------------------------------------------------------------------------------------- */

static void assert_op(const struct epoch *epoch, uint32_t index, enum op_kind kind, const char *key, const char *value)
{
    assert_in_range(index, 0, epoch->op_count - 1);
    assert_int_equal(epoch->ops[index].kind, kind);
    assert_true(slice_equal(epoch->ops[index].key, slice_of(key)));
    assert_true(slice_equal(epoch->ops[index].value, slice_of(value)));
}

static void the_fold_is_the_newest_of_every_key(void **state)
{
    struct layer *layer = layer_create();
    struct epoch epoch;

    (void)state;
    add(layer, OP_APPEND, STORE_MAIL, "1", "came and went", 1);
    add(layer, OP_APPEND, STORE_MAIL, "2", "stays, changed", 1);
    add(layer, OP_DELETE, STORE_MAIL, "1", "", 2);
    add(layer, OP_PUT, STORE_MAIL, "2", "two", 2);
    add(layer, OP_APPEND, STORE_MAIL, "3", "three", 2);
    add(layer, OP_DELETE, STORE_MAIL, "0", "", 3);
    add(layer, OP_APPEND, STORE_MAIL, "4", "four", 3);
    add(layer, OP_PUT, STORE_PARKED, "1", "", 3);
    layer_fold(layer, 3, &epoch);
    assert_int_equal(epoch.op_count, 5);
    assert_op(&epoch, 0, OP_DELETE, "0", "");
    assert_op(&epoch, 1, OP_PUT, "2", "two");
    assert_op(&epoch, 2, OP_APPEND, "3", "three");
    assert_op(&epoch, 3, OP_APPEND, "4", "four");
    assert_op(&epoch, 4, OP_PUT, "1", "");
    free(epoch.ops);
    layer_destroy(layer);
}

static void an_append_stays_one_only_at_the_end(void **state)
{
    struct layer *layer = layer_create();
    struct epoch epoch;

    (void)state;
    add(layer, OP_DELETE, STORE_MAIL, "7", "", 1); /* it is below */
    add(layer, OP_APPEND, STORE_MAIL, "5", "five", 2);
    add(layer, OP_DELETE, STORE_TIMER, "9", "", 2); /* so is this */
    add(layer, OP_APPEND, STORE_TIMER, "9", "again", 3);
    layer_fold(layer, 3, &epoch);
    assert_int_equal(epoch.op_count, 3);
    assert_op(&epoch, 0, OP_PUT, "5", "five");
    assert_op(&epoch, 1, OP_DELETE, "7", "");
    assert_op(&epoch, 2, OP_PUT, "9", "again");
    free(epoch.ops);
    layer_destroy(layer);
}

/* A random epoch; whether its appends are in order is for the store to say. */
static struct epoch *random_epoch(uint64_t number)
{
    const struct epoch_record record = {.number = number};
    struct epoch *epoch = epoch_create(number, 1 << 20);
    bool is_touched[TABLES][KEYS] = {{false}};
    char name[16];
    struct buf buf;

    buf_init(&buf, 1000);
    record_put_epoch(&buf, &record);
    epoch_add(epoch, OP_PUT, STORE_META, SLICE("epoch"), buf_slice(&buf));
    buf_done(&buf);
    for (uint32_t changes = random_below(4); changes > 0; changes--) {
        const uint32_t table = random_below(TABLES);
        const uint32_t key = random_below(KEYS);
        if (!is_touched[table][key]) {
            is_touched[table][key] = true;
            const enum op_kind kind = (enum op_kind)random_below(3);
            char value[8];
            (void)snprintf(value, sizeof value, "%u", random_below(100000));
            epoch_add(epoch, kind, tables[table], key_of(name, sizeof name, key),
                      kind == OP_DELETE ? SLICE_EMPTY : slice_of(value));
        }
    }
    epoch_sort(epoch);
    return epoch;
}

static void append_row(void *context, struct slice key, struct slice value)
{
    struct buf *buf = context;

    buf_append_slice(buf, key);
    buf_append_text(buf, "=");
    buf_append_slice(buf, value);
    buf_append_text(buf, " ");
}

static void assert_same_rows(struct store *a, struct store *b)
{
    for (uint32_t table = 0; table < STORE_TABLE_COUNT; table++) {
        struct buf rows[2];
        for (int i = 0; i < 2; i++) {
            buf_init(&rows[i], 1 << 20);
            store_memory_each(i == 0 ? a : b, (enum store_table)table, append_row, &rows[i]);
            assert_false(rows[i].overflow);
        }
        assert_true(slice_equal(buf_slice(&rows[0]), buf_slice(&rows[1])));
        buf_done(&rows[0]);
        buf_done(&rows[1]);
    }
}

/* Two stores that are equal: one takes the epochs one by one, the other takes them folded, some at a time. */
static void the_fold_leaves_what_its_epochs_would(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 20 * SEEDS; number++) {
        struct store *each = store_memory_create();
        struct store *folds = store_memory_create();
        struct layer *layer = layer_create();
        struct err err;
        uint64_t stored = 0;

        begin_random(number);
        while (stored < EPOCHS) {
            struct epoch *epoch = random_epoch(stored + 1);
            if (store_apply(each, epoch, &err) == STORE_APPLIED) {
                stored++;
                for (uint32_t i = 0; i < epoch->op_count; i++) {
                    layer_add(layer, &epoch->ops[i], stored);
                }
            }
            epoch_destroy(epoch);
            if (random_below(8) == 0 && layer_bytes(layer) > 0) {
                struct epoch fold;
                layer_fold(layer, stored, &fold);
                if (store_apply(folds, &fold, &err) != STORE_APPLIED) {
                    fail_msg("seed %u: %s", (unsigned)number, err.text);
                }
                free(fold.ops);
                assert_same_rows(each, folds);
                layer_destroy(layer);
                layer = layer_create();
            }
        }
        layer_destroy(layer);
        store_close(each);
        store_close(folds);
    }
}

/* ---- threads -------------------------------------------------------------------------------------------------- */

enum { READERS = 2, PUBLISHED = 4000, PUBLISHED_KEYS = 12 };

struct published {
    struct layer *layer;
    _Atomic uint64_t epoch; /* that all of is added */
    atomic_bool has_failed; /* cmocka's asserts are the main thread's */
};

/* Epoch n puts its number into every third key, and beside it a key of its own. */
static void publish(struct published *published, uint64_t epoch)
{
    const struct slice value = {(const uint8_t *)&epoch, sizeof epoch};
    char name[32];

    for (uint32_t key = (uint32_t)(epoch % 3); key < PUBLISHED_KEYS; key += 3) {
        (void)snprintf(name, sizeof name, "%02u", key);
        const struct op op = {OP_PUT, STORE_STATE, slice_of(name), value};
        layer_add(published->layer, &op, epoch);
    }
    (void)snprintf(name, sizeof name, "%02u-%u", (uint32_t)(epoch % PUBLISHED_KEYS), (uint32_t)epoch);
    const struct op op = {OP_PUT, STORE_TIMER, slice_of(name), value};
    layer_add(published->layer, &op, epoch);
    atomic_store_explicit(&published->epoch, epoch, memory_order_release);
}

/* As of epoch n: each key has the newest number not above n, and there are n rows in the other table. */
static bool is_whole(const struct published *published, uint64_t epoch, bool with_rows)
{
    const struct layer_row *row = layer_seek(published->layer, STORE_STATE, SLICE_EMPTY, epoch);
    uint64_t rows = 0;

    for (uint32_t key = 0; key < PUBLISHED_KEYS; key++) {
        uint64_t expected = epoch;
        while (expected % 3 != key % 3) {
            expected--;
        }
        if (row == NULL || row->epoch != expected || memcmp(row->value.data, &expected, sizeof expected) != 0) {
            return false;
        }
        row = layer_next(published->layer, row, epoch);
    }
    for (const struct layer_row *other = with_rows ? layer_seek(published->layer, STORE_TIMER, SLICE_EMPTY, epoch)
                                                   : NULL;
         other != NULL; other = layer_next(published->layer, other, epoch)) {
        rows++;
    }
    return row == NULL && (!with_rows || rows == epoch);
}

static void look(void *context)
{
    struct published *published = context;
    uint64_t looks = 0;
    uint64_t epoch = 0;

    while (epoch < PUBLISHED && !atomic_load(&published->has_failed)) {
        epoch = atomic_load_explicit(&published->epoch, memory_order_acquire);
        if (epoch >= 3 && !is_whole(published, epoch - looks % 2, looks % 64 == 0)) {
            atomic_store(&published->has_failed, true);
        }
        looks += epoch >= 4;
    }
}

static void readers_need_no_lock(void **state)
{
    struct published published = {.layer = layer_create()};
    struct thread threads[READERS];
    struct err err;

    (void)state;
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(thread_start(&threads[i], "look", look, &published, &err), ERR_NONE);
    }
    for (uint64_t epoch = 1; epoch <= PUBLISHED; epoch++) {
        publish(&published, epoch);
    }
    for (int i = 0; i < READERS; i++) {
        thread_join(&threads[i]);
    }
    assert_false(atomic_load(&published.has_failed));
    layer_destroy(published.layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_layer_has_nothing),
        cmocka_unit_test(a_row_is_seen_as_of_an_epoch),
        cmocka_unit_test(keys_are_counted_once),
        cmocka_unit_test(every_version_is_found),
        cmocka_unit_test(many_versions_of_one_key_are_quick),
        cmocka_unit_test(the_fold_is_the_newest_of_every_key),
        cmocka_unit_test(an_append_stays_one_only_at_the_end),
        cmocka_unit_test(the_fold_leaves_what_its_epochs_would),
        cmocka_unit_test(readers_need_no_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
