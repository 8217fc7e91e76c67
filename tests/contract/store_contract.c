/* SPDX-License-Identifier: Apache-2.0
 *
 * store_contract.c: what every store promises, asserted of both: the one on disk and its twin in memory.
 */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>

static void test_new_store_is_empty(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(store_epoch(fixture->store), 0);
    for (uint32_t table = 0; table < STORE_TABLE_COUNT; table++) {
        fixture_range(fixture, RANGE_FROM, (enum store_table)table, "");
        assert_int_equal(fixture->rows.row_count, 0);
        assert_int_equal(fixture->rows.epoch, 0);
        assert_false(fixture->rows.is_cut);
    }
}

static void test_ranges(void **state)
{
    struct fixture *fixture = *state;

    fixture_put(fixture, STORE_INSTANCE, "b", "1");
    fixture_put(fixture, STORE_INSTANCE, "a", "2");
    fixture_put(fixture, STORE_INSTANCE, "ba", "3");
    fixture_put(fixture, STORE_INSTANCE, "c", "4");
    fixture_put(fixture, STORE_INSTANCE, "bb", "");
    fixture_put(fixture, STORE_STATE, "bz", "of another table");
    fixture_commit(fixture);

    fixture_range(fixture, RANGE_KEY, STORE_INSTANCE, "b");
    assert_keys(fixture, "b");
    assert_value(fixture, 0, "1");
    assert_int_equal(fixture->rows.epoch, 1);
    fixture_range(fixture, RANGE_KEY, STORE_INSTANCE, "bc");
    assert_keys(fixture, "");
    fixture_range(fixture, RANGE_KEY, STORE_INSTANCE, "");
    assert_keys(fixture, "");
    fixture_range(fixture, RANGE_PREFIX, STORE_INSTANCE, "b");
    assert_keys(fixture, "b ba bb");
    assert_value(fixture, 2, "");
    fixture_range(fixture, RANGE_PREFIX, STORE_INSTANCE, "bc");
    assert_keys(fixture, "");
    fixture_range(fixture, RANGE_PREFIX, STORE_INSTANCE, "d");
    assert_keys(fixture, "");
    fixture_range(fixture, RANGE_PREFIX, STORE_INSTANCE, "");
    assert_keys(fixture, "a b ba bb c");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "ba");
    assert_keys(fixture, "ba bb c");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "bab");
    assert_keys(fixture, "bb c");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "d");
    assert_keys(fixture, "");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b ba bb c");
    assert_false(fixture->rows.is_cut);
}

static void test_many_ranges_in_one_read(void **state)
{
    struct fixture *fixture = *state;
    const struct read_range ranges[] = {
        {RANGE_PREFIX, STORE_STATE, SLICE("k")},   {RANGE_KEY, STORE_INSTANCE, SLICE("missing")},
        {RANGE_KEY, STORE_INSTANCE, SLICE("i")},   {RANGE_FROM, STORE_STATE, SLICE("l")},
        {RANGE_PREFIX, STORE_STATE, SLICE("kb")},  {RANGE_PREFIX, STORE_PARKED, SLICE("p")},
        {RANGE_KEY, STORE_INSTANCE, SLICE("i\0")},
    };

    fixture_put(fixture, STORE_INSTANCE, "i", "1");
    fixture_put(fixture, STORE_STATE, "ka", "2");
    fixture_put(fixture, STORE_STATE, "kb", "3");
    fixture_put(fixture, STORE_STATE, "la", "4");
    fixture_put(fixture, STORE_PARKED, "p", "5");
    fixture_commit(fixture);
    fixture_read(fixture, ranges, sizeof ranges / sizeof ranges[0], 100, 100000);
    assert_keys(fixture, "ka kb i la kb p");
    const uint32_t expected[] = {0, 0, 2, 3, 4, 5};
    for (uint32_t i = 0; i < fixture->rows.row_count; i++) {
        assert_int_equal(fixture->rows.rows[i].range, expected[i]);
    }
    assert_false(fixture->rows.is_cut);
    fixture_read(fixture, ranges, 0, 1, 0);
    assert_int_equal(fixture->rows.row_count, 0);
    assert_int_equal(fixture->rows.epoch, 1);
}

