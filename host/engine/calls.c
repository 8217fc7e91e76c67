/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include <stdlib.h>

#include "apply.h"
#include "blame.h"
#include "epochs.h"
#include "expiry.h"
#include "instance.h"
#include "mailbox.h"
#include "reads.h"
#include "retry.h"
#include "types.h"

enum {
    IN_FLIGHT_FIRST = 32,       /* where the adaptive limit begins, and its floor */
    RETRY_AFTER_MS_MAX = 60000, /* a server may ask for more than is good for anybody */
    CALL_BYTES_PER_MESSAGE = 64,
    PROBE_PATIENCE_MS = 1000, /* between two probes of an endpoint while none of them came back */
    INSTANCE_READ_BYTES = 256 << 10,
};

/* The pace at which an endpoint that is down is probed. */
static const struct retry_policy probe_pace = {
    .first_ms = 50, .factor_permille = 2000, .max_ms = 30000, .attempts = UINT32_MAX, .then = RETRY_BLOCK};

static bool is_number(const struct table_node *node, const void *key)
{
    return container_of(node, const struct call_in_flight, node)->number == *(const uint64_t *)key;
}

void calls_create(struct engine *engine)
{
    const struct registry *registry = engine->options.registry;

    engine->endpoints = calloc(registry->endpoint_count + 1, sizeof *engine->endpoints);
    check(engine->endpoints != NULL);
    for (uint32_t i = 0; i < registry->endpoint_count; i++) {
        struct endpoint *endpoint = &engine->endpoints[i];
        endpoint->config = &registry->endpoints[i];
        endpoint->index = i;
        endpoint->limit = endpoint->config->in_flight == 0 ? IN_FLIGHT_FIRST : endpoint->config->in_flight;
        endpoint->probe.kind = WAKE_ENDPOINT;
    }
}

void calls_destroy(struct engine *engine)
{
    for (struct table_node *node = table_any(&engine->calls); node != NULL; node = table_any(&engine->calls)) {
        table_remove(&engine->calls, node);
        free(container_of(node, struct call_in_flight, node));
    }
    table_done(&engine->calls);
    free(engine->endpoints);
}

/* ---- where an instance waits --------------------------------------------------------------------------- */

static void load(struct engine *engine, struct instance *instance)
{
    const struct hash_key *secret = &engine->store.secret;
    struct read *read = reads_create(engine, READ_INSTANCE, instance, 2);

    key_instance(&read->keys[0], instance->type->number, instance->id, secret);
    key_instance_prefix(&read->keys[1], instance->type->number, instance->id, secret);
    read->ranges[0] = (struct read_range){.kind = RANGE_KEY, .table = STORE_INSTANCE};
    read->ranges[1] = (struct read_range){.kind = RANGE_PREFIX, .table = STORE_STATE};
    read->bytes_max = INSTANCE_READ_BYTES; /* what does not fit is read value by value */
    instance->read = read;
    instance->phase = INSTANCE_LOADING;
    reads_start(engine, read);
}

void calls_pend(struct instance *instance)
{
    check(instance->phase == INSTANCE_IDLE);
    instance->phase = INSTANCE_PENDING;
    list_push(&instance->type->pending, &instance->queue);
}

static void schedule(struct engine *engine, struct instance *instance, bool is_first)
{
    if (instance->phase != INSTANCE_IDLE || engine->phase != ENGINE_READY || instance->blocked == BLOCKED_CORRUPT) {
        return;
    }
    if (instance->mailbox.count == 0) {
        if (instance->expiry_due != 0 && !instance->is_loaded) {
            load(engine, instance);
        }
        return;
    }
    struct endpoint *endpoint = instance->type->endpoint;
    if (endpoint == NULL) {
        calls_pend(instance);
        return;
    }
    instance->phase = INSTANCE_READY;
    engine->ready_count++;
    if (is_first) {
        list_push_front(&endpoint->ready, &instance->queue);
    } else {
        list_push(&endpoint->ready, &instance->queue);
    }
}

void calls_schedule(struct engine *engine, struct instance *instance)
{
    schedule(engine, instance, false);
}

