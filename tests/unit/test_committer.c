/* SPDX-License-Identifier: Apache-2.0
 *
 * test_committer.c: one epoch at a time, a full store, a failed one, the end, and the watch over the loop.
 */
#include "unit.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "clock.h"
#include "committer.h"
#include "record.h"
#include "store_memory.h"

static atomic_int failures;

static void count_failure(const struct err *err)
{
    (void)err;
    atomic_fetch_add(&failures, 1);
}

struct bench {
    struct err err;
    struct loop *loop;
    struct store *store;
    struct committer *committer;
    struct log *log;
    int log_fds[2];
};

static int setup(void **state)
{
    static struct bench bench;

    thread_assume(&thread_loop);
    bench = (struct bench){0};
    atomic_store(&failures, 0);
    assert_int_equal(pipe(bench.log_fds), 0);
    bench.log = log_create(bench.log_fds[1], LOG_INFO, true);
    bench.store = store_memory_create();
    assert_int_equal(loop_create(&bench.loop, &bench.err), ERR_NONE);
    const struct committer_options options = {
        .loop = bench.loop, .store = bench.store, .log = bench.log, .on_failure = count_failure};
    assert_int_equal(committer_start(&options, &bench.committer, &bench.err), ERR_NONE);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    thread_assume(&thread_loop);
    committer_stop(bench->committer);
    loop_destroy(bench->loop);
    store_close(bench->store);
    log_destroy(bench->log);
    assert_int_equal(close(bench->log_fds[0]), 0);
    assert_int_equal(close(bench->log_fds[1]), 0);
    return 0;
}

static struct epoch *make_epoch(uint64_t number)
{
    struct epoch *epoch = epoch_create(number, 1 << 20);
    const struct epoch_record record = {.number = number};
    struct buf buf;

    buf_init(&buf, 1000);
    record_put_epoch(&buf, &record);
    epoch_add(epoch, OP_PUT, STORE_TIMER, SLICE("b"), SLICE("2"));
    epoch_add(epoch, OP_PUT, STORE_TIMER, SLICE("a"), SLICE("1")); /* the committer sorts */
    epoch_add(epoch, OP_PUT, STORE_META, SLICE("epoch"), buf_slice(&buf));
    buf_done(&buf);
    return epoch;
}

/* Runs the loop until an answer comes. */
static struct input_committed wait_for_answer(struct bench *bench) LOOP_THREAD
{
    struct input input = {0};
    uint32_t count = 0;

    for (int turn = 0; turn < 100 && count == 0; turn++) {
        count = committer_take(bench->committer, &input, 1);
        if (count == 0) {
            loop_poll(bench->loop, 10000);
        }
    }
    assert_int_equal(count, 1);
    assert_int_equal(input.kind, INPUT_COMMITTED);
    return input.committed;
}

static void test_commits_in_order(void **state)
{
    struct bench *bench = *state;

    thread_assume(&thread_loop);
    for (uint64_t number = 1; number <= 50; number++) {
        struct epoch *epoch = make_epoch(number);
        committer_commit(bench->committer, epoch);
        const struct input_committed answer = wait_for_answer(bench);
        assert_int_equal(answer.epoch, number);
        assert_false(answer.is_full);
        assert_true(answer.figures.bytes_used > 0);
        epoch_destroy(epoch);
    }
    struct input input;
    assert_int_equal(committer_take(bench->committer, &input, 1), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_TIMER), 2);
}

static void test_full_is_tried_again(void **state)
{
    struct bench *bench = *state;
    struct epoch *epoch = make_epoch(1);

    thread_assume(&thread_loop);
    store_memory_fail_next(bench->store, STORE_IS_FULL, false, 2);
    committer_commit(bench->committer, epoch);
    for (int i = 0; i < 2; i++) {
        const struct input_committed answer = wait_for_answer(bench);
        assert_int_equal(answer.epoch, 1);
        assert_true(answer.is_full);
    }
    assert_false(wait_for_answer(bench).is_full);
    assert_int_equal(store_epoch(bench->store), 1);
    epoch_destroy(epoch);
    epoch = make_epoch(2);
    committer_commit(bench->committer, epoch);
    assert_int_equal(wait_for_answer(bench).epoch, 2);
    epoch_destroy(epoch);
}

