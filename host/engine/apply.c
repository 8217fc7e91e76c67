/* SPDX-License-Identifier: Apache-2.0 */
#include "apply.h"

#include <stdio.h>

#include "blame.h"
#include "calls.h"
#include "epochs.h"
#include "expiry.h"
#include "instance.h"
#include "invocations.h"
#include "mailbox.h"
#include "outbox.h"
#include "parked.h"
#include "retry.h"
#include "timers.h"
#include "tokens.h"
#include "types.h"

/* The pace at which a function whose results do not fit is called again. */
static const struct retry_policy full_pace = {
    .first_ms = 250, .factor_permille = 2000, .max_ms = 30000, .attempts = UINT32_MAX, .then = RETRY_BLOCK};

/* The messages of the call that the result covers; the one after them failed. */
static uint32_t covered(const struct result *result, uint32_t messages)
{
    return result->has_failure ? result->failure.index : messages;
}

/* False: a mutation does not fit what the type declared, and the type is blocked. */
static bool check_states(struct engine *engine, struct function_type *type, const struct result *result, uint64_t call)
{
    for (uint32_t i = 0; i < result->mutation_count; i++) {
        const struct mutation *mutation = &result->mutations[i];
        const int32_t spec = types_spec(type, mutation->name);
        if (spec < 0) {
            types_block(engine, type, call, "it changed state value \"%.*s\", which it never declared",
                        (int)mutation->name.size, (const char *)mutation->name.data);
            return false;
        }
        const struct slice registered = type->specs[spec].typename_;
        if (!mutation->is_delete && !slice_equal(registered, mutation->typename_)) {
            types_block(
                engine, type, call,
                "state value \"%.*s\" is declared as %.*s, but the result holds %.*s; give the value a new name",
                (int)mutation->name.size, (const char *)mutation->name.data, (int)registered.size,
                (const char *)registered.data, (int)mutation->typename_.size, (const char *)mutation->typename_.data);
            return false;
        }
    }
    return true;
}

/* ---- room ---------------------------------------------------------------------------------------------- */

static bool is_target_known(struct engine *engine, const struct address *target)
{
    if (address_is_host_namespace(target->space)) {
        return address_is_reply(target);
    }
    return registry_function(engine->options.registry, target->space, target->name) != NULL;
}

/* False if a message to this target would need a function type more than there may be. */
static bool has_type(struct engine *engine, const struct address *target)
{
    return address_is_host_namespace(target->space) || types_get(engine, target->space, target->name) != NULL;
}

/* What a result would add, counted before any of it is added. */
struct additions {
    uint64_t messages;
    uint64_t timers;
    uint64_t parked; /* an upper bound */
    uint64_t numbers;
    bool needs_type; /* a function type more than there may be */
};

/* True if the token waits already, or may be that of an earlier item of the same result. */
static bool may_be_duplicate(struct engine *engine, const struct instance *instance, const struct delayed *delayed,
                             bool *has_token)
{
    if (delayed->token.size == 0) {
        return false;
    }
    const struct token *token = tokens_find(engine, instance->type, instance->id, delayed->token);
    const bool is_duplicate = *has_token || (token != NULL && token->timer != 0);
    *has_token = true;
    return is_duplicate;
}

static struct additions count_additions(struct engine *engine, const struct instance *instance,
                                        const struct result *result)
{
    struct additions additions = {.numbers =
                                      (uint64_t)result->outgoing_count + result->delayed_count + result->emitted_count};
    bool has_token = false;

    for (uint32_t i = 0; i < result->outgoing_count; i++) {
        const bool known = is_target_known(engine, &result->outgoing[i].target);
        additions.parked += !known;
        additions.messages += known && !address_is_reply(&result->outgoing[i].target);
        additions.needs_type = additions.needs_type || (known && !has_type(engine, &result->outgoing[i].target));
    }
    for (uint32_t i = 0; i < result->delayed_count; i++) {
        const struct delayed *delayed = &result->delayed[i];
        if (delayed->is_cancel) {
            continue;
        }
        additions.timers++;
        additions.needs_type =
            additions.needs_type || (is_target_known(engine, &delayed->target) && !has_type(engine, &delayed->target));
        additions.parked +=
            !is_target_known(engine, &delayed->target) || may_be_duplicate(engine, instance, delayed, &has_token);
    }
    for (uint32_t i = 0; i < result->emitted_count; i++) {
        additions.parked += outbox_egress(engine, &result->emitted[i]) < 0;
    }
    return additions;
}

