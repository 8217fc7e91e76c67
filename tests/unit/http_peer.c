/* SPDX-License-Identifier: Apache-2.0
 *
 * http_peer.c: one thread, one poll set, requests read whole, answers as their path says (http_peer.h).
 */
#define _GNU_SOURCE /* accept4 */
#include "http_peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

enum { CONNECTIONS_MAX = 256, IN_BYTES_MAX = 4 << 20, ADDRESSES = 2 };

struct peer_connection {
    char *in;
    size_t in_size;
    uint32_t answered;
    int address; /* 1 or 2 */
};

struct http_peer {
    pthread_t thread;
    uint16_t port;
    int stop_fd;
    struct pollfd polled[1 + ADDRESSES + CONNECTIONS_MAX];
    struct peer_connection connections[CONNECTIONS_MAX];
    size_t count;

    /* shared */
    pthread_mutex_t lock;
    uint32_t taken;
    uint32_t requests;
    uint32_t requests_at[ADDRESSES + 1];
    char head[4096];
};

static void send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the client is gone: some tests mean it so */
        }
        at += sent;
        size -= (size_t)sent;
    }
}

static void send_answer(int fd, const char *status, const char *fields, const void *body, size_t size)
{
    char head[512];
    int head_size = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, fields, size);
    check(head_size > 0 && (size_t)head_size < sizeof(head));
    send_all(fd, head, (size_t)head_size);
    send_all(fd, body, size);
}

#define OCTET "Content-Type: application/octet-stream\r\n"
#define PARTIAL "Proa-Features: partial\r\n"
static const uint8_t good_body[] = {0xA2, 0x06, 0x00};