/* A range begins at its own beginning, whatever a limit found in the ranges before it. */
static void test_ranges_behind_what_is_gone(void **state)
{
    struct fixture *fixture = *state;
    const struct read_range ranges[] = {{RANGE_KEY, STORE_STATE, SLICE("m")}, {RANGE_FROM, STORE_INSTANCE, SLICE("a")}};

    fixture_put(fixture, STORE_STATE, "m", "1");
    fixture_put(fixture, STORE_INSTANCE, "a", "2");
    fixture_put(fixture, STORE_INSTANCE, "z", "3");
    fixture_commit(fixture);
    (void)fixture_figures(fixture); /* all of it is where it belongs */
    fixture_delete(fixture, STORE_STATE, "m");
    fixture_commit(fixture);
    fixture_read(fixture, ranges, 2, 1, 1000);
    assert_keys(fixture, "a");
    assert_true(fixture->rows.is_cut);
    fixture_read(fixture, ranges, 2, 2, 1000);
    assert_keys(fixture, "a z");
    assert_false(fixture->rows.is_cut);
}

static void test_cut_by_rows(void **state)
{
    struct fixture *fixture = *state;
    const struct read_range ranges[] = {{RANGE_PREFIX, STORE_TIMER, SLICE("a")}, {RANGE_KEY, STORE_TIMER, SLICE("b")}};

    fixture_put(fixture, STORE_TIMER, "a1", "");
    fixture_put(fixture, STORE_TIMER, "a2", "");
    fixture_put(fixture, STORE_TIMER, "b", "");
    fixture_commit(fixture);
    fixture_read(fixture, ranges, 2, 1, 1000);
    assert_keys(fixture, "a1");
    assert_true(fixture->rows.is_cut);
    fixture_read(fixture, ranges, 2, 2, 1000);
    assert_keys(fixture, "a1 a2");
    assert_true(fixture->rows.is_cut); /* a later range still has a row */
    fixture_read(fixture, ranges, 2, 3, 1000);
    assert_keys(fixture, "a1 a2 b");
    assert_false(fixture->rows.is_cut);
    fixture_read(fixture, ranges, 1, 2, 1000);
    assert_keys(fixture, "a1 a2");
    assert_false(fixture->rows.is_cut); /* the limit is reached, but nothing is left */
}

static void test_cut_by_bytes(void **state)
{
    struct fixture *fixture = *state;
    const struct read_range range = {RANGE_FROM, STORE_OUTBOX, SLICE_EMPTY};

    fixture_put(fixture, STORE_OUTBOX, "a", "0123456789");
    fixture_put(fixture, STORE_OUTBOX, "b", "012345678");
    fixture_put(fixture, STORE_OUTBOX, "c", "012345678");
    fixture_commit(fixture);
    fixture_read(fixture, &range, 1, 10, 0);
    assert_keys(fixture, "a"); /* the first row always comes, or no read would get on */
    assert_true(fixture->rows.is_cut);
    fixture_read(fixture, &range, 1, 10, 9);
    assert_keys(fixture, "a");
    fixture_read(fixture, &range, 1, 10, 10);
    assert_keys(fixture, "a b");
    assert_true(fixture->rows.is_cut);
    fixture_read(fixture, &range, 1, 10, 20);
    assert_keys(fixture, "a b c");
    assert_false(fixture->rows.is_cut);
}

static void test_replace_and_delete(void **state)
{
    struct fixture *fixture = *state;

    fixture_put(fixture, STORE_TOKEN, "a", "1");
    fixture_put(fixture, STORE_TOKEN, "b", "1");
    fixture_commit(fixture);
    fixture_put(fixture, STORE_TOKEN, "a", "a longer value");
    fixture_delete(fixture, STORE_TOKEN, "b");
    fixture_delete(fixture, STORE_TOKEN, "never there");
    fixture_delete(fixture, STORE_EXPIRY, "never there");
    fixture_commit(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_TOKEN, "");
    assert_keys(fixture, "a");
    assert_value(fixture, 0, "a longer value");
    assert_int_equal(fixture->rows.epoch, 2);
    assert_int_equal(store_epoch(fixture->store), 2);
    fixture_delete(fixture, STORE_TOKEN, "a");
    fixture_commit(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_TOKEN, "");
    assert_keys(fixture, "");
}

static void append(struct fixture *fixture, const char *key)
{
    fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), SLICE("mail"));
}

