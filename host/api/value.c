/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <ctype.h>

#include "json.h"
#include "path.h"
#include "wire.h"

#define VENDOR_PREFIX "application/vnd."

#define BLANKS " \t" /* what may stand around the value of a header field */

/* The media type without its parameters. */
static struct slice media_type(struct slice field)
{
    return slice_trim((struct slice){field.data, slice_find(field, ';')}, BLANKS);
}

static enum err_code set_type(struct slice typename_, struct value_form *out, struct err *err)
{
    if (typename_.size > LIMIT_TYPENAME_BYTES_MAX || !slice_is_utf8_text(typename_)) {
        return err_set(err, ERR_BAD_REQUEST, "the type of the body must be UTF-8 text of 1 to %d bytes",
                       LIMIT_TYPENAME_BYTES_MAX);
    }
    const bool is_json = slice_equal(typename_, SLICE("proa/json"));
    const bool is_known =
        is_json || slice_equal(typename_, SLICE("proa/bytes")) || slice_equal(typename_, SLICE("proa/none"));
    if (!is_known && slice_begins_with(typename_, SLICE("proa/"))) {
        return err_set(err, ERR_UNSUPPORTED_TYPE,
                       "of the types proa/… a client can send proa/json, proa/bytes and proa/none only");
    }
    *out = (struct value_form){.kind = is_json ? VALUE_JSON : VALUE_BYTES, .typename_ = typename_};
    return ERR_NONE;
}

/* The type a request names for its bytes; *out_is_named false: none. */
static enum err_code get_type(const struct http_request *request, struct buf *memory, struct value_form *out,
                              bool *out_is_named, struct err *err)
{
    const struct slice type = media_type(request->content_type);
    const struct slice prefix = SLICE(VENDOR_PREFIX);

    *out_is_named = true;
    if (request->proa_type.size > 0) {
        return set_type(slice_trim(request->proa_type, BLANKS), out, err);
    }
    if (type.size > prefix.size && slice_begins_with_nocase(type, prefix)) {
        struct slice typename_ = SLICE_EMPTY;
        if (path_decode(slice_from(type, prefix.size), "type in Content-Type", memory, &typename_, err) != ERR_NONE) {
            err->code = ERR_BAD_REQUEST;
            return err->code;
        }
        return set_type(typename_, out, err);
    }
    *out_is_named = false;
    return ERR_NONE;
}

enum err_code value_form_of(const struct http_request *request, const struct function_config *function,
                            struct buf *memory, struct value_form *out, struct err *err)
{
    const struct slice type = media_type(request->content_type);
    bool is_named = false;

    if (get_type(request, memory, out, &is_named, err) != ERR_NONE) {
        return err->code;
    }
    if (is_named) {
        return ERR_NONE;
    }
    if (type.size == 0 || slice_equal_nocase(type, SLICE("application/json")) ||
        slice_equal_nocase(type, SLICE("application/x-www-form-urlencoded"))) {
        *out = (struct value_form){.kind = VALUE_JSON, .typename_ = function->takes};
        return ERR_NONE;
    }
    return err_set(err, ERR_UNSUPPORTED_TYPE,
                   "the content type %.*s is not taken; send JSON as application/json, or the bytes of type T as "
                   "application/vnd.T or with the header Proa-Type: T",
                   slice_shown(type, 100), (const char *)type.data);
}

enum err_code value_form_of_playground(const struct http_request *request, struct buf *memory, struct value_form *out,
                                       struct err *err)
{
    bool is_named = false;

    if (get_type(request, memory, out, &is_named, err) != ERR_NONE) {
        return err->code;
    }
    if (!is_named) {
        *out = (struct value_form){.kind = VALUE_TEXT};
    }
    return ERR_NONE;
}

/* What a function would refuse at every try is refused here once. */
static enum err_code check_scalar(const struct value_form *form, struct slice body, struct err *err)
{
    const enum scalar kind = wire_scalar_of(form->typename_);
    struct scalar_value value;

    if (kind == SCALAR_COUNT || wire_get_scalar(kind, body, &value, err) == ERR_NONE) {
        return ERR_NONE;
    }
    return err_set(err, ERR_BAD_VALUE,
                   "the body's bytes are no value of %.*s; send its protobuf message, or JSON without a Proa-Type",
                   (int)form->typename_.size, (const char *)form->typename_.data);
}

/* A function reads its string from the protobuf message that holds it, not from the bare text. */
static enum err_code put_text(struct slice body, struct buf *out, struct err *err)
{
    if (!slice_is_utf8(body)) {
        return err_set(err, ERR_BAD_VALUE,
                       "the body is not UTF-8, and without a type it is text; name the type T of other bytes in "
                       "Content-Type: application/vnd.T");
    }
    wire_put_scalar_value(out, &(struct scalar_value){.kind = SCALAR_STRING, .text = body});
    return ERR_NONE;
}

static enum err_code put_bytes(const struct value_form *form, struct slice body, struct buf *out, struct err *err)
{
    if (check_scalar(form, body, err) != ERR_NONE) {
        return err->code;
    }
    const bool is_none = slice_equal(form->typename_, SLICE("proa/none"));
    if (is_none && body.size > 0) {
        return err_set(err, ERR_BAD_VALUE, "a body of type proa/none must be empty; leave it out");
    }
    wire_put_typed_value(out,
                         &(struct typed_value){.typename_ = form->typename_, .has_value = !is_none, .value = body});
    return ERR_NONE;
}

enum err_code value_put(const struct value_form *form, struct slice body, struct buf *out, struct err *err)
{
    enum err_code code = ERR_NONE;

    switch (form->kind) {
    case VALUE_JSON:
        code = json_get_value(body, form->typename_, out, err);
        break;
    case VALUE_TEXT:
        code = put_text(body, out, err);
        break;
    case VALUE_BYTES:
        code = put_bytes(form, body, out, err);
        break;
    }
    if (code == ERR_NONE && out->overflow) {
        return err_set(err, ERR_TOO_LARGE, "the value is larger than %zu bytes", out->bytes_max);
    }
    return code;
}

void value_put_content_type(struct buf *out, struct slice typename_)
{
    buf_append_text(out, VENDOR_PREFIX);
    for (size_t i = 0; i < typename_.size; i++) {
        const uint8_t c = typename_.data[i];
        if (c < 0x80 && c > 0 && (isalnum(c) != 0 || strchr("!#$&'*+-.^_`|~/", c) != NULL)) {
            buf_append_u8(out, c);
        } else {
            buf_appendf(out, "%%%02X", c);
        }
    }
    buf_append_u8(out, 0);
}
