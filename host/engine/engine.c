/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "calls.h"
#include "core.h"
#include "epochs.h"
#include "expiry.h"
#include "instance.h"
#include "invocations.h"
#include "mailbox.h"
#include "outbox.h"
#include "pops.h"
#include "reads.h"
#include "recovery.h"
#include "timers.h"
#include "tokens.h"
#include "types.h"

enum {
    NOTE_TEXT_BYTES_MAX = 512,
    NOTES_PER_STEP_MAX = 32,
    SCRATCH_BYTES_MAX = 512 << 20, /* one instance record with all its small values stays far below */
};

void engine_options_default(struct engine_options *options)
{
    *options = (struct engine_options){
        .commit_interval_ms = 5,
        .commit_bytes = 16u << 20,
        .number_block = 1u << 24,
        .memory_bytes = 512u << 20,
        .memory_bytes_max = UINT64_MAX,
        .mailbox_resident_max = 256,
        .messages_soft_max = 10000000,
        .messages_hard_max = 20000000,
        .store_bytes_soft_max = (uint64_t)64 << 30,
        .store_bytes_hard_max = (uint64_t)72 << 30,
        .parked_max = 100000,
        .invocations_max = 65536,
        .timers_max = 10000000,
        .types_max = 16384,
        .calls_in_flight_max = LIMIT_CALLS_IN_FLIGHT_MAX,
        .call_bytes_max = 256u << 20,
        .reads_in_flight_max = LIMIT_READS_IN_FLIGHT_MAX,
        .scan_rows_max = LIMIT_READ_ROWS_MAX,
        .pops_max = LIMIT_POPS_MAX,
    };
}

struct engine *engine_create(const struct engine_options *options)
{
    struct engine *engine = calloc(1, sizeof *engine);

    check(engine != NULL && options->registry != NULL && options->metrics != NULL);
    check(options->number_block > 0 && options->scan_rows_max > 0 && options->reads_in_flight_max > 0);
    engine->options = *options;
    memcpy(engine->store.store_id, options->random, 16);
    memcpy(engine->store.secret.bytes, options->random + 16, 16);
    memcpy(engine->table_key.bytes, options->random + 32, 16);
    memcpy(&engine->rng, options->random + 48, 8);
    engine->rng |= 1;
    engine->step_arena = arena_create(SIZE_MAX / 2);
    check(engine->step_arena != NULL);
    buf_init(&engine->scratch, SCRATCH_BYTES_MAX);
    buf_init(&engine->scratch_text, SCRATCH_BYTES_MAX);
    engine->expiry_next_ms = UINT64_MAX;
    engine->expiry_since_ms = UINT64_MAX;
    calls_create(engine);
    outbox_create(engine);
    return engine;
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    calls_destroy(engine);
    outbox_destroy(engine);
    invocations_destroy(engine);
    tokens_destroy(engine);
    timers_destroy(engine);
    instances_destroy(engine);
    reads_destroy(engine);
    types_destroy(engine);
    epochs_destroy(engine);
    heap_done(&engine->wakes);
    arena_destroy(engine->step_arena);
    buf_done(&engine->scratch);
    buf_done(&engine->scratch_text);
    free(engine->effects);
    free(engine);
}

struct effect *engine_effect(struct engine *engine, enum effect_kind kind)
{
    if (engine->effect_count == engine->effect_capacity) {
        const uint32_t capacity = engine->effect_capacity == 0 ? 64 : engine->effect_capacity * 2;
        struct effect *grown = realloc(engine->effects, capacity * sizeof(*grown));
        check(grown != NULL);
        engine->effects = grown;
        engine->effect_capacity = capacity;
    }
    struct effect *effect = &engine->effects[engine->effect_count++];
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    return effect;
}

void *engine_step_alloc(struct engine *engine, size_t size)
{
    void *memory = arena_alloc(engine->step_arena, size);

    check(memory != NULL);
    return memory;
}

PRINTF_LIKE(3, 0)
static void add_note(struct engine *engine, const struct effect_note *note, const char *format, va_list arguments)
{
    if (++engine->note_count > NOTES_PER_STEP_MAX) {
        return; /* one result can park thousands of messages: see note_rest */
    }
    char *text = engine_step_alloc(engine, NOTE_TEXT_BYTES_MAX);

    (void)vsnprintf(text, NOTE_TEXT_BYTES_MAX, format, arguments); /* a cut text is still a sentence begun */
    struct effect *effect = engine_effect(engine, EFFECT_NOTE);
    effect->note = *note;
    effect->note.subject = arena_copy(engine->step_arena, note->subject);
    effect->note.traceparent = arena_copy(engine->step_arena, note->traceparent);
    effect->note.text = slice_of(text);
}

