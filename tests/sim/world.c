/* SPDX-License-Identifier: Apache-2.0
 *
 * world.c: time, events, steps of the engine, its starts, crashes and stops.
 *
 * One queue of events in the order of simulated time. A step hands some due events to the engine and carries
 * out its effects one by one; a crash may come between any two of them. In the end all faults stop, and
 * everything that is inside must come to rest.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "plant.h"

enum {
    DRAIN_MS_MAX = 3600 * 1000, /* simulated time after the faults in which all must come to rest */
    DRAIN_STEPS_MAX = 200000,
    SETTLE_MS = 900 * 1000, /* longer than asks and expiring values last */
    SETTLE_ALL_MS = 3300 * 1000,
    SETTLE_LAST_MS = 5000, /* for what became due in the last step */
    STOP_MS_MAX = 120 * 1000,
    STOP_STEPS_MIN = 500,
    SPIN_STEPS_MAX = 2000,
    DOWN_MS_MAX = 20000,
    STEP_ARENA_BYTES_MAX = 64 << 20,
};

void sim_fail(struct sim *sim, enum law law, const char *format, ...)
{
    va_list arguments;

    if (sim->law != LAW_NONE) {
        return;
    }
    sim->law = law;
    va_start(arguments, format);
    (void)vsnprintf(sim->text, sizeof sim->text, format, arguments);
    va_end(arguments);
    sim_trace(sim, "LAW %u BROKEN: %s", law, sim->text);
}

void sim_trace(const struct sim *sim, const char *format, ...)
{
    va_list arguments;

    if (!sim->options.is_traced) {
        return;
    }
    printf("%9llu #%-5u ", (unsigned long long)(sim->now_ms - 1700000000000u), sim->steps);
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

uint64_t sim_engine_ms(struct sim *sim)
{
    const uint64_t clock_ms = sim->now_ms - sim->behind_ms;

    sim->engine_ms = clock_ms > sim->engine_ms ? clock_ms : sim->engine_ms;
    return sim->engine_ms;
}

/* ---- events ------------------------------------------------------------------------------------------- */

struct event *world_event(struct sim *sim, enum event_kind kind, uint64_t due_ms)
{
    struct event *event = calloc(1, sizeof *event);
    check(event != NULL);

    event->kind = kind;
    event->node.due = due_ms;
    event->node.sequence = ++sim->event_sequence;
    heap_push(&sim->events, &event->node);
    return event;
}

void world_event_destroy(struct event *event)
{
    arena_destroy(event->arena);
    result_destroy(event->result.take_result);
    free(event);
}

static struct event *event_of(struct heap_node *node)
{
    return (struct event *)(void *)((uint8_t *)node - offsetof(struct event, node));
}

/* ---- the engine's life -------------------------------------------------------------------------------- */

static void start_engine(struct sim *sim, struct input *input)
{
    struct engine_options options;

    setup_engine_options(sim, &options);
    sim->engine = engine_create(&options);
    sim->life++;
    sim->is_stopping = false;
    sim->wake_ms = UINT64_MAX;
    sim->epoch_sealed = sim->disk.epoch;
    sim->engine_ms = sim->disk.time_ms;
    (void)sim_engine_ms(sim);
    *input = (struct input){.kind = INPUT_START};
    sim_trace(sim, "start, life %u", sim->life);
}

static bool dies_with_engine(const struct event *event)
{
    switch (event->kind) {
    case EVENT_STOP:
    case EVENT_APPLY:
    case EVENT_COMMITTED:
    case EVENT_SNAPSHOT:
    case EVENT_ROWS:
    case EVENT_LIE:
    case EVENT_RESULT: /* its connection is gone too */
        return true;
    case EVENT_START:
    case EVENT_CRASH:
    case EVENT_JUMP:
    case EVENT_CLIENT:
        break;
    }
    return false;
}

static void drop_events(struct sim *sim)
{
    struct heap left = {0};
    struct heap_node *node = NULL;

    while ((node = heap_pop(&sim->events)) != NULL) {
        if (dies_with_engine(event_of(node))) {
            world_event_destroy(event_of(node));
        } else {
            heap_push(&left, node);
        }
    }
    heap_done(&sim->events);
    sim->events = left;
}

static void end_engine(struct sim *sim)
{
    drop_events(sim);
    edges_stop_waiting(sim);
    engine_destroy(TAKE(sim->engine));
    sim->committing = NULL;
    sim->has_applied = false;
    sim->calls_open = 0;
    sim->call_bytes_open = 0;
    memset(sim->calls_open_of, 0, sizeof sim->calls_open_of);
    sim->reads_open = 0;
    ledger_crash(sim);
    disk_compare(sim);
    (void)world_event(sim, EVENT_START, sim->now_ms + random_below(&sim->random, DOWN_MS_MAX));
}

/* The process is gone. What the committer had in hand is on disk, or is not. */
void world_crash(struct sim *sim)
{
    sim_trace(sim, "crash");
    sim->seen.crashes++;
    if (sim->committing != NULL && !sim->has_applied && random_chance(&sim->random, 500)) {
        const uint32_t commit_full = sim->faults.commit_full;
        struct event event = {.epoch = sim->committing};
        sim->faults.commit_full = 0;
        edges_apply(sim, &event);
        sim->faults.commit_full = commit_full;
    }
    end_engine(sim);
}

/* ---- effects ------------------------------------------------------------------------------------------ */

static void hash_bytes(struct sim *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        sim->hash = (sim->hash ^ bytes[i]) * 0x100000001b3u;
    }
}