static bool is_egress_full(const struct engine *engine, const struct result *result)
{
    for (uint32_t i = 0; i < result->emitted_count; i++) {
        const int32_t egress = outbox_egress(engine, &result->emitted[i]);
        if (egress >= 0 && engine->egresses[egress].bytes >= engine->options.registry->egresses[egress].bytes_max) {
            return true;
        }
    }
    return false;
}

/* What keeps a result out of a full host: only results that add more than they consume (law 8). */
static enum blocked lacks_room(struct engine *engine, const struct result *result, const struct additions *additions,
                               uint32_t consumed)
{
    const struct engine_options *options = &engine->options;
    const bool grows = additions->messages + additions->timers + result->emitted_count > consumed;

    if (additions->parked > 0 && engine->parked_count + additions->parked > options->parked_max) {
        return BLOCKED_PARKED_FULL;
    }
    if (additions->needs_type || is_egress_full(engine, result) ||
        (additions->messages > consumed &&
         engine->mail_count + additions->messages - consumed > options->messages_hard_max) ||
        (additions->timers > 0 && engine->timers.count + additions->timers > options->timers_max) ||
        (grows && engine->figures.bytes_used > options->store_bytes_hard_max) ||
        (grows && engine->memory_bytes > options->memory_bytes_max)) {
        return BLOCKED_FULL;
    }
    return BLOCKED_NOT;
}

/* ---- the parts of a result ----------------------------------------------------------------------------- */

static struct envelope envelope_from(struct engine *engine, const struct instance *sender, const struct address *target,
                                     struct slice value)
{
    struct envelope envelope = {.number = epochs_take_number(engine),
                                .time_ms = engine->now_ms,
                                .target = *target,
                                .caller = instance_address(sender),
                                .value = value};

    if (sender->held_messages == 1) { /* with several messages in a call nobody can tell which one sent it */
        envelope.traceparent = sender->mailbox.head->body->envelope.traceparent;
    }
    return envelope;
}

static void park_item(struct engine *engine, struct instance *sender, const struct address *target, struct slice value,
                      const char *reason, const char *text)
{
    const struct envelope envelope = envelope_from(engine, sender, target, value);

    parked_put(engine, sender, &envelope, reason, text, 0);
}

static void park_unknown(struct engine *engine, struct instance *sender, const struct address *target,
                         struct slice value)
{
    char text[LIMIT_ERR_TEXT_BYTES_MAX];

    (void)snprintf(text, sizeof text,
                   "no endpoint serves %.*s/%.*s, to which it was sent; add it to the module file or by --function",
                   (int)target->space.size, (const char *)target->space.data, (int)target->name.size,
                   (const char *)target->name.data);
    park_item(engine, sender, target, value, "unknown_function", text);
}

static void send_out(struct engine *engine, struct instance *sender, const struct outgoing *outgoing)
{
    if (address_is_reply(&outgoing->target)) {
        invocations_reply(engine, outgoing->target.id, outgoing->value);
        return;
    }
    if (!is_target_known(engine, &outgoing->target)) {
        park_unknown(engine, sender, &outgoing->target, outgoing->value);
        return;
    }
    const struct envelope envelope = envelope_from(engine, sender, &outgoing->target, outgoing->value);
    struct function_type *type = types_get(engine, outgoing->target.space, outgoing->target.name);
    mailbox_push(engine, instance_get(engine, type, outgoing->target.id), &envelope);
    metric_add(engine, METRIC_MESSAGES_SENT, 1);
}