void engine_note(struct engine *engine, enum note_level level, const char *event, struct slice subject,
                 const char *format, ...)
{
    const struct effect_note note = {.level = level, .event = event, .subject = subject};
    va_list arguments;

    va_start(arguments, format);
    add_note(engine, &note, format, arguments);
    va_end(arguments);
}

void engine_note_message(struct engine *engine, const char *event, struct slice subject,
                         const struct envelope *envelope, const char *format, ...)
{
    const struct effect_note note = {
        .level = NOTE_WARN, .event = event, .subject = subject, .traceparent = envelope->traceparent};
    va_list arguments;

    va_start(arguments, format);
    add_note(engine, &note, format, arguments);
    va_end(arguments);
}

/* Says how many notes of this step were left out. */
static void note_rest(struct engine *engine)
{
    const uint32_t left_out = engine->note_count > NOTES_PER_STEP_MAX ? engine->note_count - NOTES_PER_STEP_MAX : 0;

    engine->note_count = 0;
    if (left_out > 0) {
        engine_note(engine, NOTE_WARN, "notes.left_out", SLICE_EMPTY, "%u more events of this moment are not logged",
                    left_out);
        engine->note_count = 0;
    }
}

void engine_fatal(struct engine *engine, const struct err *err)
{
    char *text = engine_step_alloc(engine, sizeof err->text);

    memcpy(text, err->text, sizeof err->text);
    struct effect *effect = engine_effect(engine, EFFECT_FATAL);
    effect->note.level = NOTE_ERROR;
    effect->note.event = err_code_name(err->code);
    effect->note.text = slice_of(text);
    engine->phase = ENGINE_DEAD;
}

void engine_wake_at(struct engine *engine, struct wake *wake, uint64_t due_ms)
{
    engine_wake_clear(engine, wake);
    wake->node.due = due_ms;
    wake->node.sequence = ++engine->wake_sequence;
    heap_push(&engine->wakes, &wake->node);
}

void engine_wake_clear(struct engine *engine, struct wake *wake)
{
    if (wake->node.place != 0) {
        heap_remove(&engine->wakes, &wake->node);
    }
}

uint64_t engine_random(struct engine *engine, uint64_t below)
{
    uint64_t x = engine->rng; /* xorshift64*: jitter needs no more */

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    engine->rng = x;
    return below == 0 ? 0 : (x * 0x2545F4914F6CDD1Du >> 16) % below;
}

uint64_t engine_hash(const struct engine *engine, struct slice a, struct slice b, struct slice c)
{
    uint8_t joined[LIMIT_NAMESPACE_BYTES_MAX * 2 + LIMIT_ID_BYTES_MAX + LIMIT_TOKEN_BYTES_MAX + 2];
    size_t size = 0;

    check(a.size + b.size + c.size + 2 <= sizeof joined);
    memcpy(joined, a.data, a.size);
    size += a.size;
    joined[size++] = 0; /* no part holds NUL */
    if (b.size > 0) {
        memcpy(joined + size, b.data, b.size);
        size += b.size;
    }
    joined[size++] = 0;
    if (c.size > 0) {
        memcpy(joined + size, c.data, c.size);
        size += c.size;
    }
    return hash_siphash64(&engine->table_key, (struct slice){joined, size});
}

void engine_refuse(struct engine *engine, uint64_t waiter, const struct invocation_id *invocation, enum err_code code,
                   const char *text)
{
    struct effect_answer *answer = &engine_effect(engine, EFFECT_ANSWER)->answer;

    answer->waiter = waiter;
    answer->kind = ANSWER_ERROR;
    answer->invocation = *invocation;
    answer->code = code;
    answer->text = slice_of(text);
    answer->retry_after_ms = 1000;
}

static void refuse(struct engine *engine, const struct input_message *message, enum err_code code, const char *text)
{
    engine_refuse(engine, message->waiter, &message->invocation, code, text);
    metric_add(engine, METRIC_MESSAGES_REFUSED, 1);
}

const char *engine_is_away(const struct engine *engine, enum err_code *out_code)
{
    if (engine->phase >= ENGINE_STOPPING) {
        *out_code = ERR_STOPPING;
        return "the host is stopping; send the request again when it is back";
    }
    if (engine->phase != ENGINE_READY) {
        *out_code = ERR_NOT_READY;
        return "the host is still recovering; send the request again in a moment";
    }
    return NULL;
}

