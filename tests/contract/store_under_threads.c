/* SPDX-License-Identifier: Apache-2.0
 *
 * store_under_threads.c: committer and readers at work on one store at the same time.
 *
 * Each epoch writes its number into rows of three tables, so an answer that mixes two epochs shows at once.
 */
#include "contract.h"

#include <stdio.h>

#include "check.h"
#include "committer.h"
#include "reader.h"
#include "record.h"

enum { EPOCHS = 300, ROWS = 24, READERS = 3, READS_AT_ONCE = 32, TURNS_MAX = 1000000 };

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

static struct epoch *make_epoch(uint64_t number)
{
    struct epoch *epoch = epoch_create(number, 1 << 20);
    const struct epoch_record record = {.number = number};
    static const enum store_table tables[] = {STORE_INSTANCE, STORE_STATE, STORE_TIMER};
    struct buf buf;
    char key[32];

    buf_init(&buf, 1000);
    record_put_epoch(&buf, &record);
    epoch_add(epoch, OP_PUT, STORE_META, SLICE("epoch"), buf_slice(&buf));
    buf_done(&buf);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t value[1000] = {0};
        memcpy(value, &number, sizeof number);
        (void)snprintf(key, sizeof key, "%u", i);
        const size_t size = 8 + (i * 37 + number * 91) % (sizeof value - 8); /* so that pages split and merge */
        epoch_add(epoch, OP_PUT, tables[i % 3], slice_of(key), (struct slice){value, size});
    }
    return epoch;
}

static void begin_read(struct bench *bench, uint32_t place) LOOP_THREAD
{
    static const struct read_range ranges[] = {{RANGE_FROM, STORE_INSTANCE, {NULL, 0}},
                                               {RANGE_FROM, STORE_STATE, {NULL, 0}},
                                               {RANGE_FROM, STORE_TIMER, {NULL, 0}}};
    const struct effect_read read = {
        .read = place, .ranges = ranges, .range_count = 3, .rows_max = 1000, .bytes_max = 1000000};

    bench->begun[place] = bench->on_disk + 1;
    reader_read(bench->reader, &read);
}

static void see_rows(struct bench *bench, const struct input_rows *rows)
{
    assert_false(rows->has_failed);
    assert_true(rows->epoch + 1 >= bench->begun[rows->read]); /* no snapshot is older than what was reported */
    assert_true(rows->epoch <= bench->handed);
    assert_int_equal(rows->row_count, rows->epoch == 0 ? 0 : ROWS);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        uint64_t number = 0;
        memcpy(&number, rows->rows[i].value.data, sizeof number);
        assert_int_equal(number, rows->epoch);
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
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_lmdb, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_journal, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_whole, fixture_journal_checkpoints, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
