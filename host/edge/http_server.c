/* SPDX-License-Identifier: Apache-2.0
 *
 * http_server.c: a slot per connection, and in it the one request the connection is at.
 *
 *   FREE ─accept─► BETWEEN ─first line─► RECEIVING ─whole: suspended, handler─► WAITING ─answer: resumed─► ANSWERED
 *                     ▲                                                                                       │
 *                     └───────────────────────────────── sent ────────────────────────────────────────────────┘
 *
 * A suspended connection has no timeout in libmicrohttpd, and its other timeouts know only silence, not trickles.
 * So the deadlines are ours: once a second the slots are walked and what is late is shut down.
 */
#include "http_server.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "http_framing.h"
#include "http_refusal.h"
#include "list.h"
#include "listen.h"

enum {
    RUNS_PER_TURN_MAX = 4,
    CONNECTION_MEMORY_BYTES = 16 << 10, /* request line and header fields, and the window a body comes through */
    DRAIN_BYTES_MAX = 8 << 20,          /* of a refused body: so much is read so that the client sees the answer */
    BODY_KEEP_BYTES_MAX = 4096,         /* a body's buffer up to this stays with its connection */
    SWEEP_US = 1000 * 1000,
    HEAD_S = 30,      /* a request's header fields have so long, whatever its body has */
    OVER_HEAD_S = 2,  /* a connection over the limit has less: others wait to be refused in its place */
    OVER_BODY_S = 10, /* its refused body */
    CLOSE_MS_MAX = 2000,
    CLOSE_POLL_MS = 10,
    RECEIVE_IDLE_FACTOR = 2, /* a request has twice the idle time to arrive, an answer ten times to leave */
    SEND_IDLE_FACTOR = 10,
    WAITING_S = 660, /* an ask may wait 600 s */
    /* Suspend and resume without the wake-up descriptor that MHD_ALLOW_SUSPEND_RESUME adds: only the loop resumes. */
    FLAG_SUSPEND = MHD_ALLOW_SUSPEND_RESUME & ~MHD_USE_ITC,
};

enum slot_state { SLOT_FREE, SLOT_BETWEEN, SLOT_RECEIVING, SLOT_WAITING, SLOT_ANSWERED };

struct slot {
    struct link link; /* in `used` or `unused` */
    struct http_server *server;
    struct MHD_Connection *connection;
    uint64_t since_us; /* when it entered its state */
    enum slot_state state;
    int fd;
    bool is_over;      /* accepted beyond the mark: answered by ERR_OVERLOADED, then closed */
    bool has_begun;    /* the header fields of the request are read */
    bool is_immediate; /* refused before its body: the answer is queued without suspending */
    bool is_last;      /* nobody knows where the next request of the connection would begin */
    struct http_request request;
    char invocation[HTTP_INVOCATION_BYTES_MAX + 1]; /* of the request; empty: not known */
    char *uri;                                      /* copy of the request's raw target */
    size_t uri_capacity;
    size_t uri_size;
    const char *uri_read; /* where libmicrohttpd has it */
    struct buf body;
    uint64_t body_counted; /* bytes of its buffer in memory_bytes */
    uint64_t drained;
    struct MHD_Response *response;
    unsigned int status;
};

struct http_server {
    struct http_server_options options;
    struct loop *loop;
    struct loop_watch watch;
    struct MHD_Daemon *daemon;
    int listen_fd; /* -1 once it was closed */
    uint16_t port;
    bool is_running; /* within MHD_run */
    bool has_resumed;
    bool is_quiet;   /* takes no new connections */
    bool is_closing; /* calls the handler no more */
    uint64_t sequence;
    uint64_t memory_bytes;
    uint64_t memory_bytes_max;
    uint32_t idle_timeout_s;
    uint64_t next_sweep_us;
    uint32_t waiting;
    uint32_t sending;
    uint32_t slot_count;
    struct slot *slots;
    struct list used;
    struct list unused;
};

/* ---- a request ------------------------------------------------------------------------------------------ */

