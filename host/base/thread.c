/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

struct thread_role thread_loop = {"loop"};
struct thread_role thread_committer = {"committer"};

enum { THREAD_NAME_BYTES_MAX = 15 }; /* the kernel keeps no more */

struct queue {
    /* shared */
    pthread_mutex_t mutex;
    pthread_cond_t stirred;
    size_t first;
    size_t count;
    bool is_closed;

    /* fixed at creation */
    int event_fd;
    size_t capacity;
    void *items[]; /* a ring; shared */
};

void thread_assume(const struct thread_role *role)
{
    (void)role; /* only the compiler reads it */
}

struct thread_begin {
    char name[THREAD_NAME_BYTES_MAX + 1];
    thread_run *run;
    void *context;
};

static void *thread_main(void *argument)
{
    const struct thread_begin begin = *(const struct thread_begin *)argument;

    free(argument);
    (void)prctl(PR_SET_NAME, begin.name); /* for people with a debugger only */
    begin.run(begin.context);
    return NULL;
}

enum err_code thread_start(struct thread *thread, const char *name, thread_run *run, void *context, struct err *err)
{
    struct thread_begin *begin = calloc(1, sizeof *begin);
    sigset_t all;
    sigset_t before;

    check(begin != NULL);
    check(strlen(name) <= THREAD_NAME_BYTES_MAX);
    memcpy(begin->name, name, strlen(name));
    begin->run = run;
    begin->context = context;
    check(sigfillset(&all) == 0);
    /* A thread inherits the mask of the one that creates it, so no signal can slip in before it runs. */
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    const int failed = pthread_create(&thread->handle, NULL, thread_main, begin);
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (failed != 0) {
        free(begin);
        return err_set(err, ERR_SYSTEM, "thread %s cannot be started: %s", name, strerror(failed));
    }
    return ERR_NONE;
}

void thread_join(struct thread *thread)
{
    check(pthread_join(thread->handle, NULL) == 0);
}

struct queue *queue_create(size_t capacity, int event_fd)
{
    check(capacity > 0 && capacity <= SIZE_MAX / sizeof(void *) / 2);
    struct queue *queue = calloc(1, sizeof *queue + capacity * sizeof queue->items[0]);
    pthread_condattr_t attributes;

    check(queue != NULL);
    queue->capacity = capacity;
    queue->event_fd = event_fd;
    check(pthread_mutex_init(&queue->mutex, NULL) == 0);
    check(pthread_condattr_init(&attributes) == 0);
    check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0); /* a step of the wall clock is no timeout */
    check(pthread_cond_init(&queue->stirred, &attributes) == 0);
    check(pthread_condattr_destroy(&attributes) == 0);
    return queue;
}

void queue_destroy(struct queue *queue)
{
    if (queue == NULL) {
        return;
    }
    check(pthread_cond_destroy(&queue->stirred) == 0);
    check(pthread_mutex_destroy(&queue->mutex) == 0);
    free(queue);
}

static void lock(struct queue *queue)
{
    check(pthread_mutex_lock(&queue->mutex) == 0);
}

static void unlock(struct queue *queue)
{
    check(pthread_mutex_unlock(&queue->mutex) == 0);
}

static void write_event(const struct queue *queue)
{
    const uint64_t one = 1;

    if (queue->event_fd < 0) {
        return;
    }
    ssize_t written = 0;
    do {
        written = write(queue->event_fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    check(written == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: the counter is full, so it stirs anyway */
}

void queue_push(struct queue *queue, void *item)
{
    lock(queue);
    check(queue->count < queue->capacity);
    const bool was_empty = queue->count == 0;
    queue->items[(queue->first + queue->count) % queue->capacity] = item;
    queue->count++;
    unlock(queue);
    check(pthread_cond_signal(&queue->stirred) == 0); /* after the unlock: who wakes need not wait for the mutex */
    if (was_empty) {
        write_event(queue);
    }
}

/* With the mutex held. */
static size_t detach(struct queue *queue, void **items, size_t max)
{
    const size_t taken = queue->count < max ? queue->count : max;

    for (size_t i = 0; i < taken; i++) {
        items[i] = queue->items[(queue->first + i) % queue->capacity];
    }
    queue->first = (queue->first + taken) % queue->capacity;
    queue->count -= taken;
    return taken;
}

size_t queue_take(struct queue *queue, void **items, size_t max)
{
    lock(queue);
    const size_t taken = detach(queue, items, max);
    const bool is_left = queue->count > 0;
    unlock(queue);
    if (is_left) {
        write_event(queue);
    }
    return taken;
}

static struct timespec deadline_in(uint32_t timeout_ms)
{
    struct timespec at;

    check(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    at.tv_sec += (time_t)(timeout_ms / 1000);
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_nsec -= 1000000000L;
        at.tv_sec++;
    }
    return at;
}

size_t queue_wait(struct queue *queue, void **items, size_t max, uint32_t timeout_ms)
{
    const struct timespec deadline = deadline_in(timeout_ms);
    int waited = 0;

    lock(queue);
    while (queue->count == 0 && !queue->is_closed && waited == 0) {
        waited = pthread_cond_timedwait(&queue->stirred, &queue->mutex, &deadline);
        check(waited == 0 || waited == ETIMEDOUT);
    }
    const size_t taken = detach(queue, items, max);
    unlock(queue);
    return taken;
}

void queue_close(struct queue *queue)
{
    lock(queue);
    queue->is_closed = true;
    check(pthread_cond_broadcast(&queue->stirred) == 0);
    unlock(queue);
}

bool queue_is_closed(struct queue *queue)
{
    lock(queue);
    const bool is_closed = queue->is_closed;
    unlock(queue);
    return is_closed;
}

enum err_code queue_event_open(int *out_fd, struct err *err)
{
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        return err_set(err, ERR_SYSTEM, "an eventfd cannot be opened: %s", strerror(errno));
    }
    *out_fd = fd;
    return ERR_NONE;
}

void queue_event_clear(int event_fd)
{
    uint64_t count = 0;
    ssize_t got = 0;

    do {
        got = read(event_fd, &count, sizeof count);
    } while (got < 0 && errno == EINTR);
    check(got == (ssize_t)sizeof count || errno == EAGAIN);
}
