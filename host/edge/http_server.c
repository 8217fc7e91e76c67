/* SPDX-License-Identifier: Apache-2.0
 *
 * The callbacks of libmicrohttpd move the slots (http_slot.h), and the loop runs it.
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
#include "http_slot.h"
#include "list.h"
#include "listen.h"

enum {
    RUNS_PER_TURN_MAX = 4,
    CONNECTION_MEMORY_BYTES = 16 << 10, /* request line and header fields, and the window a body comes through */
    SWEEP_US = 1000 * 1000,
    CLOSE_MS_MAX = 2000,
    CLOSE_POLL_MS = 10,
    /* Suspend and resume without the wake-up descriptor that MHD_ALLOW_SUSPEND_RESUME adds: only the loop resumes. */
    FLAG_SUSPEND = MHD_ALLOW_SUSPEND_RESUME & ~MHD_USE_ITC,
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
    struct http_memory memory;
    uint32_t idle_timeout_s;
    uint64_t next_sweep_us;
    uint32_t waiting;
    uint32_t sending;
    uint32_t slot_count;
    struct http_slot *slots;
    struct list used;
    struct list unused;
};

/* ---- a request ------------------------------------------------------------------------------------------ */

/* The raw target, before libmicrohttpd cuts and decodes it. Its return value names the request from here on. */
static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_slot *slot = info == NULL ? NULL : info->socket_context;

    if (slot == NULL) {
        return NULL;
    }
    check(slot->server == server && slot->response == NULL);
    if (!http_slot_begin(slot, uri)) {
        return NULL;
    }
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

static void call_handler(struct http_slot *slot)
{
    struct http_server *server = slot->server;

    server->sequence++;
    slot->request.id = server->sequence * server->slot_count + (uint64_t)(slot - server->slots);
    slot->request.body = buf_slice(&slot->body);
    server->waiting++;
    http_slot_enter(slot, HTTP_SLOT_WAITING);
    if (server->is_closing) {
        return; /* close answers the rest */
    }
    server->options.handler(server->options.context, &slot->request);
    /* The request may be answered and more by now: nothing of it is touched here. */
}

static enum MHD_Result queue(struct http_slot *slot)
{
    check(slot->state == HTTP_SLOT_ANSWERED);
    http_slot_forget_body(slot);
    if (slot->response == NULL) {
        return MHD_NO; /* memory was out: the connection is closed */
    }
    const enum MHD_Result queued = MHD_queue_response(slot->connection, slot->status, slot->response);
    MHD_destroy_response(TAKE(slot->response)); /* the connection has its own reference */
    return queued;
}

/* The header fields are there, the body is not. */
static enum MHD_Result begin(struct http_slot *slot, const char *method, const char *version)
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
        http_slot_refuse(slot, ERR_BAD_REQUEST,
                         "the request line holds a NUL byte; write it percent-encoded where allowed");
    }
    if (framing.code != ERR_NONE) {
        slot->is_last = true;
        http_slot_refuse(slot, framing.code, framing.why);
    }
    if (framing.length > slot->server->options.body_bytes_max) {
        http_slot_refuse(slot, ERR_TOO_LARGE, NULL);
    }
    const bool is_asking_first = HEADER(connection, "Expect").size > 0;
    const bool is_drained = framing.length == 0 || (!is_asking_first && framing.length <= HTTP_SLOT_DRAIN_BYTES_MAX);
    if (slot->is_last || (request->trouble != ERR_NONE && !is_drained)) {
        slot->is_immediate = true;
        call_handler(slot);
        return slot->state == HTTP_SLOT_ANSWERED ? queue(slot) : MHD_NO;
    }
    return MHD_YES;
}

/* tidy: allow parameters: libmicrohttpd's prototype. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload_data, size_t *upload_data_size,
                                  void **connection_context)
{
    struct http_slot *slot = *connection_context;

    (void)context;
    (void)url;
    if (slot == NULL) {
        return MHD_NO; /* memory was out when it began */
    }
    check(slot->connection == connection);
    if (slot->state == HTTP_SLOT_ANSWERED) {
        return queue(slot);
    }
    check(slot->state == HTTP_SLOT_RECEIVING);
    if (!slot->has_begun) {
        return begin(slot, method, version);
    }
    if (*upload_data_size > 0) {
        const size_t size = *upload_data_size;
        *upload_data_size = 0;
        return http_slot_take(slot, (struct slice){(const uint8_t *)upload_data, size}) ? MHD_YES : MHD_NO;
    }
    MHD_suspend_connection(connection);
    call_handler(slot);
    return MHD_YES;
}

