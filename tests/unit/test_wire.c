/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire: every vector of protocol/vectors, protobuf-c as the oracle of what is written by hand, and the
 * bounds of what functions may send.
 */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "vectors.h"
#include "wire.h"
#include "wire.pb-c.h"

static const char store_id[] = "0123456789abcdef0123456789abcdef";

static struct arena *arena;
static struct buf buf;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(64 << 20);
    buf_init(&buf, 16 << 20);
    return arena == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    buf_done(&buf);
    return 0;
}

static void assert_slice(struct slice got, struct slice wanted, const char *what)
{
    if (!slice_equal(got, wanted)) {
        fail_msg("%s: got %zu bytes, wanted %zu, or they differ", what, got.size, wanted.size);
    }
}

/* wire_get_result on an exact copy that is freed at once: a read beyond it, or after it, shows. */
static enum err_code get_result(struct slice body, uint32_t message_count, struct result **out)
{
    uint8_t *copy = malloc(body.size + 1);

    if (body.size > 0) {
        memcpy(copy + 1, body.data, body.size);
    }
    const enum err_code code = wire_get_result((struct slice){copy + 1, body.size}, message_count, out, &err);
    free(copy);
    return code;
}

/* ---- vectors: scalars --------------------------------------------------------------------------------------- */

static struct scalar_value scalar_from(const json_t *vector, enum scalar kind)
{
    const json_t *json = vectors_get(vector, "value");
    struct scalar_value value = {.kind = kind};

    if (kind == SCALAR_BOOL) {
        value.boolean = json_is_true(json);
    } else if (kind == SCALAR_INT || kind == SCALAR_LONG) {
        value.integer = strtoll(json_string_value(json), NULL, 10);
    } else if (kind == SCALAR_STRING) {
        value.text = vectors_text(vector, "value");
    } else if (json_is_string(json)) {
        value.number = strtod(json_string_value(json), NULL);
    } else {
        value.number = json_number_value(json);
    }
    return value;
}

static void assert_scalar(const struct scalar_value *got, const struct scalar_value *wanted, const char *name)
{
    assert_int_equal(got->kind, wanted->kind);
    switch (wanted->kind) {
    case SCALAR_BOOL:
        assert_int_equal(got->boolean, wanted->boolean);
        break;
    case SCALAR_INT:
    case SCALAR_LONG:
        assert_true(got->integer == wanted->integer);
        break;
    case SCALAR_FLOAT:
    case SCALAR_DOUBLE:
        assert_true(isnan(got->number) == isnan(wanted->number));
        assert_true(isnan(got->number) || memcmp(&got->number, &wanted->number, sizeof got->number) == 0);
        break;
    case SCALAR_STRING:
        assert_slice(got->text, wanted->text, name);
        break;
    case SCALAR_COUNT:
        fail();
    }
}

static void scalars_are_as_in_the_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("scalars.json");
    struct scalar_value got;
    json_t *vector;
    size_t i;

    json_array_foreach(vectors_get(root, "vectors"), i, vector)
    {
        const char *name = json_string_value(vectors_get(vector, "name"));
        const enum scalar kind = wire_scalar_of(vectors_text(vector, "typename"));
        const struct slice bytes = vectors_hex(vector, "hex", arena);
        assert_true(kind < SCALAR_COUNT);
        const struct scalar_value value = scalar_from(vector, kind);
        buf_clear(&buf);
        wire_put_scalar(&buf, &value);
        assert_slice(buf_slice(&buf), bytes, name);
        assert_int_equal(wire_get_scalar(kind, bytes, &got, &err), ERR_NONE);
        assert_scalar(&got, &value, name);
    }
    assert_true(i > 30);
    json_array_foreach(vectors_get(root, "foreign"), i, vector)
    {
        const char *name = json_string_value(vectors_get(vector, "name"));
        const enum scalar kind = wire_scalar_of(vectors_text(vector, "typename"));
        const enum err_code code = wire_get_scalar(kind, vectors_hex(vector, "hex", arena), &got, &err);
        if (json_is_true(vectors_get(vector, "accepted")) != (code == ERR_NONE)) {
            fail_msg("%s: %s", name, code == ERR_NONE ? "taken" : err.text);
        }
        if (code == ERR_NONE) {
            const struct scalar_value value = scalar_from(vector, kind);
            assert_scalar(&got, &value, name);
        }
    }
    assert_int_equal(wire_scalar_of(SLICE("proa/json")), SCALAR_COUNT);
    json_decref(root);
}