static void delay(struct engine *engine, struct instance *sender, const struct delayed *delayed)
{
    struct token *token =
        delayed->token.size == 0 ? NULL : tokens_find(engine, sender->type, sender->id, delayed->token);

    if (delayed->is_cancel) {
        check(token != NULL && token->is_known);
        timers_cancel(engine, token);
        return;
    }
    if (!is_target_known(engine, &delayed->target)) {
        park_unknown(engine, sender, &delayed->target, delayed->value);
        return;
    }
    if (token != NULL && token->timer != 0) {
        park_item(engine, sender, &delayed->target, delayed->value, "duplicate_token",
                  "a delayed message with this cancellation token still waits; cancel it first or use another token");
        return;
    }
    struct envelope envelope = envelope_from(engine, sender, &delayed->target, delayed->value);
    const uint64_t delay_ms = (uint64_t)delayed->delay_ms;
    const uint64_t due_ms = delay_ms > UINT64_MAX - 1 - engine->now_ms ? UINT64_MAX - 1 : engine->now_ms + delay_ms;
    envelope.token = delayed->token;
    timers_add(engine, &envelope, due_ms);
    if (token != NULL) {
        tokens_set(engine, token, envelope.number, due_ms);
    }
    metric_add(engine, METRIC_MESSAGES_DELAYED, 1);
}

/* The record as it came stays with a person, who is told why. */
static void park_record(struct engine *engine, struct instance *sender, const struct emitted *emitted)
{
    const struct address target = {emitted->space, emitted->name, SLICE_EMPTY};
    char text[LIMIT_ERR_TEXT_BYTES_MAX];

    if (!registry_is_playground(engine->options.registry, emitted->space, emitted->name)) {
        (void)snprintf(text, sizeof text, "there is no egress %.*s/%.*s; add it to the module file or by --egress",
                       (int)emitted->space.size, (const char *)emitted->space.data, (int)emitted->name.size,
                       (const char *)emitted->name.data);
        park_item(engine, sender, &target, emitted->value, "unknown_egress", text);
    } else if (emitted->fault != NULL) {
        park_item(engine, sender, &target, emitted->value, "bad_record", emitted->fault);
    } else {
        park_item(engine, sender, &target, emitted->value, "unknown_topic",
                  "no document io.statefun.playground.v1/egress of the module file has the record's topic; add it");
    }
}

static void emit(struct engine *engine, struct instance *sender, const struct emitted *emitted)
{
    const int32_t egress = outbox_egress(engine, emitted);

    if (egress < 0) {
        park_record(engine, sender, emitted);
    } else {
        outbox_put(engine, sender, emitted, (uint32_t)egress);
    }
}

static void mutate(struct engine *engine, struct instance *instance, const struct mutation *mutation)
{
    const uint32_t spec = (uint32_t)types_spec(instance->type, mutation->name);

    if (mutation->is_delete) {
        instance_clear_value(engine, instance, spec);
    } else {
        instance_set_value(engine, instance, spec, mutation->value);
    }
}

/* The batch after a success grows back towards the endpoint's limit. */
static void grow_batch(struct instance *instance)
{
    if (instance->batch_messages != 0) {
        instance->batch_messages *= 2;
        if (instance->batch_messages >= instance->type->endpoint->config->batch_messages_max) {
            instance->batch_messages = 0;
        }
    }
}

