/* SPDX-License-Identifier: Apache-2.0
 *
 * store_in_memory.c: what only the twin can do: faults, snapshots of the past, copies, a look inside.
 */
#include "contract.h"

#include <stdio.h>

#include "check.h"

static void put_and_commit(struct fixture *fixture, const char *key, const char *value)
{
    fixture_put(fixture, STORE_INSTANCE, key, value);
    fixture_commit(fixture);
}

static void test_full(void **state)
{
    struct fixture *fixture = *state;

    store_memory_fail_next(fixture->store, STORE_IS_FULL, false, 2);
    fixture_put(fixture, STORE_INSTANCE, "a", "1");
    assert_int_equal(fixture_apply(fixture), STORE_IS_FULL);
    assert_int_equal(fixture->err.code, ERR_STORE_FULL);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_IS_FULL);
    assert_int_equal(store_memory_count(fixture->store, STORE_INSTANCE), 0);
    assert_int_equal(store_apply(fixture->store, fixture->epoch, &fixture->err), STORE_APPLIED);
    fixture_drop(fixture);
    assert_int_equal(store_memory_count(fixture->store, STORE_INSTANCE), 1);
}

/* What failed is on disk or is not, and the host cannot tell which until it starts again. */
static void test_failed(void **state)
{
    struct fixture *fixture = *state;

    store_memory_fail_next(fixture->store, STORE_FAILED, false, 1);
    fixture_put(fixture, STORE_INSTANCE, "a", "1");
    assert_int_equal(fixture_apply(fixture), STORE_FAILED);
    fixture_drop(fixture);
    assert_int_equal(store_epoch(fixture->store), 0);
    fixture->number = 0;
    store_memory_fail_next(fixture->store, STORE_FAILED, true, 1);
    fixture_put(fixture, STORE_INSTANCE, "a", "2");
    assert_int_equal(fixture_apply(fixture), STORE_FAILED);
    fixture_drop(fixture);
    assert_int_equal(store_epoch(fixture->store), 1);
    fixture_range(fixture, RANGE_KEY, STORE_INSTANCE, "a");
    assert_value(fixture, 0, "2");
    store_memory_fail_next(fixture->store, STORE_IS_FULL, false, 9);
    store_memory_fail_next(fixture->store, STORE_APPLIED, false, 0); /* no more faults */
    put_and_commit(fixture, "b", "3");
}

static void test_failed_read(void **state)
{
    struct fixture *fixture = *state;
    const struct read_range range = {RANGE_FROM, STORE_META, SLICE_EMPTY};
    const struct effect_read read = {.ranges = &range, .range_count = 1, .rows_max = 1};
    struct input_rows rows;

    fixture->arena = arena_create(1000);
    store_memory_fail_reads(fixture->store, 1);
    assert_int_equal(store_read(fixture->store, &read, fixture->arena, &rows, &fixture->err), ERR_SYSTEM);
    assert_int_equal(store_read(fixture->store, &read, fixture->arena, &rows, &fixture->err), ERR_NONE);
}

static void test_snapshots_of_the_past(void **state)
{
    struct fixture *fixture = *state;
    char value[16];

    for (uint32_t i = 1; i <= 20; i++) {
        (void)snprintf(value, sizeof value, "%u", i);
        if (i % 3 == 0) {
            fixture_delete(fixture, STORE_INSTANCE, "a");
            fixture_commit(fixture);
        } else {
            put_and_commit(fixture, "a", value);
        }
        for (uint32_t age = 0; age < STORE_MEMORY_SNAPSHOTS_MAX && age < i; age++) {
            const uint32_t then = i - age;
            store_memory_set_age(fixture->store, age);
            fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
            assert_int_equal(fixture->rows.epoch, then);
            assert_int_equal(fixture->rows.row_count, then % 3 == 0 ? 0 : 1);
            if (then % 3 != 0) {
                (void)snprintf(value, sizeof value, "%u", then);
                assert_value(fixture, 0, value);
            }
        }
        assert_int_equal(store_epoch(fixture->store), i); /* whatever the age of reads */
    }
    store_memory_set_age(fixture->store, 1000);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_int_equal(fixture->rows.epoch, 20 - (STORE_MEMORY_SNAPSHOTS_MAX - 1));
}

static void test_clone(void **state)
{
    struct fixture *fixture = *state;

    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "b", "2");
    struct store *first = fixture->store;
    fixture->store = store_memory_clone(first);
    put_and_commit(fixture, "b", "3");
    store_close(first);
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a b");
    assert_value(fixture, 1, "3");
    assert_int_equal(store_epoch(fixture->store), 3);
}

static void add_bytes(void *context, struct slice key, struct slice value)
{
    *(uint64_t *)context += key.size + value.size;
}

static void test_each(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes = 0;

    put_and_commit(fixture, "a", "12345");
    put_and_commit(fixture, "bc", "");
    store_memory_each(fixture->store, STORE_INSTANCE, add_bytes, &bytes);
    assert_int_equal(bytes, 8);
    store_memory_each(fixture->store, STORE_META, add_bytes, &bytes);
    assert_int_equal(bytes, store_figures(fixture->store).bytes_used);
    store_memory_each(fixture->store, STORE_PARKED, add_bytes, &bytes);
    assert_int_equal(store_memory_count(fixture->store, STORE_PARKED), 0);
}

/* An epoch that cannot be applied half-way leaves no trace in any table. */
static void test_takes_back_what_it_began(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = 0;
    uint64_t after = 0;

    put_and_commit(fixture, "a", "1");
    put_and_commit(fixture, "c", "1");
    fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, SLICE("5"), SLICE("mail"));
    fixture_commit(fixture);
    store_memory_each(fixture->store, STORE_INSTANCE, add_bytes, &before);
    fixture_put(fixture, STORE_INSTANCE, "a", "a longer value");
    fixture_put(fixture, STORE_INSTANCE, "b", "new");
    fixture_delete(fixture, STORE_INSTANCE, "c");
    fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, SLICE("4"), SLICE("mail"));
    assert_int_equal(fixture_apply(fixture), STORE_FAILED);
    fixture_drop(fixture);
    store_memory_each(fixture->store, STORE_INSTANCE, add_bytes, &after);
    assert_int_equal(before, after);
    assert_int_equal(store_memory_count(fixture->store, STORE_MAIL), 1);
    fixture->number--;
    put_and_commit(fixture, "a", "2");
    fixture_range(fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_keys(fixture, "a c");
}

static void test_many_rows(void **state)
{
    enum { ROWS = 100000, EPOCH_ROWS = 500 };
    struct fixture *fixture = *state;
    char key[16];

    for (uint32_t i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof key, "%08u", i * 7919U % ROWS); /* each once, in no order */
        fixture_put(fixture, STORE_INSTANCE, key, "value");
        if (i % EPOCH_ROWS == EPOCH_ROWS - 1) {
            fixture_commit(fixture);
        }
    }
    assert_int_equal(store_memory_count(fixture->store, STORE_INSTANCE), ROWS);
    fixture_range(fixture, RANGE_KEY, STORE_INSTANCE, "00054321");
    assert_keys(fixture, "00054321");
}

#define MEMORY_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_memory, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(test_full),        MEMORY_TEST(test_failed),
        MEMORY_TEST(test_failed_read), MEMORY_TEST(test_snapshots_of_the_past),
        MEMORY_TEST(test_clone),       MEMORY_TEST(test_each),
        MEMORY_TEST(test_many_rows),   MEMORY_TEST(test_takes_back_what_it_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