/* ---- vectors: requests ---------------------------------------------------------------------------------------- */

static struct address address_from(const json_t *json)
{
    return (struct address){vectors_text(json, "namespace"), vectors_text(json, "type"), vectors_text(json, "id")};
}

static struct call_message *messages_from(const json_t *list, bool *out_with_extensions)
{
    struct call_message *messages = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *messages);
    json_t *json;
    size_t i;

    json_array_foreach(list, i, json)
    {
        const json_t *caller = vectors_get(json, "caller");
        const struct slice id = vectors_text(json, "message_id");
        messages[i].value = vectors_hex(vectors_get(json, "value"), "bytes", arena);
        messages[i].traceparent = vectors_text(json, "traceparent");
        if (!json_is_null(caller)) {
            messages[i].caller = address_from(caller);
        }
        if (id.size > 0) {
            *out_with_extensions = true;
            assert_memory_equal(id.data, store_id, 32);
            messages[i].number = strtoull((const char *)id.data + 33, NULL, 10);
        }
    }
    return messages;
}

static void requests_are_as_in_the_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("requests.json");
    json_t *vector;
    size_t i;

    json_array_foreach(vectors_get(root, "vectors"), i, vector)
    {
        const json_t *request = vectors_get(vector, "request");
        const json_t *list = vectors_get(request, "states");
        struct call_state *states = arena_alloc(arena, (json_array_size(list) + 1) * sizeof *states);
        struct effect_call call = {.target = address_from(vectors_get(request, "target")), .states = states};
        json_t *json;
        size_t j;
        json_array_foreach(list, j, json)
        {
            const json_t *value = vectors_get(json, "value");
            states[j].name = vectors_text(json, "name");
            states[j].value = json_is_null(value) ? SLICE_EMPTY : vectors_hex(value, "bytes", arena);
        }
        call.state_count = (uint32_t)json_array_size(list);
        call.messages = messages_from(vectors_get(request, "messages"), &call.with_extensions);
        call.message_count = (uint32_t)json_array_size(vectors_get(request, "messages"));
        buf_clear(&buf);
        wire_put_call(&buf, &call, store_id);
        assert_slice(buf_slice(&buf), vectors_hex(vector, "hex", arena),
                     json_string_value(vectors_get(vector, "name")));
    }
    assert_true(i > 10);
    json_decref(root);
}

/* ---- vectors: answers ----------------------------------------------------------------------------------------- */

static void assert_address(const struct address *got, const json_t *wanted)
{
    const struct address address = address_from(wanted);

    assert_true(address_equal(got, &address));
}

static void assert_value(struct slice got, const json_t *wanted, const char *name)
{
    assert_slice(got, vectors_hex(wanted, "bytes", arena), name);
}

static void assert_mutations(const struct result *result, const json_t *list, const char *name)
{
    json_t *json;
    size_t i;

    assert_int_equal(result->mutation_count, json_array_size(list));
    json_array_foreach(list, i, json)
    {
        const struct mutation *got = &result->mutations[i];
        const json_t *value = vectors_get(json, "value");
        assert_slice(got->name, vectors_text(json, "name"), name);
        assert_int_equal(got->is_delete, slice_equal(vectors_text(json, "action"), SLICE("delete")));
        if (got->is_delete) {
            assert_int_equal(got->value.size, 0);
            continue;
        }
        struct slice wanted = vectors_hex(value, "bytes", arena);
        if (!json_is_true(vectors_get(value, "has_value"))) {
            uint8_t *longer = arena_alloc(arena, wanted.size + 2);
            memcpy(longer, wanted.data, wanted.size);
            longer[wanted.size] = 0x10;
            longer[wanted.size + 1] = 0x01;
            wanted = (struct slice){longer, wanted.size + 2};
        }
        assert_slice(got->value, wanted, name);
        assert_slice(got->typename_, vectors_text(value, "typename"), name);
    }
}

