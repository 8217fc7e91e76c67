/* SPDX-License-Identifier: Apache-2.0
 *
 * socks.h: the sockets of libcurl in the loop's epoll set.
 *
 * Why: libcurl takes back its interest in a socket after every call and states it again with the next.
 * Followed to the letter that costs 1.9 system calls a call. So a socket stays in epoll between two calls,
 * until it stirs unasked or is closed. And libcurl 7.88 closes a socket behind the back of its owner if it never came
 * to be a connection, because nobody took it in time or the handshake failed: all it still says is that it wants
 * nothing of it any more. Not here: libcurl itself (transfer.c). Thread: loop.
 */
#pragma once

#include <stdbool.h>

#include "loop.h"

struct socks;

/* `events` are among those that were wanted. The socket may be closed within. */
typedef void socks_ready(void *context, int fd, uint32_t events);

/* No sockets yet; `ready` is called from the loop. */
struct socks *socks_create(struct loop *loop, socks_ready *ready, void *context);
void socks_destroy(struct socks *socks); /* accepts NULL; every socket must have been closed */
/* Takes a descriptor in; socks_close gives it up again and closes it. */
void socks_open(struct socks *socks, int fd, bool is_tls) LOOP_THREAD;
void socks_close(struct socks *socks, int fd) LOOP_THREAD;
/* The epoll events a socket is wanted for from now on; 0: it rests, or is given up if its descriptor is closed. */
void socks_want(struct socks *socks, int fd, uint32_t events) LOOP_THREAD;
/* Sockets opened for TLS. */
uint32_t socks_tls_count(const struct socks *socks);
