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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* A bounded queue of pointers between threads. */
struct queue;

/* `event_fd` >= 0: an eventfd written once per push that finds the queue empty. */
struct queue *queue_create(size_t capacity, int event_fd);
void queue_destroy(struct queue *queue);          /* accepts NULL; does not free what is inside */
void queue_push(struct queue *queue, void *item); /* any thread; over capacity is a failed check */
/* Moves everything out, oldest first, into items[0..max); returns how many. Never waits. */
size_t queue_take(struct queue *queue, void **items, size_t max);
/* The same, but waits until there is something, or timeout_ms passed (0 items), or the queue was closed (0 items). */
size_t queue_wait(struct queue *queue, void **items, size_t max, uint32_t timeout_ms);
void queue_close(struct queue *queue); /* wakes all waiters for good */
bool queue_is_closed(struct queue *queue);