void calls_reschedule(struct engine *engine, struct instance *instance)
{
    schedule(engine, instance, true);
}

void calls_backoff(struct engine *engine, struct instance *instance, uint64_t delay_ms)
{
    check(instance->phase == INSTANCE_IDLE);
    instance->phase = INSTANCE_BACKOFF;
    engine_wake_at(engine, &instance->wake, engine->now_ms + delay_ms);
}

void calls_release_syncing(struct engine *engine)
{
    for (size_t left = engine->syncing.count; left > 0; left--) {
        struct instance *instance = container_of(list_pop(&engine->syncing), struct instance, queue);
        if (instance->held != NULL) {
            instance->phase = INSTANCE_HELD;
            apply_retry_held(engine, instance);
        } else {
            instance->phase = INSTANCE_IDLE;
            calls_reschedule(engine, instance);
        }
    }
}

/* ---- batches ------------------------------------------------------------------------------------------- */

/* How many messages the next call carries; 0: none before the next commit (run_ahead: false). */
static uint32_t cut(const struct engine *engine, const struct instance *instance)
{
    const struct endpoint_config *config = instance->type->endpoint->config;
    uint32_t count_max = config->batch_messages_max;
    uint32_t count = 0;
    uint64_t bytes = 0;

    if (instance->batch_messages != 0 && instance->batch_messages < count_max) {
        count_max = instance->batch_messages;
    }
    if (!config->run_ahead && instance->changed_epoch > engine->committed) {
        return 0;
    }
    for (const struct message *message = instance->mailbox.head; message != instance->mailbox.cold && count < count_max;
         message = message->next) {
        bytes += message->body->envelope.value.size + CALL_BYTES_PER_MESSAGE;
        if ((count > 0 && bytes > config->batch_bytes_max) ||
            (!config->run_ahead && !mailbox_is_on_disk(engine, message->body))) {
            break;
        }
        count++;
    }
    return count;
}

static void fill_states(struct engine *engine, const struct instance *instance, struct effect_call *effect)
{
    const struct function_type *type = instance->type;
    struct call_state *states = engine_step_alloc(engine, (type->spec_count + 1) * sizeof *states);

    for (uint32_t i = 0; i < type->spec_count; i++) {
        states[i].name = type->specs[i].name;
        if (i < instance->value_capacity && instance->values[i].data != NULL) {
            states[i].value = (struct slice){instance->values[i].data, instance->values[i].size};
        }
    }
    effect->states = states;
    effect->state_count = type->spec_count;
}

static void fill_messages(struct engine *engine, const struct instance *instance, uint32_t count,
                          struct effect_call *effect)
{
    struct call_message *messages = engine_step_alloc(engine, count * sizeof *messages);
    const struct message *message = instance->mailbox.head;

    for (uint32_t i = 0; i < count; i++, message = message->next) {
        messages[i].caller = message->body->envelope.caller;
        messages[i].value = message->body->envelope.value;
        messages[i].traceparent = message->body->envelope.traceparent;
        messages[i].number = message->number;
    }
    effect->messages = messages;
    effect->message_count = count;
}

static void call(struct engine *engine, struct instance *instance, uint32_t count)
{
    struct endpoint *endpoint = instance->type->endpoint;
    struct call_in_flight *call = calloc(1, sizeof *call);
    check(call != NULL);
    struct effect_call *effect = &engine_effect(engine, EFFECT_CALL)->call;

    call->number = ++engine->call_number;
    call->bytes = instance->bytes;
    call->instance = instance;
    call->message_count = count;
    call->successes_before = endpoint->successes;
    call->is_probe = endpoint->is_down;
    table_insert(&engine->calls, &call->node, call->number);
    if (endpoint->is_down) { /* if it hangs, another instance tries after this */
        engine_wake_at(engine, &endpoint->probe, engine->now_ms + PROBE_PATIENCE_MS);
    }
    endpoint->in_flight++;
    endpoint->window_was_busy = endpoint->window_was_busy || endpoint->in_flight >= endpoint->limit;
    instance->type->calls++;
    engine->calls_in_flight++;
    instance->phase = INSTANCE_IN_FLIGHT;
    metric_add(engine, METRIC_CALLS, 1);

    effect->call = call->number;
    effect->endpoint = endpoint->index;
    effect->knows_partial = endpoint->knows_partial;
    effect->timeout_ms = endpoint->config->timeout_ms;
    effect->target = instance_address(instance);
    fill_states(engine, instance, effect);
    fill_messages(engine, instance, count, effect);
    for (uint32_t i = 0; i < count; i++) {
        call->bytes += effect->messages[i].value.size + CALL_BYTES_PER_MESSAGE;
    }
    engine->call_bytes += call->bytes;
}