static void enter(struct slot *slot, enum slot_state state)
{
    slot->state = state;
    slot->since_us = clock_monotonic_us();
}

static void count_body(struct slot *slot)
{
    slot->server->memory_bytes += slot->body.capacity - slot->body_counted;
    slot->body_counted = slot->body.capacity;
}

static void forget_body(struct slot *slot)
{
    buf_done(&slot->body);
    buf_init(&slot->body, slot->server->options.body_bytes_max);
    count_body(slot);
}

/* A small buffer stays with its connection for the next request. */
static void forget_large_body(struct slot *slot)
{
    if (slot->body.capacity > BODY_KEEP_BYTES_MAX || slot->body.overflow) {
        forget_body(slot);
    }
    buf_clear(&slot->body);
}

static void refuse(struct slot *slot, enum err_code why, const char *text)
{
    if (slot->request.trouble == ERR_NONE) {
        slot->request.trouble = why;
        slot->request.trouble_text = text;
    }
    forget_body(slot);
}

/* The raw target, before libmicrohttpd cuts and decodes it. Its return value names the request from here on. */
static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct slot *slot = info == NULL ? NULL : info->socket_context;

    if (slot == NULL) {
        return NULL;
    }
    const size_t size = strlen(uri);
    if (size >= slot->uri_capacity) {
        char *grown = realloc(slot->uri, size + 1);
        if (grown == NULL) {
            return NULL;
        }
        slot->uri = grown;
        slot->uri_capacity = size + 1;
    }
    memcpy(slot->uri, uri, size + 1);
    const char *mark = memchr(slot->uri, '?', size);
    const size_t path_size = mark == NULL ? size : (size_t)(mark - slot->uri);
    slot->request = (struct http_request){.path = {(const uint8_t *)slot->uri, path_size}};
    if (mark != NULL) {
        slot->request.query = (struct slice){(const uint8_t *)mark + 1, size - path_size - 1};
    }
    slot->uri_read = uri;
    slot->uri_size = size;
    slot->has_begun = false;
    slot->is_immediate = false;
    slot->is_last = false;
    slot->invocation[0] = 0;
    slot->drained = 0;
    slot->request.trouble = slot->is_over ? ERR_OVERLOADED : ERR_NONE;
    check(slot->server == server && slot->response == NULL);
    enter(slot, SLOT_RECEIVING);
    slot->request.arrived_us = slot->since_us;
    return slot;
}

static struct slice header(struct MHD_Connection *connection, const char *name, size_t name_size)
{
    const char *value = NULL;
    size_t size = 0;

    if (MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, name, name_size, &value, &size) != MHD_YES ||
        value == NULL) {
        return SLICE_EMPTY;
    }
    return (struct slice){(const uint8_t *)value, size};
}
#define HEADER(connection, name) header((connection), (name), sizeof(name) - 1)

/* tidy: allow parameters: libmicrohttpd's prototype. */
static enum MHD_Result see_field(void *framing, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                 const char *value, size_t size)
{
    (void)kind;
    http_framing_add(framing, (struct slice){(const uint8_t *)name, name_size},
                     value == NULL ? SLICE("") : (struct slice){(const uint8_t *)value, size});
    return MHD_YES;
}

static void call_handler(struct slot *slot)
{
    struct http_server *server = slot->server;

    server->sequence++;
    slot->request.id = server->sequence * server->slot_count + (uint64_t)(slot - server->slots);
    slot->request.body = buf_slice(&slot->body);
    server->waiting++;
    enter(slot, SLOT_WAITING);
    if (server->is_closing) {
        return; /* close answers the rest */
    }
    server->options.handler(server->options.context, &slot->request);
    /* The request may be answered and more by now: nothing of it is touched here. */
}

static enum MHD_Result queue(struct slot *slot)
{
    check(slot->state == SLOT_ANSWERED);
    forget_large_body(slot);
    if (slot->response == NULL) {
        return MHD_NO; /* memory was out: the connection is closed */
    }
    const enum MHD_Result queued = MHD_queue_response(slot->connection, slot->status, slot->response);
    MHD_destroy_response(TAKE(slot->response)); /* the connection has its own reference */
    return queued;
}

