/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include <stdlib.h>

#include "arena.h"
#include "check.h"
#include "limit.h"

enum {
    SERVERS_MAX = 16,
    POSTED_MAX = 8192, /* requests between two steps: more than there can be connections */
    DISK_INPUTS_MAX = 256,
    IDLE_MS_MAX = 1000,   /* the longest wait for something to do */
    SLOW_TURN_US = 50000, /* a turn beyond it is logged */
};

struct runner {
    struct runner_options options;
    runner_answer *answer;
    void *answer_context;
    struct http_server *servers[SERVERS_MAX];
    uint32_t server_count;
    struct clock clock;
    uint64_t wake_ms; /* engine time */
    bool is_started;
    bool is_stop_asked;
    bool has_fatal;
    struct err fatal;
    struct input *inputs; /* of one step: answers of the disk, results, stop, messages */
    uint32_t input_count;
    struct input *posted; /* messages and pops for the next step; what they point to lives in the arena */
    uint32_t posted_count;
    struct arena *posted_arena;
};

struct runner *runner_create(const struct runner_options *options)
{
    struct runner *runner = calloc(1, sizeof *runner);

    check(runner != NULL);
    runner->options = *options;
    runner->inputs = calloc(DISK_INPUTS_MAX * 2 + LIMIT_INPUTS_PER_TURN_MAX + POSTED_MAX + 2, sizeof *runner->inputs);
    runner->posted = calloc(POSTED_MAX, sizeof *runner->posted);
    runner->posted_arena = arena_create(SIZE_MAX / 2); /* bodies: bounded by the server's memory */
    check(runner->inputs != NULL && runner->posted != NULL && runner->posted_arena != NULL);
    const struct clock_reading reading = clock_os_read();
    clock_init(&runner->clock, &reading);
    return runner;
}

void runner_destroy(struct runner *runner)
{
    if (runner == NULL) {
        return;
    }
    arena_destroy(runner->posted_arena);
    free(runner->posted);
    free(runner->inputs);
    free(runner);
}

void runner_on_answer(struct runner *runner, runner_answer *answer, void *context)
{
    runner->answer = answer;
    runner->answer_context = context;
}

void runner_add_server(struct runner *runner, struct http_server *server)
{
    check(runner->server_count < SERVERS_MAX);
    runner->servers[runner->server_count++] = server;
}

bool runner_post(struct runner *runner, const struct input_message *message)
{
    if (runner->posted_count == POSTED_MAX) {
        return false;
    }
    struct arena *arena = runner->posted_arena;
    struct input *input = &runner->posted[runner->posted_count];
    *input = (struct input){.kind = INPUT_MESSAGE, .message = *message};
    input->message.target.space = arena_copy(arena, message->target.space);
    input->message.target.name = arena_copy(arena, message->target.name);
    input->message.target.id = arena_copy(arena, message->target.id);
    input->message.value = arena_copy(arena, message->value);
    input->message.traceparent = arena_copy(arena, message->traceparent);
    if (message->value.size > 0 && input->message.value.data == NULL) {
        return false;
    }
    runner->posted_count++;
    return true;
}

bool runner_pop(struct runner *runner, const struct input_pop *pop)
{
    if (runner->posted_count == POSTED_MAX) {
        return false;
    }
    runner->posted[runner->posted_count++] = (struct input){.kind = INPUT_POP, .pop = *pop};
    return true;
}

void runner_stop(struct runner *runner)
{
    runner->is_stop_asked = true;
}

const struct err *runner_fatal(const struct runner *runner)
{
    return runner->has_fatal ? &runner->fatal : NULL;
}

static int earlier(int a, int b)
{
    if (a < 0) {
        return b;
    }
    return b >= 0 && b < a ? b : a;
}

static int timeout_ms(struct runner *runner) LOOP_THREAD
{
    if (runner->posted_count > 0 || runner->is_stop_asked || !runner->is_started ||
        dispatcher_has_ended(runner->options.dispatcher)) {
        return 0;
    }
    int timeout = IDLE_MS_MAX;
    if (runner->wake_ms != UINT64_MAX) {
        const uint64_t now_ms = runner->clock.now_ms;
        const uint64_t left_ms = runner->wake_ms > now_ms ? runner->wake_ms - now_ms : 0;
        timeout = earlier(timeout, left_ms > (uint64_t)IDLE_MS_MAX ? IDLE_MS_MAX : (int)left_ms);
    }
    timeout = earlier(timeout, dispatcher_timeout_ms(runner->options.dispatcher));
    for (uint32_t i = 0; i < runner->server_count; i++) {
        timeout = earlier(timeout, http_server_timeout_ms(runner->servers[i]));
    }
    return timeout;
}

