/* SPDX-License-Identifier: Apache-2.0
 *
 * store_under_threads.c: committer and readers at work on one store at the same time.
 *
 * Each epoch writes its number into a third of the rows of three tables, adds a row to a fourth and takes one back, so
 * an answer that mixes two epochs shows at once.
 */
#include "contract.h"

#include <inttypes.h>
#include <stdio.h>

#include "check.h"
#include "committer.h"
#include "reader.h"
#include "record.h"

enum { EPOCHS = 1500, ROWS = 24, RECENT = 100, READERS = 3, READS_AT_ONCE = 32, TURNS_MAX = 1000000 };

struct bench {
    struct fixture *fixture;
    struct loop *loop;
    struct committer *committer;
    struct reader *reader;
    struct epoch *under_way;
    uint64_t on_disk;              /* the newest epoch that was reported */
    uint64_t handed;               /* the newest epoch that was handed over */
    uint64_t begun[READS_AT_ONCE]; /* by place of read: the newest reported when it began, and 1; 0: no read */
    uint64_t answers;
};

NO_RETURN static void on_failure(const struct err *err)
{
    check_failed(err->text, "store_under_threads", 0);
}

/* The newest epoch up to `number` that wrote row `row`: the first wrote all. */
static uint64_t newest_of(uint64_t number, uint32_t row)
{
    while (number > 1 && number % 3 != row / 3 % 3) {
        number--;
    }
    return number;
}

static struct epoch *make_epoch(uint64_t number)
{
    struct epoch *epoch = epoch_create(number, 1 << 20);
    const struct epoch_record record = {.number = number};
    static const enum store_table tables[] = {STORE_INSTANCE, STORE_STATE, STORE_TIMER};
    struct buf buf;
    char key[32];

    if (number > RECENT) {
        (void)snprintf(key, sizeof key, "%08" PRIu64, number - RECENT);
        epoch_add(epoch, OP_DELETE, STORE_OUTBOX, slice_of(key), SLICE_EMPTY);
    }
    (void)snprintf(key, sizeof key, "%08" PRIu64, number);
    epoch_add(epoch, OP_APPEND, STORE_OUTBOX, slice_of(key), (struct slice){(const uint8_t *)&number, sizeof number});
    buf_init(&buf, 1000);
    record_put_epoch(&buf, &record);
    epoch_add(epoch, OP_PUT, STORE_META, SLICE("epoch"), buf_slice(&buf));
    buf_done(&buf);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t value[1000] = {0};
        if (newest_of(number, i) != number) {
            continue;
        }
        memcpy(value, &number, sizeof number);
        (void)snprintf(key, sizeof key, "%02u", i);
        const size_t size = 8 + (i * 37 + number * 91) % (sizeof value - 8); /* so that pages split and merge */
        epoch_add(epoch, OP_PUT, tables[i % 3], slice_of(key), (struct slice){value, size});
    }
    return epoch;
}

/* Some reads are cut. */
static uint32_t rows_max(uint64_t place)
{
    return place % 2 == 0 ? 1000 : (uint32_t)(1 + place * 4);
}

static void begin_read(struct bench *bench, uint32_t place) LOOP_THREAD
{
    static const struct read_range ranges[] = {{RANGE_FROM, STORE_INSTANCE, {NULL, 0}},
                                               {RANGE_FROM, STORE_STATE, {NULL, 0}},
                                               {RANGE_FROM, STORE_TIMER, {NULL, 0}},
                                               {RANGE_PREFIX, STORE_OUTBOX, SLICE("0")}};
    const struct effect_read read = {
        .read = place, .ranges = ranges, .range_count = 4, .rows_max = rows_max(place), .bytes_max = 1000000};

    bench->begun[place] = bench->on_disk + 1;
    reader_read(bench->reader, &read);
}

static void see_rows(struct bench *bench, const struct input_rows *rows)
{
    assert_false(rows->has_failed);
    assert_true(rows->epoch + 1 >= bench->begun[rows->read]); /* no snapshot is older than what was reported */
    assert_true(rows->epoch <= bench->handed);
    const uint64_t recent = rows->epoch < RECENT ? rows->epoch : RECENT;
    const uint64_t all = rows->epoch == 0 ? 0 : ROWS + recent;
    const uint32_t max = rows_max(rows->read);
    assert_int_equal(rows->row_count, all < max ? all : max);
    assert_int_equal(rows->is_cut, all > max);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        const uint32_t row = i / (ROWS / 3) + 3 * (i % (ROWS / 3)); /* the tables come one after the other */
        const uint64_t expected = i < ROWS ? newest_of(rows->epoch, row) : rows->epoch - recent + 1 + i - ROWS;
        uint64_t number = 0;
        memcpy(&number, rows->rows[i].value.data, sizeof number);
        assert_int_equal(number, expected);
    }
    bench->begun[rows->read] = 0;
    bench->answers++;
}

static void turn(struct bench *bench) LOOP_THREAD
{
    struct input inputs[READS_AT_ONCE];

    const uint32_t committed = committer_take(bench->committer, inputs, READS_AT_ONCE);
    for (uint32_t i = 0; i < committed; i++) {
        assert_int_equal(inputs[i].committed.epoch, bench->on_disk + 1);
        bench->on_disk++;
        epoch_destroy(TAKE(bench->under_way));
    }
    const uint32_t read = reader_take(bench->reader, inputs, READS_AT_ONCE);
    for (uint32_t i = 0; i < read; i++) {
        see_rows(bench, &inputs[i].rows);
    }
    if (bench->under_way == NULL && bench->handed < EPOCHS) {
        bench->under_way = make_epoch(++bench->handed);
        committer_commit(bench->committer, bench->under_way);
    }
    for (uint32_t place = 0; place < READS_AT_ONCE; place++) {
        if (bench->begun[place] == 0) {
            begin_read(bench, place);
        }
    }
    loop_poll(bench->loop, 10000);
}

static void test_snapshots_are_whole(void **state)
{
    struct bench bench = {.fixture = *state};
    struct err err;

    thread_assume(&thread_loop);
    assert_int_equal(loop_create(&bench.loop, &err), ERR_NONE);
    const struct committer_options options = {
        .loop = bench.loop, .store = bench.fixture->store, .on_failure = on_failure};
    assert_int_equal(committer_start(&options, &bench.committer, &err), ERR_NONE);
    assert_int_equal(reader_start(bench.loop, bench.fixture->store, READERS, &bench.reader, &err), ERR_NONE);
    for (uint32_t turns = 0; bench.on_disk < EPOCHS && turns < TURNS_MAX; turns++) {
        turn(&bench);
    }
    assert_int_equal(bench.on_disk, EPOCHS);
    assert_true(bench.answers > 0);
    reader_stop(bench.reader);
    committer_stop(bench.committer);
    loop_destroy(bench.loop);
    fixture_range(bench.fixture, RANGE_FROM, STORE_INSTANCE, "");
    assert_int_equal(bench.fixture->rows.epoch, EPOCHS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_memory, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_lmdb, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_journal, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_journal_checkpoints, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_journal_twin_checkpoints, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