/* Reads what the log has said since the last time. */
static void read_log(struct bench *bench, char *text, size_t text_bytes)
{
    struct pollfd poll_fd = {.fd = bench->log_fds[0], .events = POLLIN};
    size_t size = 0;

    while (poll(&poll_fd, 1, 0) == 1) {
        const ssize_t got = read(bench->log_fds[0], text + size, text_bytes - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
    }
    text[size] = 0;
}

static uint32_t count_of(const char *text, const char *what)
{
    uint32_t count = 0;

    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

static void test_full_is_told_once(void **state)
{
    struct bench *bench = *state;
    char text[8192];

    thread_assume(&thread_loop);
    for (uint64_t number = 1; number <= 2; number++) { /* each time it begins and ends */
        struct epoch *epoch = make_epoch(number);
        store_memory_fail_next(bench->store, STORE_IS_FULL, false, number == 1 ? 2 : 1);
        committer_commit(bench->committer, epoch);
        while (wait_for_answer(bench).is_full) {
        }
        epoch_destroy(epoch);
    }
    struct epoch *epoch = make_epoch(3);
    committer_commit(bench->committer, epoch); /* fits at once: nothing to say */
    assert_false(wait_for_answer(bench).is_full);
    epoch_destroy(epoch);
    read_log(bench, text, sizeof text);
    assert_int_equal(count_of(text, "store.full"), 2);
    assert_int_equal(count_of(text, "store.room"), 2);
    assert_true(strstr(text, "store.full") < strstr(text, "store.room"));
}

static void test_stop_leaves_what_does_not_fit(void **state)
{
    struct bench *bench = *state;
    struct epoch *epoch = make_epoch(1);

    thread_assume(&thread_loop);
    store_memory_fail_next(bench->store, STORE_IS_FULL, false, 1000000);
    committer_commit(bench->committer, epoch);
    assert_true(wait_for_answer(bench).is_full);
    committer_stop(bench->committer);
    bench->committer = NULL;
    assert_int_equal(store_epoch(bench->store), 0);
    assert_int_equal(atomic_load(&failures), 0);
    epoch_destroy(epoch);
}

static void test_stop_finishes(void **state)
{
    struct bench *bench = *state;
    struct epoch *epoch = make_epoch(1);

    thread_assume(&thread_loop);
    committer_commit(bench->committer, epoch);
    committer_stop(bench->committer);
    bench->committer = NULL;
    assert_int_equal(store_epoch(bench->store), 1);
    epoch_destroy(epoch);
    committer_stop(NULL);
}

static void test_failure_is_final(void **state)
{
    struct bench *bench = *state;
    struct epoch *epoch = make_epoch(1);
    struct input input;

    thread_assume(&thread_loop);
    store_memory_fail_next(bench->store, STORE_FAILED, false, 1);
    committer_commit(bench->committer, epoch);
    while (atomic_load(&failures) == 0) {
        loop_poll(bench->loop, 1);
    }
    assert_int_equal(committer_take(bench->committer, &input, 1), 0); /* nobody is told that it is on disk */
    committer_stop(bench->committer);
    bench->committer = NULL;
    assert_int_equal(atomic_load(&failures), 1);
    assert_int_equal(store_epoch(bench->store), 0);
    epoch_destroy(epoch);
}

static bool has_log(struct bench *bench, const char *what)
{
    char text[4096];

    read_log(bench, text, sizeof text);
    return strstr(text, what) != NULL;
}

static void test_stalled_loop_is_told_once(void **state)
{
    struct bench *bench = *state;

    thread_assume(&thread_loop);
    for (uint64_t number = 1; number <= 4; number++) {
        struct epoch *epoch = make_epoch(number);
        if (number == 2) {
            committer_saw_turn(bench->committer, 1); /* as if the last turn had ended at boot */
        }
        if (number == 4) {
            committer_saw_turn(bench->committer, clock_monotonic_us());
        }
        committer_commit(bench->committer, epoch); /* wakes the thread, which looks */
        (void)wait_for_answer(bench);

        assert_true(number == 2 ? has_log(bench, "loop.stalled") : !has_log(bench, "loop.stalled"));
        epoch_destroy(epoch);
    }
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(test_commits_in_order),
        BENCH_TEST(test_full_is_tried_again),
        BENCH_TEST(test_full_is_told_once),
        BENCH_TEST(test_stop_leaves_what_does_not_fit),
        BENCH_TEST(test_stop_finishes),
        BENCH_TEST(test_failure_is_final),
        BENCH_TEST(test_stalled_loop_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