/* The answer was sent, or the client is gone. */
static void on_completed(void *context, struct MHD_Connection *connection, void **connection_context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_slot *slot = *connection_context;

    (void)context;
    (void)connection;
    (void)code;
    *connection_context = NULL;
    if (slot == NULL) {
        return;
    }
    if (slot->state == HTTP_SLOT_WAITING) {
        slot->server->waiting--;
    }
    if (slot->state == HTTP_SLOT_ANSWERED) {
        slot->server->sending--;
    }
    if (slot->response != NULL) {
        MHD_destroy_response(TAKE(slot->response));
    }
    http_slot_end(slot);
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
        struct http_slot *slot = container_of(link, struct http_slot, link);
        list_push(&server->used, &slot->link);
        slot->connection = connection;
        slot->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        slot->is_over = server->used.count > (size_t)server->slot_count * 9 / 10;
        http_slot_enter(slot, HTTP_SLOT_BETWEEN);
        *socket_context = slot;
        return;
    }
    struct http_slot *slot = *socket_context;
    if (slot == NULL) {
        return;
    }
    check(slot->state == HTTP_SLOT_BETWEEN);
    *socket_context = NULL;
    slot->connection = NULL;
    http_slot_free(slot);
    list_remove(&server->used, &slot->link);
    list_push_front(&server->unused, &slot->link);
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static struct http_slot *find(const struct http_server *server, uint64_t id)
{
    struct http_slot *slot = &server->slots[id % server->slot_count];

    return slot->state == HTTP_SLOT_WAITING && slot->request.id == id ? slot : NULL;
}

const struct http_request *http_server_request(const struct http_server *server, uint64_t id)
{
    const struct http_slot *slot = find(server, id);

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

static struct MHD_Response *make_response(const struct http_slot *slot, const struct http_answer *answer)
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
    struct http_slot *slot = find(server, id);

    if (slot == NULL) {
        return;
    }
    check(answer->status >= 200 && answer->status <= 599);
    slot->response = make_response(slot, answer);
    slot->status = (unsigned int)answer->status;
    server->waiting--;
    server->sending++;
    http_slot_enter(slot, HTTP_SLOT_ANSWERED);
    if (!slot->is_immediate) {
        MHD_resume_connection(slot->connection);
        server->has_resumed = true;
    }
}

void http_server_name(struct http_server *server, uint64_t id, const char *invocation)
{
    struct http_slot *slot = find(server, id);

    if (slot != NULL) {
        (void)snprintf(slot->invocation, sizeof slot->invocation, "%s", invocation);
    }
}

/* ---- running -------------------------------------------------------------------------------------------- */

/* libmicrohttpd sees the end of the stream at its next turn and closes the connection its own way. */
static void shut_down(const struct http_slot *slot)
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
        const struct http_slot *slot = container_of(link, struct http_slot, link);
        if (now_us - slot->since_us <= http_slot_lifetime_s(slot, server->idle_timeout_s) * 1000000) {
            continue;
        }
        if (slot->state == HTTP_SLOT_WAITING) {
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
    server->memory = (struct http_memory){.bytes_max = options->memory_bytes_max > 0 ? options->memory_bytes_max
                                                                                     : HTTP_MEMORY_BYTES_DEFAULT,
                                          .body_bytes_max = options->body_bytes_max};
    server->idle_timeout_s = options->idle_timeout_s > 0 ? options->idle_timeout_s : HTTP_IDLE_TIMEOUT_S_DEFAULT;
    server->slot_count = options->connections_max;
    server->slots = calloc(server->slot_count, sizeof *server->slots);
    check(server->slots != NULL);
    for (uint32_t i = 0; i < server->slot_count; i++) {
        struct http_slot *slot = &server->slots[i];
        slot->server = server;
        http_slot_init(slot, &server->memory);
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
        const struct http_slot *slot = container_of(link, struct http_slot, link);
        if (slot->state == HTTP_SLOT_BETWEEN) {
            shut_down(slot);
        }
    }
}

/* Whoever still waits is refused: libmicrohttpd ends the process if it stops with one suspended. */
static void answer_rest(struct http_server *server) LOOP_THREAD
{
    for (uint32_t i = 0; i < server->slot_count && server->waiting > 0; i++) {
        const struct http_slot *slot = &server->slots[i];
        if (slot->state == HTTP_SLOT_WAITING) {
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
        http_slot_done(&server->slots[i]);
    }
    free(server->slots);
    free(server);
}
