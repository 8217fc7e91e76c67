/* SPDX-License-Identifier: Apache-2.0
 *
 * thread.h: who may call what, and the one way threads talk.
 *
 * Roles are clang thread-safety capabilities on functions: `LOOP_THREAD` on a prototype says that only the
 * loop calls it, and clang checks it. gcc sees nothing.
 * The queue: lock, detach the whole list, unlock, work. A push never waits: the credit that was taken
 * before the work was issued is the place of its answer, so a push beyond the capacity is a bug of ours.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#if defined(__clang__)
#define TSA(attribute) __attribute__((attribute))
#else
#define TSA(attribute)
#endif

struct TSA(capability("thread")) thread_role {
    const char *name;
};
extern struct thread_role thread_loop;
extern struct thread_role thread_committer;
#define LOOP_THREAD TSA(requires_capability(thread_loop))
#define COMMITTER_THREAD TSA(requires_capability(thread_committer))
/* Says to the compiler that the caller is on that thread: first line of a callback or thread function. */
void thread_assume(const struct thread_role *role) TSA(assert_capability(*role));

/* A running thread; plain data of whoever started it. */
struct thread {
    pthread_t handle;
};
typedef void thread_run(void *context);

/* Runs `run` on a thread of its own with every signal blocked: signals are the loop's. `name`: at most 15 bytes. */
MUST_USE enum err_code thread_start(struct thread *thread, const char *name, thread_run *run, void *context,
                                    struct err *err);
void thread_join(struct thread *thread);

/* A bounded queue of pointers between threads. */
struct queue;

/* `event_fd` >= 0: an eventfd (not owned) written by each push that finds the queue empty, and by each take that
 * leaves something behind: who waits for the descriptor, then reads it, then takes, misses nothing. */
struct queue *queue_create(size_t capacity, int event_fd);
void queue_destroy(struct queue *queue);          /* accepts NULL; does not free what is inside */
void queue_push(struct queue *queue, void *item); /* any thread; over capacity is a failed check */
/* Moves out the oldest, in order, into items[0..max); returns how many. Never waits. */
size_t queue_take(struct queue *queue, void **items, size_t max);
/* The same, but waits until there is something, or timeout_ms passed (0 items), or the queue is closed. What is
 * inside a closed queue still comes out; then it gives 0 items without waiting. */
size_t queue_wait(struct queue *queue, void **items, size_t max, uint32_t timeout_ms);
void queue_close(struct queue *queue); /* wakes all waiters for good */
bool queue_is_closed(struct queue *queue);
/* Opens an eventfd for a queue; closed with close(2). */
MUST_USE enum err_code queue_event_open(int *out_fd, struct err *err);
/* Reads it empty: what the watch of the descriptor does before the queue is taken. */
void queue_event_clear(int event_fd);
