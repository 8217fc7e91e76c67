/* SPDX-License-Identifier: Apache-2.0
 *
 * result.h: what a function answered to one call, decoded, checked for form, not yet applied.
 *
 * Every text in it is valid UTF-8 without NUL and within its limit; every `value` is the bytes of a
 * TypedValue as they came, unknown fields and all. Memory: all of it lives in the result's arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "arena.h"

enum result_kind {
    RESULT_DONE,       /* the batch was handled (or a prefix of it, if has_failure) */
    RESULT_INCOMPLETE, /* nothing ran: these state values are not registered yet (R20) */
};

enum expiry_mode { EXPIRY_NONE = 0, EXPIRY_AFTER_WRITE = 1, EXPIRY_AFTER_INVOKE = 2 };

struct state_spec {
    struct slice name;
    struct slice typename_; /* empty came as io.statefun.types/unset (R24) */
    enum expiry_mode mode;
    int64_t expire_ms;
};

struct mutation {
    bool is_delete;
    struct slice name;
    struct slice typename_; /* of the value */
    struct slice value;     /* TypedValue, has_value true (R22, R25) */
};

struct outgoing {
    struct address target;
    struct slice value;
};

struct delayed {
    bool is_cancel; /* then only `token` is set */
    int64_t delay_ms;
    struct address target;
    struct slice value;
    struct slice token; /* empty: cannot be cancelled */
};

struct emitted {
    struct slice space;
    struct slice name;
    struct slice value;
    struct slice topic; /* of a record for the playground's egress: the queue it is for; empty: it is no such record */
    struct slice text;  /* and what waits there: a TypedValue, a string */
    const char *fault;  /* of a record for that egress that is none: a sentence */
};

struct failure {
    uint32_t index; /* of the message that failed; the result covers those before it */
    bool is_retryable;
    struct slice code;
    struct slice message;
};

struct result {
    struct arena *arena;
    enum result_kind kind;
    bool has_failure;
    struct failure failure;
    struct mutation *mutations;
    struct outgoing *outgoing;
    struct delayed *delayed; /* sends and cancels, in list order (R16) */
    struct emitted *emitted;
    struct state_spec *missing; /* of RESULT_INCOMPLETE */
    uint32_t mutation_count;
    uint32_t outgoing_count;
    uint32_t delayed_count;
    uint32_t emitted_count;
    uint32_t missing_count;
    size_t bytes; /* of the answer's body */
};

void result_destroy(struct result *result); /* frees the arena, and with it the result; accepts NULL */