static void assert_sends(const struct result *result, const json_t *answer, const char *name)
{
    const json_t *list = vectors_get(answer, "outgoing");
    json_t *json;
    size_t i;

    assert_int_equal(result->outgoing_count, json_array_size(list));
    json_array_foreach(list, i, json)
    {
        assert_address(&result->outgoing[i].target, vectors_get(json, "target"));
        assert_value(result->outgoing[i].value, vectors_get(json, "value"), name);
    }
    list = vectors_get(answer, "delayed");
    assert_int_equal(result->delayed_count, json_array_size(list));
    json_array_foreach(list, i, json)
    {
        const struct delayed *got = &result->delayed[i];
        assert_int_equal(got->is_cancel, json_is_true(vectors_get(json, "cancel")));
        assert_slice(got->token, vectors_text(json, "token"), name);
        if (!got->is_cancel) {
            assert_true(got->delay_ms == json_integer_value(vectors_get(json, "delay_ms")));
            assert_address(&got->target, vectors_get(json, "target"));
            assert_value(got->value, vectors_get(json, "value"), name);
        }
    }
    list = vectors_get(answer, "egress");
    assert_int_equal(result->emitted_count, json_array_size(list));
    json_array_foreach(list, i, json)
    {
        assert_slice(result->emitted[i].space, vectors_text(json, "namespace"), name);
        assert_slice(result->emitted[i].name, vectors_text(json, "type"), name);
        assert_value(result->emitted[i].value, vectors_get(json, "value"), name);
    }
}

static void assert_missing(const struct result *result, const json_t *list, const char *name)
{
    static const char *const modes[] = {"none", "after_write", "after_invoke"};
    json_t *json;
    size_t i;

    assert_int_equal(result->missing_count, json_array_size(list));
    json_array_foreach(list, i, json)
    {
        const struct state_spec *got = &result->missing[i];
        const struct slice typename_ = vectors_text(json, "typename");
        assert_slice(got->name, vectors_text(json, "name"), name);
        assert_slice(got->typename_, typename_.size == 0 ? SLICE("io.statefun.types/unset") : typename_, name);
        assert_slice(slice_of(modes[got->mode]), vectors_text(json, "mode"), name);
        assert_true(got->expire_ms == json_integer_value(vectors_get(json, "expire_ms")));
    }
}

static void assert_answer(const struct result *result, const json_t *answer, const char *name)
{
    const json_t *failure = vectors_get(answer, "failure");

    assert_int_equal(result->kind == RESULT_INCOMPLETE, slice_equal(vectors_text(answer, "kind"), SLICE("incomplete")));
    assert_mutations(result, vectors_get(answer, "mutations"), name);
    assert_sends(result, answer, name);
    assert_missing(result, vectors_get(answer, "missing"), name);
    assert_int_equal(result->has_failure, !json_is_null(failure));
    if (result->has_failure) {
        assert_int_equal(result->failure.index, json_integer_value(vectors_get(failure, "index")));
        assert_int_equal(result->failure.is_retryable, json_is_true(vectors_get(failure, "retryable")));
        assert_slice(result->failure.code, vectors_text(failure, "code"), name);
        assert_slice(result->failure.message, vectors_text(failure, "message"), name);
    }
}