static void hash_number(struct sim *sim, uint64_t number)
{
    hash_bytes(sim, &number, sizeof number);
}

static void hash_slice(struct sim *sim, struct slice slice)
{
    hash_number(sim, slice.size);
    hash_bytes(sim, slice.data, slice.size);
}

static void hash_address(struct sim *sim, const struct address *address)
{
    hash_slice(sim, address->space);
    hash_slice(sim, address->name);
    hash_slice(sim, address->id);
}

static void hash_call(struct sim *sim, const struct effect_call *call)
{
    hash_number(sim, call->call);
    hash_number(sim, call->endpoint);
    hash_number(sim, call->knows_partial);
    hash_number(sim, call->timeout_ms);
    hash_address(sim, &call->target);
    for (uint32_t i = 0; i < call->state_count; i++) {
        hash_slice(sim, call->states[i].name);
        hash_slice(sim, call->states[i].value);
    }
    for (uint32_t i = 0; i < call->message_count; i++) {
        hash_address(sim, &call->messages[i].caller);
        hash_slice(sim, call->messages[i].value);
        hash_number(sim, call->messages[i].number);
        hash_slice(sim, call->messages[i].traceparent);
    }
}

static void hash_read(struct sim *sim, const struct effect_read *read)
{
    hash_number(sim, read->read);
    hash_number(sim, read->rows_max);
    hash_number(sim, read->bytes_max);
    for (uint32_t i = 0; i < read->range_count; i++) {
        hash_number(sim, read->ranges[i].kind);
        hash_number(sim, read->ranges[i].table);
        hash_slice(sim, read->ranges[i].key);
    }
}

static void hash_epoch(struct sim *sim, const struct epoch *epoch)
{
    hash_number(sim, epoch->number);
    for (uint32_t i = 0; i < epoch->op_count; i++) {
        hash_number(sim, epoch->ops[i].kind);
        hash_number(sim, epoch->ops[i].table);
        hash_slice(sim, epoch->ops[i].key);
        hash_slice(sim, epoch->ops[i].value);
    }
}

/* Law 10: every byte of every effect, in order. */
static void hash_effect(struct sim *sim, const struct effect *effect)
{
    hash_number(sim, effect->kind);
    switch (effect->kind) {
    case EFFECT_CALL:
        hash_call(sim, &effect->call);
        break;
    case EFFECT_READ:
        hash_read(sim, &effect->read);
        break;
    case EFFECT_COMMIT:
        hash_epoch(sim, effect->epoch);
        break;
    case EFFECT_ANSWER:
        hash_number(sim, effect->answer.waiter);
        hash_number(sim, effect->answer.kind);
        hash_number(sim, effect->answer.code);
        hash_number(sim, effect->answer.retry_after_ms);
        hash_bytes(sim, effect->answer.invocation.bytes, INVOCATION_BYTES);
        hash_slice(sim, effect->answer.value);
        hash_slice(sim, effect->answer.text);
        hash_slice(sim, effect->answer.function_code);
        break;
    case EFFECT_NOTE:
    case EFFECT_FATAL:
        hash_slice(sim, effect->note.subject);
        hash_slice(sim, effect->note.traceparent);
        hash_slice(sim, effect->note.text);
        break;
    }
}

