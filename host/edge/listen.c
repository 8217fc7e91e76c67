/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, PORT_TEXT_BYTES = 8 };

union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Binds and listens; 0, or the errno of what failed. */
static int set_up(int fd, const struct addrinfo *where, uint16_t *out_port)
{
    const int one = 1;
    union endpoint bound = {.v6 = {.sin6_family = AF_UNSPEC}};
    socklen_t bound_size = sizeof bound;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, where->ai_addr, where->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &bound.any, &bound_size) != 0) {
        return errno;
    }
    *out_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return 0;
}

enum err_code listen_open(const char *address, uint16_t port, int *out_fd, uint16_t *out_port, struct err *err)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[PORT_TEXT_BYTES];

    (void)snprintf(service, sizeof service, "%u", port);
    const int unknown = getaddrinfo(address, service, &hints, &found);
    if (unknown != 0) {
        return err_set(err, ERR_CONFIG, "\"%s\" is no address to listen on; give a number such as 127.0.0.1 or ::1: %s",
                       address, gai_strerror(unknown));
    }
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int failed = fd < 0 ? errno : set_up(fd, found, out_port);
    freeaddrinfo(found);
    if (failed != 0) {
        if (fd >= 0) {
            (void)close(fd); /* it never listened */
        }
        return err_set(err, failed == EADDRINUSE ? ERR_IN_USE : ERR_SYSTEM, "port %u of %s cannot be listened on: %s",
                       port, address, strerror(failed));
    }
    *out_fd = fd;
    return ERR_NONE;
}