static void answers_are_as_in_the_vectors(void **state)
{
    (void)state;
    json_t *root = vectors_load("answers.json");
    struct result *result;
    json_t *vector;
    size_t i;

    json_array_foreach(vectors_get(root, "vectors"), i, vector)
    {
        const char *name = json_string_value(vectors_get(vector, "name"));
        const struct slice body = vectors_hex(vector, "hex", arena);
        const uint32_t message_count = (uint32_t)json_integer_value(vectors_get(vector, "message_count"));
        const enum err_code code = get_result(body, message_count, &result);
        if (json_is_true(vectors_get(vector, "accepted")) != (code == ERR_NONE)) {
            fail_msg("%s: %s", name, code == ERR_NONE ? "taken" : err.text);
        }
        if (code != ERR_NONE) {
            assert_int_equal(code, ERR_BAD_ANSWER);
            assert_int_equal(err.code, ERR_BAD_ANSWER);
            continue;
        }
        assert_int_equal(result->bytes, body.size);
        assert_answer(result, vectors_get(vector, "answer"), name);
        result_destroy(result);
    }
    assert_true(i > 40);
    json_decref(root);
}

/* Cut and changed answers end in a result or an error, never elsewhere. */
static void broken_answers_are_survived(void **state)
{
    (void)state;
    json_t *root = vectors_load("answers.json");
    struct result *result;
    json_t *vector;
    size_t i;

    json_array_foreach(vectors_get(root, "vectors"), i, vector)
    {
        const struct slice body = vectors_hex(vector, "hex", arena);
        uint8_t *changed = arena_alloc(arena, body.size + 1);
        for (size_t at = 0; body.size < 1000 && at < body.size; at++) {
            if (get_result((struct slice){body.data, at}, 2, &result) == ERR_NONE) {
                result_destroy(result);
            }
            for (int bit = 0; bit < 8; bit++) {
                memcpy(changed, body.data, body.size);
                changed[at] ^= (uint8_t)(1 << bit);
                if (get_result((struct slice){changed, body.size}, 2, &result) == ERR_NONE) {
                    result_destroy(result);
                }
            }
        }
    }
    json_decref(root);
}

/* ---- protobuf-c as the oracle --------------------------------------------------------------------------------- */

static uint32_t seed = 7;

static uint32_t random_below(uint32_t bound)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % bound;
}

static struct slice random_text(uint32_t bytes_max)
{
    const size_t size = 1 + random_below(bytes_max);
    uint8_t *text = arena_alloc(arena, size);

    for (size_t i = 0; i < size; i++) {
        text[i] = (uint8_t)('a' + random_below(26));
    }
    return (struct slice){text, size};
}

static struct address random_address(void)
{
    return (struct address){random_text(20), random_text(20), random_text(300)};
}

static ProtobufCBinaryData pb_bytes(struct slice slice)
{
    return (ProtobufCBinaryData){slice.size, (uint8_t *)(uintptr_t)slice.data};
}

static Proa__V1__Address *pb_address(const struct address *address)
{
    Proa__V1__Address *out = arena_alloc(arena, sizeof *out);

    proa__v1__address__init(out);
    out->namespace_ = pb_bytes(address->space);
    out->type = pb_bytes(address->name);
    out->id = pb_bytes(address->id);
    return out;
}

static Proa__V1__ToFunction__Invocation *pb_message(const struct call_message *message, bool with_extensions)
{
    Proa__V1__ToFunction__Invocation *out = arena_alloc(arena, sizeof *out);
    char *id = arena_alloc(arena, 64);

    proa__v1__to_function__invocation__init(out);
    out->caller = address_is_empty(&message->caller) ? NULL : pb_address(&message->caller);
    out->argument = pb_bytes(message->value);
    if (with_extensions) {
        (void)snprintf(id, 64, "%s-%llu", store_id, (unsigned long long)message->number);
        out->message_id = pb_bytes(slice_of(id));
        out->traceparent = pb_bytes(message->traceparent);
    }
    return out;
}

static struct slice pb_call(const struct effect_call *call)
{
    Proa__V1__ToFunction to = PROA__V1__TO_FUNCTION__INIT;
    Proa__V1__ToFunction__InvocationBatchRequest batch = PROA__V1__TO_FUNCTION__INVOCATION_BATCH_REQUEST__INIT;

