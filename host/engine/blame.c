/* SPDX-License-Identifier: Apache-2.0 */
#include "blame.h"

#include <stdio.h>

#include "calls.h"
#include "instance.h"
#include "invocations.h"
#include "mailbox.h"
#include "parked.h"
#include "retry.h"
#include "types.h"

static void split(struct engine *engine, struct instance *instance, uint32_t messages)
{
    instance->batch_messages = messages / 2;
    calls_reschedule(engine, instance);
}

static void drop(struct engine *engine, struct instance *instance, enum err_code code, struct slice text,
                 struct slice function_code)
{
    invocations_fail(engine, &instance->mailbox.head->body->envelope, code, text, function_code);
    mailbox_pop(engine, instance);
    instance->attempts = 0;
    instance->failures = 0;
    instance->suspected_at = 0;
    instance_set_blocked(engine, instance, BLOCKED_NOT);
    calls_schedule(engine, instance);
}

/* The first message leaves its mailbox for good: into `parked`, or dropped if the policy says so. */
static void give_up(struct engine *engine, struct instance *instance, enum err_code code, const struct failure *failure)
{
    const struct retry_policy *policy = &instance->type->endpoint->config->retry;
    const struct envelope *envelope = &instance->mailbox.head->body->envelope;
    char text[LIMIT_ERR_TEXT_BYTES_MAX];

    if (failure != NULL && failure->message.size > 0) {
        (void)snprintf(text, sizeof text, "%.*s",
                       (int)(failure->message.size < sizeof text ? failure->message.size : sizeof text - 1),
                       (const char *)failure->message.data); /* a cut text is still a sentence begun */
    } else if (code == ERR_REJECTED) {
        (void)snprintf(text, sizeof text, "the function refused the message and gave no reason");
    } else {
        (void)snprintf(text, sizeof text, "the function failed for this message; failed attempts: %u",
                       instance->attempts);
    }
    const struct slice function_code = failure == NULL ? SLICE_EMPTY : failure->code;
    if (policy->then == RETRY_DROP) {
        metric_add(engine, METRIC_MESSAGES_DROPPED, 1);
        engine_note_message(engine, "message.dropped", instance_text(engine, instance), envelope, "%s", text);
        drop(engine, instance, code == ERR_PARKED ? ERR_DROPPED : code, slice_of(text), function_code);
        return;
    }
    if (parked_is_full(engine)) {
        instance_set_blocked(engine, instance, BLOCKED_PARKED_FULL);
        calls_backoff(engine, instance, policy->max_ms);
        return;
    }
    parked_put(engine, instance, envelope, code == ERR_REJECTED ? "rejected" : "attempts", text, instance->attempts);
    drop(engine, instance, code, slice_of(text), function_code);
}

/* As for a function that fails by its status: the log and the count tell of each attempt. */
static void note_failure(struct engine *engine, struct instance *instance, const struct failure *failure)
{
    const struct slice text = failure->message.size > 0 ? failure->message : SLICE("no reason given");

    metric_add(engine, METRIC_CALLS_FAILED, 1);
    engine_note(engine, NOTE_WARN, "call.failed", instance_text(engine, instance), "the function failed: %.*s",
                (int)text.size, (const char *)text.data);
}

void blame_message(struct engine *engine, struct instance *instance, const struct failure *failure)
{
    const struct retry_policy *policy = &instance->type->endpoint->config->retry;

    check(instance->mailbox.head != NULL && instance->phase == INSTANCE_IDLE);
    instance->attempts++;
    if (failure != NULL && !failure->is_retryable) {
        give_up(engine, instance, ERR_REJECTED, failure);
        return;
    }
    if (failure != NULL) {
        note_failure(engine, instance, failure);
    }
    if (instance->attempts >= policy->attempts && policy->then != RETRY_BLOCK) {
        give_up(engine, instance, ERR_PARKED, failure);
        return;
    }
    uint64_t delay_ms = retry_delay_ms(policy, instance->attempts, engine_random(engine, UINT64_MAX));
    if (instance->attempts >= policy->attempts) {
        instance_set_blocked(engine, instance, BLOCKED_ATTEMPTS);
        delay_ms = policy->max_ms;
    }
    calls_backoff(engine, instance, delay_ms);
}

static void blame_instance(struct engine *engine, struct instance *instance, const struct input_result *input)
{
    const struct retry_policy *policy = &instance->type->endpoint->config->retry;
    uint64_t delay_ms = 0;

    instance->failures++;
    delay_ms = retry_delay_ms(policy, instance->failures, engine_random(engine, UINT64_MAX));
    if (instance->failures >= policy->attempts) {
        instance_set_blocked(engine, instance, BLOCKED_ATTEMPTS);
    }
    if (input->outcome == CALL_HTTP_STATUS && input->http_status == 413) {
        instance_set_blocked(engine, instance, BLOCKED_TOO_LARGE);
        delay_ms = policy->max_ms;
    }
    calls_backoff(engine, instance, delay_ms);
}

/* True if the endpoint worked for others between two failures of this instance: a message that ends the process it
 * is sent to must not make everybody wait again and again. */
static bool is_suspect(struct instance *instance, const struct endpoint *endpoint)
{
    const bool worked_between = instance->suspected_at != 0 && endpoint->successes >= instance->suspected_at;

    instance->suspected_at = endpoint->successes + 1;
    return worked_between;
}

void blame_failure(struct engine *engine, struct call_in_flight *call, const struct input_result *input)
{
    struct instance *instance = call->instance;
    struct function_type *type = instance->type;
    struct endpoint *endpoint = type->endpoint;
    const bool others_succeeded = endpoint->successes > call->successes_before;

    enum blame blame = retry_blame(input->outcome, input->http_status, others_succeeded);

    if (blame == BLAME_ENDPOINT && !call->is_probe && retry_is_of_path(input) && endpoint->successes > 0 &&
        (others_succeeded || !type->is_open)) {
        blame = BLAME_TYPE; /* a name somebody made up must not take its endpoint down */
    }
    if (blame == BLAME_ENDPOINT && is_suspect(instance, endpoint)) {
        blame = BLAME_INSTANCE;
    }
    switch (blame) {
    case BLAME_NOBODY:
        calls_reschedule(engine, instance);
        break;
    case BLAME_ENDPOINT:
        calls_endpoint_down(engine, endpoint, call, input);
        calls_schedule(engine, instance); /* last, so that probes go round: one bad path or message holds up nobody */
        break;
    case BLAME_TYPE:
        types_block(engine, type, call->number, "its endpoint answers for other functions, but not for this one: %s",
                    input->text == NULL ? "no reason given" : input->text);
        calls_pend(instance);
        break;
    case BLAME_INSTANCE:
        if (input->outcome == CALL_HTTP_STATUS && input->http_status == 413) {
            calls_endpoint_up(engine, endpoint); /* it answered, if only to say that this is too large */
        }
        if (call->message_count > 1) {
            split(engine, instance, call->message_count);
        } else {
            blame_instance(engine, instance, input);
        }
        break;
    case BLAME_MESSAGE:
        calls_endpoint_up(engine, endpoint); /* it answered, if only to say no */
        if (!type->is_blocked) {
            types_open(engine, type);
        }
        engine_note(engine, NOTE_WARN, "call.failed", instance_text(engine, instance), "%s",
                    input->text == NULL ? "the function failed" : input->text);
        if (call->message_count > 1) {
            split(engine, instance, call->message_count);
        } else {
            blame_message(engine, instance, NULL);
        }
        break;
    }
    types_try_another(engine, type);
}
