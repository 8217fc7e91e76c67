/* SPDX-License-Identifier: Apache-2.0
 *
 * test_reader.c: reads by the full credit, rows that live until the next take, failed reads, the end.
 */
#include "unit.h"

#include <stdio.h>

#include "reader.h"
#include "store_memory.h"

enum { READS = LIMIT_READS_IN_FLIGHT_MAX, ROWS = 300 };

struct bench {
    struct err err;
    struct loop *loop;
    struct store *store;
    struct reader *reader;
};

static int setup(void **state)
{
    static struct bench bench;
    struct epoch *epoch = epoch_create(1, 1 << 20);
    char key[16];

    thread_assume(&thread_loop);
    bench = (struct bench){0};
    bench.store = store_memory_create();
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof key, "%04d", i);
        epoch_add(epoch, OP_PUT, STORE_INSTANCE, slice_of(key), slice_of(key));
    }
    epoch_sort(epoch);
    assert_int_equal(store_apply(bench.store, epoch, &bench.err), STORE_APPLIED);
    epoch_destroy(epoch);
    assert_int_equal(loop_create(&bench.loop, &bench.err), ERR_NONE);
    /* One thread: the store in memory is for one at a time. */
    assert_int_equal(reader_start(bench.loop, bench.store, 1, &bench.reader, &bench.err), ERR_NONE);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    thread_assume(&thread_loop);
    reader_stop(bench->reader);
    loop_destroy(bench->loop);
    store_close(bench->store);
    return 0;
}

/* Reads row `number`; the memory of the range is gone when this returns. */
static void read_row(struct bench *bench, uint32_t number) LOOP_THREAD
{
    char key[16];

    (void)snprintf(key, sizeof key, "%04u", number);
    const struct read_range range = {RANGE_KEY, STORE_INSTANCE, slice_of(key)};
    const struct effect_read read = {
        .read = 1000 + number, .ranges = &range, .range_count = 1, .rows_max = 10, .bytes_max = 100};
    reader_read(bench->reader, &read);
    memset(key, 'x', sizeof key);
}

static void test_reads_by_the_credit(void **state)
{
    struct bench *bench = *state;
    struct input inputs[100];
    uint32_t seen = 0;

    thread_assume(&thread_loop);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < READS; i++) {
            read_row(bench, i);
        }
        for (seen = 0; seen < READS;) {
            const uint32_t count = reader_take(bench->reader, inputs, 100);
            for (uint32_t i = 0; i < count; i++, seen++) {
                char key[16];
                (void)snprintf(key, sizeof key, "%04u", seen); /* one thread answers in order */
                assert_int_equal(inputs[i].kind, INPUT_ROWS);
                assert_int_equal(inputs[i].rows.read, 1000 + seen);
                assert_int_equal(inputs[i].rows.row_count, 1);
                assert_true(slice_equal(inputs[i].rows.rows[0].value, slice_of(key)));
            }
            if (count == 0) {
                loop_poll(bench->loop, 10000);
            }
        }
    }
    assert_int_equal(reader_take(bench->reader, inputs, 100), 0);
}

static void test_failed_read(void **state)
{
    struct bench *bench = *state;
    struct input input = {0};

    thread_assume(&thread_loop);
    store_memory_fail_reads(bench->store, 1);
    read_row(bench, 7);
    while (reader_take(bench->reader, &input, 1) == 0) {
        loop_poll(bench->loop, 10000);
    }
    assert_true(input.rows.has_failed);
    assert_int_equal(input.rows.read, 1007);
    assert_non_null(strstr(input.rows.text, "cannot be read"));
    assert_int_equal(input.rows.row_count, 0);
    read_row(bench, 7);
    while (reader_take(bench->reader, &input, 1) == 0) {
        loop_poll(bench->loop, 10000);
    }
    assert_false(input.rows.has_failed);
}

/* Nobody takes the answers; nothing may leak and nothing may hang. */
static void test_stop_with_reads_under_way(void **state)
{
    struct bench *bench = *state;
    struct input inputs[2];

    thread_assume(&thread_loop);
    for (uint32_t i = 0; i < READS; i++) {
        read_row(bench, i);
    }
    (void)reader_take(bench->reader, inputs, 2);
    reader_stop(bench->reader);
    bench->reader = NULL;
    reader_stop(NULL);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_reads_by_the_credit),
        BENCH_TEST(test_failed_read),
        BENCH_TEST(test_stop_with_reads_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
