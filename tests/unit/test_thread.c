/* SPDX-License-Identifier: Apache-2.0
 *
 * test_thread.c: the queue between threads, its eventfd, threads without signals.
 */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"
#include "thread.h"

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static void test_order_and_wrap(void **state)
{
    (void)state;
    struct queue *queue = queue_create(4, -1);
    int numbers[64];
    void *out[4];
    size_t pushed = 0;
    size_t taken = 0;

    while (taken < 60) {
        while (pushed < 64 && pushed - taken < 4) {
            queue_push(queue, &numbers[pushed++]);
        }
        const size_t count = queue_take(queue, out, 3);
        assert_in_range(count, 1, 3);
        for (size_t i = 0; i < count; i++) {
            assert_ptr_equal(out[i], &numbers[taken]);
            taken++;
        }
    }
    queue_destroy(queue);
    queue_destroy(NULL);
}

static void test_event_only_when_empty(void **state)
{
    (void)state;
    struct err err;
    int fd = -1;
    uint64_t count = 0;
    void *out[4];

    assert_int_equal(queue_event_open(&fd, &err), ERR_NONE);
    struct queue *queue = queue_create(4, fd);
    queue_push(queue, &err);
    queue_push(queue, &err);
    queue_push(queue, &err);
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    /* What a take leaves behind stirs again, or it would lie there for good. */
    assert_int_equal(queue_take(queue, out, 2), 2);
    assert_true(is_readable(fd));
    queue_event_clear(fd);
    assert_false(is_readable(fd));
    queue_event_clear(fd); /* empty already: no harm */
    assert_int_equal(queue_take(queue, out, 4), 1);
    assert_false(is_readable(fd));
    assert_int_equal(queue_take(queue, out, 4), 0);
    queue_push(queue, &err);
    assert_true(is_readable(fd));
    queue_destroy(queue);
    assert_int_equal(close(fd), 0);
}

static void test_wait_ends(void **state)
{
    (void)state;
    struct queue *queue = queue_create(2, -1);
    void *out[2];

    assert_int_equal(queue_wait(queue, out, 2, 1), 0); /* by its deadline */
    assert_false(queue_is_closed(queue));
    queue_push(queue, out);
    assert_int_equal(queue_wait(queue, out, 2, 60000), 1);
    queue_push(queue, out);
    queue_close(queue);
    assert_true(queue_is_closed(queue));
    assert_int_equal(queue_wait(queue, out, 2, 60000), 1); /* what was inside still comes out */
    assert_int_equal(queue_wait(queue, out, 2, 60000), 0);
    queue_destroy(queue);
}

enum { RALLY = 20000, PLACES = 16 };

struct rally {
    struct queue *there;
    struct queue *back;
    uint64_t sum;
};

static void run_rally(void *context)
{
    struct rally *rally = context;
    void *items[PLACES];

    for (;;) {
        const size_t count = queue_wait(rally->there, items, PLACES, 60000);
        if (count == 0) {
            check(queue_is_closed(rally->there));
            return;
        }
        for (size_t i = 0; i < count; i++) {
            rally->sum += *(uint32_t *)items[i];
            queue_push(rally->back, items[i]);
        }
    }
}

/* The way loop and committer talk: a credit is a place in the queue back. */
static void test_rally(void **state)
{
    (void)state;
    struct err err;
    int fd = -1;
    uint32_t values[PLACES];
    void *items[PLACES];
    struct thread thread;

    assert_int_equal(queue_event_open(&fd, &err), ERR_NONE);
    struct rally rally = {.there = queue_create(PLACES, -1), .back = queue_create(PLACES, fd)};
    assert_int_equal(thread_start(&thread, "rally", run_rally, &rally, &err), ERR_NONE);
    uint32_t sent = 0;
    uint32_t got = 0;
    for (; sent < PLACES; sent++) {
        values[sent] = sent;
        queue_push(rally.there, &values[sent]);
    }
    while (got < RALLY) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 60000), 1);
        queue_event_clear(fd);
        const size_t count = queue_take(rally.back, items, 3);
        for (size_t i = 0; i < count; i++, got++) {
            if (sent < RALLY) {
                *(uint32_t *)items[i] = sent++;
                queue_push(rally.there, items[i]);
            }
        }
    }
    queue_close(rally.there);
    thread_join(&thread);
    assert_int_equal(rally.sum, (uint64_t)RALLY * (RALLY - 1) / 2);
    queue_destroy(rally.there);
    queue_destroy(rally.back);
    assert_int_equal(close(fd), 0);
}

static void see_mask(void *context)
{
    check(pthread_sigmask(SIG_SETMASK, NULL, context) == 0);
}

static void test_no_signals(void **state)
{
    (void)state;
    struct err err;
    struct thread thread;
    sigset_t inside;
    sigset_t here;

    assert_int_equal(thread_start(&thread, "sixteen bytes!!", see_mask, &inside, &err), ERR_NONE);
    thread_join(&thread);
    assert_int_equal(sigismember(&inside, SIGTERM), 1);
    assert_int_equal(sigismember(&inside, SIGINT), 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &here), 0);
    assert_int_equal(sigismember(&here, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_wrap), cmocka_unit_test(test_event_only_when_empty),
        cmocka_unit_test(test_wait_ends),      cmocka_unit_test(test_rally),
        cmocka_unit_test(test_no_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
