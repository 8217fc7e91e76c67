/* SPDX-License-Identifier: Apache-2.0
 *
 * http_slot.h: a connection of the HTTP server, and in it the one request the connection is at.
 *
 *   FREE ─accept─► BETWEEN ─first line─► RECEIVING ─whole: suspended, handler─► WAITING ─answer: resumed─► ANSWERED
 *                     ▲                                                                                       │
 *                     └───────────────────────────────── sent ────────────────────────────────────────────────┘
 *
 * Keeps what came of the request, bounds its memory, and says how long it may stay where it is.
 * Not here: libmicrohttpd, which drives it all (http_server.c, which alone includes this). Thread: loop.
 */
#pragma once

#include "http_server.h"
#include "list.h"

struct MHD_Connection;
struct MHD_Response;

enum {
    HTTP_SLOT_DRAIN_BYTES_MAX = 8 << 20
}; /* of a refused body: so much is read so that the client sees the answer */

enum http_slot_state { HTTP_SLOT_FREE, HTTP_SLOT_BETWEEN, HTTP_SLOT_RECEIVING, HTTP_SLOT_WAITING, HTTP_SLOT_ANSWERED };

/* What the bodies of all slots of a server may take. */
struct http_memory {
    uint64_t bytes;
    uint64_t bytes_max;
    uint32_t body_bytes_max; /* of one */
};

struct http_slot {
    /* set by http_server.c; http_slot_begin clears the last three marks */
    struct link link; /* in its `used` or `unused` */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct MHD_Response *response;
    unsigned int status;
    int fd;
    bool is_over;      /* accepted beyond the mark: answered by ERR_OVERLOADED, then closed */
    bool has_begun;    /* the header fields of the request are read */
    bool is_immediate; /* refused before its body: the answer is queued without suspending */
    bool is_last;      /* nobody knows where the next request of the connection would begin */

    enum http_slot_state state;
    uint64_t since_us; /* when it entered its state */
    struct http_request request;
    char invocation[HTTP_INVOCATION_BYTES_MAX + 1]; /* of the request; empty: not known */
    char *uri;                                      /* copy of the request's raw target */
    size_t uri_capacity;
    size_t uri_size;
    const char *uri_read; /* where libmicrohttpd has it */
    struct buf body;
    uint64_t body_counted; /* bytes of its buffer in memory->bytes */
    uint64_t drained;
    struct http_memory *memory;
};

/* A zeroed slot whose body counts in `memory`. */
void http_slot_init(struct http_slot *slot, struct http_memory *memory);
void http_slot_done(struct http_slot *slot); /* frees what it holds */
/* Moves it to a state, from now on. */
void http_slot_enter(struct http_slot *slot, enum http_slot_state state);
/* A request begins, with this raw target, which is copied. False: memory is out, and there is no request. */
MUST_USE bool http_slot_begin(struct http_slot *slot, const char *uri);
/* The request is not taken, for this reason unless there is one already; its body is forgotten. `text` has static
 * storage, or is NULL. */
void http_slot_refuse(struct http_slot *slot, enum err_code why, const char *text);
/* A piece of the body: kept while the request is taken, else only counted. False: too much of a refused body came. */
MUST_USE bool http_slot_take(struct http_slot *slot, struct slice bytes);
/* The body is needed no more. A small buffer stays with the connection for the next request. */
void http_slot_forget_body(struct http_slot *slot);
/* The request is over, and the connection between two. */
void http_slot_end(struct http_slot *slot);
/* The connection is gone. */
void http_slot_free(struct http_slot *slot);
/* Seconds it may stay in its state. `idle_s`: those of a connection between requests. */
uint64_t http_slot_lifetime_s(const struct http_slot *slot, uint64_t idle_s);
