/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire.h"

enum { NUMBER_TEXT_BYTES = 40 };

#define TYPENAME_JSON SLICE("proa/json")
#define TYPENAME_NONE SLICE("proa/none")

/* Beyond it a double, and so a client that reads numbers as such, no longer knows every integer. */
static const int64_t EXACT_INTEGER_MAX = INT64_C(1) << 53;

/* ---- in ------------------------------------------------------------------------------------------------- */

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (memchr(" \t\r\n", text.data[i], 4) == NULL) {
            return false;
        }
    }
    return true;
}

static enum err_code parse(struct slice text, size_t flags, json_t **out, struct err *err)
{
    json_error_t why;

    if (is_blank(text)) {
        return err_set(err, ERR_BAD_VALUE,
                       "the body is empty, which is not JSON; send null if there is nothing to say, or name the type "
                       "of raw bytes in the header Proa-Type");
    }
    if (slice_has(text, 0)) { /* jansson skips some of them */
        return err_set(err, ERR_BAD_VALUE, "the body is not JSON: it holds a NUL byte; within a string write \\u0000");
    }
    *out = json_loadb((const char *)text.data, text.size, flags | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (*out != NULL) {
        return ERR_NONE;
    }
    const enum json_error_code code = json_error_code(&why);
    if (code == json_error_out_of_memory) {
        return err_set(err, ERR_NO_MEMORY, "memory is short for a body of %zu bytes; try again later", text.size);
    }
    if (code == json_error_numeric_overflow) {
        return err_set(err, ERR_BAD_VALUE,
                       "a number at line %d, column %d is beyond the range of its type; send it as a string", why.line,
                       why.column);
    }
    return err_set(err, ERR_BAD_VALUE, "the body is not JSON: line %d, column %d: %.200s", why.line, why.column,
                   why.text);
}

static enum err_code wrong_kind(enum scalar kind, const char *wanted, const json_t *json, struct err *err)
{
    static const char *const kinds[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    const struct slice name = wire_scalar_typename(kind);

    return err_set(err, ERR_BAD_VALUE, "the function takes %.*s: send %s, not %s", (int)name.size,
                   (const char *)name.data, wanted, kinds[json_typeof(json)]);
}

/* A long may come as a string of digits: JavaScript cannot write every one as a number. */
static bool get_digits(const json_t *json, int64_t *out)
{
    const char *text = json_string_value(json);
    const size_t size = json_string_length(json);
    const bool is_negative = size > 0 && text[0] == '-';
    uint64_t value = 0;

    if (size == (is_negative ? 1 : 0)) {
        return false;
    }
    for (size_t i = is_negative ? 1 : 0; i < size; i++) {
        const uint64_t digit = (uint64_t)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9' || value > ((uint64_t)INT64_MAX + 1 - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (!is_negative && value > INT64_MAX) {
        return false;
    }
    *out = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static enum err_code get_integer(enum scalar kind, const json_t *json, int64_t *out, struct err *err)
{
    if (kind == SCALAR_LONG && json_is_string(json) && get_digits(json, out)) {
        return ERR_NONE;
    }
    if (!json_is_integer(json)) {
        return wrong_kind(kind,
                          kind == SCALAR_LONG ? "an integer, or a string of its digits within 64 bits" : "an integer",
                          json, err);
    }
    *out = json_integer_value(json);
    if (kind == SCALAR_INT && (*out < INT32_MIN || *out > INT32_MAX)) {
        return err_set(err, ERR_BAD_VALUE,
                       "%lld does not fit the 32 bits of io.statefun.types/int: send -2147483648 to 2147483647",
                       (long long)*out);
    }
    return ERR_NONE;
}

/* What JSON numbers cannot say comes and goes as these strings. */
static const struct {
    const char *text;
    double value;
} not_finite[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};

static enum err_code get_number(enum scalar kind, const json_t *json, double *out, struct err *err)
{
    for (size_t i = 0; json_is_string(json) && i < sizeof not_finite / sizeof not_finite[0]; i++) {
        const struct slice text = {(const uint8_t *)json_string_value(json), json_string_length(json)};
        if (slice_equal(text, slice_of(not_finite[i].text))) {
            *out = not_finite[i].value;
            return ERR_NONE;
        }
    }
    if (!json_is_number(json)) {
        return wrong_kind(kind, "a number (or \"NaN\", \"Infinity\", \"-Infinity\")", json, err);
    }
    *out = json_number_value(json);
    if (kind == SCALAR_FLOAT && isinf((float)*out)) {
        return err_set(err, ERR_BAD_VALUE, "%g does not fit the 32 bits of io.statefun.types/float", *out);
    }
    return ERR_NONE;
}

static enum err_code get_scalar(enum scalar kind, const json_t *json, struct scalar_value *out, struct err *err)
{
    *out = (struct scalar_value){.kind = kind};
    switch (kind) {
    case SCALAR_BOOL:
        out->boolean = json_is_true(json);
        return json_is_boolean(json) ? ERR_NONE : wrong_kind(kind, "true or false", json, err);
    case SCALAR_INT:
    case SCALAR_LONG:
        return get_integer(kind, json, &out->integer, err);
    case SCALAR_FLOAT:
    case SCALAR_DOUBLE:
        return get_number(kind, json, &out->number, err);
    case SCALAR_STRING:
        out->text = (struct slice){(const uint8_t *)json_string_value(json), json_string_length(json)};
        return json_is_string(json) ? ERR_NONE : wrong_kind(kind, "a string in quotes", json, err);
    case SCALAR_COUNT:
    default:
        return err_set(err, ERR_BAD_VALUE, "not a scalar");
    }
}

static enum err_code get_scalar_value(struct slice text, enum scalar kind, struct buf *out, struct err *err)
{
    json_t *json = NULL;
    struct scalar_value value;
    /* A float takes any number; the others must not lose a digit. */
    const bool is_real = kind == SCALAR_FLOAT || kind == SCALAR_DOUBLE;
    enum err_code code = parse(text, is_real ? JSON_DECODE_INT_AS_REAL : 0, &json, err);

    if (code != ERR_NONE) {
        return code;
    }
    code = get_scalar(kind, json, &value, err);
    if (code == ERR_NONE) {
        wire_put_scalar_value(out, &value);
    }
    json_decref(json);
    return code;
}

enum err_code json_get_value(struct slice text, struct slice takes, struct buf *out_typed_value, struct err *err)
{
    const enum scalar kind = wire_scalar_of(takes);

    if (kind != SCALAR_COUNT) {
        return get_scalar_value(text, kind, out_typed_value, err);
    }
    json_t *json = NULL;
    /* Integers as reals: only the form is checked, so an integer of any length up to a double's range passes. */
    if (parse(text, JSON_DECODE_INT_AS_REAL, &json, err) != ERR_NONE) {
        return err->code;
    }
    json_decref(json);
    wire_put_typed_value(
        out_typed_value,
        &(struct typed_value){.typename_ = takes.size == 0 ? TYPENAME_JSON : takes, .has_value = true, .value = text});
    return ERR_NONE;
}

static enum err_code get_text(const json_t *object, const char *name, struct arena *arena, struct slice *out,
                              struct err *err)
{
    const json_t *member = json_object_get(object, name);

    if (member == NULL) {
        return err_set(err, ERR_BAD_VALUE, "it has no member \"%s\"", name);
    }
    if (!json_is_string(member)) {
        return err_set(err, ERR_BAD_VALUE, "its member \"%s\" is not a string", name);
    }
    const struct slice text = {(const uint8_t *)json_string_value(member), json_string_length(member)};
    *out = arena_copy(arena, text);
    return text.size > 0 && out->data == NULL ? err_set(err, ERR_NO_MEMORY, "memory is short") : ERR_NONE;
}

static enum err_code no_stranger(json_t *object, const char *const *names, size_t count, struct err *err)
{
    const char *key = NULL;
    json_t *member = NULL;

    json_object_foreach(object, key, member)
    {
        bool is_known = false;
        for (size_t i = 0; i < count; i++) {
            is_known = is_known || strcmp(key, names[i]) == 0;
        }
        if (!is_known) {
            return err_set(err, ERR_BAD_VALUE, "it has a member \"%.64s\", which nothing takes", key);
        }
    }
    return ERR_NONE;
}

enum err_code json_get_texts(struct slice text, const char *const *names, size_t count, struct arena *arena,
                             struct slice *out_texts, struct err *err)
{
    json_t *json = NULL;
    enum err_code code =
        is_blank(text) ? err_set(err, ERR_BAD_VALUE, "it is empty") : parse(text, JSON_REJECT_DUPLICATES, &json, err);

    if (code == ERR_NONE && !json_is_object(json)) {
        code = err_set(err, ERR_BAD_VALUE, "it is not a JSON object");
    }
    for (size_t i = 0; i < count && code == ERR_NONE; i++) {
        code = get_text(json, names[i], arena, &out_texts[i], err);
    }
    if (code == ERR_NONE) {
        code = no_stranger(json, names, count, err);
    }
    json_decref(json);
    return code;
}

/* ---- out ------------------------------------------------------------------------------------------------ */

/* Bytes of the well-formed UTF-8 character at the beginning, 0 if there is none. */
static size_t character_bytes(const uint8_t *data, size_t left)
{
    const size_t size = data[0] < 0x80 ? 1 : data[0] < 0xE0 ? 2 : data[0] < 0xF0 ? 3 : 4;

    if (size == 1) {
        return 1;
    }
    return size <= left && slice_is_utf8_text((struct slice){data, size}) ? size : 0;
}

void json_put_string(struct buf *out, struct slice text)
{
    size_t plain = 0; /* where the bytes not yet appended begin */

    buf_append_u8(out, '"');
    for (size_t i = 0; i < text.size;) {
        const uint8_t c = text.data[i];
        const size_t size = character_bytes(text.data + i, text.size - i);
        if (size > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) {
            i += size;
            continue;
        }
        if (i > plain) {
            buf_append(out, text.data + plain, i - plain);
        }
        if (size == 0) {
            buf_append_text(out, "\\ufffd"); /* a byte that is no text: JSON has no other way to say so */
        } else if (c == '"' || c == '\\') {
            buf_append_u8(out, '\\');
            buf_append_u8(out, c);
        } else if (c == '\n') {
            buf_append_text(out, "\\n");
        } else {
            buf_appendf(out, "\\u%04x", c);
        }
        plain = ++i;
    }
    if (text.size > plain) {
        buf_append(out, text.data + plain, text.size - plain);
    }
    buf_append_u8(out, '"');
}

/* The shortest text that reads back as the same number; a fraction or exponent always shows. */
static void put_number(struct buf *out, double number, bool is_float)
{
    char text[NUMBER_TEXT_BYTES];

    for (size_t i = 0; i < sizeof not_finite / sizeof not_finite[0]; i++) {
        const double special = not_finite[i].value;
        if ((isnan(number) && isnan(special)) || (isinf(number) && isinf(special) && (number > 0) == (special > 0))) {
            json_put_string(out, slice_of(not_finite[i].text));
            return;
        }
    }
    const int most = is_float ? 9 : 17;
    for (int digits = is_float ? 6 : 15; digits <= most; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (is_float ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number) {
            break;
        }
    }
    bool is_whole = true;
    for (char *at = text; *at != 0; at++) {
        if (*at != '-' && *at != '+' && *at != 'e' && (*at < '0' || *at > '9')) {
            *at = '.'; /* whatever the locale of the process writes there */
        }
        is_whole = is_whole && *at != '.' && *at != 'e';
    }
    buf_append_text(out, text);
    if (is_whole) {
        buf_append_text(out, ".0");
    }
}

static void put_scalar(struct buf *out, const struct scalar_value *value)
{
    switch (value->kind) {
    case SCALAR_BOOL:
        buf_append_text(out, value->boolean ? "true" : "false");
        return;
    case SCALAR_INT:
    case SCALAR_LONG: {
        const bool is_exact = value->integer >= -EXACT_INTEGER_MAX && value->integer <= EXACT_INTEGER_MAX;
        buf_appendf(out, is_exact ? "%lld" : "\"%lld\"", (long long)value->integer);
        return;
    }
    case SCALAR_FLOAT:
        put_number(out, value->number, true);
        return;
    case SCALAR_DOUBLE:
        put_number(out, value->number, false);
        return;
    case SCALAR_STRING:
    case SCALAR_COUNT:
    default:
        json_put_string(out, value->text);
    }
}

enum err_code json_put_value(struct slice typed_value, struct buf *out, enum json_form *out_form,
                             struct slice *out_typename, struct err *err)
{
    struct typed_value value;

    if (wire_get_typed_value(typed_value, &value, err) != ERR_NONE) {
        return err->code;
    }
    *out_typename = value.typename_;
    if (!value.has_value || slice_equal(value.typename_, TYPENAME_NONE)) {
        *out_form = JSON_NOTHING;
        return ERR_NONE;
    }
    const enum scalar kind = wire_scalar_of(value.typename_);
    if (kind != SCALAR_COUNT) {
        struct scalar_value scalar;
        if (wire_get_scalar(kind, value.value, &scalar, err) != ERR_NONE) {
            return err_set(err, ERR_BAD_ANSWER, "the function's reply says %.*s but its bytes are not one",
                           (int)value.typename_.size, (const char *)value.typename_.data);
        }
        *out_form = JSON_TEXT;
        put_scalar(out, &scalar);
        return ERR_NONE;
    }
    const bool is_json = slice_equal(value.typename_, TYPENAME_JSON);
    if (is_json && is_blank(value.value)) {
        return err_set(err, ERR_BAD_ANSWER, "the function's reply is of type proa/json but has no bytes");
    }
    *out_form = is_json ? JSON_TEXT : JSON_RAW;
    buf_append_slice(out, value.value);
    return ERR_NONE;
}
