/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h: JSON at the borders: a client's body to a TypedValue, a TypedValue to a body.
 *
 * The only user of jansson. Values of typename proa/json keep the client's bytes: jansson only checks them.
 * Thread: any; no state.
 */
#pragma once

#include "arena.h"
#include "bytes.h"
#include "err.h"

/* Appends the TypedValue of type `takes` (empty: proa/json) that a JSON text stands for. ERR_BAD_VALUE says what to
 * change. Built-in scalars are converted: a long may be a string of digits, NaN and the infinities are the strings
 * "NaN", "Infinity", "-Infinity". For every other type the text is only checked, and its bytes are the value.
 * Limits: depth 2048; a number must be within a double's range. What does not fit leaves the buffer's mark. */
MUST_USE enum err_code json_get_value(struct slice text, struct slice takes, struct buf *out_typed_value,
                                      struct err *err);

/* The texts of a JSON object that has exactly the members `names`, each a string; they are copied to the arena, in the
 * order of the names. ERR_BAD_VALUE says what is wrong. */
MUST_USE enum err_code json_get_texts(struct slice text, const char *const *names, size_t count, struct arena *arena,
                                      struct slice *out_texts, struct err *err);

/* What a TypedValue looks like to a client. Longs beyond 2^53 are strings of digits, floats and doubles the shortest
 * text that reads back the same. Bytes under proa/json go out as the function sent them. */
enum json_form {
    JSON_TEXT,    /* appended as JSON: proa/json and the built-in scalars */
    JSON_NOTHING, /* typename proa/none, or has_value false: no content */
    JSON_RAW,     /* anything else: bytes of type `typename_` */
};
/* Appends what a client gets of a TypedValue and says in which form. *out_typename borrows from it. ERR_BAD_ANSWER if
 * its bytes are not what its typename says. */
MUST_USE enum err_code json_put_value(struct slice typed_value, struct buf *out, enum json_form *out_form,
                                      struct slice *out_typename, struct err *err);

/* Appends `text` as a quoted JSON string. */
void json_put_string(struct buf *out, struct slice text);
