/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"
#include "limit.h"

enum { EVENTS_MAX = LIMIT_INPUTS_PER_TURN_MAX };

struct loop {
    int epoll_fd;
    int event_count; /* fetched by the poll under way */
    int event_next;  /* the next one to deliver */
    struct epoll_event events[EVENTS_MAX];
};

enum err_code loop_create(struct loop **out, struct err *err)
{
    struct loop *loop = calloc(1, sizeof *loop);

    check(loop != NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        free(loop);
        return err_set(err, ERR_SYSTEM, "an epoll set cannot be opened: %s", strerror(errno));
    }
    *out = loop;
    return ERR_NONE;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    (void)close(loop->epoll_fd); /* nothing is written through it: no error can matter */
    free(loop);
}

static enum err_code control(struct loop *loop, int operation, struct loop_watch *watch, uint32_t events,
                             struct err *err)
{
    struct epoll_event event = {.events = events, .data = {.ptr = watch}};

    check(watch->ready != NULL);
    if (epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) != 0) {
        return err_set(err, ERR_SYSTEM, "descriptor %d cannot be watched: %s", watch->fd, strerror(errno));
    }
    return ERR_NONE;
}

enum err_code loop_watch(struct loop *loop, struct loop_watch *watch, uint32_t events, struct err *err)
{
    return control(loop, EPOLL_CTL_ADD, watch, events, err);
}

enum err_code loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events, struct err *err)
{
    return control(loop, EPOLL_CTL_MOD, watch, events, err);
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    /* A descriptor that was closed has left the set by itself; then there is nothing to do. */
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) != 0) {
        check(errno == EBADF || errno == ENOENT || errno == EPERM);
    }
    for (int i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

void loop_poll(struct loop *loop, int timeout_ms)
{
    check(loop->event_next == loop->event_count); /* no callback polls again */
    const int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_MAX, timeout_ms);

    if (count < 0) {
        check(errno == EINTR); /* a signal is a short wait, nothing more */
        return;
    }
    loop->event_count = count;
    loop->event_next = 0;
    while (loop->event_next < loop->event_count) {
        const struct epoll_event event = loop->events[loop->event_next++];
        struct loop_watch *watch = event.data.ptr;
        if (watch != NULL) {
            watch->ready(watch->context, event.events);
        }
    }
}