/* The header fields are there, the body is not. */
static enum MHD_Result begin(struct slot *slot, const char *method, const char *version)
{
    struct MHD_Connection *connection = slot->connection;
    struct http_request *request = &slot->request;
    struct http_framing framing = {.code = ERR_NONE};

    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, see_field, &framing); /* gives their count */
    http_framing_end(&framing, version);
    slot->has_begun = true;
    request->method = slice_of(method);
    request->content_type = HEADER(connection, "Content-Type");
    request->proa_type = HEADER(connection, "Proa-Type");
    request->traceparent = HEADER(connection, "traceparent");
    request->accept = HEADER(connection, "Accept");
    /* The target ends at a NUL byte, if there is one, but the version keeps its place behind all of it. */
    if ((uintptr_t)version != (uintptr_t)slot->uri_read + slot->uri_size + 1) {
        refuse(slot, ERR_BAD_REQUEST, "the request line holds a NUL byte; write it percent-encoded where allowed");
    }
    if (framing.code != ERR_NONE) {
        slot->is_last = true;
        refuse(slot, framing.code, framing.why);
    }
    if (framing.length > slot->server->options.body_bytes_max) {
        refuse(slot, ERR_TOO_LARGE, NULL);
    }
    const bool is_asking_first = HEADER(connection, "Expect").size > 0;
    const bool is_drained = framing.length == 0 || (!is_asking_first && framing.length <= DRAIN_BYTES_MAX);
    if (slot->is_last || (request->trouble != ERR_NONE && !is_drained)) {
        slot->is_immediate = true;
        call_handler(slot);
        return slot->state == SLOT_ANSWERED ? queue(slot) : MHD_NO;
    }
    return MHD_YES;
}

static enum MHD_Result take_body(struct slot *slot, const char *data, size_t size)
{
    struct http_server *server = slot->server;

    if (slot->request.trouble != ERR_NONE) {
        slot->drained += size;
        return slot->drained > DRAIN_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    const size_t needed = slot->body.size + size;
    if (needed > server->options.body_bytes_max) {
        refuse(slot, ERR_TOO_LARGE, NULL);
        return MHD_YES;
    }
    if (needed > slot->body.capacity && server->memory_bytes + needed * 2 > server->memory_bytes_max) {
        refuse(slot, ERR_OVERLOADED, NULL);
        return MHD_YES;
    }
    buf_append(&slot->body, data, size);
    if (slot->body.overflow) {
        refuse(slot, ERR_OVERLOADED, NULL);
        return MHD_YES;
    }
    count_body(slot);
    return MHD_YES;
}

/* tidy: allow parameters: libmicrohttpd's prototype. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload_data, size_t *upload_data_size,
                                  void **connection_context)
{
    struct slot *slot = *connection_context;

    (void)context;
    (void)url;
    if (slot == NULL) {
        return MHD_NO; /* memory was out when it began */
    }
    check(slot->connection == connection);
    if (slot->state == SLOT_ANSWERED) {
        return queue(slot);
    }
    check(slot->state == SLOT_RECEIVING);
    if (!slot->has_begun) {
        return begin(slot, method, version);
    }
    if (*upload_data_size > 0) {
        const size_t size = *upload_data_size;
        *upload_data_size = 0;
        return take_body(slot, upload_data, size);
    }
    MHD_suspend_connection(connection);
    call_handler(slot);
    return MHD_YES;
}

/* The answer was sent, or the client is gone. */
static void on_completed(void *context, struct MHD_Connection *connection, void **connection_context,
                         enum MHD_RequestTerminationCode code)
{
    struct slot *slot = *connection_context;

