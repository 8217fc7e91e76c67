/* SPDX-License-Identifier: Apache-2.0
 *
 * value.h: which type a request's body is, and which content type a value is.
 *
 * JSON (application/json, no content type, or curl's form type) becomes what the function takes; Proa-Type: T or
 * Content-Type: application/vnd.T gives the bytes as they are as type T. In application/vnd.T every byte of T that is
 * neither a token character nor '/' is percent-encoded, '%' too; in Proa-Type T stands as it is. At the playground's
 * port what names no type is text.
 * Any thread; no state.
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "http_server.h"
#include "registry.h"

struct value_form {
    enum {
        VALUE_JSON,  /* what it becomes is `typename_`; empty: proa/json */
        VALUE_BYTES, /* of the type `typename_` */
        VALUE_TEXT,  /* UTF-8, which becomes an io.statefun.types/string */
    } kind;
    struct slice typename_;
};

/* Reads the header fields. A decoded type goes to `memory`, which must not grow while the form is used. */
MUST_USE enum err_code value_form_of(const struct http_request *request, const struct function_config *function,
                                     struct buf *memory, struct value_form *out, struct err *err);
/* The same by the playground's rule: a type, or text whatever the content type. */
MUST_USE enum err_code value_form_of_playground(const struct http_request *request, struct buf *memory,
                                                struct value_form *out, struct err *err);
/* Appends the TypedValue of a body. ERR_TOO_LARGE: it does not fit; other errors say what is wrong with the body. */
MUST_USE enum err_code value_put(const struct value_form *form, struct slice body, struct buf *out, struct err *err);
/* Appends "application/vnd.T" and a NUL. */
void value_put_content_type(struct buf *out, struct slice typename_);
