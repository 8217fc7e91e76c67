/* SPDX-License-Identifier: Apache-2.0 */
#include "socks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

struct sock {
    struct loop_watch watch;
    struct socks *socks;
    uint32_t wanted;     /* 0: it rests */
    uint32_t registered; /* events in epoll; 0: not there */
    bool is_tls;
};

struct socks {
    struct loop *loop;
    socks_ready *ready;
    void *context;
    struct sock **by_fd;
    size_t capacity;
    uint32_t count;
    uint32_t tls_count;
};

struct socks *socks_create(struct loop *loop, socks_ready *ready, void *context)
{
    struct socks *socks = calloc(1, sizeof(*socks));
    check(socks != NULL);
    *socks = (struct socks){.loop = loop, .ready = ready, .context = context};
    return socks;
}

void socks_destroy(struct socks *socks)
{
    if (socks == NULL) {
        return;
    }
    check(socks->count == 0);
    free(socks->by_fd);
    free(socks);
}

static void set_registered(struct sock *sock, uint32_t events) LOOP_THREAD
{
    struct err err;
    enum err_code code = ERR_NONE;
    if (events == sock->registered) {
        return;
    }
    if (events == 0) {
        loop_unwatch(sock->socks->loop, &sock->watch);
    } else if (sock->registered == 0) {
        code = loop_watch(sock->socks->loop, &sock->watch, events, &err);
    } else {
        code = loop_rewatch(sock->socks->loop, &sock->watch, events, &err);
    }
    /* A socket that cannot be watched (the kernel has no memory for it) lets its call run into the deadline. */
    if (code == ERR_NONE) {
        sock->registered = events;
    }
}

/* Nobody asked for what comes to a connection at rest, and the next call would take it for its answer. So libcurl shall
 * find the connection closed when it wants to use it again. */
static void close_at_rest(const struct sock *sock)
{
    char unasked[4096];

    (void)shutdown(sock->watch.fd, SHUT_RDWR); /* fails only if the peer has reset it; from here on nothing is added */
    while (recv(sock->watch.fd, unasked, sizeof unasked, MSG_DONTWAIT) > 0) {
    }
}

static void on_ready(void *context, uint32_t events)
{
    thread_assume(&thread_loop);
    struct sock *sock = context;

    if (sock->wanted == 0) {
        const bool is_stirred = events != EPOLLOUT; /* by the peer's end, most of the time */
        set_registered(sock, is_stirred ? 0 : EPOLLIN);
        if (is_stirred) {
            close_at_rest(sock);
        }
        return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        events |= sock->wanted; /* reading or writing finds the error */
    }
    sock->socks->ready(sock->socks->context, sock->watch.fd, events & sock->wanted);
}

static void grow(struct socks *socks, size_t index)
{
    size_t capacity = index < 64 ? 128 : index * 2;
    struct sock **by_fd = realloc(socks->by_fd, capacity * sizeof(struct sock *));
    check(by_fd != NULL);
    memset(by_fd + socks->capacity, 0, (capacity - socks->capacity) * sizeof(struct sock *));
    socks->by_fd = by_fd;
    socks->capacity = capacity;
}

static void forget(struct sock *sock) LOOP_THREAD
{
    struct socks *socks = sock->socks;
    set_registered(sock, 0);
    socks->by_fd[sock->watch.fd] = NULL;
    socks->count--;
    socks->tls_count -= sock->is_tls;
    free(sock);
}

void socks_open(struct socks *socks, int fd, bool is_tls)
{
    check(fd >= 0);
    if ((size_t)fd >= socks->capacity) {
        grow(socks, (size_t)fd);
    }
    if (socks->by_fd[fd] != NULL) {
        forget(socks->by_fd[fd]); /* it was closed without a word: its number was given again */
    }
    struct sock *sock = calloc(1, sizeof(*sock));
    check(sock != NULL);
    *sock = (struct sock){.watch = {.ready = on_ready, .context = sock, .fd = fd}, .socks = socks, .is_tls = is_tls};
    socks->by_fd[fd] = sock;
    socks->count++;
    socks->tls_count += is_tls;
}

static struct sock *sock_of(struct socks *socks, int fd)
{
    check(fd >= 0 && (size_t)fd < socks->capacity && socks->by_fd[fd] != NULL);
    return socks->by_fd[fd];
}

void socks_close(struct socks *socks, int fd)
{
    forget(sock_of(socks, fd));
    (void)close(fd); /* nothing is left to do about a socket that does not close well */
}

void socks_want(struct socks *socks, int fd, uint32_t events)
{
    struct sock *sock = sock_of(socks, fd);
    if (events == 0 && fcntl(fd, F_GETFD) < 0) {
        forget(sock);
        return;
    }
    sock->wanted = events;
    if (events != 0) {
        set_registered(sock, events);
    }
}

uint32_t socks_tls_count(const struct socks *socks)
{
    return socks->tls_count;
}