    (void)context;
    (void)connection;
    (void)code;
    *connection_context = NULL;
    if (slot == NULL) {
        return;
    }
    if (slot->state == SLOT_WAITING) {
        slot->server->waiting--;
    }
    if (slot->state == SLOT_ANSWERED) {
        slot->server->sending--;
    }
    if (slot->response != NULL) {
        MHD_destroy_response(TAKE(slot->response));
    }
    forget_large_body(slot);
    slot->request = (struct http_request){0};
    enter(slot, SLOT_BETWEEN);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct link *link = list_pop(&server->unused);
        if (link == NULL) {
            *socket_context = NULL;
            return;
        }
        struct slot *slot = container_of(link, struct slot, link);
        list_push(&server->used, &slot->link);
        slot->connection = connection;
        slot->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        slot->is_over = server->used.count > (size_t)server->slot_count * 9 / 10;
        enter(slot, SLOT_BETWEEN);
        *socket_context = slot;
        return;
    }
    struct slot *slot = *socket_context;
    if (slot == NULL) {
        return;
    }
    check(slot->state == SLOT_BETWEEN);
    *socket_context = NULL;
    forget_body(slot);
    free(TAKE(slot->uri));
    slot->uri_capacity = 0;
    slot->connection = NULL;
    slot->state = SLOT_FREE;
    list_remove(&server->used, &slot->link);
    list_push_front(&server->unused, &slot->link);
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static struct slot *find(const struct http_server *server, uint64_t id)
{
    struct slot *slot = &server->slots[id % server->slot_count];

    return slot->state == SLOT_WAITING && slot->request.id == id ? slot : NULL;
}

const struct http_request *http_server_request(const struct http_server *server, uint64_t id)
{
    const struct slot *slot = find(server, id);

    return slot == NULL ? NULL : &slot->request;
}

static bool add_headers(struct MHD_Response *response, const struct http_answer *answer)
{
    bool is_added = true;

    if (answer->content_type != NULL) {
        is_added = MHD_add_response_header(response, "Content-Type", answer->content_type) == MHD_YES;
    }
    for (uint32_t i = 0; i < answer->header_count; i++) {
        const struct http_header *one = &answer->headers[i];
        is_added = MHD_add_response_header(response, one->name, one->value) == MHD_YES && is_added;
    }
    return is_added;
}

static struct MHD_Response *make_response(const struct slot *slot, const struct http_answer *answer)
{
    union {
        const uint8_t *borrowed;
        void *argument; /* copied, not changed: the library's prototype lacks the const */
    } body = {.borrowed = answer->body.data};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.size, body.argument, MHD_RESPMEM_MUST_COPY);

    if (response == NULL) {
        return NULL;
    }
    bool is_added = add_headers(response, answer);
    if (slot->is_over || slot->is_last || slot->server->is_quiet) {
        is_added = MHD_add_response_header(response, "Connection", "close") == MHD_YES && is_added;
    }
    if (!is_added) {
        MHD_destroy_response(response); /* a bare close is better than an answer that lacks a field */
        return NULL;
    }
    return response;
}

void http_server_answer(struct http_server *server, uint64_t id, const struct http_answer *answer)
{
    struct slot *slot = find(server, id);

    if (slot == NULL) {
        return;
    }
    check(answer->status >= 200 && answer->status <= 599);
    slot->response = make_response(slot, answer);
    slot->status = (unsigned int)answer->status;
    server->waiting--;
    server->sending++;
    enter(slot, SLOT_ANSWERED);
    if (!slot->is_immediate) {
        MHD_resume_connection(slot->connection);
        server->has_resumed = true;
    }
}

void http_server_name(struct http_server *server, uint64_t id, const char *invocation)
{
    struct slot *slot = find(server, id);

    if (slot != NULL) {
        (void)snprintf(slot->invocation, sizeof slot->invocation, "%s", invocation);
    }
}

/* ---- running -------------------------------------------------------------------------------------------- */