static void apply(struct engine *engine, struct instance *instance, const struct result *result)
{
    const uint32_t count = covered(result, instance->held_messages);

    for (uint32_t i = 0; i < result->outgoing_count; i++) {
        send_out(engine, instance, &result->outgoing[i]);
    }
    for (uint32_t i = 0; i < result->delayed_count; i++) {
        delay(engine, instance, &result->delayed[i]);
    }
    for (uint32_t i = 0; i < result->emitted_count; i++) {
        emit(engine, instance, &result->emitted[i]);
    }
    for (uint32_t i = 0; i < result->mutation_count; i++) {
        mutate(engine, instance, &result->mutations[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        mailbox_pop(engine, instance);
    }
    if (count > 0) {
        instance_touch(engine, instance);
        expiry_arm(engine, instance);
        instance->attempts = 0;
        instance->failures = 0;
        instance->suspected_at = 0;
        grow_batch(instance);
        instance_set_blocked(engine, instance, BLOCKED_NOT);
        metric_add(engine, METRIC_MESSAGES_HANDLED, count);
    }
}

/* ---- holding ------------------------------------------------------------------------------------------- */

static void unpin(struct engine *engine, const struct instance *instance, const struct result *result)
{
    for (uint32_t i = 0; i < result->delayed_count; i++) {
        if (result->delayed[i].token.size > 0) {
            struct token *token = tokens_find(engine, instance->type, instance->id, result->delayed[i].token);
            if (token != NULL) {
                tokens_unpin(engine, token);
            }
        }
    }
}

/* True once every token of the result is known. */
static bool has_tokens(struct engine *engine, struct instance *instance, const struct result *result)
{
    for (uint32_t i = 0; i < result->delayed_count; i++) {
        if (result->delayed[i].token.size > 0) {
            (void)tokens_need(engine, instance, result->delayed[i].token); /* counted in held_reads */
        }
    }
    return instance->held_reads == 0;
}

static void finish(struct engine *engine, struct instance *instance)
{
    struct result *result = TAKE(instance->held);

    instance->phase = INSTANCE_IDLE;
    unpin(engine, instance, result);
    if (result->has_failure) {
        blame_message(engine, instance, &result->failure);
    } else {
        calls_schedule(engine, instance);
    }
    result_destroy(result);
}

/* The call counts as not made: it is made again when there may be room. */
static void refuse(struct engine *engine, struct instance *instance, enum blocked blocked)
{
    struct result *result = TAKE(instance->held);

    instance->phase = INSTANCE_IDLE;
    unpin(engine, instance, result);
    result_destroy(result);
    instance_set_blocked(engine, instance, blocked);
    instance->failures++;
    calls_backoff(engine, instance, retry_delay_ms(&full_pace, instance->failures, engine_random(engine, UINT64_MAX)));
}

void apply_retry_held(struct engine *engine, struct instance *instance)
{
    const struct result *result = instance->held;

    check(instance->phase == INSTANCE_HELD && result != NULL);
    if (!has_tokens(engine, instance, result)) {
        return;
    }
    const struct additions additions = count_additions(engine, instance, result);
    const enum blocked blocked = lacks_room(engine, result, &additions, covered(result, instance->held_messages));
    if (blocked != BLOCKED_NOT) {
        refuse(engine, instance, blocked);
        return;
    }
    if (epochs_must_wait(engine) || !epochs_has_numbers(engine, additions.numbers)) {
        instance->phase = INSTANCE_SYNCING; /* the next commit makes room, or raises the ceiling */
        list_push(&engine->syncing, &instance->queue);
        return;
    }
    apply(engine, instance, result);
    finish(engine, instance);
}

void apply_result(struct engine *engine, const struct call_in_flight *call, struct result *take_result)
{
    struct instance *instance = call->instance;
    struct function_type *type = instance->type;

    const struct failure *failure = &take_result->failure;
    if (take_result->has_failure && failure->is_retryable && failure->index == 0 &&
        slice_equal(failure->code, SLICE("unknown_function"))) {
        types_block(engine, type, call->number,
                    "its endpoint does not know this function; deploy it or mend the module file; it says: %.*s",
                    (int)failure->message.size, (const char *)failure->message.data);
        calls_pend(instance);
        result_destroy(take_result);
        return;
    }
    if (!check_states(engine, type, take_result, call->number)) {
        calls_pend(instance);
        result_destroy(take_result);
        return;
    }
    types_answered(engine, type, call->number);
    instance->held = take_result;
    instance->held_messages = call->message_count;
    instance->phase = INSTANCE_HELD;
    apply_retry_held(engine, instance);
}
