/* SPDX-License-Identifier: Apache-2.0
 *
 * test_wire.c: the wire: protobuf-c as the oracle of what is written by hand, and the bounds of what functions may
 * send. test_vectors.c has the vectors.
 */
#include "wire_bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "registry.h"
#include "wire.pb-c.h"

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

static Proa__V1__ToFunction__Invocation *pb_message(const struct call_message *message, bool knows_partial)
{
    Proa__V1__ToFunction__Invocation *out = arena_alloc(arena, sizeof *out);
    char *id = arena_alloc(arena, 64);

    proa__v1__to_function__invocation__init(out);
    out->caller = address_is_empty(&message->caller) ? NULL : pb_address(&message->caller);
    out->argument = pb_bytes(message->value);
    if (knows_partial) {
        (void)snprintf(id, 64, "%s-%llu", wire_store_id, (unsigned long long)message->number);
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
        batch.invocations[i] = pb_message(&call->messages[i], call->knows_partial);
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
        call.knows_partial = random_below(2) == 0;
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
        wire_put_call(&buf, &call, wire_store_id);
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

    wire_put_call(&buf, &call, wire_store_id);
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
        wire_put_call(&small, &call, wire_store_id);
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
    assert_int_equal(wire_get_copied(body, 1, &result), ERR_NONE);
    assert_true(result->has_failure);
    assert_int_equal(result->failure.message.size, LIMIT_FAILURE_TEXT_BYTES_MAX - LIMIT_FAILURE_TEXT_BYTES_MAX % 3);
    assert_memory_equal(result->failure.message.data, "   \xE2\x82\xAC", 6);
    result_destroy(result);
    assert_int_equal(wire_get_copied(body, 0, &result), ERR_BAD_ANSWER);
    text[4] = 'x';
    const struct slice broken = {packed, proa__v1__from_function__pack(&from, packed)};
    assert_int_equal(wire_get_copied(broken, 1, &result), ERR_BAD_ANSWER);
}

/* An answer with one record for an egress, and what became of it. */
static const struct emitted *emit_record(struct slice name, const char *typename_, struct slice record,
                                         struct result **out)
{
    Proa__V1__FromFunction answer = PROA__V1__FROM_FUNCTION__INIT;
    Proa__V1__FromFunction__InvocationResponse done = PROA__V1__FROM_FUNCTION__INVOCATION_RESPONSE__INIT;
    Proa__V1__FromFunction__EgressMessage message = PROA__V1__FROM_FUNCTION__EGRESS_MESSAGE__INIT;
    Proa__V1__FromFunction__EgressMessage *messages[] = {&message};

    buf_clear(&buf);
    wire_put_typed_value(&buf,
                         &(struct typed_value){.typename_ = slice_of(typename_), .has_value = true, .value = record});
    const struct slice value = arena_copy(arena, buf_slice(&buf));
    message.egress_namespace =
        (ProtobufCBinaryData){PLAYGROUND_SPACE.size, (uint8_t *)(uintptr_t)PLAYGROUND_SPACE.data};
    message.egress_type = (ProtobufCBinaryData){name.size, (uint8_t *)(uintptr_t)name.data};
    message.argument = (ProtobufCBinaryData){value.size, (uint8_t *)(uintptr_t)value.data};
    done.n_outgoing_egresses = 1;
    done.outgoing_egresses = messages;
    answer.response_case = PROA__V1__FROM_FUNCTION__RESPONSE_INVOCATION_RESULT;
    answer.invocation_result = &done;
    const size_t size = proa__v1__from_function__get_packed_size(&answer);
    uint8_t *body = arena_alloc(arena, size);
    assert_int_equal(proa__v1__from_function__pack(&answer, body), size);
    assert_int_equal(wire_get_copied((struct slice){body, size}, 1, out), ERR_NONE);
    assert_int_equal((*out)->emitted_count, 1);
    assert_slice((*out)->emitted[0].value, value, "the record as it came");
    return &(*out)->emitted[0];
}

static void records_of_the_playground_are_read(void **state)
{
    (void)state;
    static const char type[] = "io.statefun.playground/EgressRecord";
    static const struct {
        const char *typename_;
        const char *record;
        const char *says;
    } wrongs[] = {
        {"io.statefun.types/string", "{\"topic\":\"t\",\"payload\":\"p\"}", "it is of another type"},
        {type, "{\"topic\":\"\",\"payload\":\"p\"}", "its topic is empty"},
        {type, "{\"topic\":\"\\u0000\",\"payload\":\"p\"}", "or holds a NUL"},
        {type, "{\"topic\":\"t\"}", "no member \"payload\""},
        {type, "no", "not JSON"},
    };
    struct result *result = NULL;

    const struct emitted *emitted = emit_record(
        PLAYGROUND_EGRESS, type, SLICE("{\"topic\": \"greetings\", \"payload\": \"Hello \\u00fc\"}"), &result);
    assert_null(emitted->fault);
    assert_slice(emitted->topic, SLICE("greetings"), "the topic");
    assert_slice(emitted->text, SLICE("\x0a\x18io.statefun.types/string\x10\x01\x1a\x0a\x0a\x08Hello \xc3\xbc"),
                 "the text");
    result_destroy(result);
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        emitted = emit_record(PLAYGROUND_EGRESS, wrongs[i].typename_, slice_of(wrongs[i].record), &result);
        assert_int_equal(emitted->topic.size, 0);
        assert_non_null(emitted->fault);
        if (strstr(emitted->fault, wrongs[i].says) == NULL) {
            fail_msg("%s: %s", wrongs[i].record, emitted->fault);
        }
        result_destroy(result);
    }
    emitted = emit_record(SLICE("other"), type, SLICE("no"), &result);
    assert_null(emitted->fault);
    result_destroy(result);

    const size_t large = LIMIT_RECORD_BYTES_MAX + 1;
    char *record = arena_alloc(arena, large);
    memset(record, ' ', large);
    emitted = emit_record(PLAYGROUND_EGRESS, type, (struct slice){(const uint8_t *)record, large}, &result);
    assert_non_null(strstr(emitted->fault, "1048576 bytes"));
    result_destroy(result);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_set_up, wire_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(calls_are_what_protobuf_c_writes),
        TEST(an_empty_argument_is_sent_as_a_field),
        TEST(a_full_buffer_is_marked),
        TEST(typed_values_are_read_back),
        TEST(malformed_typed_values_are_refused),
        TEST(an_answer_cannot_buy_memory),
        TEST(many_small_messages_are_taken),
        TEST(a_failure_keeps_its_sentence),
        TEST(records_of_the_playground_are_read),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