static void test_append(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, "02");
    append(fixture, "01");
    fixture_commit(fixture);
    append(fixture, "03");
    fixture_delete(fixture, STORE_MAIL, "01");
    fixture_commit(fixture);
    fixture_delete(fixture, STORE_MAIL, "02");
    fixture_delete(fixture, STORE_MAIL, "03");
    append(fixture, "04");
    fixture_commit(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_MAIL, "");
    assert_keys(fixture, "04");
}

/* A number that was handed out twice: nothing of that epoch may be stored. */
static void test_append_out_of_order(void **state)
{
    static const char *const wrong[] = {"05", "07"};
    struct fixture *fixture = *state;

    append(fixture, "07");
    fixture_commit(fixture);
    for (size_t i = 0; i < 2; i++) {
        fixture_put(fixture, STORE_INSTANCE, "not stored", "");
        append(fixture, wrong[i]);
        append(fixture, "09");
        fixture_put(fixture, STORE_TIMER, "not stored", "");
        assert_int_equal(fixture_apply(fixture), STORE_FAILED);
        assert_non_null(strstr(fixture->err.text, "out of order"));
        fixture_drop(fixture);
        fixture_range(fixture, RANGE_FROM, STORE_MAIL, "");
        assert_keys(fixture, "07");
        fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
        assert_keys(fixture, "");
        assert_int_equal(store_epoch(fixture->store), 1);
    }
    append(fixture, "08");
    fixture_commit(fixture);
    fixture_put(fixture, STORE_MAIL, "20", ""); /* nor may it be below a row that was put */
    fixture_commit(fixture);
    append(fixture, "15");
    assert_int_equal(fixture_apply(fixture), STORE_FAILED);
    fixture_drop(fixture);
}

static void test_epochs_come_in_order(void **state)
{
    struct fixture *fixture = *state;

    fixture->number = 6;
    fixture_put(fixture, STORE_PARKED, "a", "");
    fixture_commit(fixture);
    assert_int_equal(store_epoch(fixture->store), 7);
    fixture->number = 6;
    fixture_put(fixture, STORE_PARKED, "b", "");
    assert_int_equal(fixture_apply(fixture), STORE_FAILED); /* the same number again */
    fixture_drop(fixture);
    fixture_range(fixture, RANGE_FROM, STORE_PARKED, "");
    assert_keys(fixture, "a");
}

static void test_big_values(void **state)
{
    enum { BYTES = (1 << 20) + 17, ROWS = 5 };
    struct fixture *fixture = *state;
    uint8_t *bytes = malloc(BYTES);
    const struct read_range range = {RANGE_FROM, STORE_STATE, SLICE_EMPTY};
    char name[16];

    assert_non_null(bytes);
    for (size_t i = 0; i < ROWS; i++) {
        memset(bytes, (int)i + 1, BYTES);
        (void)snprintf(name, sizeof name, "big-%zu", i);
        fixture_put_slice(fixture, OP_PUT, STORE_STATE, slice_of(name), (struct slice){bytes, BYTES});
    }
    fixture_commit(fixture);
    fixture_read(fixture, &range, 1, 100, LIMIT_READ_BYTES_MAX);
    assert_int_equal(fixture->rows.row_count, 1 + LIMIT_READ_BYTES_MAX / (BYTES + 5));
    assert_true(fixture->rows.is_cut);
    fixture_read(fixture, &range, 1, 100, UINT32_MAX);
    assert_int_equal(fixture->rows.row_count, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        memset(bytes, (int)i + 1, BYTES);
        assert_true(slice_equal(fixture->rows.rows[i].value, (struct slice){bytes, BYTES}));
    }
    free(bytes);
}

/* A row that the budget of the answer cannot hold is an error of that read and of nothing else. */
static void test_budget_of_answer(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[20000] = {1};
    const struct read_range range = {RANGE_FROM, STORE_STATE, SLICE_EMPTY};
    const struct effect_read read = {.ranges = &range, .range_count = 1, .rows_max = 10, .bytes_max = 100000};
    struct input_rows rows = {.read = 3, .epoch = 99};

    fixture_put_slice(fixture, OP_PUT, STORE_STATE, SLICE("a"), (struct slice){bytes, sizeof bytes});
    fixture_commit(fixture);
    fixture->arena = arena_create(10000);
    assert_int_equal(store_read(fixture->store, &read, fixture->arena, &rows, &fixture->err), ERR_NO_MEMORY);
    assert_int_equal(rows.epoch, 99);
    fixture_range(fixture, RANGE_FROM, STORE_STATE, "");
    assert_keys(fixture, "a");
}