static uint64_t lifetime_s(const struct slot *slot)
{
    const uint64_t idle_s = slot->server->idle_timeout_s;

    switch (slot->state) {
    case SLOT_BETWEEN:
        return slot->is_over ? OVER_HEAD_S : idle_s;
    case SLOT_RECEIVING:
        if (slot->is_over) {
            return slot->has_begun ? OVER_BODY_S : OVER_HEAD_S;
        }
        return slot->has_begun || idle_s * RECEIVE_IDLE_FACTOR < HEAD_S ? idle_s * RECEIVE_IDLE_FACTOR : HEAD_S;
    case SLOT_ANSWERED:
        return idle_s * SEND_IDLE_FACTOR;
    case SLOT_WAITING:
        return WAITING_S;
    case SLOT_FREE:
    default:
        return UINT64_MAX / 1000000;
    }
}

/* libmicrohttpd sees the end of the stream at its next turn and closes the connection its own way. */
static void shut_down(const struct slot *slot)
{
    (void)shutdown(slot->fd, SHUT_RDWR); /* fails only if the client has gone first */
}

/* Shuts down what is late. A request that waits longer than any client may ask for waits for a disk that has been full
 * for long. */
static void sweep(struct http_server *server) LOOP_THREAD
{
    const uint64_t now_us = clock_monotonic_us();

    if (now_us < server->next_sweep_us) {
        return;
    }
    server->next_sweep_us = now_us + SWEEP_US;
    for (struct link *link = list_first(&server->used); link != NULL; link = list_next(&server->used, link)) {
        const struct slot *slot = container_of(link, struct slot, link);
        if (now_us - slot->since_us <= lifetime_s(slot) * 1000000) {
            continue;
        }
        if (slot->state == SLOT_WAITING) {
            http_refusal_send(server, slot->request.id, ERR_OVERLOADED,
                              "The disk took nothing for minutes; whether the message was taken is not known",
                              slot->invocation);
        } else {
            shut_down(slot);
        }
    }
}

void http_server_run(struct http_server *server)
{
    if (server->is_running) {
        return; /* a handler that ends in here gets its turn when this one is over */
    }
    server->is_running = true;
    for (int i = 0; i < RUNS_PER_TURN_MAX; i++) {
        unsigned long long timeout_ms = 0;
        server->has_resumed = false;
        (void)MHD_run(server->daemon); /* fails only for daemons with threads of their own */
        const bool is_due = (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES) && timeout_ms == 0;
        if (!is_due && !server->has_resumed) {
            break;
        }
    }
    sweep(server);
    server->is_running = false;
}

static void on_ready(void *context, uint32_t events)
{
    (void)events;
    thread_assume(&thread_loop);
    http_server_run(context);
}

