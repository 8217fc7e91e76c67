/* SPDX-License-Identifier: Apache-2.0
 *
 * test_loop.c: what stirs is delivered; what is no longer watched is not, even if it was fetched already.
 */
#include "unit.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "loop.h"

struct pair {
    struct loop_watch watch;
    struct loop *loop;
    struct pair *other; /* unwatched by the callback */
    uint32_t events;
    int calls;
};

static void on_ready(void *context, uint32_t events)
{
    struct pair *pair = context;

    thread_assume(&thread_loop);
    pair->calls++;
    pair->events = events;
    if (pair->other != NULL) {
        loop_unwatch(pair->loop, &pair->other->watch);
    }
    queue_event_clear(pair->watch.fd);
}

static void pair_open(struct pair *pair, struct loop *loop, struct err *err)
{
    *pair = (struct pair){.loop = loop, .watch = {.ready = on_ready, .context = pair}};
    assert_int_equal(queue_event_open(&pair->watch.fd, err), ERR_NONE);
}

static void stir(const struct pair *pair)
{
    const uint64_t one = 1;

    assert_int_equal(write(pair->watch.fd, &one, sizeof one), sizeof one);
}

static void test_delivers(void **state)
{
    (void)state;
    struct err err;
    struct loop *loop = NULL;
    struct pair pair;

    thread_assume(&thread_loop);
    assert_int_equal(loop_create(&loop, &err), ERR_NONE);
    pair_open(&pair, loop, &err);
    assert_int_equal(loop_watch(loop, &pair.watch, EPOLLIN, &err), ERR_NONE);
    assert_int_equal(loop_watch(loop, &pair.watch, EPOLLIN, &err), ERR_SYSTEM); /* twice is refused */
    loop_poll(loop, 0);
    assert_int_equal(pair.calls, 0);
    stir(&pair);
    loop_poll(loop, 10000);
    assert_int_equal(pair.calls, 1);
    assert_int_equal(pair.events, EPOLLIN);
    assert_int_equal(loop_rewatch(loop, &pair.watch, EPOLLOUT, &err), ERR_NONE);
    loop_poll(loop, 10000);
    assert_int_equal(pair.events, EPOLLOUT);
    loop_unwatch(loop, &pair.watch);
    assert_int_equal(close(pair.watch.fd), 0);
    loop_poll(loop, 0);
    assert_int_equal(pair.calls, 2);
    loop_unwatch(loop, &pair.watch); /* closed already: no harm */
    loop_destroy(loop);
    loop_destroy(NULL);
}

static void test_unwatch_in_callback(void **state)
{
    (void)state;
    struct err err;
    struct loop *loop = NULL;
    struct pair a;
    struct pair b;

    thread_assume(&thread_loop);
    assert_int_equal(loop_create(&loop, &err), ERR_NONE);
    pair_open(&a, loop, &err);
    pair_open(&b, loop, &err);
    a.other = &b;
    b.other = &a;
    assert_int_equal(loop_watch(loop, &a.watch, EPOLLIN, &err), ERR_NONE);
    assert_int_equal(loop_watch(loop, &b.watch, EPOLLIN, &err), ERR_NONE);
    stir(&a);
    stir(&b);
    loop_poll(loop, 10000); /* fetches both; whoever comes first takes the other away */
    assert_int_equal(a.calls + b.calls, 1);
    loop_poll(loop, 0);
    assert_int_equal(a.calls + b.calls, 1);
    assert_int_equal(close(a.watch.fd), 0);
    assert_int_equal(close(b.watch.fd), 0);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_delivers), cmocka_unit_test(test_unwatch_in_callback)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