    to.request_case = PROA__V1__TO_FUNCTION__REQUEST_INVOCATION;
    to.invocation = &batch;
    batch.target = pb_address(&call->target);
    batch.n_state = call->state_count;
    batch.state = arena_alloc(arena, (call->state_count + 1) * sizeof *batch.state);
    for (uint32_t i = 0; i < call->state_count; i++) {
        batch.state[i] = arena_alloc(arena, sizeof **batch.state);
        proa__v1__to_function__persisted_value__init(batch.state[i]);
        batch.state[i]->state_name = pb_bytes(call->states[i].name);
        batch.state[i]->state_value = pb_bytes(call->states[i].value);
    }
    batch.n_invocations = call->message_count;
    batch.invocations = arena_alloc(arena, (call->message_count + 1) * sizeof *batch.invocations);
    for (uint32_t i = 0; i < call->message_count; i++) {
        batch.invocations[i] = pb_message(&call->messages[i], call->with_extensions);
    }
    uint8_t *packed = arena_alloc(arena, proa__v1__to_function__get_packed_size(&to) + 1);
    return (struct slice){packed, proa__v1__to_function__pack(&to, packed)};
}

static void calls_are_what_protobuf_c_writes(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 9, 10, 99, 100, UINT64_C(12345678901), UINT64_MAX};

    for (int round = 0; round < 500; round++) {
        struct call_state states[4] = {{SLICE_EMPTY, SLICE_EMPTY}};
        struct call_message messages[4] = {{.number = 0}};
        struct effect_call call = {.target = random_address(), .states = states, .messages = messages};
        call.state_count = random_below(5);
        call.message_count = random_below(5);
        call.with_extensions = random_below(2) == 0;
        for (uint32_t i = 0; i < call.state_count; i++) {
            states[i].name = random_text(100);
            states[i].value = random_below(3) == 0 ? SLICE_EMPTY : random_text(20000);
        }
        for (uint32_t i = 0; i < call.message_count; i++) {
            messages[i].value = random_text(random_below(2) == 0 ? 100 : 40000);
            messages[i].number = numbers[random_below(7)];
            if (random_below(2) == 0) {
                messages[i].caller = random_address();
            }
            if (random_below(2) == 0) {
                messages[i].traceparent = random_text(55);
            }
        }
        buf_clear(&buf);
        buf_append_u8(&buf, 'x'); /* what stands there stays */
        wire_put_call(&buf, &call, store_id);
        assert_slice((struct slice){buf.data + 1, buf.size - 1}, pb_call(&call), "a random call");
        arena_destroy(arena);
        arena = arena_create(64 << 20);
    }
}

static void an_empty_argument_is_sent_as_a_field(void **state)
{
    (void)state;
    const struct call_message message = {.value = SLICE_EMPTY};
    const struct effect_call call = {
        .target = {SLICE("a"), SLICE("b"), SLICE("c")}, .messages = &message, .message_count = 1};
    static const uint8_t wanted[] = "\xA2\x06\x0F\x0A\x09\x0A\x01"
                                    "a\x12\x01"
                                    "b\x1A\x01"
                                    "c\x1A\x02\x12\x00";

    wire_put_call(&buf, &call, store_id);
    assert_slice(buf_slice(&buf), (struct slice){wanted, sizeof wanted - 1}, "an empty argument");
}

static void a_full_buffer_is_marked(void **state)
{
    (void)state;
    const struct call_message message = {.value = SLICE("0123456789")};
    const struct effect_call call = {
        .target = {SLICE("a"), SLICE("b"), SLICE("c")}, .messages = &message, .message_count = 1};
    const struct typed_value value = {SLICE("a/b"), true, SLICE("v")};
    struct buf small;

    for (size_t bytes_max = 1; bytes_max < 27; bytes_max++) {
        buf_init(&small, bytes_max);
        wire_put_call(&small, &call, store_id);
        assert_true(small.overflow);
        buf_done(&small);
    }
    buf_init(&small, 9);
    wire_put_typed_value(&small, &value);
    assert_true(small.overflow);
    buf_done(&small);
}

/* ---- typed values --------------------------------------------------------------------------------------------- */

