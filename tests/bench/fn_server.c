/* SPDX-License-Identifier: Apache-2.0
 *
 * fn_server.c: the counter as a function server in C, as fast as one thread allows: the other side of benchmarks.
 *
 * Any function, any id: adds its argument (a built-in int or long, or a JSON integer) to the state `total` and answers
 * an asker with the sum, a built-in long. Speaks HTTP/1.1 with keep-alive and just enough of the wire format, by hand.
 * It trusts its peer: never to be reachable from outside.
 * Usage: fn_server [--port N] [--delay-ms N]; prints {"port": N} once it listens. Ends on SIGTERM.
 */
#define _GNU_SOURCE /* accept4, memmem, strcasestr */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, IN_BYTES_MAX = 16 << 20, OUT_FIRST_BYTES = 4096, EVENTS_MAX = 256 };

struct bytes {
    const uint8_t *at;
    const uint8_t *end;
};

struct out {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct connection {
    int fd;
    char *in;
    size_t in_size;
    size_t in_capacity;
    struct out out;
    size_t out_sent;
    uint64_t due_ms; /* of the answer in `out`; 0: now */
    struct connection *next_due;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "fn_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the wire, read ----------------------------------------------------------------------------------- */

static uint64_t get_varint(struct bytes *in)
{
    uint64_t value = 0;
    for (int shift = 0; in->at < in->end && shift < 64; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    return value;
}

/* The next field; false at the end, or at what is not understood. For a varint `value` holds it, else `body`. */
static bool get_field(struct bytes *in, uint32_t *out_number, uint64_t *out_value, struct bytes *out_body)
{
    if (in->at >= in->end) {
        return false;
    }
    uint64_t tag = get_varint(in);
    size_t size = 0;
    *out_number = (uint32_t)(tag >> 3);
    *out_value = 0;
    switch (tag & 7) {
    case 0:
        *out_value = get_varint(in);
        break;
    case 1:
        size = 8;
        break;
    case 2:
        size = (size_t)get_varint(in);
        break;
    case 5:
        size = 4;
        break;
    default:
        return false;
    }
    if (size > (size_t)(in->end - in->at)) {
        return false;
    }
    *out_body = (struct bytes){in->at, in->at + size};
    in->at += size;
    return true;
}

static bool is_text(struct bytes bytes, const char *text)
{
    size_t size = (size_t)(bytes.end - bytes.at);
    return size == strlen(text) && memcmp(bytes.at, text, size) == 0;
}

static int64_t little(struct bytes bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < (size_t)(bytes.end - bytes.at); i++) {
        value |= (uint64_t)bytes.at[i] << (8 * i);
    }
    return bytes.end - bytes.at == 4 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
}

/* The number a TypedValue stands for; nothing is 0. */
static int64_t number_of(struct bytes typed)
{
    struct bytes typename_ = {0};
    struct bytes value = {0};
    struct bytes body = {0};
    uint32_t number = 0;
    uint64_t varint = 0;
    while (get_field(&typed, &number, &varint, &body)) {
        if (number == 1) {
            typename_ = body;
        } else if (number == 3) {
            value = body;
        }
    }
    if (is_text(typename_, "proa/json")) {
        char text[32] = "";
        size_t size = (size_t)(value.end - value.at);
        memcpy(text, value.at, size < sizeof(text) ? size : sizeof(text) - 1);
        return strtoll(text, NULL, 10);
    }
    return get_field(&value, &number, &varint, &body) ? little(body) : 0;
}

/* ---- the wire, written -------------------------------------------------------------------------------- */

static void put(struct out *out, const void *data, size_t size)
{
    while (out->capacity - out->size < size) {
        out->capacity = out->capacity == 0 ? OUT_FIRST_BYTES : out->capacity * 2;
        out->data = realloc(out->data, out->capacity);
        if (out->data == NULL) {
            fail("memory");
        }
    }
    if (size > 0) {
        memcpy(out->data + out->size, data, size);
    }
    out->size += size;
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static void put_varint(struct out *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    put(out, bytes, size);
}

/* typename, has_value, fixed64 1 of a built-in long */
#define LONG_TYPE "io.statefun.types/long"
enum { LONG_TYPE_BYTES = sizeof(LONG_TYPE) - 1, LONG_VALUE_BYTES = 2 + LONG_TYPE_BYTES + 2 + 2 + 9 };

static void put_long(struct out *out, int64_t value)
{
    uint8_t typed[LONG_VALUE_BYTES] = {0x0A, LONG_TYPE_BYTES};
    uint8_t *at = typed + 2;
    memcpy(at, LONG_TYPE, LONG_TYPE_BYTES);
    at += LONG_TYPE_BYTES;
    static const uint8_t rest[] = {0x10, 0x01, 0x1A, 0x09, 0x09};
    memcpy(at, rest, sizeof(rest));
    at += sizeof(rest);
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)((uint64_t)value >> (8 * i));
    }
    put_varint(out, sizeof(typed));
    put(out, typed, sizeof(typed));
}

/* ---- the function ------------------------------------------------------------------------------------- */

static const uint8_t missing_total[] = {0xAA, 0x06, 0x21, 0x0A, 0x1F, 0x0A, 0x05, 't', 'o', 't', 'a', 'l',
                                        0x1A, 0x16, 'i',  'o',  '.',  's',  't',  'a', 't', 'e', 'f', 'u',
                                        'n',  '.',  't',  'y',  'p',  'e',  's',  '/', 'l', 'o', 'n', 'g'};

/* Handles one Invocation: adds, and writes an outgoing message to an asker. */
static void invoke(struct bytes invocation, int64_t *total, struct out *out)
{
    struct bytes caller = {0};
    struct bytes body = {0};
    uint32_t number = 0;
    uint64_t varint = 0;
    while (get_field(&invocation, &number, &varint, &body)) {
        if (number == 1) {
            caller = body;
        } else if (number == 2) {
            *total += number_of(body);
        }
    }
    struct bytes part = caller;
    bool is_proa = get_field(&part, &number, &varint, &body) && number == 1 && is_text(body, "proa");
    if (!is_proa || !get_field(&part, &number, &varint, &body) || !is_text(body, "reply")) {
        return;
    }
    size_t caller_size = (size_t)(caller.end - caller.at);
    put(out, "\x12", 1);
    put_varint(out, 1 + varint_size(caller_size) + caller_size + 2 + LONG_VALUE_BYTES);
    put(out, "\x0A", 1);
    put_varint(out, caller_size);
    put(out, caller.at, caller_size);
    put(out, "\x12", 1);
    put_long(out, *total);
}

/* Writes the FromFunction that answers a ToFunction. */
static void answer(struct bytes request, struct out *out)
{
    static struct out effects; /* reused */
    struct bytes batch = {0};
    struct bytes body = {0};
    struct bytes part = {0};
    bool has_total = false;
    int64_t total = 0;
    uint32_t number = 0;
    uint64_t varint = 0;

    effects.size = 0;
    while (get_field(&request, &number, &varint, &body)) {
        batch = number == 100 ? body : batch;
    }
    struct bytes states = batch;
    while (get_field(&states, &number, &varint, &body)) {
        bool is_total = number == 2 && get_field(&body, &number, &varint, &part) && is_text(part, "total");
        if (is_total) {
            has_total = true;
            total = get_field(&body, &number, &varint, &part) ? number_of(part) : 0;
        }
    }
    if (!has_total) {
        put(out, missing_total, sizeof(missing_total));
        return;
    }
    while (get_field(&batch, &number, &varint, &body)) {
        if (number == 3) {
            invoke(body, &total, &effects);
        }
    }
    static const uint8_t mutation[] = {0x08, 0x01, 0x12, 0x05, 't', 'o', 't', 'a', 'l', 0x1A};
    put(&effects, "\x0A", 1);
    put_varint(&effects, sizeof(mutation) + 1 + LONG_VALUE_BYTES);
    put(&effects, mutation, sizeof(mutation));
    put_long(&effects, total);
    put(out, "\xA2\x06", 2);
    put_varint(out, effects.size);
    put(out, effects.data, effects.size);
}

/* ---- HTTP --------------------------------------------------------------------------------------------- */

static void put_http_answer(struct bytes request, struct out *out)
{
    static struct out body; /* reused */
    char head[192];
    body.size = 0;
    answer(request, &body);
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nProa-Features: partial\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        body.size);
    put(out, head, (size_t)size);
    put(out, body.data, body.size);
}

