/* SPDX-License-Identifier: Apache-2.0
 *
 * value.h: which type a request's body is, and which content type a value is.
 *
 * JSON (application/json, no content type, or curl's form type) becomes what the function takes; Proa-Type: T or
 * Content-Type: application/vnd.T gives the bytes as they are as type T. In application/vnd.T every byte of T that is
 * neither a token character nor '/' is percent-encoded, '%' too; in Proa-Type T stands as it is.
 * Any thread; no state.
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "http_server.h"
#include "registry.h"

struct value_form {
    bool is_json;
    struct slice typename_; /* of JSON: what it becomes, empty: proa/json; else the type of the bytes */
};

/* Reads the header fields. A decoded type goes to `memory`, which must not grow while the form is used. */
MUST_USE enum err_code value_form_of(const struct http_request *request, const struct function_config *function,
                                     struct buf *memory, struct value_form *out, struct err *err);
/* Appends the TypedValue of a body. */
MUST_USE enum err_code value_put(const struct value_form *form, struct slice body, struct buf *out, struct err *err);
/* Appends "application/vnd.T" and a NUL. */
void value_put_content_type(struct buf *out, struct slice typename_);