static void typed_values_are_read_back(void **state)
{
    (void)state;
    const struct typed_value values[] = {
        {SLICE("example/order"), true, SLICE("\0\1\2")},
        {SLICE("proa/none"), false, SLICE_EMPTY},
        {SLICE("io.statefun.types/int"), true, SLICE_EMPTY},
        {SLICE_EMPTY, false, SLICE_EMPTY},
    };
    struct typed_value got;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        buf_clear(&buf);
        wire_put_typed_value(&buf, &values[i]);
        assert_int_equal(wire_get_typed_value(buf_slice(&buf), &got, &err), ERR_NONE);
        assert_slice(got.typename_, values[i].typename_, "typename");
        assert_slice(got.value, values[i].value, "value");
        assert_int_equal(got.has_value, values[i].has_value);
    }
    assert_int_equal(
        wire_get_typed_value(SLICE("\x0A\x01t\x22\x02zz\x10\x01\x29\x01\x02\x03\x04\x05\x06\x07\x08"), &got, &err),
        ERR_NONE); /* fields 4 and 5 are not known */
    assert_true(got.has_value);
    assert_int_equal(wire_get_typed_value(SLICE("\x0A\x01"
                                                "a\x0A\x01"
                                                "b"),
                                          &got, &err),
                     ERR_NONE);
    assert_slice(got.typename_, SLICE("b"), "the last one counts");
}

