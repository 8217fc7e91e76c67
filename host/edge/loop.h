/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.h: the one epoll set of the host.
 *
 * Parts register descriptors with a callback. The runner asks for the events of a turn; the loop has no
 * opinion on order beyond delivering them. Thread: loop.
 */
#pragma once

#include <stdint.h>

#include "err.h"
#include "thread.h"

struct loop;

/* Called with the epoll events that stirred. */
typedef void loop_ready(void *context, uint32_t events);

struct loop_watch {
    loop_ready *ready;
    void *context;
    int fd;
};

/* An empty epoll set. */
MUST_USE enum err_code loop_create(struct loop **out, struct err *err);
void loop_destroy(struct loop *loop); /* accepts NULL */
/* Begins to watch for epoll `events`. `watch` stays owned by the caller and must live until loop_unwatch. */
MUST_USE enum err_code loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t events,
                                  struct err *err) LOOP_THREAD;
MUST_USE enum err_code loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events,
                                    struct err *err) LOOP_THREAD;
/* Safe within a callback, for any watch: events already fetched for it are forgotten. */
void loop_unwatch(struct loop *loop, struct loop_watch *watch) LOOP_THREAD;
/* Waits at most timeout_ms (-1: no limit) and delivers what stirred, 256 events at the most. */
void loop_poll(struct loop *loop, int timeout_ms) LOOP_THREAD;
