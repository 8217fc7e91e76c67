/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_bench.c: the hand-stepped engine of engine_bench.h. */
#include "engine_bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { ITEMS_MAX = 16 };

static struct endpoint_config endpoints[2];
static struct function_config functions[2];
static struct egress_config egresses[3];
static struct playground_port ports[1] = {{.is_egress = true}};

static void copy_text(char *to, size_t bytes, struct slice text)
{
    const size_t size = text.size < bytes - 1 ? text.size : bytes - 1;

    if (size > 0) {
        memcpy(to, text.data, size);
    }
    to[size] = '\0';
}

void bench_open(struct bench *bench)
{
    *bench = (struct bench){.now_ms = 1000000};
    for (uint32_t i = 0; i < 2; i++) {
        endpoints[i] = (struct endpoint_config){.url = SLICE("http://functions/"),
                                                .timeout_ms = 120000,
                                                .batch_messages_max = 100,
                                                .batch_bytes_max = 1 << 19,
                                                .answer_bytes_max = 8 << 20,
                                                .mailbox_messages_max = 1000,
                                                .run_ahead = i == 0,
                                                .retry = {50, 2000, 30000, 3, i == 0 ? RETRY_PARK : RETRY_BLOCK}};
    }
    functions[0] = (struct function_config){SLICE("example"), SLICE("*"), SLICE_EMPTY, 0};
    functions[1] = (struct function_config){SLICE("slow"), SLICE("*"), SLICE_EMPTY, 1};
    egresses[0] = (struct egress_config){.space = SLICE("example"), .name = SLICE("out"), .bytes_max = 1 << 20};
    egresses[1] = (struct egress_config){
        .space = PLAYGROUND_SPACE, .name = SLICE("greetings"), .bytes_max = 2000, .is_topic = true};
    egresses[2] = (struct egress_config){
        .space = PLAYGROUND_SPACE, .name = SLICE("quiet"), .bytes_max = 1 << 20, .is_topic = true};
    bench->registry = (struct registry){.endpoints = endpoints,
                                        .functions = functions,
                                        .egresses = egresses,
                                        .endpoint_count = 2,
                                        .function_count = 2,
                                        .egress_count = 3,
                                        .ports = ports,
                                        .port_count = 1};
    bench->store = store_memory_create();
    bench->metrics = metrics_create();
    bench_start(bench);
}

void bench_start(struct bench *bench)
{
    struct engine_options options;
    struct input start = {.kind = INPUT_START};

    engine_options_default(&options);
    options.registry = &bench->registry;
    options.metrics = bench->metrics;
    options.wall_ms = bench->now_ms;
    if (bench->memory_bytes > 0) {
        options.memory_bytes = bench->memory_bytes;
        options.memory_bytes_max = 2 * bench->memory_bytes;
    }
    memset(options.random, 7, sizeof options.random);
    bench->engine = engine_create(&options);
    bench->call_count = 0;
    bench_settle(bench, &start, 1);
}

void bench_crash(struct bench *bench)
{
    engine_destroy(bench->engine);
    bench->engine = NULL;
    bench->epoch = NULL;
}

void bench_close(struct bench *bench)
{
    engine_destroy(bench->engine);
    store_close(bench->store);
    metrics_destroy(bench->metrics);
}

static void keep_call(struct bench *bench, const struct effect_call *effect)
{
    struct pending_call *call = &bench->calls[bench->call_count++];
    struct buf text;

    assert_true(bench->call_count < 64);
    *call = (struct pending_call){.call = effect->call,
                                  .message_count = effect->message_count,
                                  .state_count = effect->state_count,
                                  .has_caller = !address_is_empty(&effect->messages[0].caller),
                                  .first_number = effect->messages[0].number};
    buf_init(&text, 1024);
    address_print(&effect->target, &text);
    copy_text(call->target, sizeof call->target, buf_slice(&text));
    buf_done(&text);
    copy_text(call->caller_id, sizeof call->caller_id, effect->messages[0].caller.id);
    copy_text(call->first_value, sizeof call->first_value, effect->messages[0].value);
    if (effect->state_count > 0) {
        copy_text(call->state_value, sizeof call->state_value, effect->states[0].value);
    }
}

static void keep_answer(struct bench *bench, const struct effect_answer *effect)
{
    struct seen_answer *answer = &bench->answers[bench->answer_count++];

    assert_true(bench->answer_count < 64);
    assert_null(bench_answer(bench, effect->waiter) == answer ? NULL : bench_answer(bench, effect->waiter));
    *answer = (struct seen_answer){.waiter = effect->waiter, .kind = effect->kind, .code = effect->code};
    copy_text(answer->value, sizeof answer->value, effect->kind == ANSWER_ERROR ? effect->text : effect->value);
}