static void test_longest_keys(void **state)
{
    struct fixture *fixture = *state;
    uint8_t key[LIMIT_STORE_KEY_BYTES_MAX + 1];

    memset(key, 'k', sizeof key);
    key[LIMIT_STORE_KEY_BYTES_MAX] = 0;
    for (size_t size = LIMIT_STORE_KEY_BYTES_MAX - 2; size <= LIMIT_STORE_KEY_BYTES_MAX; size++) {
        fixture_put_slice(fixture, OP_PUT, STORE_EXPIRY, (struct slice){key, size}, SLICE_EMPTY);
    }
    memset(key, 0xff, 3);
    fixture_put_slice(fixture, OP_PUT, STORE_EXPIRY, (struct slice){key, LIMIT_STORE_KEY_BYTES_MAX}, SLICE_EMPTY);
    fixture_commit(fixture);
    fixture_range(fixture, RANGE_PREFIX, STORE_EXPIRY, "kkk");
    assert_int_equal(fixture->rows.row_count, 3);
    assert_int_equal(fixture->rows.rows[2].key.size, LIMIT_STORE_KEY_BYTES_MAX);
    fixture_range(fixture, RANGE_FROM, STORE_EXPIRY, "l");
    assert_int_equal(fixture->rows.row_count, 1);
    /* How a read that was cut goes on: from its last key and a zero byte, one byte longer than any key. */
    memset(key, 'k', 3);
    const struct read_range after[] = {{RANGE_FROM, STORE_EXPIRY, {key, sizeof key}},
                                       {RANGE_KEY, STORE_EXPIRY, {key, sizeof key}},
                                       {RANGE_PREFIX, STORE_EXPIRY, {key, sizeof key}}};
    fixture_read(fixture, after, 3, 10, 10000);
    assert_int_equal(fixture->rows.row_count, 1);
    assert_int_equal(fixture->rows.rows[0].key.data[0], 0xff);
}

static void test_figures(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[100000] = {1};

    const struct store_figures before = fixture_figures(fixture);
    fixture_put_slice(fixture, OP_PUT, STORE_STATE, SLICE("a"), (struct slice){bytes, sizeof bytes});
    fixture_commit(fixture);
    const struct store_figures full = fixture_figures(fixture);
    assert_true(full.bytes_used >= before.bytes_used + sizeof bytes);
    assert_true(full.bytes_used < before.bytes_used + 2 * sizeof bytes);
    assert_true(full.bytes_file >= full.bytes_used);
    fixture_delete(fixture, STORE_STATE, "a");
    fixture_commit(fixture);
    assert_true(fixture_figures(fixture).bytes_used + sizeof bytes / 2 < full.bytes_used);
}

/* ---- random epochs against a plain model ---------------------------------------------------------------------- */

enum { MODEL_KEYS = 96, MODEL_TABLES = 3, MODEL_EPOCHS = 300, MODEL_SEEDS = 4 };

static const enum store_table model_tables[MODEL_TABLES] = {STORE_INSTANCE, STORE_MAIL, STORE_OUTBOX};

struct model {
    uint64_t random;
    uint32_t values[MODEL_TABLES][MODEL_KEYS]; /* 0: no such row */
};

static uint32_t random_below(struct model *model, uint32_t bound)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)((model->random >> 20) % bound);
}

/* Keys of several lengths, so that some are prefixes of others; in the order of their numbers. */
static struct slice model_key(char *buffer, size_t size, uint32_t key)
{
    (void)snprintf(buffer, size, "%02u%s", key / 3, key % 3 == 0 ? "" : key % 3 == 1 ? "a" : "ab");
    return slice_of(buffer);
}

/* Values of one to some thousand bytes that all depend on `value`. */
static struct slice model_value(uint8_t *buffer, uint32_t value)
{
    const size_t size = 4 + (value * 2654435761U) % 3000;

    memset(buffer, (int)(value & 0xff), size);
    memcpy(buffer, &value, 4);
    return (struct slice){buffer, size};
}