/* Answers of the disk, results of calls, then new requests. */
static void gather(struct runner *runner) LOOP_THREAD
{
    uint32_t count = 0;

    if (!runner->is_started) {
        runner->inputs[count++] = (struct input){.kind = INPUT_START};
        runner->is_started = true;
    }
    count += committer_take(runner->options.committer, runner->inputs + count, DISK_INPUTS_MAX);
    count += reader_take(runner->options.reader, runner->inputs + count, DISK_INPUTS_MAX);
    count += dispatcher_take(runner->options.dispatcher, runner->inputs + count, LIMIT_INPUTS_PER_TURN_MAX);
    for (uint32_t i = 0; i < runner->posted_count; i++) {
        runner->inputs[count++] = runner->posted[i];
    }
    if (runner->is_stop_asked) {
        runner->inputs[count++] = (struct input){.kind = INPUT_STOP};
        runner->is_stop_asked = false;
    }
    runner->input_count = count;
}

static void log_note(struct runner *runner, const struct effect_note *note)
{
    static const enum log_level levels[] = {[NOTE_INFO] = LOG_INFO, [NOTE_WARN] = LOG_WARN, [NOTE_ERROR] = LOG_ERROR};

    const struct log_field fields[] = {LOG_TEXT("subject", note->subject), LOG_TEXT("text", note->text),
                                       LOG_TEXT("traceparent", note->traceparent)};
    const size_t first = note->subject.size > 0 ? 0 : 1; /* some events are of the host as a whole */
    const size_t end = note->traceparent.size > 0 ? 3 : 2;

    log_write(runner->options.log, levels[note->level], note->event, fields + first, end - first);
}

static void carry_out(struct runner *runner, const struct effect *effect) LOOP_THREAD
{
    switch (effect->kind) {
    case EFFECT_CALL:
        dispatcher_call(runner->options.dispatcher, &effect->call, engine_store_id(runner->options.engine));
        break;
    case EFFECT_READ:
        reader_read(runner->options.reader, &effect->read);
        break;
    case EFFECT_COMMIT:
        committer_commit(runner->options.committer, effect->epoch);
        break;
    case EFFECT_ANSWER:
        runner->answer(runner->answer_context, &effect->answer);
        break;
    case EFFECT_NOTE:
        log_note(runner, &effect->note);
        break;
    case EFFECT_FATAL:
        runner->has_fatal = true;
        (void)err_set(&runner->fatal, ERR_SYSTEM, "%.*s", (int)effect->note.text.size,
                      (const char *)effect->note.text.data);
        break;
    }
}

void runner_turn(struct runner *runner)
{
    loop_poll(runner->options.loop, timeout_ms(runner));

    const uint64_t begin_us = clock_monotonic_us();
    const struct clock_reading reading = clock_os_read();
    const uint64_t now_ms = clock_advance(&runner->clock, &reading);
    struct effects effects;
    gather(runner);
    engine_step(runner->options.engine, now_ms, runner->inputs, runner->input_count, &effects);
    clock_go_on_from(&runner->clock, engine_now_ms(runner->options.engine)); /* a start goes on from the store's time */
    runner->posted_count = 0;
    arena_reset(runner->posted_arena);
    runner->wake_ms = effects.wake_ms;
    for (uint32_t i = 0; i < effects.count; i++) {
        carry_out(runner, &effects.list[i]);
    }
    dispatcher_run(runner->options.dispatcher);
    for (uint32_t i = 0; i < runner->server_count; i++) {
        http_server_run(runner->servers[i]);
    }

    const uint64_t end_us = clock_monotonic_us();
    metrics_observe_us(runner->options.metrics, METRIC_TURN_SECONDS, end_us - begin_us);
    if (end_us - begin_us > SLOW_TURN_US) {
        log_event(runner->options.log, LOG_WARN, "loop.slow_turn", LOG_NUMBER("microseconds", end_us - begin_us),
                  LOG_NUMBER("inputs", runner->input_count), LOG_NUMBER("effects", effects.count));
    }
    committer_saw_turn(runner->options.committer, end_us);
}
