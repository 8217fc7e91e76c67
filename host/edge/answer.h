/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.h: what comes back over HTTP from a function, as far as it has come: status, the header fields
 * that mean something, the body.
 *
 * Why: all of it is foreign and unbounded; here it gets its bounds. Not here: libcurl (transfer.c), what
 * the body says (wire.h). Thread: any; one at a time. Memory: owns the body.
 */
#pragma once

#include "attributes.h"
#include "bytes.h"

enum {
    ANSWER_HEAD_BYTES_MAX = 64 << 10,  /* of status line and header fields together */
    ANSWER_ERROR_BODY_BYTES_MAX = 256, /* kept of the body of an error, to show it */
    ANSWER_RETRY_AFTER_BYTES = 64,
    ANSWER_CODINGS_MAX = 1, /* in each other they make hours of work for the loop out of a few kilobytes */
};

struct answer {
    int status;           /* of the newest status line; 0: none came */
    bool is_head_done;    /* the empty line after a final (not 1xx) head came */
    bool is_octet_stream; /* Content-Type: application/octet-stream, in any case, without parameters (R3) */
    bool knows_partial;   /* Proa-Features announces `partial` */
    bool has_end;         /* head or protocol say where the body ends, so that a connection that breaks shows */
    bool is_over;         /* head or body are over their limit */
    char retry_after[ANSWER_RETRY_AFTER_BYTES]; /* as it came; empty: none */
    uint32_t codings;                           /* of content and transfer; the body comes here with them undone */
    size_t head_bytes;
    size_t body_bytes; /* received, kept or not */
    size_t body_bytes_max;
    struct buf body; /* of a 2xx answer: all of it; else the beginning */
};

/* Begins a new answer; keeps the memory of the last one if it is small. Accepts a zeroed answer. */
void answer_begin(struct answer *answer, size_t body_bytes_max);
void answer_done(struct answer *answer); /* frees the body; accepts a zeroed answer */
/* Takes one line of the head, line end included. False: over a limit, that of bytes or of codings, and the call is to
 * be ended. */
MUST_USE bool answer_take_line(struct answer *answer, struct slice line);
/* Takes bytes of the body. False: over the limit or out of memory. */
MUST_USE bool answer_take_body(struct answer *answer, struct slice bytes);
/* What Retry-After asks for: seconds, or a date (RFC 9110 10.2.3). 0: nothing, or nothing that can be read. At most a
 * day. */
uint32_t answer_retry_after_ms(const struct answer *answer, int64_t now_s);
bool answer_is_success(const struct answer *answer); /* 2xx */
/* The first bytes of the body for people: what is not printable ASCII comes as '.'. Returns text[]. */
const char *answer_print_body(const struct answer *answer, char text[201]);