/* Does what an effect asks for; an answer of the disk goes to *next. */
static bool carry_out(struct bench *bench, const struct effect *effect, struct arena *arena, struct input *next)
{
    struct err err;

    switch (effect->kind) {
    case EFFECT_CALL:
        keep_call(bench, &effect->call);
        return false;
    case EFFECT_READ:
        *next = (struct input){.kind = INPUT_ROWS};
        assert_int_equal(store_read(bench->store, &effect->read, arena, &next->rows, &err), ERR_NONE);
        next->rows.read = effect->read.read;
        return true;
    case EFFECT_COMMIT:
        bench->epoch = effect->epoch;
        return false;
    case EFFECT_ANSWER:
        keep_answer(bench, &effect->answer);
        return false;
    case EFFECT_NOTE:
        return false;
    case EFFECT_FATAL:
        copy_text(bench->fatal, sizeof bench->fatal, effect->note.text);
        return false;
    }
    return false;
}

static void apply_epoch(struct bench *bench, struct input *next)
{
    struct err err;

    epoch_sort(bench->epoch);
    assert_int_equal(store_apply(bench->store, bench->epoch, &err), STORE_APPLIED);
    *next = (struct input){.kind = INPUT_COMMITTED,
                           .committed = {.epoch = bench->epoch->number, .figures = bench->figures}};
    bench->epoch = NULL;
}

void bench_settle(struct bench *bench, struct input *inputs, uint32_t count)
{
    struct input next[64];
    struct arena *arena = arena_create(64 << 20);

    thread_assume(&thread_loop);

    for (uint32_t turn = 0; turn < 1000; turn++) {
        struct effects effects;
        uint32_t next_count = 0;
        engine_step(bench->engine, bench->now_ms, inputs, count, &effects);
        bench->wake_ms = effects.wake_ms;
        arena_reset(arena);
        for (uint32_t i = 0; i < effects.count; i++) {
            assert_true(next_count < 62);
            next_count += carry_out(bench, &effects.list[i], arena, &next[next_count]);
        }
        if (bench->epoch != NULL && !bench->is_disk_held) {
            apply_epoch(bench, &next[next_count++]);
        }
        if (next_count == 0 && bench->wake_ms > bench->now_ms) {
            arena_destroy(arena);
            return;
        }
        inputs = next;
        count = next_count;
    }
    fail_msg("the engine does not come to rest");
}

void bench_commit(struct bench *bench)
{
    struct input next;

    assert_non_null(bench->epoch);
    apply_epoch(bench, &next);
    bench_settle(bench, &next, 1);
}

void bench_advance(struct bench *bench, uint64_t ms)
{
    bench->now_ms += ms;
    bench_settle(bench, NULL, 0);
}

static uint64_t post(struct bench *bench, struct input_message message, const char *name, const char *id,
                     const char *value)
{
    const char *slash = strchr(name, '/');
    const uint64_t waiter = ++bench->invocation_next;

    message.waiter = waiter;
    memcpy(message.invocation.bytes, &waiter, sizeof waiter);
    message.target =
        (struct address){{(const uint8_t *)name, (size_t)(slash - name)}, slice_of(slash + 1), slice_of(id)};
    message.value = slice_of(value);
    struct input input = {.kind = INPUT_MESSAGE, .message = message};
    bench_settle(bench, &input, 1);
    return waiter;
}

uint64_t bench_ask(struct bench *bench, const char *name, const char *id, const char *value)
{
    return post(bench, (struct input_message){.is_ask = true, .timeout_ms = 30000}, name, id, value);
}

uint64_t bench_send(struct bench *bench, const char *name, const char *id, const char *value, uint64_t delay_ms)
{
    return post(bench, (struct input_message){.delay_ms = delay_ms}, name, id, value);
}

uint64_t bench_pop(struct bench *bench, uint32_t egress)
{
    const uint64_t waiter = ++bench->invocation_next;
    struct input input = {.kind = INPUT_POP, .pop = {.waiter = waiter, .egress = egress}};

    memcpy(input.pop.invocation.bytes, &waiter, sizeof waiter);
    bench_settle(bench, &input, 1);
    return waiter;
}

