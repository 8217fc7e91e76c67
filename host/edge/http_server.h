/* SPDX-License-Identifier: Apache-2.0
 *
 * http_server.h: libmicrohttpd on the loop: requests in, answers out, nothing of what they mean.
 *
 * libmicrohttpd runs in external mode (its own epoll thread stalls for good at 128 events at once): its
 * epoll descriptor is one more in ours. Every request is suspended before its handler runs and resumed when
 * it is answered, so an answer may come at once or much later. Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "err.h"
#include "loop.h"

struct http_server;

/* A whole request; slices are valid until it is answered. */
struct http_request {
    uint64_t id; /* names it until it is answered; never 0, never used twice */
    struct slice method;
    struct slice path;  /* raw: not percent-decoded, without the query */
    struct slice query; /* raw: without '?'; may be empty */
    struct slice body;
    struct slice content_type; /* header fields; empty: absent */
    struct slice proa_type;
    struct slice traceparent;
    struct slice accept;
    /* ERR_NONE, or why the server did not take it: ERR_TOO_LARGE (body), ERR_OVERLOADED (connections, memory),
     * ERR_BAD_REQUEST, ERR_UNKNOWN_CODING (a first line or a body that cannot be read one way only).
     * Then `body` is empty and the handler must answer at once. */
    enum err_code trouble;
    const char *trouble_text; /* a sentence, static storage; NULL: what the code means says it all */
    uint64_t arrived_us;      /* clock_monotonic_us when its first line was read */
};

struct http_header {
    const char *name;
    const char *value;
};

struct http_answer {
    int status;
    const char *content_type; /* NULL: none */
    struct slice body;        /* copied */
    const struct http_header *headers;
    uint32_t header_count;
};

enum {
    HTTP_MEMORY_BYTES_DEFAULT = 256 << 20,
    HTTP_IDLE_TIMEOUT_S_DEFAULT = 120,
    HTTP_INVOCATION_BYTES_MAX = 32,
};

typedef void http_handler(void *context, const struct http_request *request);

struct http_server_options {
    const char *address; /* to listen on, numeric */
    uint16_t port;       /* 0: any free one */
    uint32_t body_bytes_max;
    uint64_t memory_bytes_max; /* of all bodies held at once; 0: HTTP_MEMORY_BYTES_DEFAULT */
    uint32_t connections_max;  /* a connection beyond 90 % of it is answered by ERR_OVERLOADED and closed */
    uint32_t idle_timeout_s;   /* of a connection between requests; twice that for a request to arrive whole,
                                * and at most 30 s of it for the header fields; 0: HTTP_IDLE_TIMEOUT_S_DEFAULT */
    http_handler *handler;
    void *context;
};

/* Listens and serves from the next turn on. ERR_IN_USE, ERR_CONFIG or ERR_SYSTEM say why it cannot. */
MUST_USE enum err_code http_server_open(struct loop *loop, const struct http_server_options *options,
                                        struct http_server **out, struct err *err) LOOP_THREAD;
/* The port it listens on. */
uint16_t http_server_port(const struct http_server *server);
/* Answers a request: within its handler or any time later. An id whose request is gone is ignored. */
void http_server_answer(struct http_server *server, uint64_t id, const struct http_answer *answer) LOOP_THREAD;
/* A request not yet answered, or NULL. */
const struct http_request *http_server_request(const struct http_server *server, uint64_t id);
/* Says the invocation of a request not yet answered, for the case that the server must answer it by itself. */
void http_server_name(struct http_server *server, uint64_t id, const char *invocation) LOOP_THREAD;
/* Lets libmicrohttpd work: called by the loop's watch, and once at the end of every turn. */
void http_server_run(struct http_server *server) LOOP_THREAD;
/* Milliseconds until http_server_run must be called even if nothing stirs; -1: no need. */
int http_server_timeout_ms(struct http_server *server) LOOP_THREAD;
uint32_t http_server_connections(const struct http_server *server);
uint32_t http_server_waiting(const struct http_server *server); /* requests not yet answered */
/* Accepts no new connections, closes idle ones, and the others after their answer. */
void http_server_quiesce(struct http_server *server) LOOP_THREAD;
/* Every request should have been answered: the client of any other gets a 503 (stopping). Answers on their way have two
 * seconds to leave. The handler is not called any more; helper jobs that read a request must have ended. */
void http_server_close(struct http_server *server) LOOP_THREAD; /* accepts NULL */
