/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_wire.c: what a function sends: any bytes as an answer, a typed value and each scalar. What is taken must be as
 * result.h promises, and must survive being written again.
 */
#include "fuzz.h"

#include "check.h"
#include "wire.h"
#include "wire.pb-c.h"

enum { MESSAGES = 3 };

static void check_text(struct slice text, size_t bytes_min, size_t bytes_max)
{
    check(text.size >= bytes_min && text.size <= bytes_max);
    check(slice_is_utf8_text(text));
}

static void check_address(const struct address *address)
{
    struct err err;

    check(address_check(address, &err) == ERR_NONE);
}

static void check_value(struct slice bytes)
{
    struct typed_value value;
    struct err err;

    check(wire_get_typed_value(bytes, &value, &err) == ERR_NONE);
}

static void check_mutation(const struct mutation *mutation)
{
    struct typed_value value;
    struct err err;

    check_text(mutation->name, 1, LIMIT_STATE_NAME_BYTES_MAX);
    if (!mutation->is_delete) {
        check(wire_get_typed_value(mutation->value, &value, &err) == ERR_NONE);
        check(value.has_value);
        check(slice_equal(value.typename_, mutation->typename_));
        check_text(mutation->typename_, 1, LIMIT_TYPENAME_BYTES_MAX);
    }
}

static void check_delayed(const struct delayed *delayed)
{
    check_text(delayed->token, delayed->is_cancel ? 1 : 0, LIMIT_TOKEN_BYTES_MAX);
    if (!delayed->is_cancel) {
        check(delayed->delay_ms >= 0);
        check_address(&delayed->target);
        check_value(delayed->value);
    }
}

static void check_failure(const struct result *result)
{
    const struct failure *failure = &result->failure;

    check(failure->index < MESSAGES);
    check(failure->index > 0 ||
          result->mutation_count + result->outgoing_count + result->delayed_count + result->emitted_count == 0);
    check_text(failure->code, 0, LIMIT_FAILURE_CODE_BYTES_MAX);
    check_text(failure->message, 0, LIMIT_FAILURE_TEXT_BYTES_MAX);
}

static void check_result(const struct result *result)
{
    for (uint32_t i = 0; i < result->mutation_count; i++) {
        check_mutation(&result->mutations[i]);
    }
    for (uint32_t i = 0; i < result->outgoing_count; i++) {
        check_address(&result->outgoing[i].target);
        check_value(result->outgoing[i].value);
    }
    for (uint32_t i = 0; i < result->delayed_count; i++) {
        check_delayed(&result->delayed[i]);
    }
    for (uint32_t i = 0; i < result->emitted_count; i++) {
        check_text(result->emitted[i].space, 1, LIMIT_NAMESPACE_BYTES_MAX);
        check_text(result->emitted[i].name, 1, LIMIT_NAMESPACE_BYTES_MAX);
        check_value(result->emitted[i].value);
        if (result->emitted[i].topic.size > 0) {
            check_text(result->emitted[i].topic, 1, LIMIT_RECORD_BYTES_MAX);
            check_value(result->emitted[i].text);
        }
    }
    for (uint32_t i = 0; i < result->missing_count; i++) {
        const struct state_spec *spec = &result->missing[i];
        check_text(spec->name, 1, LIMIT_STATE_NAME_BYTES_MAX);
        check_text(spec->typename_, 1, LIMIT_TYPENAME_BYTES_MAX);
        check(spec->mode >= EXPIRY_NONE && spec->mode <= EXPIRY_AFTER_INVOKE);
        check(spec->mode == EXPIRY_NONE || spec->expire_ms >= 0);
    }
    if (result->has_failure) {
        check_failure(result);
    }
}

/* What is taken apart by hand, protobuf-c takes apart to the same. */
static void compare_typed_value(struct slice bytes, const struct typed_value *value)
{
    Proa__V1__TypedValue *oracle = proa__v1__typed_value__unpack(NULL, bytes.size, bytes.data);

    check(oracle != NULL);
    check(slice_equal((struct slice){oracle->typename_.data, oracle->typename_.len}, value->typename_));
    check(slice_equal((struct slice){oracle->value.data, oracle->value.len}, value->value));
    check((oracle->has_value != 0) == value->has_value);
    proa__v1__typed_value__free_unpacked(oracle, NULL);
}

static void try_typed_value(struct slice bytes, struct buf *buf)
{
    struct typed_value value;
    struct typed_value again;
    struct err err;

    if (wire_get_typed_value(bytes, &value, &err) != ERR_NONE) {
        return;
    }
    compare_typed_value(bytes, &value);
    buf_clear(buf);
    wire_put_typed_value(buf, &value);
    check(wire_get_typed_value(buf_slice(buf), &again, &err) == ERR_NONE);
    check(again.has_value == value.has_value);
    check(slice_equal(again.typename_, value.typename_) && slice_equal(again.value, value.value));
}

/* Written again it may be shorter; written once more it is the same. */
static void try_scalar(enum scalar kind, struct slice bytes, struct buf *buf)
{
    struct scalar_value value;
    struct err err;
    struct buf twice;

    if (wire_get_scalar(kind, bytes, &value, &err) != ERR_NONE) {
        return;
    }
    buf_clear(buf);
    wire_put_scalar(buf, &value);
    check(buf->size <= bytes.size);
    check(wire_get_scalar(kind, buf_slice(buf), &value, &err) == ERR_NONE);
    buf_init(&twice, buf->bytes_max);
    wire_put_scalar(&twice, &value);
    check(slice_equal(buf_slice(&twice), buf_slice(buf)));
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice bytes = {data, size};
    struct result *result;
    struct err err;
    struct buf buf;

    if (wire_get_result(bytes, MESSAGES, &result, &err) == ERR_NONE) {
        check_result(result);
        result_destroy(result);
    } else {
        check(err.code == ERR_BAD_ANSWER && slice_is_utf8_text(slice_of(err.text)));
    }
    buf_init(&buf, 1 << 24);
    try_typed_value(bytes, &buf);
    for (enum scalar kind = SCALAR_BOOL; kind < SCALAR_COUNT; kind++) {
        try_scalar(kind, bytes, &buf);
    }
    buf_done(&buf);
    return 0;
}