static void carry_out(struct sim *sim, struct effect *effect, uint64_t given_from)
{
    switch (effect->kind) {
    case EFFECT_CALL:
        edges_call(sim, &effect->call);
        break;
    case EFFECT_READ:
        edges_read(sim, &effect->read);
        check_limits(sim);
        break;
    case EFFECT_COMMIT:
        edges_commit(sim, effect->epoch);
        break;
    case EFFECT_ANSWER:
        if (plant_answer(sim, &effect->answer)) {
            check_answer(sim, &effect->answer, given_from);
        }
        break;
    case EFFECT_NOTE:
        sim_trace(sim, "note %s: %.*s: %.*s", effect->note.event, (int)effect->note.subject.size,
                  (const char *)effect->note.subject.data, (int)effect->note.text.size,
                  (const char *)effect->note.text.data);
        break;
    case EFFECT_FATAL:
        sim_fail(sim, LAW_9, "the engine gave up: %.*s", (int)effect->note.text.size,
                 (const char *)effect->note.text.data);
        break;
    }
}

/* ---- one step ----------------------------------------------------------------------------------------- */

struct turn {
    struct input inputs[INPUTS_MAX];
    uint32_t count;
    struct event *spent[INPUTS_MAX]; /* their bytes are borrowed by inputs */
    uint32_t spent_count;
    struct arena *arena;
    bool is_crash;
};

static void give_committed(struct sim *sim, struct turn *turn, const struct event *event)
{
    struct input *input = &turn->inputs[turn->count++];

    *input = (struct input){.kind = INPUT_COMMITTED};
    input->committed = (struct input_committed){
        .epoch = event->number, .is_full = event->is_full, .duration_us = 500, .figures = store_figures(sim->store)};
    if (random_chance(&sim->random, sim->faults.figures_high)) {
        input->committed.figures.bytes_used += random_chance(&sim->random, 500)
                                                   ? sim->engine_options.store_bytes_soft_max
                                                   : sim->engine_options.store_bytes_hard_max;
    }
    if (!event->is_full) {
        sim->committing = NULL;
        sim->has_applied = false;
    }
    sim_trace(sim, "committed %llu%s", (unsigned long long)event->number, event->is_full ? ": full" : "");
}

/* Takes one due event: edges go on by themselves, the rest becomes an input. */
static void take_event(struct sim *sim, struct turn *turn, struct event *event)
{
    switch (event->kind) {
    case EVENT_START:
        start_engine(sim, &turn->inputs[turn->count++]);
        break;
    case EVENT_STOP:
        sim->is_stopping = true;
        sim->stop_ms = sim->now_ms;
        sim->stop_step = sim->steps;
        turn->inputs[turn->count++] = (struct input){.kind = INPUT_STOP};
        sim_trace(sim, "stop");
        break;
    case EVENT_CRASH:
        turn->is_crash = sim->engine != NULL;
        break;
    case EVENT_JUMP:
        if (!sim->all_expires || (sim->committing == NULL && check_is_clean(sim))) {
            sim->now_ms += random_below(&sim->random, 7200 * 1000);
        }
        break;
    case EVENT_CLIENT:
        edges_client(sim, turn->inputs, &turn->count, turn->arena);
        break;
    case EVENT_APPLY:
        edges_apply(sim, event);
        break;
    case EVENT_COMMITTED:
        give_committed(sim, turn, event);
        break;
    case EVENT_SNAPSHOT:
        edges_snapshot(sim, event);
        break;
    case EVENT_ROWS:
        sim->reads_open--;
        sim_trace(sim, "rows of read %llu: %u%s", (unsigned long long)event->rows.read, event->rows.row_count,
                  event->rows.has_failed ? ", failed" : "");
        turn->inputs[turn->count++] = (struct input){.kind = INPUT_ROWS, .rows = event->rows};
        break;
    case EVENT_RESULT:
        if (sim->engine != NULL) {
            edges_result(sim, event, &turn->inputs[turn->count++]);
            event->result.take_result = NULL;
        }
        break;
    case EVENT_LIE:
        turn->inputs[turn->count++] = (struct input){.kind = INPUT_RESULT, .result = event->result};
        break;
    }
    turn->spent[turn->spent_count++] = event;
}

static void collect(struct sim *sim, struct turn *turn)
{
    const uint32_t most = random_between(&sim->random, 1, 12);

    for (uint32_t i = 0; i < most && turn->count + 10 < INPUTS_MAX; i++) {
        struct heap_node *node = heap_peek(&sim->events);
        if (node == NULL || node->due > sim->now_ms) {
            return;
        }
        (void)heap_pop(&sim->events);
        take_event(sim, turn, event_of(node));
        if (turn->is_crash || sim->law != LAW_NONE) {
            return;
        }
    }
}

