/* SPDX-License-Identifier: Apache-2.0
 *
 * edges.c: the simulated edges: committer, readers, dispatcher and clients, each with its faults.
 *
 * What an edge owes the engine it keeps: every call, read and epoch is answered exactly once (a late or
 * double answer of a function comes on top), and effects are copied before the engine's next step.
 */
#include <stdlib.h>

#include "check.h"
#include "plant.h"

enum { READ_ARENA_BYTES_MAX = 64 << 20, FULL_RETRY_MS = 250, SENDS_PER_EVENT_MAX = 4 };

/* ---- the committer ------------------------------------------------------------------------------------ */

void edges_commit(struct sim *sim, struct epoch *epoch)
{
    check_sealed(sim, epoch);
    sim->committing = epoch;
    sim->committing_ms = sim_engine_ms(sim);
    sim->epoch_sealed = epoch->number;
    sim->has_applied = false;
    struct event *event =
        world_event(sim, EVENT_APPLY, sim->now_ms + random_below(&sim->random, sim->faults.commit_slow_ms + 1));
    event->epoch = epoch;
}

static void answer_commit(struct sim *sim, uint64_t number, bool is_full)
{
    struct event *event = world_event(sim, EVENT_COMMITTED, sim->now_ms + random_below(&sim->random, 3));

    event->number = number;
    event->is_full = is_full;
}

static void apply_to_store(struct sim *sim, struct epoch *epoch)
{
    struct err err;

    epoch_sort(epoch);
    const enum store_apply how = store_apply(sim->store, epoch, &err);
    check(how == STORE_APPLIED);
}

void edges_apply(struct sim *sim, struct event *event)
{
    struct epoch *epoch = event->epoch;

    if (random_chance(&sim->random, sim->faults.commit_full)) {
        answer_commit(sim, epoch->number, true);
        struct event *again = world_event(sim, EVENT_APPLY, sim->now_ms + FULL_RETRY_MS);
        again->epoch = epoch;
        return;
    }
    epoch_sort(epoch);
    plant_epoch(sim, epoch);
    sim->has_applied = true;
    sim->seen.epochs++;
    answer_commit(sim, epoch->number, false);
    if (plant_skips_epoch(sim, epoch)) {
        return;
    }
    struct epoch *stored = plant_stored(sim, epoch);
    apply_to_store(sim, stored);
    disk_apply(sim, epoch, sim->committing_ms);
    if (stored != epoch) {
        epoch_destroy(stored);
    }
}

/* ---- the readers -------------------------------------------------------------------------------------- */

void edges_read(struct sim *sim, const struct effect_read *read)
{
    const uint32_t slow_ms = sim->faults.read_slow_ms;
    struct event *event = world_event(sim, EVENT_SNAPSHOT, sim->now_ms + random_below(&sim->random, slow_ms + 1));
    struct arena *arena = arena_create(READ_ARENA_BYTES_MAX);
    check(arena != NULL);
    struct read_range *ranges = arena_alloc(arena, read->range_count * sizeof *ranges);

    sim->reads_open++;
    sim_trace(sim, "read %llu: %u ranges of %s", (unsigned long long)read->read, read->range_count,
              store_table_name(read->ranges[0].table));
    sim->seen.reads++;
    event->arena = arena;
    event->read = *read;
    event->read.ranges = ranges;
    for (uint32_t i = 0; i < read->range_count; i++) {
        ranges[i] = read->ranges[i];
        ranges[i].key = arena_copy(arena, read->ranges[i].key);
    }
}

void edges_snapshot(struct sim *sim, struct event *event)
{
    struct err err;
    struct event *answer =
        world_event(sim, EVENT_ROWS, sim->now_ms + random_below(&sim->random, sim->faults.read_slow_ms + 1));

    answer->arena = TAKE(event->arena);
    answer->read = event->read;
    answer->rows = (struct input_rows){.read = event->read.read};
    if (random_chance(&sim->random, sim->faults.read_fails) ||
        store_read(sim->store, &event->read, answer->arena, &answer->rows, &err) != ERR_NONE) {
        answer->rows = (struct input_rows){.read = event->read.read, .has_failed = true, .text = "a page was bad"};
    }
    answer->rows.read = event->read.read;
}

/* ---- the dispatcher ----------------------------------------------------------------------------------- */

static struct sim_call *call_create(struct sim *sim, const struct effect_call *effect)
{
    struct sim_call *call = calloc(1, sizeof *call);
    check(call != NULL);

    call->tags = calloc(effect->message_count + 1, sizeof call->tags[0]);
    call->numbers = calloc(effect->message_count + 1, sizeof call->numbers[0]);
    check(call->tags != NULL && call->numbers != NULL);
    call->number = effect->call;
    call->instance = ledger_instance(sim, &effect->target);
    call->endpoint = effect->endpoint;
    call->life = sim->life;
    call->begun_ms = sim->now_ms;
    call->knows_partial = effect->knows_partial;
    call->count = effect->message_count;
    for (uint32_t i = 0; i < effect->message_count; i++) {
        call->bytes += effect->messages[i].value.size;
    }
    for (uint32_t i = 0; i < effect->state_count; i++) {
        call->bytes += effect->states[i].value.size;
    }
    call->next = sim->calls;
    sim->calls = call;
    return call;
}