static size_t put_varint(uint8_t *at, size_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        at[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[size++] = (uint8_t)value;
    return size;
}

/* A field of wire type 2 around what is in `body`: its head goes to the front. */
static size_t wrap(uint8_t *body, size_t size, const uint8_t *tag, size_t tag_size)
{
    uint8_t head[16];
    memcpy(head, tag, tag_size);
    size_t head_size = tag_size + put_varint(head + tag_size, size);
    memmove(body + head_size, body, size);
    memcpy(body, head, head_size);
    return size + head_size;
}

/* A FromFunction with one egress record of so many bytes. */
static void send_bytes(int fd, size_t bytes)
{
    uint8_t *body = calloc(1, bytes + 128);
    check(body != NULL);
    size_t size = wrap(body, bytes, (const uint8_t[]){0x1A}, 1);
    static const uint8_t typed[] = {0x0A, 0x03, 't', '/', 'x', 0x10, 0x01};
    memmove(body + sizeof(typed), body, size);
    memcpy(body, typed, sizeof(typed));
    size = wrap(body, size + sizeof(typed), (const uint8_t[]){0x1A}, 1);
    static const uint8_t names[] = {0x0A, 0x01, 'e', 0x12, 0x01, 'k'};
    memmove(body + sizeof(names), body, size);
    memcpy(body, names, sizeof(names));
    size = wrap(body, size + sizeof(names), (const uint8_t[]){0x22}, 1);
    size = wrap(body, size, (const uint8_t[]){0xA2, 0x06}, 2);
    send_answer(fd, "200 OK", OCTET, body, size);
    free(body);
}

static void send_header(int fd, size_t bytes)
{
    char *head = malloc(bytes + 64);
    check(head != NULL);
    size_t size = (size_t)snprintf(head, bytes + 64, "HTTP/1.1 200 OK\r\n");
    while (size < bytes) {
        size += (size_t)snprintf(head + size, 64, "X-Filler: 0123456789\r\n");
    }
    send_all(fd, head, size);
    send_all(fd, "\r\n", 2);
    free(head);
}

static void reset_connection(int fd)
{
    struct linger linger = {.l_onoff = 1};
    check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
}

static bool begins(const char *path, const char *word)
{
    return strncmp(path, word, strlen(word)) == 0;
}

static void send_status(int fd, const char *path)
{
    char status[32];
    static const char text[] = "no\x01 such thing";
    (void)snprintf(status, sizeof(status), "%.3s Said", path + strlen("/status/"));
    send_answer(fd, status, "Content-Type: text/plain\r\n", text, sizeof(text) - 1);
}

/* The head of an answer that does not say how long its body is. */
static void send_bare_head(int fd, const char *status)
{
    char head[128];
    const int size = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%s\r\n", status, OCTET);
    check(size > 0 && (size_t)size < sizeof(head));
    send_all(fd, head, (size_t)size);
}

/* Answers that are not simply good ones. False: the connection is to be closed. */
static bool answer_special(int fd, const char *path, uint32_t answered)
{
    if (begins(path, "/once")) {
        if (answered > 0) {
            return false;
        }
        send_answer(fd, "200 OK", OCTET, good_body, sizeof(good_body));
    } else if (begins(path, "/close")) {
        send_answer(fd, "200 OK", OCTET, good_body, sizeof(good_body));
        return false;
    } else if (begins(path, "/reset")) {
        send_all(fd, "HTTP/1.1 200 OK\r\n" OCTET "Content-Length: 10\r\n\r\n\xA2", 75);
        reset_connection(fd);
        return false;
    } else if (begins(path, "/refuse-body")) {
        send_answer(fd, "413 Too Large", "Connection: close\r\n", "", 0);
    } else if (begins(path, "/bytes/")) {
        send_bytes(fd, (size_t)strtoul(path + 7, NULL, 10));
    } else if (begins(path, "/header/")) {
        send_header(fd, (size_t)strtoul(path + 8, NULL, 10));
    } else if (begins(path, "/cut")) {
        send_bare_head(fd, "200 OK");
        return false;
    } else if (begins(path, "/no-content")) {
        send_bare_head(fd, "204 No Content");
    } else if (begins(path, "/gzip-twice")) {
        send_answer(fd, "200 OK", OCTET "Content-Encoding: gzip\r\nTransfer-Encoding: deflate, chunked\r\n", "", 0);
    } else if (begins(path, "/gzip-not")) {
        send_answer(fd, "200 OK", OCTET "Content-Encoding: gzip\r\n", good_body, sizeof(good_body));
    } else if (begins(path, "/gzip")) {
        send_answer(fd, "200 OK", OCTET "Content-Encoding: gzip\r\n", "\x1F\x8B", 2);
    } else if (!begins(path, "/silent")) {
        send_answer(fd, "500 What", "", "", 0);
    }
    return true;
}

/* False: the connection is to be closed. */
static bool answer(int fd, const char *path, uint32_t answered)
{
    if (begins(path, "/ok")) {
        send_answer(fd, "200 OK", OCTET PARTIAL, good_body, sizeof(good_body));
    } else if (begins(path, "/plain")) {
        send_answer(fd, "200 OK", "content-type: Application/OCTET-stream\r\n", good_body, sizeof(good_body));
    } else if (begins(path, "/interim")) {
        static const char early[] = "HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\nLink: </x>\r\n\r\n";
        send_all(fd, early, sizeof(early) - 1);
        send_answer(fd, "200 OK", OCTET PARTIAL, good_body, sizeof(good_body));
    } else if (begins(path, "/garbage")) {
        send_answer(fd, "200 OK", OCTET, "\xFF\xFF\xFF", 3);
    } else if (begins(path, "/typeless")) {
        send_answer(fd, "200 OK", "Status: 500\r\n", "", 0);
    } else if (begins(path, "/status/")) {
        send_status(fd, path);
    } else if (begins(path, "/wait-date")) {
        send_answer(fd, "503 Later", "Retry-After: Fri, 31 Dec 2099 23:59:59 GMT\r\n", "", 0);
    } else if (begins(path, "/wait")) {
        send_answer(fd, "503 Later", "Retry-After: 7\r\n", "", 0);
    } else {
        return answer_special(fd, path, answered);
    }
    return true;
}

static void note_request(struct http_peer *peer, const struct peer_connection *connection, size_t head_size)
{
    check(pthread_mutex_lock(&peer->lock) == 0);
    peer->requests++;
    peer->requests_at[connection->address]++;
    size_t size = head_size < sizeof(peer->head) ? head_size : sizeof(peer->head) - 1;
    memcpy(peer->head, connection->in, size);
    peer->head[size] = '\0';
    check(pthread_mutex_unlock(&peer->lock) == 0);
}

/* Handles whole requests at the front of what came in. False: close. */
static bool handle_input(struct http_peer *peer, struct peer_connection *connection, int fd)
{
    for (;;) {
        connection->in[connection->in_size] = '\0';
        const char *end = strstr(connection->in, "\r\n\r\n");
        if (end == NULL) {
            return true;
        }
        size_t head_size = (size_t)(end - connection->in) + 4;
        const char *length = strstr(connection->in, "Content-Length: ");
        size_t body_size = length == NULL || length > end ? 0 : (size_t)strtoul(length + 16, NULL, 10);
        char path[128] = "";
        bool is_post = sscanf(connection->in, "POST %127s", path) == 1;
        bool is_early = begins(path, "/refuse-body");
        if (!is_early && connection->in_size < head_size + body_size) {
            return true;
        }
        note_request(peer, connection, head_size);
        if (!is_post || !answer(fd, path, connection->answered++)) {
            return false;
        }
        if (is_early) {
            connection->in_size = 0; /* what of the body still comes is read and forgotten */
            return true;
        }
        connection->in_size -= head_size + body_size;
        memmove(connection->in, connection->in + head_size + body_size, connection->in_size);
    }
}

static bool take_input(struct http_peer *peer, struct peer_connection *connection, int fd)
{
    ssize_t size = recv(fd, connection->in + connection->in_size, IN_BYTES_MAX - connection->in_size, 0);
    if (size <= 0) {
        return false;
    }
    connection->in_size += (size_t)size;
    bool is_tls = connection->in[0] == 0x16; /* a ClientHello */
    return !is_tls && handle_input(peer, connection, fd);
}

static void take_connection(struct http_peer *peer, size_t listener)
{
    int fd = accept4(peer->polled[1 + listener].fd, NULL, NULL, SOCK_CLOEXEC);
    check(fd >= 0 && peer->count < CONNECTIONS_MAX);
    peer->connections[peer->count] =
        (struct peer_connection){.in = malloc(IN_BYTES_MAX + 1), .address = (int)listener + 1};
    check(peer->connections[peer->count].in != NULL);
    peer->polled[1 + ADDRESSES + peer->count] = (struct pollfd){.fd = fd, .events = POLLIN};
    peer->count++;
    check(pthread_mutex_lock(&peer->lock) == 0);
    peer->taken++;
    check(pthread_mutex_unlock(&peer->lock) == 0);
}

static void drop_connection(struct http_peer *peer, size_t index)
{
    (void)close(peer->polled[1 + ADDRESSES + index].fd); /* nobody is left to tell */
    free(peer->connections[index].in);
    peer->count--;
    peer->connections[index] = peer->connections[peer->count];
    peer->polled[1 + ADDRESSES + index] = peer->polled[1 + ADDRESSES + peer->count];
}

static void *serve(void *context)
{
    struct http_peer *peer = context;
    for (;;) {
        check(poll(peer->polled, 1 + ADDRESSES + peer->count, -1) > 0);
        if (peer->polled[0].revents != 0) {
            return NULL;
        }
        for (size_t i = peer->count; i > 0; i--) {
            const struct pollfd *polled = &peer->polled[ADDRESSES + i];
            if (polled->revents != 0 && !take_input(peer, &peer->connections[i - 1], polled->fd)) {
                drop_connection(peer, i - 1);
            }
        }
        for (size_t i = 0; i < ADDRESSES; i++) {
            if (peer->polled[1 + i].revents != 0) {
                take_connection(peer, i);
            }
        }
    }
}

static int listen_at(int address, uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(*port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (uint32_t)address)};
    socklen_t size = sizeof(name);
    check(fd >= 0);
    check(bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0);
    check(listen(fd, CONNECTIONS_MAX) == 0);
    check(getsockname(fd, (struct sockaddr *)&name, &size) == 0);
    *port = ntohs(name.sin_port);
    return fd;
}