static bool may_call(const struct engine *engine, const struct endpoint *endpoint)
{
    if (endpoint->ready.count == 0 || engine->phase != ENGINE_READY || epochs_is_full(engine) ||
        engine->calls_in_flight >= engine->options.calls_in_flight_max ||
        engine->call_bytes >= engine->options.call_bytes_max) {
        return false;
    }
    return endpoint->in_flight < endpoint->limit && (!endpoint->is_down || endpoint->probe.node.place == 0);
}

/* True if the instance has its values and its first message in memory. */
static bool is_whole(struct engine *engine, struct instance *instance)
{
    if (!instance->is_loaded && instance->type->number == TYPE_NUMBER_NONE) {
        instance->is_loaded = true; /* its type never answered: it has no rows */
    }
    return instance->is_loaded && mailbox_warm(engine, instance);
}

/* What is in memory of instances that wait is bounded by this: they are read when their turn has come. */
static void fetch(struct engine *engine, struct instance *instance)
{
    if (!instance->is_loaded) {
        load(engine, instance);
    } else {
        mailbox_thaw(engine, instance);
    }
}

/* False if the first in line must wait for a read credit. */
static bool dispatch_one(struct engine *engine, struct endpoint *endpoint)
{
    struct instance *instance = container_of(list_first(&endpoint->ready), struct instance, queue);
    const bool is_passable = types_is_passable(instance->type);
    const bool needs_read = is_passable && !is_whole(engine, instance);

    if (needs_read && engine->reads_in_flight >= engine->options.reads_in_flight_max) {
        return false;
    }
    list_remove(&endpoint->ready, &instance->queue);
    engine->ready_count--;
    instance->phase = INSTANCE_IDLE;
    if (!is_passable) {
        calls_pend(instance);
        return true;
    }
    if (needs_read) {
        fetch(engine, instance);
        return true;
    }
    (void)expiry_clear(engine, instance); /* how many is in the metrics */
    const uint32_t count = cut(engine, instance);
    if (count == 0) {
        instance->phase = INSTANCE_SYNCING;
        list_push(&engine->syncing, &instance->queue);
        return true;
    }
    call(engine, instance, count);
    return true;
}

void calls_dispatch(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->options.registry->endpoint_count; i++) {
        struct endpoint *endpoint = &engine->endpoints[i];
        while (may_call(engine, endpoint) && dispatch_one(engine, endpoint)) {
        }
    }
}

/* ---- endpoints ----------------------------------------------------------------------------------------- */

void calls_endpoint_up(struct engine *engine, struct endpoint *endpoint)
{
    endpoint->successes++;
    endpoint->failures = 0;
    if (endpoint->is_down) {
        endpoint->is_down = false;
        engine->down_endpoints--;
        engine_wake_clear(engine, &endpoint->probe);
        engine_note(engine, NOTE_INFO, "endpoint.up", endpoint->config->url, "it answers again");
    }
}

void calls_endpoint_down(struct engine *engine, struct endpoint *endpoint, const struct call_in_flight *call,
                         const struct input_result *input)
{
    if (endpoint->is_down && !call->is_probe) {
        return; /* one of many that failed together: the pace is that of the probes */
    }
    if (!endpoint->is_down) {
        endpoint->is_down = true;
        engine->down_endpoints++;
        engine_note(engine, NOTE_WARN, "endpoint.down", endpoint->config->url, "%s",
                    input->text == NULL ? "it does not answer" : input->text);
    }
    endpoint->failures++;
    uint64_t delay_ms = retry_delay_ms(&probe_pace, endpoint->failures, engine_random(engine, UINT64_MAX));
    const uint64_t asked_ms = input->retry_after_ms > RETRY_AFTER_MS_MAX ? RETRY_AFTER_MS_MAX : input->retry_after_ms;
    delay_ms = delay_ms > asked_ms ? delay_ms : asked_ms;
    engine_wake_at(engine, &endpoint->probe, engine->now_ms + delay_ms);
}

