/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.h: StateFun's remote-function protocol: a call to bytes, bytes to a result.
 *
 * The only user of the generated protobuf code. What a function sends is foreign: lengths, UTF-8, NUL
 * and the arena's budget are all checked here, so the engine reads only well-formed results.
 * Thread: any; no state.
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "port.h"

/* Appends the ToFunction message of a call (statefun.md 1.1, R19, R21, R22). `store_id_hex` (32 digits) makes message
 * ids. */
void wire_put_call(struct buf *buf, const struct effect_call *call, const char *store_id_hex);

/* Decodes a FromFunction message. *out lives in an arena of its own, at most LIMIT_ARENA_BODY_FACTOR_MAX
 * times the body (and a fixed floor); result_destroy frees it. The body may be freed afterwards.
 * `message_count` is that of the call: the bound of Failure.index. Code ERR_BAD_ANSWER, also beyond the budget;
 * ERR_NO_MEMORY only if the host itself is short of it. */
MUST_USE enum err_code wire_get_result(struct slice body, uint32_t message_count, struct result **out, struct err *err);

/* A TypedValue taken apart; slices borrow from the input. */
struct typed_value {
    struct slice typename_;
    bool has_value;
    struct slice value;
};
/* Checks form, wire types and the typename (length, UTF-8, no NUL): ERR_BAD_VALUE. No bytes at all are a TypedValue
 * too: an empty typename. Fields not known are passed over; they live on only in the bytes. */
MUST_USE enum err_code wire_get_typed_value(struct slice bytes, struct typed_value *out, struct err *err);
void wire_put_typed_value(struct buf *buf, const struct typed_value *value);

/* The built-in scalars (types.proto), canonical proto3 bytes: zero is empty. */
enum scalar { SCALAR_BOOL, SCALAR_INT, SCALAR_LONG, SCALAR_FLOAT, SCALAR_DOUBLE, SCALAR_STRING, SCALAR_COUNT };
struct scalar_value {
    enum scalar kind;
    union {
        bool boolean;
        int64_t integer; /* INT, LONG */
        double number;   /* FLOAT, DOUBLE */
        struct slice text;
    };
};
/* Putting an INT out of 32 bits is the caller's bug. Getting takes all that is valid proto3, explicit zeros and unknown
 * fields too, and refuses the rest: ERR_BAD_VALUE. A text may hold NUL and borrows from the input.
 * wire_scalar_of gives SCALAR_COUNT if the typename is not a built-in scalar. */
enum scalar wire_scalar_of(struct slice typename_);
struct slice wire_scalar_typename(enum scalar scalar);
void wire_put_scalar(struct buf *buf, const struct scalar_value *value);
/* Appends the TypedValue of a scalar; what does not fit leaves the buffer's mark. */
void wire_put_scalar_value(struct buf *buf, const struct scalar_value *value);
MUST_USE enum err_code wire_get_scalar(enum scalar kind, struct slice bytes, struct scalar_value *out, struct err *err);