struct pending_call bench_take_call(struct bench *bench)
{
    assert_true(bench->call_count > 0);
    const struct pending_call call = bench->calls[0];
    bench->call_count--;
    memmove(&bench->calls[0], &bench->calls[1], bench->call_count * sizeof bench->calls[0]);
    return call;
}

const struct seen_answer *bench_answer(const struct bench *bench, uint64_t waiter)
{
    for (uint32_t i = 0; i < bench->answer_count; i++) {
        if (bench->answers[i].waiter == waiter) {
            return &bench->answers[i];
        }
    }
    return NULL;
}

/* ---- results ------------------------------------------------------------------------------------------- */

struct result *result_begin(enum result_kind kind)
{
    struct arena *arena = arena_create(1 << 20);
    struct result *result = arena_alloc(arena, sizeof *result);

    result->arena = arena;
    result->kind = kind;
    result->mutations = arena_alloc(arena, ITEMS_MAX * sizeof *result->mutations);
    result->outgoing = arena_alloc(arena, ITEMS_MAX * sizeof *result->outgoing);
    result->delayed = arena_alloc(arena, ITEMS_MAX * sizeof *result->delayed);
    result->emitted = arena_alloc(arena, ITEMS_MAX * sizeof *result->emitted);
    result->missing = arena_alloc(arena, ITEMS_MAX * sizeof *result->missing);
    return result;
}

void result_send(struct result *result, const char *space, const char *name, const char *id, const char *value)
{
    result->outgoing[result->outgoing_count++] =
        (struct outgoing){{slice_of(space), slice_of(name), arena_copy(result->arena, slice_of(id))}, slice_of(value)};
}

void result_delay(struct result *result, int64_t delay_ms, const char *name, const char *id, const char *value,
                  const char *token)
{
    result->delayed[result->delayed_count++] = (struct delayed){
        false, delay_ms, {SLICE("example"), slice_of(name), slice_of(id)}, slice_of(value), slice_of(token)};
}

void result_cancel(struct result *result, const char *token)
{
    result->delayed[result->delayed_count++] = (struct delayed){.is_cancel = true, .token = slice_of(token)};
}

void result_set(struct result *result, const char *state, const char *value)
{
    result->mutations[result->mutation_count++] =
        (struct mutation){value == NULL, slice_of(state), SLICE("t"), value == NULL ? SLICE_EMPTY : slice_of(value)};
}

void result_emit(struct result *result, const char *name, const char *value)
{
    result->emitted[result->emitted_count++] =
        (struct emitted){.space = SLICE("example"), .name = slice_of(name), .value = slice_of(value)};
}

void result_record(struct result *result, const char *topic, const char *text)
{
    result->emitted[result->emitted_count++] = (struct emitted){.space = PLAYGROUND_SPACE,
                                                                .name = PLAYGROUND_EGRESS,
                                                                .value = SLICE("as it came"),
                                                                .topic = slice_of(topic),
                                                                .text = arena_copy(result->arena, slice_of(text)),
                                                                .fault = topic[0] == 0 ? "it is no record" : NULL};
}

void result_missing(struct result *result, const char *state, enum expiry_mode mode, int64_t expire_ms)
{
    result->missing[result->missing_count++] = (struct state_spec){slice_of(state), SLICE("t"), mode, expire_ms};
}

void result_fail(struct result *result, uint32_t index, const char *code, bool is_retryable)
{
    result->has_failure = true;
    result->failure = (struct failure){index, is_retryable, slice_of(code), SLICE("it says no")};
}

void bench_result(struct bench *bench, uint64_t call, struct result *result)
{
    struct input input = {.kind = INPUT_RESULT,
                          .result = {.call = call,
                                     .outcome = CALL_ANSWERED,
                                     .knows_partial = true,
                                     .duration_us = bench->call_us,
                                     .take_result = result}};

    bench_settle(bench, &input, 1);
}

void bench_outcome(struct bench *bench, uint64_t call, enum call_outcome outcome, int status)
{
    struct input input = {.kind = INPUT_RESULT, .result = {.call = call, .outcome = outcome, .http_status = status}};

    bench_settle(bench, &input, 1);
}

void bench_handshake(struct bench *bench, enum expiry_mode mode, int64_t expire_ms)
{
    struct result *result = result_begin(RESULT_INCOMPLETE);

    result_missing(result, "s", mode, expire_ms);
    bench_result(bench, bench_take_call(bench).call, result);
}

uint64_t bench_metric(struct bench *bench, enum metric metric)
{
    thread_assume(&thread_loop);
    engine_publish(bench->engine);
    return metrics_get(bench->metrics, metric);
}
