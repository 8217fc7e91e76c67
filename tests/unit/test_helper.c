/* SPDX-License-Identifier: Apache-2.0
 *
 * test_helper.c: helpers: every job that was taken is worked off and ends on the loop, once.
 */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

#include "helper.h"
#include "list.h"

enum { CAPACITY = 8, TURNS_MAX = 1000 };

struct job {
    struct helper_job helper_job;
    struct helper *helper;
    pthread_t loop_thread;
    uint32_t worked;
    uint32_t done;
    bool starts_again;
};

static void work(struct helper_job *helper_job)
{
    struct job *job = container_of(helper_job, struct job, helper_job);
    assert_false(pthread_equal(pthread_self(), job->loop_thread));
    job->worked++;
}

static void done(struct helper_job *helper_job)
{
    struct job *job = container_of(helper_job, struct job, helper_job);
    thread_assume(&thread_loop);
    assert_true(pthread_equal(pthread_self(), job->loop_thread));
    job->done++;
    assert_int_equal(job->done, job->worked);
    if (job->starts_again) { /* its own place is free by now; but not while the helper is being destroyed */
        job->starts_again = helper_push(job->helper, &job->helper_job);
    }
}

static struct job jobs[CAPACITY + 1];
static struct loop *loop;
static struct helper *helper;

static void set_up(uint32_t threads) LOOP_THREAD
{
    struct err err;
    assert_int_equal(loop_create(&loop, &err), ERR_NONE);
    assert_int_equal(helper_start(loop, "helper", threads, CAPACITY, &helper, &err), ERR_NONE);
    for (size_t i = 0; i <= CAPACITY; i++) {
        jobs[i] =
            (struct job){.helper_job = {.work = work, .done = done}, .helper = helper, .loop_thread = pthread_self()};
    }
}

static void jobs_end_on_the_loop(void **state)
{
    (void)state;
    thread_assume(&thread_loop);
    set_up(2);
    for (uint32_t round = 1; round <= 20; round++) {
        for (size_t i = 0; i < CAPACITY; i++) {
            assert_true(helper_push(helper, &jobs[i].helper_job));
        }
        assert_false(helper_push(helper, &jobs[CAPACITY].helper_job)); /* places are free again only by `done` */
        for (size_t i = 0; i < CAPACITY; i++) {
            for (int turn = 0; turn < TURNS_MAX && jobs[i].done < round; turn++) {
                loop_poll(loop, 1000);
            }
            assert_int_equal(jobs[i].done, round);
        }
    }
    assert_int_equal(jobs[CAPACITY].worked, 0);
    helper_stop(helper);
    loop_destroy(loop);
}

static void destroying_ends_what_is_under_way(void **state)
{
    (void)state;
    thread_assume(&thread_loop);
    set_up(1);
    for (size_t i = 0; i < CAPACITY; i++) {
        jobs[i].starts_again = true;
        assert_true(helper_push(helper, &jobs[i].helper_job));
    }
    helper_stop(helper);
    for (size_t i = 0; i < CAPACITY; i++) {
        assert_int_equal(jobs[i].done, 1);
        assert_false(jobs[i].starts_again);
    }
    helper_stop(NULL);
    loop_destroy(loop);
}

static void a_job_may_start_again_from_its_end(void **state)
{
    (void)state;
    thread_assume(&thread_loop);
    set_up(1);
    jobs[0].starts_again = true;
    assert_true(helper_push(helper, &jobs[0].helper_job));
    for (int turn = 0; turn < TURNS_MAX && jobs[0].done < 50; turn++) {
        loop_poll(loop, 1000);
    }
    assert_true(jobs[0].done >= 50);
    helper_stop(helper);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_end_on_the_loop),
        cmocka_unit_test(destroying_ends_what_is_under_way),
        cmocka_unit_test(a_job_may_start_again_from_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
