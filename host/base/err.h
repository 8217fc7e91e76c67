/* SPDX-License-Identifier: Apache-2.0
 *
 * err.h: errors as part of the interface.
 *
 * One table gives every error its stable code, its HTTP status and whether a client may try again
 * unchanged. A fallible function returns `enum err_code`, takes `struct err *` last, and fills it where
 * the error happens: one sentence that says what to do. Callers that know more wrap it.
 * Memory: `struct err` is plain data owned by the caller; no heap. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attributes.h"
#include "limit.h"

#define ERR_TABLE(X)                                                                         \
    /* name               code                    http  retry  meaning */                    \
    X(NONE, "none", 200, false, "no error")                                                  \
    X(BAD_PATH, "bad_path", 400, false, "the path does not name an instance")                \
    X(BAD_VALUE, "bad_value", 400, false, "the body is not a value of its type")             \
    X(BAD_REQUEST, "bad_request", 400, false, "a parameter or header is wrong")              \
    X(UNKNOWN_FUNCTION, "unknown_function", 404, false, "no endpoint serves this function")  \
    X(NOT_FOUND, "not_found", 404, false, "there is nothing at this path")                   \
    X(EMPTY, "empty", 404, true, "no record waits in this topic")                            \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, false, "the path takes another method") \
    X(TOO_LARGE, "too_large", 413, false, "the body is over its limit")                      \
    X(UNSUPPORTED_TYPE, "unsupported_type", 415, false, "the content type is not taken")     \
    X(REJECTED, "rejected", 422, false, "the function refused the message")                  \
    X(UNKNOWN_CODING, "unknown_coding", 501, false, "the transfer coding is not known")      \
    X(PARKED, "parked", 502, false, "the message failed and was parked")                     \
    X(DROPPED, "dropped", 502, false, "the message failed and was dropped")                  \
    X(BAD_ANSWER, "bad_answer", 502, false, "a function's answer breaks the protocol")       \
    X(NOT_READY, "not_ready", 503, true, "the host is recovering")                           \
    X(STOPPING, "stopping", 503, true, "the host is stopping")                               \
    X(OVERLOADED, "overloaded", 503, true, "a limit is reached")                             \
    X(MAILBOX_FULL, "mailbox_full", 503, true, "too many messages wait for this instance")   \
    X(NO_MEMORY, "no_memory", 503, true, "memory is short")                                  \
    X(TIMEOUT, "timeout", 504, false, "no reply within the timeout")                         \
    X(STORE_FULL, "store_full", 507, true, "the store or its disk is full")                  \
    X(CONFIG, "config", 500, false, "the configuration is wrong")                            \
    X(IN_USE, "in_use", 500, false, "another process holds the data folder")                 \
    X(NEWER_FORMAT, "newer_format", 500, false, "a newer version wrote the data")            \
    X(CORRUPT, "corrupt", 500, false, "stored bytes fail their check")                       \
    X(CLOCK, "clock", 500, false, "the clock is far behind the store")                       \
    X(SYSTEM, "system", 500, false, "a system call failed")

enum err_code {
#define X(name, code, http, retry, meaning) ERR_##name,
    ERR_TABLE(X)
#undef X
        ERR_COUNT
};

struct err {
    enum err_code code;
    const char *where; /* file:line that set it; static storage */
    char text[LIMIT_ERR_TEXT_BYTES_MAX];
};

/* The stable code of the API and the logs ("mailbox_full"). Static storage. */
const char *err_code_name(enum err_code code);
/* The HTTP status (RFC 9110) of an error. */
int err_http_status(enum err_code code);
/* True if the same request may succeed later, unchanged. */
bool err_is_retryable(enum err_code code);
/* What the code means in general, a clause without a full stop. Static storage. */
const char *err_meaning(enum err_code code);

/* Fills *err and returns its code. Never NULL, never ERR_NONE. */
#define err_set(err, code, ...) err_set_at((err), (code), __FILE__, __VA_ARGS__)
/* What err_set calls; `where` has static storage. */
enum err_code err_set_at(struct err *err, enum err_code code, const char *where, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Puts what was being done before the text: "<doing>: <text>". Returns the code unchanged. */
enum err_code err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