static void malformed_typed_values_are_refused(void **state)
{
    (void)state;
    const struct slice bad[] = {
        SLICE("\x0A"), /* no length */
        SLICE("\x0A\x05"
              "ab"),                                               /* beyond the end */
        SLICE("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),     /* a length of 2^64 - 1 */
        SLICE("\x10"),                                             /* no varint */
        SLICE("\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), /* a varint of eleven bytes */
        SLICE("\x08\x01"),                                         /* a number as typename */
        SLICE("\x12\x01x"),                                        /* bytes as has_value */
        SLICE("\x19\x01\x02\x03\x04\x05\x06\x07\x08"),             /* a number as value */
        SLICE("\x0B\x0C"),                                         /* a group */
        SLICE("\x07"),                                             /* wire type 7 */
        SLICE("\x02\x00"),                                         /* field 0 */
        SLICE("\x0A\x02\xC3\x28"),                                 /* not UTF-8 */
        SLICE("\x0A\x03"
              "a\0b"),         /* NUL */
        SLICE("\x2D\x01\x02"), /* a cut number in a field not known */
    };
    struct typed_value got;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t *copy = malloc(bad[i].size);
        memcpy(copy, bad[i].data, bad[i].size);
        if (wire_get_typed_value((struct slice){copy, bad[i].size}, &got, &err) != ERR_BAD_VALUE) {
            fail_msg("bad value %zu was taken", i);
        }
        free(copy);
    }
    uint8_t name[LIMIT_TYPENAME_BYTES_MAX + 1];
    memset(name, 'x', sizeof name);
    const struct typed_value longest = {{name, sizeof name - 1}, true, SLICE_EMPTY};
    const struct typed_value too_long = {{name, sizeof name}, true, SLICE_EMPTY};
    wire_put_typed_value(&buf, &longest);
    assert_int_equal(wire_get_typed_value(buf_slice(&buf), &got, &err), ERR_NONE);
    buf_clear(&buf);
    wire_put_typed_value(&buf, &too_long);
    assert_int_equal(wire_get_typed_value(buf_slice(&buf), &got, &err), ERR_BAD_VALUE);
}

/* ---- bounds of answers ---------------------------------------------------------------------------------------- */

/* 1 MiB of empty messages: cheap to send, dear to unpack. */
static void an_answer_cannot_buy_memory(void **state)
{
    (void)state;
    const size_t inner = 1 << 20;
    uint8_t *body = malloc(inner + 6);
    struct result *result;

    memcpy(body, "\xA2\x06\x80\x80\x40", 5);
    for (size_t i = 0; i < inner; i += 2) {
        body[5 + i] = 0x12; /* outgoing message */
        body[6 + i] = 0x00;
    }
    assert_int_equal(wire_get_result((struct slice){body, inner + 5}, 1, &result, &err), ERR_BAD_ANSWER);
    assert_non_null(strstr(err.text, "memory"));
    free(body);
}

static void many_small_messages_are_taken(void **state)
{
    (void)state;
    static const struct slice message = SLICE("\x12\x31\x0A\x19\x0A\x07"
                                              "example\x12\x07"
                                              "counter\x1A\x05"
                                              "12345\x12\x14\x0A\x09"
                                              "proa/json\x10\x01\x1A\x05"
                                              "[1,2]");
    const size_t count = 10000;
    struct result *result;

    assert_int_equal(message.size, 0x33);
    buf_append(&buf, "\xA2\x06", 2);
    const size_t inner = message.size * count;
    buf_append_u8(&buf, (uint8_t)(inner | 0x80));
    buf_append_u8(&buf, (uint8_t)(inner >> 7 | 0x80));
    buf_append_u8(&buf, (uint8_t)(inner >> 14));
    for (size_t i = 0; i < count; i++) {
        buf_append_slice(&buf, message);
    }
    assert_int_equal(wire_get_result(buf_slice(&buf), 1, &result, &err), ERR_NONE);
    assert_int_equal(result->outgoing_count, count);
    assert_slice(result->outgoing[count - 1].target.id, SLICE("12345"), "id");
    print_message("arena of %zu bytes for an answer of %zu\n", arena_bytes(result->arena), buf.size);
    result_destroy(result);
}

static void a_failure_keeps_its_sentence(void **state)
{
    (void)state;
    Proa__V1__FromFunction from = PROA__V1__FROM_FUNCTION__INIT;
    Proa__V1__FromFunction__InvocationResponse done = PROA__V1__FROM_FUNCTION__INVOCATION_RESPONSE__INIT;
    Proa__V1__FromFunction__Failure failure = PROA__V1__FROM_FUNCTION__FAILURE__INIT;
    uint8_t text[3000];
    uint8_t packed[4000];
    struct result *result;

    for (size_t i = 0; i < sizeof text; i += 3) {
        memcpy(text + i, "\xE2\x82\xAC", 3); /* a euro: cut between characters */
    }
    text[0] = text[1] = text[2] = 0;
    from.response_case = PROA__V1__FROM_FUNCTION__RESPONSE_INVOCATION_RESULT;
    from.invocation_result = &done;
    done.failure = &failure;
    failure.message = (ProtobufCBinaryData){sizeof text, text};
    const struct slice body = {packed, proa__v1__from_function__pack(&from, packed)};
    assert_int_equal(get_result(body, 1, &result), ERR_NONE);
    assert_true(result->has_failure);
    assert_int_equal(result->failure.message.size, LIMIT_FAILURE_TEXT_BYTES_MAX - LIMIT_FAILURE_TEXT_BYTES_MAX % 3);
    assert_memory_equal(result->failure.message.data, "   \xE2\x82\xAC", 6);
    result_destroy(result);
    assert_int_equal(get_result(body, 0, &result), ERR_BAD_ANSWER);
    text[4] = 'x';
    const struct slice broken = {packed, proa__v1__from_function__pack(&from, packed)};
    assert_int_equal(get_result(broken, 1, &result), ERR_BAD_ANSWER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(scalars_are_as_in_the_vectors),
        TEST(requests_are_as_in_the_vectors),
        TEST(answers_are_as_in_the_vectors),
        TEST(broken_answers_are_survived),
        TEST(calls_are_what_protobuf_c_writes),
        TEST(an_empty_argument_is_sent_as_a_field),
        TEST(a_full_buffer_is_marked),
        TEST(typed_values_are_read_back),
        TEST(malformed_typed_values_are_refused),
        TEST(an_answer_cannot_buy_memory),
        TEST(many_small_messages_are_taken),
        TEST(a_failure_keeps_its_sentence),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