/* Answers the request at the front of `in`, if it is whole. */
static bool take_request(struct connection *connection)
{
    char *end = memmem(connection->in, connection->in_size, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    *end = '\0'; /* so that the head is a string */
    const char *length = strcasestr(connection->in, "\r\ncontent-length:");
    size_t body_size = length == NULL ? 0 : (size_t)strtoul(length + 17, NULL, 10);
    size_t whole = (size_t)(end + 4 - connection->in) + body_size;
    *end = '\r';
    if (connection->in_size < whole) {
        return false;
    }
    const uint8_t *body = (const uint8_t *)end + 4;
    put_http_answer((struct bytes){body, body + body_size}, &connection->out);
    connection->in_size -= whole;
    memmove(connection->in, connection->in + whole, connection->in_size);
    return true;
}

static void drop(struct connection *connection)
{
    (void)close(connection->fd);
    free(connection->in);
    free(connection->out.data);
    *connection = (struct connection){.fd = -1};
}

/* Sends what is to be sent; the rest when the socket can take it. */
static void send_out(int epoll_fd, struct connection *connection)
{
    size_t left = connection->out.size - connection->out_sent;
    ssize_t sent = send(connection->fd, connection->out.data + connection->out_sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        drop(connection);
        return;
    }
    bool was_waiting = connection->out_sent > 0;
    connection->out_sent += sent < 0 ? 0 : (size_t)sent;
    bool is_waiting = connection->out_sent < connection->out.size;
    if (!is_waiting) {
        connection->out.size = 0;
        connection->out_sent = 0;
    }
    if (is_waiting != was_waiting) {
        struct epoll_event event = {.events = is_waiting ? EPOLLOUT : EPOLLIN, .data.ptr = connection};
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
}

static bool receive(struct connection *connection)
{
    if (connection->in_capacity - connection->in_size < 4096) {
        connection->in_capacity = connection->in_capacity == 0 ? 16384 : connection->in_capacity * 2;
        connection->in =
            connection->in_capacity > IN_BYTES_MAX ? NULL : realloc(connection->in, connection->in_capacity);
        if (connection->in == NULL) {
            fail("a request is too large");
        }
    }
    ssize_t size = recv(connection->fd, connection->in + connection->in_size,
                        connection->in_capacity - connection->in_size - 1, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN)) {
        return false;
    }
    connection->in_size += size < 0 ? 0 : (size_t)size;
    return true;
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

struct server {
    int epoll_fd;
    int listener;
    uint64_t delay_ms;
    struct connection *due_first; /* answers that are held back, by time */
    struct connection *due_last;
    struct connection connections[CONNECTIONS_MAX];
};

static void accept_all(struct server *server)
{
    int fd = 0;
    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = NULL;
        for (size_t i = 0; connection == NULL && i < CONNECTIONS_MAX; i++) {
            connection = server->connections[i].fd < 0 ? &server->connections[i] : NULL;
        }
        if (connection == NULL) {
            (void)close(fd);
            continue;
        }
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        *connection = (struct connection){.fd = fd};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            fail("epoll_ctl");
        }
    }
}