/* What keeps a client's message out, or NULL. Only these answers leave before anything is on disk. */
static const char *refusal(struct engine *engine, const struct input_message *message, enum err_code *out_code)
{
    const char *why = engine_is_away(engine, out_code);

    if (why != NULL) {
        return why;
    }
    *out_code = ERR_OVERLOADED;
    if (epochs_is_short(engine)) {
        *out_code = ERR_STORE_FULL;
        return "the store or its disk is full; make room or raise --store-bytes-max, then send the request again";
    }
    if (engine->mail_count >= engine->options.messages_soft_max) {
        return "too many messages wait in this host; send the request again later";
    }
    if (engine->memory_bytes > engine->options.memory_bytes_max) {
        return "what waits fills the host's memory; send the request again later, or raise --memory-bytes";
    }
    if (epochs_is_full(engine)) {
        return "the disk does not keep up with the messages; send the request again later";
    }
    if (!epochs_has_numbers(engine, 1)) {
        return "no message numbers are free until the next commit; send the request again";
    }
    if (message->is_ask && engine->asks_waiting >= engine->options.invocations_max) {
        return "too many asks wait for a reply; send the request again later";
    }
    if (!message->is_ask && message->delay_ms > 0 && engine->timers.count >= engine->options.timers_max) {
        return "too many delayed messages wait; send the request again later";
    }
    return NULL;
}

static void accept(struct engine *engine, const struct input_message *message)
{
    const struct effect_answer answer = {
        .waiter = message->waiter, .kind = ANSWER_ACCEPTED, .invocation = message->invocation};

    epochs_promise(engine, &answer);
}

static void take_message(struct engine *engine, const struct input_message *message)
{
    enum err_code code = ERR_NONE;
    const char *why = refusal(engine, message, &code);

    if (why != NULL) {
        refuse(engine, message, code, why);
        return;
    }
    struct function_type *type = types_get(engine, message->target.space, message->target.name);
    if (type == NULL || type->endpoint == NULL) {
        refuse(engine, message, type == NULL ? ERR_OVERLOADED : ERR_UNKNOWN_FUNCTION,
               type == NULL
                   ? "too many function names are in use; send only to functions that exist, and restart the host"
                   : "no endpoint serves this function; add it to the module file");
        return;
    }
    char hex[INVOCATION_HEX_BYTES + 1];
    struct envelope envelope = {.time_ms = engine->now_ms,
                                .target = message->target,
                                .value = message->value,
                                .traceparent = message->traceparent};
    if (message->is_ask) {
        invocation_print(&message->invocation, hex);
        envelope.caller = (struct address){SLICE("proa"), SLICE("reply"), slice_of(hex)};
    }
    if (!message->is_ask && message->delay_ms > 0) {
        envelope.number = epochs_take_number(engine);
        timers_add(engine, &envelope, engine->now_ms + message->delay_ms);
        metric_add(engine, METRIC_MESSAGES_DELAYED, 1);
        accept(engine, message);
    } else {
        struct instance *instance = instance_get(engine, type, message->target.id);
        if (instance->mailbox.count >= type->endpoint->config->mailbox_messages_max) {
            refuse(engine, message, ERR_MAILBOX_FULL,
                   "too many messages wait for this instance; send the request again later");
            return;
        }
        struct invocation *ask = NULL;
        if (message->is_ask) {
            ask = invocations_ask(engine, message);
        } else {
            accept(engine, message);
        }
        envelope.number = epochs_take_number(engine);
        mailbox_push_ask(engine, instance, &envelope, type->endpoint->config->run_ahead ? ask : NULL);
    }
    metric_add(engine, METRIC_MESSAGES_TAKEN, 1);
}

static void stop(struct engine *engine)
{
    if (engine->phase >= ENGINE_STOPPING) {
        return;
    }
    const bool was_ready = engine->phase == ENGINE_READY;
    engine->phase = ENGINE_STOPPING;
    if (was_ready) {
        invocations_stop(engine);
        pops_stop(engine);
    }
}

static void take_input(struct engine *engine, struct input *input)
{
    switch (input->kind) {
    case INPUT_START:
        recovery_start(engine);
        break;
    case INPUT_MESSAGE:
        take_message(engine, &input->message);
        break;
    case INPUT_POP:
        pops_take(engine, &input->pop);
        break;
    case INPUT_RESULT:
        calls_result(engine, &input->result);
        break;
    case INPUT_ROWS:
        reads_rows(engine, &input->rows);
        break;
    case INPUT_COMMITTED:
        epochs_committed(engine, &input->committed);
        break;
    case INPUT_STOP:
        stop(engine);
        break;
    }
}

static void wake_one(struct engine *engine, struct wake *wake)
{
    switch (wake->kind) {
    case WAKE_INSTANCE: {
        struct instance *instance = container_of(wake, struct instance, wake);
        check(instance->phase == INSTANCE_BACKOFF);
        instance->phase = INSTANCE_IDLE;
        calls_schedule(engine, instance);
        break;
    }
    case WAKE_TYPE:
        types_retry(engine, container_of(wake, struct function_type, retry));
        break;
    case WAKE_ENDPOINT:
        break; /* its wake is clear now: calls_dispatch sends the probe */
    case WAKE_INVOCATION:
        invocations_wake(engine, container_of(wake, struct invocation, wake));
        break;
    case WAKE_READ:
        reads_start(engine, container_of(wake, struct read, wake));
        break;
    case WAKE_EGRESS:
        pops_wake(engine, container_of(wake, struct egress, patience));
        break;
    }
}

