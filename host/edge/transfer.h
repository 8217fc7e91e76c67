/* SPDX-License-Identifier: Apache-2.0
 *
 * transfer.h: one exchange over HTTP: bytes posted to a URL at an address, the answer handed on as it comes.
 *
 * Drives libcurl, and nobody else knows it: handles and their options, its sockets (socks.h) and its clock, which
 * connection an exchange goes over and who may share one. A connection that the peer closed while it rested is replaced
 * by libcurl, the request sent anew: nothing had come back on it. Not here: what is posted, what an answer means and
 * when to try again (dispatcher.c), names (resolver.h), certificates (tls.h).
 * Thread: loop. Memory: libcurl's own (spare.h); what is posted stays the caller's, as does what to keep of an answer.
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "loop.h"
#include "tls.h"

/* ---- where to ----------------------------------------------------------------------------------------- */

/* Who is called: a URL, taken apart by libcurl once, and what was learned of whoever answers there; shared by many
 * transfers. */
struct peer;

struct peer_options {
    const char *url;                /* http:// or https://; copied */
    const char *socket;             /* the Unix socket to reach it on, copied; NULL: the URL's host is what it says */
    const struct tls_identity *tls; /* of https://, borrowed; NULL for http:// */
    bool is_h2c;                    /* HTTP/2 without TLS; else HTTP/1.1 */
};

/* Not before transfers_create, which says where libcurl has its memory from. ERR_CONFIG: libcurl takes it for no URL.
 */
MUST_USE enum err_code peer_create(const struct peer_options *options, struct peer **out, struct err *err);
void peer_destroy(struct peer *peer); /* accepts NULL; no transfer may be under way to it */

/* ---- how it ends -------------------------------------------------------------------------------------- */

enum transfer_outcome {
    TRANSFER_DONE,      /* the answer came whole */
    TRANSFER_REFUSED,   /* no connection, or one that could not be encrypted */
    TRANSFER_UNTRUSTED, /* the peer's certificate does not do */
    TRANSFER_CLOSED,    /* the connection broke under it */
    TRANSFER_LATE,      /* the deadline passed, or the time to connect in */
    TRANSFER_GARBLED,   /* the body's Content-Encoding cannot be undone */
    TRANSFER_FAILED,    /* all else, whoever was told of the answer having declined it included */
};

struct transfer_end {
    enum transfer_outcome outcome;
    bool was_sent;      /* some of the request at least */
    bool was_kept;      /* TRANSFER_CLOSED of a connection that had been kept from another transfer */
    const char *reason; /* a clause for people, valid until the transfer begins anew; NULL if DONE */
};

/* ---- transfers ---------------------------------------------------------------------------------------- */

/* All that goes on at once, over the connections that are kept. */
struct transfers;
/* One exchange at a time; made to be used over and over. */
struct transfer;

struct transfers_options {
    struct loop *loop;
    uint32_t connections_max; /* kept; fewer than transfers at once make libcurl connect all the time */
    /* What becomes of a transfer, with the context that it was created with. A line of the head with its line end, then
     * pieces of the body, decoded; borrowed. False: no more of it, the transfer is to fail. */
    bool (*take_line)(void *context, struct slice line);
    bool (*take_body)(void *context, struct slice bytes);
    /* Called once for each that was begun, from the loop or transfers_run; it may begin anew within. */
    void (*ended)(void *context, const struct transfer_end *end);
};

struct transfer_post {
    struct peer *peer;
    const char *address;  /* of the peer's host, used within transfer_begin only; NULL: the URL's host is one */
    struct slice body;    /* borrowed until it ended */
    uint64_t deadline_us; /* later than now */
    uint64_t connect_ms;  /* of it for the connection at most; 0: all */
};

/* The loop must outlive them. One set at a time. ERR_SYSTEM: libcurl cannot be used. */
MUST_USE enum err_code transfers_create(const struct transfers_options *options, struct transfers **out,
                                        struct err *err) LOOP_THREAD;
/* Closes the connections; accepts NULL. Every transfer must have been destroyed. */
void transfers_destroy(struct transfers *transfers) LOOP_THREAD;
/* Begins what waits to begin and sees to time-outs; once a turn, best after the last transfer_begin of it. */
void transfers_run(struct transfers *transfers, uint64_t now_us) LOOP_THREAD;
/* When transfers_run must be called even if no socket stirs; UINT64_MAX: not for that. */
uint64_t transfers_due_us(const struct transfers *transfers);
/* True if most likely a connection over TLS is free: there are more of them than transfers under way that need one. */
bool transfers_have_free_tls(const struct transfers *transfers);

/* A transfer of a set; `context` is handed to its functions. */
struct transfer *transfer_create(struct transfers *transfers, void *context) LOOP_THREAD;
/* If it is under way, it is cut off without an end being told. */
void transfer_destroy(struct transfer *transfer) LOOP_THREAD;
/* The header `traceparent` of its posts from now on, copied; none if `value` is empty or not fit to be a header's. */
void transfer_set_traceparent(struct transfer *transfer, struct slice value) LOOP_THREAD;
/* Begins a post; it is sent when transfers_run lets it, and has an end unless this fails. */
MUST_USE enum err_code transfer_begin(struct transfer *transfer, const struct transfer_post *post, uint64_t now_us,
                                      struct err *err) LOOP_THREAD;