void edges_call(struct sim *sim, const struct effect_call *effect)
{
    struct sim_call *call = call_create(sim, effect);

    plant_call(sim, effect);
    sim->seen.calls++;
    check_call(sim, call, effect);
    if (sim->law != LAW_NONE) {
        return;
    }
    sim->instances[call->instance].call = call->number;
    if (sim->call_bytes_open >= sim->engine_options.call_bytes_max) {
        sim_fail(sim, LAW_8, "a call goes out while %zu bytes are in flight, at most %zu", sim->call_bytes_open,
                 sim->engine_options.call_bytes_max);
    }
    sim->call_bytes_open += call->bytes;
    sim->calls_open++;
    sim->calls_open_of[call->endpoint]++;
    check_limits(sim);
    program_run(sim, call);
    plant_after_call(sim, call);
}

/* The engine hears of an answer now: what it may apply is decided here. */
void edges_result(struct sim *sim, struct event *event, struct input *input)
{
    struct sim_call *call = event->call;
    struct outcome *outcome = event->outcome == 0 ? NULL : &sim->outcomes[event->outcome];

    *input = (struct input){.kind = INPUT_RESULT, .result = event->result};
    if (call->is_ended || call->life != sim->life) {
        if (outcome != NULL) {
            outcome->is_fenced = true;
        }
        plant_fenced(sim, call, input);
        return;
    }
    call->is_ended = true;
    sim->instances[call->instance].call = 0;
    sim->calls_open--;
    sim->call_bytes_open -= call->bytes;
    sim->calls_open_of[call->endpoint]--;
    check_given(sim, call, event->outcome, &event->result);
}

/* ---- the clients -------------------------------------------------------------------------------------- */

static struct slice client_value(struct sim *sim, uint32_t tag, struct arena *arena)
{
    struct buf buf;

    buf_init(&buf, 1 << 20);
    ledger_put_message(sim, tag, &buf);
    const struct slice value = arena_copy(arena, buf_slice(&buf));
    buf_done(&buf);
    return value;
}

static void client_message(struct sim *sim, struct input *input, struct arena *arena)
{
    struct random *random = &sim->random;
    const bool is_ask = random_chance(random, 400);
    const uint32_t tag = ledger_message(sim, is_ask ? MESSAGE_ASK : MESSAGE_SEND);
    check(tag != 0);
    struct sim_message *message = &sim->messages[tag];

    message->target = random_below(random, sim->instance_count);
    message->is_unroutable = random_chance(random, 10);
    message->padding = random_chance(random, 50) ? random_below(random, 4000) : random_below(random, 60);
    message->delay_ms = !is_ask && random_chance(random, 200) ? random_below(random, 30000) : 0;
    message->timeout_ms = is_ask ? random_between(random, 100, 30000) : 0;
    message->reply_of = is_ask ? tag : 0;
    if (random_chance(random, sim->faults.message_fails)) {
        message->fails_first = random_chance(random, 300) ? NONE : random_between(random, 1, 6);
    }
    message->order = ++sim->input_order << 16;
    message->given_ms = sim_engine_ms(sim);
    message->life = sim->life;
    *input = (struct input){.kind = INPUT_MESSAGE};
    input->message = (struct input_message){.waiter = tag,
                                            .is_ask = is_ask,
                                            .invocation = message->invocation,
                                            .target = ledger_address(sim, message->target),
                                            .value = client_value(sim, tag, arena),
                                            .delay_ms = message->delay_ms,
                                            .timeout_ms = message->timeout_ms};
    if (message->is_unroutable) {
        message->target = NONE;
        input->message.target = (struct address){SLICE("sim"), SLICE("nobody"), SLICE("x")};
    }
    if (random_chance(random, 100)) {
        input->message.traceparent = SLICE("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    }
    sim->waiters_open++;
    sim_trace(sim, "message %u to %u, %s, delay %u", tag, message->target, is_ask ? "ask" : "send",
              (unsigned)message->delay_ms);
}

void edges_client(struct sim *sim, struct input *inputs, uint32_t *count, struct arena *arena)
{
    const uint32_t sends = random_between(&sim->random, 1, SENDS_PER_EVENT_MAX);

    if (sim->clients_left == 0) {
        return;
    }
    (void)world_event(sim, EVENT_CLIENT, sim->now_ms + random_below(&sim->random, 120));
    if (sim->engine != NULL) {
        pops_client(sim, inputs, count);
    }
    for (uint32_t i = 0; i < sends && sim->clients_left > 0 && *count < INPUTS_MAX && sim->engine != NULL; i++) {
        sim->clients_left--;
        client_message(sim, &inputs[(*count)++], arena);
        plant_message(sim, inputs, count);
    }
}

void edges_stop_waiting(struct sim *sim)
{
    for (uint32_t tag = 1; tag <= sim->message_count; tag++) {
        struct sim_message *message = &sim->messages[tag];
        if (message->maker == 0 && message->life == sim->life && !message->is_answered) {
            message->is_lost = true;
        }
    }
    pops_stop_waiting(sim);
    sim->waiters_open = 0;
}