static void hold_back(struct server *server, struct connection *connection)
{
    connection->due_ms = now_ms() + server->delay_ms;
    connection->next_due = NULL;
    if (server->due_last != NULL) {
        server->due_last->next_due = connection;
    } else {
        server->due_first = connection;
    }
    server->due_last = connection;
}

static void serve_connection(struct server *server, struct connection *connection, uint32_t events)
{
    if (connection->out_sent < connection->out.size && (events & EPOLLOUT) != 0) {
        send_out(server->epoll_fd, connection);
        return;
    }
    if (!receive(connection)) {
        if (connection->due_ms == 0) {
            drop(connection); /* else it is dropped when its answer is due */
        }
        return;
    }
    bool has_answer = false;
    while (take_request(connection)) {
        has_answer = true;
    }
    if (has_answer && server->delay_ms > 0) {
        hold_back(server, connection);
    } else if (has_answer) {
        send_out(server->epoll_fd, connection);
    }
}

/* Sends what is due; returns how long the next may wait. */
static int send_due(struct server *server)
{
    uint64_t now = now_ms();
    while (server->due_first != NULL && server->due_first->due_ms <= now) {
        struct connection *connection = server->due_first;
        server->due_first = connection->next_due;
        server->due_last = server->due_first == NULL ? NULL : server->due_last;
        connection->due_ms = 0;
        send_out(server->epoll_fd, connection);
    }
    return server->due_first == NULL ? -1 : (int)(server->due_first->due_ms - now);
}

static uint16_t start_listening(struct server *server, uint16_t port)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    int one = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (server->listener < 0 || server->epoll_fd < 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(server->listener, (const struct sockaddr *)&name, sizeof(name)) != 0 ||
        listen(server->listener, 1024) != 0 || getsockname(server->listener, (struct sockaddr *)&name, &size) != 0 ||
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listener, &event) != 0) {
        fail("listening");
    }
    return ntohs(name.sin_port);
}

int main(int argc, char **argv)
{
    static struct server server;
    struct epoll_event events[EVENTS_MAX];
    uint16_t port = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0) {
            port = (uint16_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--delay-ms") == 0) {
            server.delay_ms = strtoul(argv[i + 1], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: fn_server [--port N] [--delay-ms N]\n");
            return 2;
        }
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        server.connections[i].fd = -1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    port = start_listening(&server, port);
    (void)printf("{\"port\": %u}\n", port);
    (void)fflush(stdout);
    for (;;) {
        int count = epoll_wait(server.epoll_fd, events, EVENTS_MAX, send_due(&server));
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                accept_all(&server);
            } else if (connection->fd >= 0) {
                serve_connection(&server, connection, events[i].events);
            }
        }
    }
}