int http_server_timeout_ms(struct http_server *server)
{
    unsigned long long timeout_ms = 0;

    if (server->has_resumed) {
        return 0;
    }
    const int own_ms = server->used.count > 0 ? SWEEP_US / 1000 : -1;
    if (MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES) {
        return own_ms;
    }
    return timeout_ms < SWEEP_US / 1000 ? (int)timeout_ms : SWEEP_US / 1000;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

uint32_t http_server_connections(const struct http_server *server)
{
    return (uint32_t)server->used.count;
}

uint32_t http_server_waiting(const struct http_server *server)
{
    return server->waiting;
}

/* ---- opening and closing -------------------------------------------------------------------------------- */

/* Leaves the text alone: paths are decoded segment by segment, by those who know what a segment means. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static enum err_code start_daemon(struct http_server *server, struct err *err)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (unsigned int)FLAG_SUSPEND, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET,
        server->listen_fd, MHD_OPTION_CONNECTION_LIMIT, server->slot_count, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_uri, server, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        server->daemon == NULL ? NULL : MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || info->epoll_fd < 0) {
        return err_set(err, ERR_SYSTEM, "libmicrohttpd cannot start: are there enough file descriptors?");
    }
    server->watch = (struct loop_watch){.ready = on_ready, .context = server, .fd = info->epoll_fd};
    return ERR_NONE;
}

enum err_code http_server_open(struct loop *loop, const struct http_server_options *options, struct http_server **out,
                               struct err *err)
{
    check(options->handler != NULL && options->connections_max > 0);
    struct http_server *server = calloc(1, sizeof *server);

    check(server != NULL);
    server->options = *options;
    server->options.address = NULL; /* borrowed */
    server->loop = loop;
    server->listen_fd = -1;
    server->memory_bytes_max = options->memory_bytes_max > 0 ? options->memory_bytes_max : HTTP_MEMORY_BYTES_DEFAULT;
    server->idle_timeout_s = options->idle_timeout_s > 0 ? options->idle_timeout_s : HTTP_IDLE_TIMEOUT_S_DEFAULT;
    server->slot_count = options->connections_max;
    server->slots = calloc(server->slot_count, sizeof *server->slots);
    check(server->slots != NULL);
    for (uint32_t i = 0; i < server->slot_count; i++) {
        struct slot *slot = &server->slots[i];
        slot->server = server;
        buf_init(&slot->body, options->body_bytes_max);
        list_push(&server->unused, &slot->link);
    }
    enum err_code code = listen_open(options->address, options->port, &server->listen_fd, &server->port, err);
    if (code == ERR_NONE) {
        code = start_daemon(server, err);
    }
    if (code == ERR_NONE) {
        code = loop_watch(loop, &server->watch, EPOLLIN, err);
    }
    if (code != ERR_NONE) {
        http_server_close(server);
        return code;
    }
    *out = server;
    return ERR_NONE;
}

void http_server_quiesce(struct http_server *server)
{
    if (server->is_quiet) {
        return;
    }
    http_server_run(server); /* what has already arrived is not idle */
    server->is_quiet = true;
    (void)MHD_quiesce_daemon(server->daemon); /* hands the listening socket back */
    (void)close(server->listen_fd);           /* nothing is written through it: no error can matter */
    server->listen_fd = -1;
    for (struct link *link = list_first(&server->used); link != NULL; link = list_next(&server->used, link)) {
        const struct slot *slot = container_of(link, struct slot, link);
        if (slot->state == SLOT_BETWEEN) {
            shut_down(slot);
        }
    }
}

/* Whoever still waits is refused: libmicrohttpd ends the process if it stops with one suspended. */
static void answer_rest(struct http_server *server) LOOP_THREAD
{
    for (uint32_t i = 0; i < server->slot_count && server->waiting > 0; i++) {
        const struct slot *slot = &server->slots[i];
        if (slot->state == SLOT_WAITING) {
            http_refusal_send(server, slot->request.id, ERR_STOPPING,
                              "The host is stopping; whether the message was taken is not known", slot->invocation);
        }
    }
}

static void flush(struct http_server *server) LOOP_THREAD
{
    const uint64_t end_us = clock_monotonic_us() + (uint64_t)CLOSE_MS_MAX * 1000;

    http_server_run(server);
    while (server->sending > 0 && clock_monotonic_us() < end_us) {
        struct pollfd stirred = {.fd = server->watch.fd, .events = POLLIN};
        (void)poll(&stirred, 1, CLOSE_POLL_MS); /* an interrupted wait is a short one */
        http_server_run(server);
    }
}

static void stop_daemon(struct http_server *server) LOOP_THREAD
{
    if (server->watch.fd > 0) {
        http_server_quiesce(server);
        server->is_closing = true; /* what the handler uses may be gone by now */
        answer_rest(server);
        flush(server);
        answer_rest(server); /* a pipelined request may have come after the answer before it */
        loop_unwatch(server->loop, &server->watch);
    }
    MHD_stop_daemon(server->daemon);
}

void http_server_close(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->daemon != NULL) {
        stop_daemon(server);
    } else if (server->listen_fd >= 0) {
        (void)close(server->listen_fd); /* nothing is written through it: no error can matter */
    }
    check(server->used.count == 0);
    for (uint32_t i = 0; i < server->slot_count; i++) {
        buf_done(&server->slots[i].body);
    }
    free(server->slots);
    free(server);
}
