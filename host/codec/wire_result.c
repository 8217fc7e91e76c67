/* SPDX-License-Identifier: Apache-2.0
 *
 * wire_result.c: an answer to a result: protobuf-c unpacks it onto an arena with a budget, then every field is checked
 * and the result points at what was unpacked. Typed values stay the bytes they came as.
 */
#include "check.h"
#include "playground.h"
#include "registry.h"
#include "wire.h"
#include "wire.pb-c.h"

typedef Proa__V1__FromFunction pb_answer;
typedef Proa__V1__FromFunction__InvocationResponse pb_done;
typedef Proa__V1__FromFunction__IncompleteInvocationContext pb_incomplete;

/* Small answers too need room for protobuf-c's tables. */
enum { ARENA_FLOOR_BYTES = 64 << 10 };

static const uint8_t has_value_true[] = {2 << 3, 1};

static struct slice bytes_of(ProtobufCBinaryData data)
{
    return data.len == 0 ? SLICE_EMPTY : (struct slice){data.data, data.len};
}

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_BAD_ANSWER, "the answer needs more memory than %d times its bytes",
                   LIMIT_ARENA_BODY_FACTOR_MAX);
}

/* One text of an answer: its length, UTF-8, no NUL. */
static enum err_code check_text(struct slice text, const char *what, size_t bytes_max, struct err *err)
{
    if (text.size > bytes_max) {
        return err_set(err, ERR_BAD_ANSWER, "the %s has %zu bytes; at most %zu are taken", what, text.size, bytes_max);
    }
    if (!slice_is_utf8_text(text)) {
        return err_set(err, ERR_BAD_ANSWER, "the %s is not UTF-8 text without NUL", what);
    }
    return ERR_NONE;
}

static enum err_code check_name(struct slice text, const char *what, size_t bytes_max, struct err *err)
{
    if (text.size == 0) {
        return err_set(err, ERR_BAD_ANSWER, "the %s is missing", what);
    }
    return check_text(text, what, bytes_max, err);
}

static enum err_code convert_target(const Proa__V1__Address *address, struct address *out, struct err *err)
{
    if (address == NULL) {
        return err_set(err, ERR_BAD_ANSWER, "the target is missing");
    }
    out->space = bytes_of(address->namespace_);
    out->name = bytes_of(address->type);
    out->id = bytes_of(address->id);
    enum err_code code = check_name(out->space, "namespace of the target", LIMIT_NAMESPACE_BYTES_MAX, err);
    if (code == ERR_NONE) {
        code = check_name(out->name, "function name of the target", LIMIT_NAMESPACE_BYTES_MAX, err);
    }
    if (code == ERR_NONE) {
        code = check_name(out->id, "id of the target", LIMIT_ID_BYTES_MAX, err);
    }
    return code;
}

/* The bytes as they came; an absent argument is an empty TypedValue. */
static enum err_code convert_value(ProtobufCBinaryData data, struct typed_value *out_value, struct slice *out,
                                   struct err *err)
{
    *out = bytes_of(data);
    if (wire_get_typed_value(*out, out_value, err) != ERR_NONE) {
        err->code = ERR_BAD_ANSWER;
        return ERR_BAD_ANSWER;
    }
    return ERR_NONE;
}

/* A value that is set is kept with has_value true, whether the answer said so or not (R25). */
static enum err_code convert_mutation(const Proa__V1__FromFunction__PersistedValueMutation *from, struct arena *arena,
                                      struct mutation *out, struct err *err)
{
    struct typed_value value;
    enum err_code code;