static void run_due(struct engine *engine)
{
    for (struct heap_node *node = heap_peek(&engine->wakes); node != NULL && node->due <= engine->now_ms;
         node = heap_peek(&engine->wakes)) {
        (void)heap_pop(&engine->wakes); /* it is `node` */
        wake_one(engine, container_of(node, struct wake, node));
    }
    if (engine->phase == ENGINE_READY) {
        timers_fire(engine);
        expiry_run(engine);
    }
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_wake_ms(const struct engine *engine)
{
    const struct heap_node *node = heap_peek(&engine->wakes);
    uint64_t wake_ms = node == NULL ? UINT64_MAX : node->due;

    wake_ms = earliest(wake_ms, epochs_wake_ms(engine));
    if (engine->phase == ENGINE_READY) {
        wake_ms = earliest(wake_ms, timers_wake_ms(engine));
        wake_ms = earliest(wake_ms, expiry_wake_ms(engine));
    }
    return wake_ms;
}

void engine_step(struct engine *engine, uint64_t now_ms, struct input *inputs, uint32_t input_count,
                 struct effects *out)
{
    arena_reset(engine->step_arena);
    epochs_free_released(engine);
    engine->effect_count = 0;
    if (now_ms > engine->now_ms) {
        engine->now_ms = now_ms; /* after a start it may still lie behind the time the store goes on from */
    }
    for (uint32_t i = 0; i < input_count && engine->phase != ENGINE_DEAD; i++) {
        take_input(engine, &inputs[i]);
    }
    if (engine->phase != ENGINE_DEAD && engine->phase != ENGINE_STOPPED) {
        run_due(engine);
        calls_dispatch(engine);
        epochs_seal_if_due(engine);
        instances_evict(engine);
    }
    note_rest(engine);
    out->list = engine->effects;
    out->count = engine->effect_count;
    out->wake_ms = next_wake_ms(engine);
}

bool engine_is_ready(const struct engine *engine)
{
    return engine->phase == ENGINE_READY;
}

bool engine_is_stopped(const struct engine *engine)
{
    return engine->phase == ENGINE_STOPPED;
}

uint64_t engine_now_ms(const struct engine *engine)
{
    return engine->now_ms;
}

const char *engine_store_id(const struct engine *engine)
{
    return engine->store_id_hex;
}

void engine_publish(struct engine *engine)
{
    struct metrics *metrics = engine->options.metrics;
    uint64_t promises = 0;

    if (engine->open != NULL) {
        promises += engine->open->promise_count;
        metrics_set(metrics, METRIC_EPOCH_OPEN_BYTES, engine->open->bytes);
    }
    promises += engine->sealed == NULL ? 0 : engine->sealed->promise_count;
    metrics_set(metrics, METRIC_READY, engine->phase == ENGINE_READY);
    metrics_set(metrics, METRIC_MAILBOX_MESSAGES, engine->mail_count);
    metrics_set(metrics, METRIC_MAILBOX_BYTES_RESIDENT, engine->mail_bytes);
    metrics_set(metrics, METRIC_INSTANCES_RESIDENT, engine->instances.count);
    metrics_set(metrics, METRIC_INSTANCES_BLOCKED, engine->blocked_instances);
    metrics_set(metrics, METRIC_TYPES_BLOCKED, engine->blocked_types);
    metrics_set(metrics, METRIC_ENDPOINTS_DOWN, engine->down_endpoints);
    metrics_set(metrics, METRIC_TIMERS, engine->timers.count);
    metrics_set(metrics, METRIC_PARKED_MESSAGES, engine->parked_count);
    metrics_set(metrics, METRIC_OUTBOX_RECORDS, engine->outbox_count);
    metrics_set(metrics, METRIC_OUTBOX_BYTES, engine->outbox_bytes);
    metrics_set(metrics, METRIC_ASKS_WAITING, engine->asks_waiting);
    metrics_set(metrics, METRIC_INVOCATIONS_PENDING, engine->invocations.count);
    metrics_set(metrics, METRIC_CALLS_IN_FLIGHT, engine->calls_in_flight);
    metrics_set(metrics, METRIC_CALLS_READY, engine->ready_count);
    metrics_set(metrics, METRIC_READS_IN_FLIGHT, engine->reads_in_flight);
    metrics_set(metrics, METRIC_PROMISES_WAITING, promises);
    metrics_set(metrics, METRIC_EPOCH_COMMITTED, engine->committed);
    metrics_set(metrics, METRIC_STORE_BYTES, engine->figures.bytes_used);
    metrics_set(metrics, METRIC_STORE_FULL, epochs_is_short(engine));
}