static void step_engine(struct sim *sim, struct turn *turn, uint64_t given_from)
{
    struct effects effects = {0};

    thread_assume(&thread_loop);
    engine_step(sim->engine, sim->now_ms - sim->behind_ms + sim->skew_ms, turn->inputs, turn->count, &effects);
    sim->wake_ms = effects.wake_ms == UINT64_MAX ? UINT64_MAX : effects.wake_ms + sim->behind_ms;
    sim_trace(sim, "step: %u inputs, %u effects, wake in %lld ms", turn->count, effects.count,
              (long long)(sim->wake_ms - sim->now_ms));
    const uint32_t crash_at = turn->is_crash ? random_below(&sim->random, effects.count + 1) : effects.count;
    for (uint32_t i = 0; i < crash_at && sim->law == LAW_NONE; i++) {
        hash_effect(sim, &effects.list[i]);
        carry_out(sim, &effects.list[i], given_from);
    }
    if (engine_is_ready(sim->engine) && sim->skew_ms == 0 && engine_now_ms(sim->engine) != sim_engine_ms(sim)) {
        sim_fail(sim, LAW_7, "the engine's clock is not where the store and the host left it");
    }
    sim->idle_steps = turn->count == 0 && effects.count == 0 ? sim->idle_steps + 1 : 0;
}

static void draw_faults(struct sim *sim)
{
    if (sim->engine == NULL || sim->is_draining) {
        return;
    }
    if (random_chance(&sim->random, sim->faults.crashes)) {
        (void)world_event(sim, EVENT_CRASH, sim->now_ms);
    }
    if (!sim->is_stopping && random_chance(&sim->random, sim->faults.stops)) {
        (void)world_event(sim, EVENT_STOP, sim->now_ms);
    }
    if (random_chance(&sim->random, sim->faults.jumps)) {
        (void)world_event(sim, EVENT_JUMP, sim->now_ms);
    }
}

static void check_stopping(struct sim *sim)
{
    if (sim->engine == NULL || !sim->is_stopping || sim->law != LAW_NONE) {
        return;
    }
    if (engine_is_stopped(sim->engine)) {
        if (sim->waiters_open > 0) {
            sim_fail(sim, LAW_9, "stopped while %u clients wait", sim->waiters_open);
        }
        sim_trace(sim, "stopped");
        end_engine(sim);
    } else if (sim->now_ms > sim->stop_ms + STOP_MS_MAX && sim->steps > sim->stop_step + STOP_STEPS_MIN) {
        sim_fail(sim, LAW_9, "told to stop %u steps ago, and did not", sim->steps - sim->stop_step);
    }
}

/* False: nothing will ever happen again. */
static bool step(struct sim *sim)
{
    struct heap_node *node = heap_peek(&sim->events);
    const uint64_t wake_ms = sim->engine == NULL || sim->options.plant == PLANT_LAW9_STUCK ? UINT64_MAX : sim->wake_ms;
    const uint64_t event_ms = node == NULL ? UINT64_MAX : node->due;
    const uint64_t next_ms = event_ms < wake_ms ? event_ms : wake_ms;
    const uint64_t given_from = sim->input_order + 1;
    struct turn turn = {.arena = arena_create(STEP_ARENA_BYTES_MAX)};

    check(turn.arena != NULL);
    if (next_ms == UINT64_MAX) {
        arena_destroy(turn.arena);
        return false;
    }
    if (next_ms > sim->now_ms) {
        sim->now_ms = next_ms;
    }
    if (!sim->is_draining && random_chance(&sim->random, 20)) {
        sim->now_ms += random_below(&sim->random, 60); /* the loop was held up */
    }
    sim->steps++;
    draw_faults(sim);
    collect(sim, &turn);
    if (sim->engine != NULL && sim->law == LAW_NONE) {
        step_engine(sim, &turn, given_from);
        if (sim->idle_steps > SPIN_STEPS_MAX) {
            sim_fail(sim, LAW_9, "the engine asked %u times to be stepped and did nothing", sim->idle_steps);
        }
    }
    for (uint32_t i = 0; i < turn.count; i++) {
        if (turn.inputs[i].kind == INPUT_RESULT) {
            result_destroy(turn.inputs[i].result.take_result); /* what the engine did not take */
        }
    }
    for (uint32_t i = 0; i < turn.spent_count; i++) {
        world_event_destroy(turn.spent[i]);
    }
    arena_destroy(turn.arena);
    plant_after_step(sim);
    if (turn.is_crash && sim->law == LAW_NONE) {
        world_crash(sim);
    }
    check_stopping(sim);
    return true;
}