    out->name = bytes_of(from->state_name);
    code = check_name(out->name, "name of the state", LIMIT_STATE_NAME_BYTES_MAX, err);
    if (code != ERR_NONE) {
        return code;
    }
    switch ((int)from->mutation_type) {
    case PROA__V1__FROM_FUNCTION__PERSISTED_VALUE_MUTATION__MUTATION_TYPE__DELETE:
        out->is_delete = true;
        return ERR_NONE;
    case PROA__V1__FROM_FUNCTION__PERSISTED_VALUE_MUTATION__MUTATION_TYPE__MODIFY:
        break;
    default:
        return err_set(err, ERR_BAD_ANSWER, "mutation type %d does not exist", (int)from->mutation_type);
    }
    code = convert_value(from->state_value, &value, &out->value, err);
    if (code == ERR_NONE) {
        code = check_name(value.typename_, "typename of the state value", LIMIT_TYPENAME_BYTES_MAX, err);
    }
    if (code != ERR_NONE) {
        return code;
    }
    out->typename_ = value.typename_;
    if (!value.has_value) {
        uint8_t *longer = arena_alloc(arena, out->value.size + sizeof has_value_true);
        if (longer == NULL) {
            return no_memory(err);
        }
        memcpy(longer, out->value.data, out->value.size);
        memcpy(longer + out->value.size, has_value_true, sizeof has_value_true);
        out->value = (struct slice){longer, out->value.size + sizeof has_value_true};
    }
    return ERR_NONE;
}

static enum err_code convert_delayed(const Proa__V1__FromFunction__DelayedInvocation *from, struct delayed *out,
                                     struct err *err)
{
    struct typed_value value;
    const struct slice token = bytes_of(from->cancellation_token);
    enum err_code code = check_text(token, "cancellation token", LIMIT_TOKEN_BYTES_MAX, err);

    if (code != ERR_NONE) {
        return code;
    }
    out->token = token;
    if (from->is_cancellation_request) {
        out->is_cancel = true;
        return token.size > 0 ? ERR_NONE : err_set(err, ERR_BAD_ANSWER, "a cancellation has no token");
    }
    if (from->delay_in_ms < 0) {
        return err_set(err, ERR_BAD_ANSWER, "the delay of %lld ms is negative", (long long)from->delay_in_ms);
    }
    out->delay_ms = from->delay_in_ms;
    code = convert_target(from->target, &out->target, err);
    return code != ERR_NONE ? code : convert_value(from->argument, &value, &out->value, err);
}

static enum err_code convert_emitted(const Proa__V1__FromFunction__EgressMessage *from, struct arena *arena,
                                     struct emitted *out, struct err *err)
{
    struct typed_value value;
    enum err_code code;

    out->space = bytes_of(from->egress_namespace);
    out->name = bytes_of(from->egress_type);
    code = check_name(out->space, "namespace of the egress", LIMIT_NAMESPACE_BYTES_MAX, err);
    if (code == ERR_NONE) {
        code = check_name(out->name, "name of the egress", LIMIT_NAMESPACE_BYTES_MAX, err);
    }
    if (code == ERR_NONE) {
        code = convert_value(from->argument, &value, &out->value, err);
    }
    if (code == ERR_NONE && registry_is_playground_name(out->space, out->name)) {
        playground_read(out, arena);
    }
    return code;
}

/* Cuts a text where a character begins. */
static struct slice cut_text(struct slice text, size_t bytes_max)
{
    if (text.size <= bytes_max) {
        return text;
    }
    while (bytes_max > 0 && (text.data[bytes_max] & 0xC0) == 0x80) {
        bytes_max--;
    }
    return (struct slice){text.data, bytes_max};
}

/* A failure's sentence comes from any exception: NUL becomes a blank and a long one is cut, rather than losing
 * the failure over it. */
static enum err_code convert_failure(const Proa__V1__FromFunction__Failure *from, uint32_t message_count,
                                     struct result *result, struct err *err)
{
    struct failure *out = &result->failure;

    if (from->index >= message_count) {
        return err_set(err, ERR_BAD_ANSWER, "the failure names message %u of a batch of %u", from->index,
                       message_count);
    }
    const uint32_t effect_count =
        result->mutation_count + result->outgoing_count + result->delayed_count + result->emitted_count;
    if (from->index == 0 && effect_count > 0) {
        return err_set(err, ERR_BAD_ANSWER, "the first message failed, yet the answer has %u effects", effect_count);
    }
    for (size_t i = 0; i < from->message.len; i++) {
        from->message.data[i] = from->message.data[i] == 0 ? ' ' : from->message.data[i];
    }
    out->index = from->index;
    out->is_retryable = from->retryable != 0;
    out->code = bytes_of(from->code);
    out->message = bytes_of(from->message);
    enum err_code code = check_text(out->code, "code of the failure", LIMIT_FAILURE_CODE_BYTES_MAX, err);
    if (code == ERR_NONE) {
        code = check_text(out->message, "message of the failure", SIZE_MAX, err);
    }
    out->message = cut_text(out->message, LIMIT_FAILURE_TEXT_BYTES_MAX);
    result->has_failure = true;
    return code;
}

