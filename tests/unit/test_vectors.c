/* SPDX-License-Identifier: Apache-2.0
 *
 * test_vectors.c: the wire against protocol/vectors/: every scalar, request and answer, and every answer cut and
 * changed.
 */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "vectors.h"
#include "wire_bench.h"

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

static struct call_message *messages_from(const json_t *list, bool *out_knows_partial)
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
            *out_knows_partial = true;
            assert_memory_equal(id.data, wire_store_id, 32);
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
        call.messages = messages_from(vectors_get(request, "messages"), &call.knows_partial);
        call.message_count = (uint32_t)json_array_size(vectors_get(request, "messages"));
        buf_clear(&buf);
        wire_put_call(&buf, &call, wire_store_id);
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
        const enum err_code code = wire_get_copied(body, message_count, &result);
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
            if (wire_get_copied((struct slice){body.data, at}, 2, &result) == ERR_NONE) {
                result_destroy(result);
            }
            for (int bit = 0; bit < 8; bit++) {
                memcpy(changed, body.data, body.size);
                changed[at] ^= (uint8_t)(1 << bit);
                if (wire_get_copied((struct slice){changed, body.size}, 2, &result) == ERR_NONE) {
                    result_destroy(result);
                }
            }
        }
    }
    json_decref(root);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, wire_set_up, wire_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(scalars_are_as_in_the_vectors),
        TEST(requests_are_as_in_the_vectors),
        TEST(answers_are_as_in_the_vectors),
        TEST(broken_answers_are_survived),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
