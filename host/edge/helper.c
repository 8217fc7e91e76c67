/* SPDX-License-Identifier: Apache-2.0 */
#include "helper.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"

enum {
    THREADS_MAX = 16,
    TAKE_MAX = 256,      /* ended jobs of one turn */
    WAIT_MS = 60 * 1000, /* a thread with nothing to do looks up this often; closing the queue wakes it at once */
};

struct helper {
    /* owned by the loop */
    struct loop *loop;
    struct loop_watch watch;
    uint32_t capacity;
    uint32_t under_way;
    uint32_t thread_count;
    bool is_stopping;
    struct thread threads[THREADS_MAX];

    /* shared */
    struct queue *jobs;
    struct queue *ended;
    int event_fd;
};

static void help(void *context)
{
    struct helper *helper = context;

    for (;;) {
        void *item = NULL;
        if (queue_wait(helper->jobs, &item, 1, WAIT_MS) == 1) {
            struct helper_job *job = item;
            job->work(job);
            queue_push(helper->ended, job);
        } else if (queue_is_closed(helper->jobs)) {
            return;
        }
    }
}

/* Ends what has come so far; what is left stirs the descriptor again, so jobs that start jobs never hold the loop. */
static void finish(struct helper *helper) LOOP_THREAD
{
    void *items[TAKE_MAX];
    const size_t count = queue_take(helper->ended, items, TAKE_MAX);

    for (size_t i = 0; i < count; i++) {
        struct helper_job *job = items[i];
        check(helper->under_way > 0);
        helper->under_way--; /* first: `done` may start the next job in this place */
        job->done(job);
    }
}

static void on_ended(void *context, uint32_t events)
{
    struct helper *helper = context;

    (void)events;
    thread_assume(&thread_loop);
    queue_event_clear(helper->event_fd);
    finish(helper);
}

static enum err_code start_threads(struct helper *helper, const char *name, uint32_t threads, struct err *err)
{
    for (uint32_t i = 0; i < threads; i++) {
        if (thread_start(&helper->threads[i], name, help, helper, err) != ERR_NONE) {
            return err->code;
        }
        helper->thread_count++;
    }
    return ERR_NONE;
}

enum err_code helper_start(struct loop *loop, const char *name, uint32_t threads, uint32_t capacity,
                           struct helper **out, struct err *err)
{
    check(threads > 0 && threads <= THREADS_MAX);
    check(capacity > 0);
    struct helper *helper = calloc(1, sizeof *helper);

    check(helper != NULL);
    helper->loop = loop;
    helper->capacity = capacity;
    if (queue_event_open(&helper->event_fd, err) != ERR_NONE) {
        free(helper);
        return err->code;
    }
    helper->jobs = queue_create(capacity, -1);
    helper->ended = queue_create(capacity, helper->event_fd);
    helper->watch = (struct loop_watch){.ready = on_ended, .context = helper, .fd = helper->event_fd};
    if (loop_watch(loop, &helper->watch, EPOLLIN, err) != ERR_NONE ||
        start_threads(helper, name, threads, err) != ERR_NONE) {
        helper_stop(helper);
        return err->code;
    }
    *out = helper;
    return ERR_NONE;
}

void helper_stop(struct helper *helper)
{
    if (helper == NULL) {
        return;
    }
    helper->is_stopping = true;
    queue_close(helper->jobs); /* what is in it is still worked off: a closed queue hands out its rest */
    for (uint32_t i = 0; i < helper->thread_count; i++) {
        thread_join(&helper->threads[i]);
    }
    loop_unwatch(helper->loop, &helper->watch);
    while (helper->under_way > 0) {
        finish(helper); /* no thread is left, so all of them wait here */
    }
    queue_destroy(helper->jobs);
    queue_destroy(helper->ended);
    (void)close(helper->event_fd); /* an eventfd holds nothing that could be lost */
    free(helper);
}

bool helper_push(struct helper *helper, struct helper_job *job)
{
    if (helper->is_stopping || helper->under_way == helper->capacity) {
        return false;
    }
    helper->under_way++;
    queue_push(helper->jobs, job);
    return true;
}