static enum err_code convert_mutations(const pb_done *done, struct result *result, struct err *err)
{
    result->mutations = arena_alloc(result->arena, done->n_state_mutations * sizeof *result->mutations);
    if (result->mutations == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < done->n_state_mutations; i++) {
        if (convert_mutation(done->state_mutations[i], result->arena, &result->mutations[i], err) != ERR_NONE) {
            return err_wrap(err, "state mutation %zu", i);
        }
    }
    result->mutation_count = (uint32_t)done->n_state_mutations;
    return ERR_NONE;
}

static enum err_code convert_outgoing(const pb_done *done, struct result *result, struct err *err)
{
    struct typed_value value;

    result->outgoing = arena_alloc(result->arena, done->n_outgoing_messages * sizeof *result->outgoing);
    if (result->outgoing == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < done->n_outgoing_messages; i++) {
        const Proa__V1__FromFunction__Invocation *from = done->outgoing_messages[i];
        struct outgoing *out = &result->outgoing[i];
        if (convert_target(from->target, &out->target, err) != ERR_NONE ||
            convert_value(from->argument, &value, &out->value, err) != ERR_NONE) {
            return err_wrap(err, "outgoing message %zu", i);
        }
    }
    result->outgoing_count = (uint32_t)done->n_outgoing_messages;
    return ERR_NONE;
}

static enum err_code convert_all_delayed(const pb_done *done, struct result *result, struct err *err)
{
    result->delayed = arena_alloc(result->arena, done->n_delayed_invocations * sizeof *result->delayed);
    if (result->delayed == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < done->n_delayed_invocations; i++) {
        if (convert_delayed(done->delayed_invocations[i], &result->delayed[i], err) != ERR_NONE) {
            return err_wrap(err, "delayed message %zu", i);
        }
    }
    result->delayed_count = (uint32_t)done->n_delayed_invocations;
    return ERR_NONE;
}

static enum err_code convert_all_emitted(const pb_done *done, struct result *result, struct err *err)
{
    result->emitted = arena_alloc(result->arena, done->n_outgoing_egresses * sizeof *result->emitted);
    if (result->emitted == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < done->n_outgoing_egresses; i++) {
        if (convert_emitted(done->outgoing_egresses[i], result->arena, &result->emitted[i], err) != ERR_NONE) {
            return err_wrap(err, "egress message %zu", i);
        }
    }
    result->emitted_count = (uint32_t)done->n_outgoing_egresses;
    return ERR_NONE;
}

static enum err_code convert_done(const pb_done *done, uint32_t message_count, struct result *result, struct err *err)
{
    const size_t items =
        done->n_state_mutations + done->n_outgoing_messages + done->n_delayed_invocations + done->n_outgoing_egresses;

    if (items > LIMIT_RESULT_ITEMS_MAX) {
        return err_set(err, ERR_BAD_ANSWER,
                       "the answer has %zu effects, at most %d are applied in one step; send fewer", items,
                       LIMIT_RESULT_ITEMS_MAX);
    }
    enum err_code code = convert_mutations(done, result, err);
    if (code == ERR_NONE) {
        code = convert_outgoing(done, result, err);
    }
    if (code == ERR_NONE) {
        code = convert_all_delayed(done, result, err);
    }
    if (code == ERR_NONE) {
        code = convert_all_emitted(done, result, err);
    }
    if (code == ERR_NONE && done->failure != NULL) {
        code = convert_failure(done->failure, message_count, result, err);
    }
    return code;
}

static enum err_code convert_spec(const Proa__V1__FromFunction__PersistedValueSpec *from, struct state_spec *out,
                                  struct err *err)
{
    const Proa__V1__FromFunction__ExpirationSpec *expiration = from->expiration_spec;
    enum err_code code;