/* ---- the run ------------------------------------------------------------------------------------------ */

struct sim *sim_create(const struct sim_options *options)
{
    struct sim *sim = calloc(1, sizeof *sim);
    check(sim != NULL);

    sim->options = *options;
    sim->hash = 0xcbf29ce484222325u;
    sim->messages = calloc(MESSAGES_MAX, sizeof sim->messages[0]);
    sim->metrics = metrics_create();
    sim->store = store_memory_create();
    check(sim->messages != NULL && sim->metrics != NULL && sim->store != NULL);
    setup_world(sim);
    (void)world_event(sim, EVENT_START, sim->now_ms);
    (void)world_event(sim, EVENT_CLIENT, sim->now_ms);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    struct heap_node *node = NULL;
    struct sim_call *next = NULL;

    while ((node = heap_pop(&sim->events)) != NULL) {
        world_event_destroy(event_of(node));
    }
    heap_done(&sim->events);
    engine_destroy(sim->engine);
    for (struct sim_call *call = sim->calls; call != NULL; call = next) {
        next = call->next;
        free(call->tags);
        free(call->numbers);
        free(call);
    }
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        free(sim->instances[i].id);
        free(sim->instances[i].log);
    }
    free(sim->topic.pops);
    disk_done(&sim->disk);
    epoch_destroy(sim->late);
    store_close(sim->store);
    metrics_destroy(sim->metrics);
    registry_destroy(sim->registry);
    free(sim->messages);
    free(sim->outcomes);
    free(sim->number_keys);
    free(sim->number_tags);
    free(sim);
}

/* Faults stop; the world becomes a kind one. */
static void begin_drain(struct sim *sim)
{
    sim_trace(sim, "faults stop");
    sim->is_draining = true;
    sim->faults = (struct faults){.call_slow_ms = 5, .read_slow_ms = 1, .commit_slow_ms = 2};
    sim->clients_left = 0;
    memset(sim->down_until_ms, 0, sizeof sim->down_until_ms);
    if (sim->missing != NONE && sim->engine != NULL) {
        (void)world_event(sim, EVENT_CRASH, sim->now_ms); /* the next life has the whole module file */
    }
}

/* Steps on until all is at rest, for at least `least_ms`. */
static void drain(struct sim *sim, uint64_t least_ms)
{
    const uint64_t from_ms = sim->now_ms;
    const uint32_t until_steps = sim->steps + DRAIN_STEPS_MAX;
    bool goes_on = true;

    while (sim->law == LAW_NONE && goes_on && sim->steps < until_steps &&
           (sim->now_ms < from_ms + least_ms || !check_is_drained(sim)) && sim->now_ms < from_ms + DRAIN_MS_MAX) {
        goes_on = step(sim) && (sim->now_ms < from_ms + SETTLE_MS || !check_is_blocked(sim));
    }
}

/* Time passes, and in the end the host is stopped and started once more: it must find the same again. */
static void settle(struct sim *sim)
{
    drain(sim, sim->all_expires ? SETTLE_ALL_MS : SETTLE_MS);
    drain(sim, SETTLE_LAST_MS);
    if (sim->law == LAW_NONE) {
        check_settled(sim);
    }
    const uint32_t life = sim->life;
    (void)world_event(sim, EVENT_STOP, sim->now_ms);
    while (sim->law == LAW_NONE && sim->life == life && step(sim)) {
    }
    drain(sim, 0);
    if (sim->law == LAW_NONE) {
        check_end(sim);
    }
}

enum law sim_run(struct sim *sim)
{
    while (sim->law == LAW_NONE && sim->steps < sim->options.steps && step(sim)) {
    }
    if (sim->law != LAW_NONE) {
        return sim->law;
    }
    begin_drain(sim);
    drain(sim, 0);
    if (sim->law == LAW_NONE) {
        check_end(sim);
    }
    if (sim->law == LAW_NONE && check_is_drained(sim)) {
        settle(sim);
    }
    if (sim->law == LAW_NONE) {
        disk_compare(sim);
    }
    return sim->law;
}