struct http_peer *http_peer_start(void)
{
    struct http_peer *peer = calloc(1, sizeof(*peer));
    check(peer != NULL);
    peer->stop_fd = eventfd(0, EFD_CLOEXEC);
    check(peer->stop_fd >= 0);
    peer->polled[0] = (struct pollfd){.fd = peer->stop_fd, .events = POLLIN};
    for (int i = 0; i < ADDRESSES; i++) {
        peer->polled[1 + i] = (struct pollfd){.fd = listen_at(i + 1, &peer->port), .events = POLLIN};
    }
    check(pthread_mutex_init(&peer->lock, NULL) == 0);
    check(pthread_create(&peer->thread, NULL, serve, peer) == 0);
    return peer;
}

void http_peer_stop(struct http_peer *peer)
{
    check(eventfd_write(peer->stop_fd, 1) == 0);
    check(pthread_join(peer->thread, NULL) == 0);
    while (peer->count > 0) {
        drop_connection(peer, peer->count - 1);
    }
    for (int i = 0; i <= ADDRESSES; i++) {
        (void)close(peer->polled[i].fd); /* as above */
    }
    check(pthread_mutex_destroy(&peer->lock) == 0);
    free(peer);
}

uint16_t http_peer_port(const struct http_peer *peer)
{
    return peer->port;
}

static uint32_t read_shared(struct http_peer *peer, const uint32_t *figure)
{
    check(pthread_mutex_lock(&peer->lock) == 0);
    uint32_t value = *figure;
    check(pthread_mutex_unlock(&peer->lock) == 0);
    return value;
}

uint32_t http_peer_connections(struct http_peer *peer)
{
    return read_shared(peer, &peer->taken);
}

uint32_t http_peer_requests(struct http_peer *peer)
{
    return read_shared(peer, &peer->requests);
}

uint32_t http_peer_requests_at(struct http_peer *peer, int address)
{
    return read_shared(peer, &peer->requests_at[address]);
}

void http_peer_head(struct http_peer *peer, char *out, uint32_t size)
{
    check(pthread_mutex_lock(&peer->lock) == 0);
    (void)snprintf(out, size, "%s", peer->head);
    check(pthread_mutex_unlock(&peer->lock) == 0);
}