    out->name = bytes_of(from->state_name);
    out->typename_ = from->type_typename.len == 0 ? SLICE("io.statefun.types/unset") : bytes_of(from->type_typename);
    code = check_name(out->name, "name of the state", LIMIT_STATE_NAME_BYTES_MAX, err);
    if (code == ERR_NONE) {
        code = check_text(out->typename_, "typename of the state", LIMIT_TYPENAME_BYTES_MAX, err);
    }
    if (code != ERR_NONE || expiration == NULL) {
        return code;
    }
    const int mode = (int)expiration->mode;
    if (mode < EXPIRY_NONE || mode > EXPIRY_AFTER_INVOKE) {
        return err_set(err, ERR_BAD_ANSWER, "expiry mode %d does not exist", mode);
    }
    if (mode != EXPIRY_NONE && expiration->expire_after_millis < 0) {
        return err_set(err, ERR_BAD_ANSWER, "the expiry after %lld ms is negative",
                       (long long)expiration->expire_after_millis);
    }
    out->mode = (enum expiry_mode)mode;
    out->expire_ms = expiration->expire_after_millis;
    return ERR_NONE;
}

static enum err_code convert_incomplete(const pb_incomplete *incomplete, struct result *result, struct err *err)
{
    result->kind = RESULT_INCOMPLETE;
    result->missing = arena_alloc(result->arena, incomplete->n_missing_values * sizeof *result->missing);
    if (result->missing == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < incomplete->n_missing_values; i++) {
        if (convert_spec(incomplete->missing_values[i], &result->missing[i], err) != ERR_NONE) {
            return err_wrap(err, "missing state %zu", i);
        }
    }
    result->missing_count = (uint32_t)incomplete->n_missing_values;
    return ERR_NONE;
}

/* ---- unpacking on the arena ----------------------------------------------------------------------------------- */

struct unpack {
    struct arena *arena;
    bool is_over; /* an allocation was refused: memory, not form, is what is wrong */
};

static void *unpack_alloc(void *context, size_t size)
{
    struct unpack *unpack = context;
    void *at = arena_alloc(unpack->arena, size);

    unpack->is_over = unpack->is_over || at == NULL;
    return at;
}

static void unpack_free(void *context, void *pointer)
{
    (void)context; /* the arena is freed whole */
    (void)pointer;
}

static enum err_code convert_answer(struct slice body, uint32_t message_count, struct result *result, struct err *err)
{
    struct unpack unpack = {result->arena, false};
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &unpack};
    const pb_answer *answer = proa__v1__from_function__unpack(&allocator, body.size, body.data);

    if (answer == NULL) {
        return unpack.is_over ? no_memory(err)
                              : err_set(err, ERR_BAD_ANSWER, "the %zu bytes are not a FromFunction message", body.size);
    }
    result->bytes = body.size;
    switch (answer->response_case) {
    case PROA__V1__FROM_FUNCTION__RESPONSE_INVOCATION_RESULT:
        return convert_done(answer->invocation_result, message_count, result, err);
    case PROA__V1__FROM_FUNCTION__RESPONSE_INCOMPLETE_INVOCATION_CONTEXT:
        return convert_incomplete(answer->incomplete_invocation_context, result, err);
    case PROA__V1__FROM_FUNCTION__RESPONSE__NOT_SET:
    case _PROA__V1__FROM_FUNCTION__RESPONSE__CASE_IS_INT_SIZE:
        break;
    }
    return ERR_NONE; /* success without effects (R4) */
}

enum err_code wire_get_result(struct slice body, uint32_t message_count, struct result **out, struct err *err)
{
    const size_t wanted = ARENA_FLOOR_BYTES + body.size * LIMIT_ARENA_BODY_FACTOR_MAX;
    struct arena *arena = arena_create(wanted < LIMIT_ARENA_BYTES_MAX ? wanted : LIMIT_ARENA_BYTES_MAX);

    if (arena == NULL) {
        return err_set(err, ERR_NO_MEMORY, "memory is short");
    }
    struct result *result = arena_alloc(arena, sizeof *result);
    check(result != NULL); /* the budget's floor is far larger */
    result->arena = arena;
    const enum err_code code = convert_answer(body, message_count, result, err);
    if (code != ERR_NONE) {
        arena_destroy(arena);
        return code;
    }
    *out = result;
    return ERR_NONE;
}
