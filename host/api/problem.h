/* SPDX-License-Identifier: Apache-2.0
 *
 * problem.h: errors as clients see them: application/problem+json (RFC 9457).
 *
 * Members: type (urn:proa:problem:<code>), title, status, detail, code, source ("host" or "function"), and where
 * they apply invocation and function_code. Any thread; no state.
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "http_server.h"

struct problem {
    enum err_code code;
    bool is_from_function;
    struct slice detail;        /* a sentence; empty: what the code means */
    struct slice function_code; /* of a rejection */
    const char *invocation;     /* hex, or NULL */
    uint32_t retry_after_ms;    /* 0: none known; every 503 and 507 gets a Retry-After all the same */
};

/* A header field that is always allowed beside a problem's own: Proa-Invocation, Allow. At most this many. */
enum { PROBLEM_HEADERS_MAX = 4 };

/* Answers a request with it and these header fields. */
void problem_answer(struct http_server *server, uint64_t id, const struct problem *problem,
                    const struct http_header *headers, uint32_t header_count) LOOP_THREAD;
/* Appends the body. */
void problem_put(struct buf *out, const struct problem *problem);