static void model_epoch(struct fixture *fixture, struct model *model)
{
    const uint32_t changes = random_below(model, 20);
    bool is_touched[MODEL_TABLES][MODEL_KEYS] = {0};
    char name[16];
    uint8_t bytes[4096];

    for (uint32_t i = 0; i < changes; i++) {
        const uint32_t table = random_below(model, MODEL_TABLES);
        const uint32_t key = random_below(model, MODEL_KEYS);
        if (is_touched[table][key]) {
            continue;
        }
        is_touched[table][key] = true;
        const bool is_put = random_below(model, 3) > 0;
        const uint32_t value = is_put ? 1 + random_below(model, 1000000) : 0;
        model->values[table][key] = value;
        fixture_put_slice(fixture, is_put ? OP_PUT : OP_DELETE, model_tables[table], model_key(name, sizeof name, key),
                          is_put ? model_value(bytes, value) : SLICE_EMPTY);
    }
}

/* Reads a whole table page by page, as a recovery does, and compares. */
static void compare_table(struct fixture *fixture, struct model *model, uint32_t table)
{
    uint32_t key = 0;
    uint8_t from[32] = {0};
    size_t from_size = 0;
    char name[16];
    uint8_t bytes[4096];

    for (bool is_more = true; is_more;) {
        const struct read_range range = {RANGE_FROM, model_tables[table], {from, from_size}};
        fixture_read(fixture, &range, 1, 1 + random_below(model, 9), random_below(model, 9000));
        is_more = fixture->rows.is_cut;
        assert_true(!is_more || fixture->rows.row_count > 0);
        for (uint32_t i = 0; i < fixture->rows.row_count; i++, key++) {
            while (key < MODEL_KEYS && model->values[table][key] == 0) {
                key++;
            }
            assert_in_range(key, 0, MODEL_KEYS - 1);
            const struct row *row = &fixture->rows.rows[i];
            assert_true(slice_equal(row->key, model_key(name, sizeof name, key)));
            assert_true(slice_equal(row->value, model_value(bytes, model->values[table][key])));
            from_size = row->key.size + 1;
            memcpy(from, row->key.data, row->key.size);
            from[row->key.size] = 0;
        }
    }
    while (key < MODEL_KEYS) {
        assert_int_equal(model->values[table][key++], 0);
    }
}

static void test_random_epochs(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t seed = 1; seed <= MODEL_SEEDS; seed++) {
        struct model model = {.random = seed * 0x9e3779b97f4a7c15U};
        for (uint32_t table = 0; table < MODEL_TABLES; table++) {
            for (uint32_t key = 0; key < MODEL_KEYS; key++) {
                char name[16];
                fixture_put_slice(fixture, OP_DELETE, model_tables[table], model_key(name, sizeof name, key),
                                  SLICE_EMPTY);
            }
        }
        fixture_commit(fixture);
        for (uint32_t i = 0; i < MODEL_EPOCHS; i++) {
            model_epoch(fixture, &model);
            fixture_commit(fixture);
            compare_table(fixture, &model, i % MODEL_TABLES);
            assert_int_equal(fixture->rows.epoch, fixture->number);
        }
    }
}

#define ONE_STORE(name, test, setup)                         \
    {                                                        \
        name ": " #test, test, setup, fixture_teardown, NULL \
    }
#define EACH_STORE(test)                                                              \
    ONE_STORE("memory", test, fixture_memory), ONE_STORE("lmdb", test, fixture_lmdb), \
        ONE_STORE("journal", test, fixture_journal),                                  \
        ONE_STORE("journal with checkpoints", test, fixture_journal_checkpoints),     \
        ONE_STORE("journal over memory", test, fixture_journal_twin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_STORE(test_new_store_is_empty),
        EACH_STORE(test_ranges),
        EACH_STORE(test_cut_by_rows),
        EACH_STORE(test_cut_by_bytes),
        EACH_STORE(test_replace_and_delete),
        EACH_STORE(test_append),
        EACH_STORE(test_append_out_of_order),
        EACH_STORE(test_epochs_come_in_order),
        EACH_STORE(test_big_values),
        EACH_STORE(test_budget_of_answer),
        EACH_STORE(test_longest_keys),
        EACH_STORE(test_figures),
        EACH_STORE(test_random_epochs),
        EACH_STORE(test_many_ranges_in_one_read),
        EACH_STORE(test_ranges_behind_what_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