/* Raises the limit while all calls are busy and their time does not grow; judged once per `limit` answers. */
static void adapt(struct endpoint *endpoint, uint32_t duration_us)
{
    endpoint->window_calls++;
    endpoint->window_us += duration_us;
    if (endpoint->config->in_flight != 0 || endpoint->window_calls < endpoint->limit) {
        return;
    }
    const uint64_t mean_us = endpoint->window_us / endpoint->window_calls;
    if (endpoint->base_us == 0 || mean_us < endpoint->base_us) {
        endpoint->base_us = mean_us;
    }
    if (endpoint->window_was_busy && mean_us <= endpoint->base_us + endpoint->base_us / 5) {
        endpoint->limit += endpoint->limit / 4;
    } else if (mean_us > 2 * endpoint->base_us) {
        endpoint->limit -= endpoint->limit / 5;
    }
    endpoint->limit = endpoint->limit < IN_FLIGHT_FIRST ? IN_FLIGHT_FIRST : endpoint->limit;
    endpoint->limit = endpoint->limit > LIMIT_ENDPOINT_IN_FLIGHT_MAX ? LIMIT_ENDPOINT_IN_FLIGHT_MAX : endpoint->limit;
    endpoint->base_us += endpoint->base_us / 64 + 1; /* forgets slowly what a better day was like */
    endpoint->window_calls = 0;
    endpoint->window_us = 0;
    endpoint->window_was_busy = false;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static void answered(struct engine *engine, struct call_in_flight *call, struct result *take_result)
{
    struct instance *instance = call->instance;
    struct function_type *type = instance->type;

    if (take_result->kind == RESULT_DONE) {
        apply_result(engine, call, take_result);
        return;
    }
    const uint32_t specs_before = type->spec_count;
    if (!types_handshake(engine, type, take_result, call->number)) {
        calls_pend(instance);
    } else {
        if (type->spec_count > specs_before) {
            types_answered(engine, type, call->number);
        }
        calls_reschedule(engine, instance);
    }
    result_destroy(take_result);
}

void calls_result(struct engine *engine, struct input_result *input)
{
    struct table_node *node = table_find(&engine->calls, input->call, is_number, &input->call);

    if (node == NULL) {
        metric_add(engine, METRIC_CALL_ANSWERS_LATE, 1);
        result_destroy(TAKE(input->take_result));
        return;
    }
    struct call_in_flight *call = container_of(node, struct call_in_flight, node);
    struct instance *instance = call->instance;
    struct endpoint *endpoint = instance->type->endpoint;

    table_remove(&engine->calls, node);
    check(instance->phase == INSTANCE_IN_FLIGHT && instance->mailbox.count >= call->message_count);
    instance->phase = INSTANCE_IDLE;
    instance->type->calls--;
    engine->calls_in_flight--;
    engine->call_bytes -= call->bytes;
    endpoint->in_flight--;
    if (engine->phase != ENGINE_READY) {
        result_destroy(TAKE(input->take_result)); /* stopping: the messages stay, and are sent again after a start */
    } else if (input->outcome == CALL_ANSWERED) {
        check(input->take_result != NULL);
        endpoint->knows_partial = input->knows_partial;
        adapt(endpoint, input->duration_us);
        calls_endpoint_up(engine, endpoint);
        struct function_type *type = instance->type;
        answered(engine, call, TAKE(input->take_result));
        types_try_another(engine, type); /* a blocked type's retry may have come while this call was under way */
    } else {
        metric_add(engine, METRIC_CALLS_FAILED, 1);
        blame_failure(engine, call, input);
    }
    free(call);
}
