/* SPDX-License-Identifier: Apache-2.0
 *
 * plant.c: where each planted bug strikes (plant.h). A bug strikes by the seed, so it can be replayed.
 */
#include "plant.h"

#include <stdlib.h>

#include "check.h"

static const struct {
    const char *name;
    enum law law;
} plants[PLANT_COUNT] = {
    [PLANT_NONE] = {"none", LAW_NONE},
    [PLANT_LAW1_ENDS_CALL] = {"law1-ends-call", LAW_1},
    [PLANT_LAW1_UNFENCED] = {"law1-unfenced", LAW_1},
    [PLANT_LAW2_SWAP] = {"law2-swap", LAW_2},
    [PLANT_LAW3_DROP_PUT] = {"law3-drop-put", LAW_3},
    [PLANT_LAW3_SPLIT_EPOCH] = {"law3-split-epoch", LAW_3},
    [PLANT_LAW4_EARLY] = {"law4-early", LAW_4},
    [PLANT_LAW4_POP] = {"law4-pop", LAW_4},
    [PLANT_LAW5_LOSE_OP] = {"law5-lose-op", LAW_5},
    [PLANT_LAW5_SKIP_EPOCH] = {"law5-skip-epoch", LAW_5},
    [PLANT_LAW6_TWICE] = {"law6-twice", LAW_6},
    [PLANT_LAW6_LOSE] = {"law6-lose", LAW_6},
    [PLANT_LAW6_POP] = {"law6-pop", LAW_6},
    [PLANT_LAW7_EARLY] = {"law7-early", LAW_7},
    [PLANT_LAW7_CANCEL] = {"law7-cancel", LAW_7},
    [PLANT_LAW8_CALLS] = {"law8-calls", LAW_8},
    [PLANT_LAW8_CODE] = {"law8-code", LAW_8},
    [PLANT_LAW9_FORGET] = {"law9-forget", LAW_9},
    [PLANT_LAW9_STUCK] = {"law9-stuck", LAW_9},
    [PLANT_LAW10_RANDOM] = {"law10-random", LAW_10},
};

const char *plant_name(enum plant plant)
{
    return plants[plant].name;
}

enum law plant_law(enum plant plant)
{
    return plants[plant].law;
}

bool plant_strikes(struct sim *sim, enum plant plant, uint32_t permille)
{
    if (sim->options.plant != plant || random_mix(sim->options.seed, sim->event_sequence) % 1000 >= permille) {
        return false;
    }
    sim->plant_count++;
    return true;
}

void plant_setup(struct sim *sim)
{
    const uint32_t slow_ms = sim->faults.call_slow_ms;

    if (sim->options.plant == PLANT_NONE) {
        return;
    }
    sim->faults = (struct faults){.call_slow_ms = slow_ms + 10, .read_slow_ms = 2, .commit_slow_ms = 10};
    if (sim->options.plant == PLANT_LAW1_UNFENCED) {
        sim->faults.call_doubles = 400;
        sim->faults.call_lates = 300;
    }
    if (sim->options.plant == PLANT_LAW9_STUCK) {
        sim->faults.message_fails = 500;
    }
    if (sim->options.plant == PLANT_LAW8_CALLS) {
        sim->engine_options.calls_in_flight_max = 1;
        for (uint32_t i = 0; i < sim->registry->endpoint_count; i++) {
            sim->registry->endpoints[i].in_flight = 0;
        }
    }
    if (sim->options.plant == PLANT_LAW8_CODE) {
        sim->engine_options.messages_soft_max = 5;
    }
}

/* ---- epochs ------------------------------------------------------------------------------------------- */

/* A copy of a sealed epoch with some of its operations. */
static struct epoch *copy_epoch(const struct epoch *epoch, uint32_t skip, uint32_t count)
{
    struct epoch *copy = epoch_create(epoch->number, (size_t)64 << 20);

    for (uint32_t i = 0; i < count; i++) {
        const struct op *op = &epoch->ops[i];
        if (i != skip) {
            epoch_add(copy, op->kind, op->table, op->key, op->value);
        }
    }
    return copy;
}

/* A record stays on disk that its client is handed, or something a result made does not come there. */
static void drop_op(struct sim *sim, struct epoch *epoch)
{
    for (uint32_t i = 0; i < epoch->op_count; i++) {
        const struct op *op = &epoch->ops[i];
        const bool is_pop = op->kind == OP_DELETE && op->table == STORE_OUTBOX;
        const bool is_item = op->kind != OP_DELETE && (op->table == STORE_OUTBOX || op->table == STORE_TIMER);
        if ((is_pop && plant_strikes(sim, PLANT_LAW4_POP, 1000)) ||
            (is_item && plant_strikes(sim, PLANT_LAW3_DROP_PUT, 1000))) {
            memmove(&epoch->ops[i], &epoch->ops[i + 1], (epoch->op_count - i - 1) * sizeof epoch->ops[0]);
            epoch->op_count--;
            return;
        }
    }
}

struct find_row {
    const struct epoch *epoch;
    enum store_table table;
    struct key key; /* size 0: none was found */
};

static void find_row(void *context, struct slice key, struct slice value)
{
    struct find_row *find = context;

    (void)value;
    for (uint32_t i = 0; i < find->epoch->op_count; i++) {
        if (find->epoch->ops[i].table == find->table && slice_equal(find->epoch->ops[i].key, key)) {
            return;
        }
    }
    memcpy(find->key.bytes, key.data, key.size);
    find->key.size = (uint16_t)key.size;
}

/* The last row of a table that the epoch does not touch is gone with it. */
static void lose_row(struct sim *sim, struct epoch *epoch, enum store_table table)
{
    struct find_row find = {.epoch = epoch, .table = table};

    store_memory_each(sim->store, table, find_row, &find);
    if (find.key.size > 0) {
        epoch_add(epoch, OP_DELETE, table, key_slice(&find.key), SLICE_EMPTY);
        epoch_sort(epoch);
    }
}

void plant_epoch(struct sim *sim, struct epoch *epoch)
{
    drop_op(sim, epoch);
    if (plant_strikes(sim, PLANT_LAW6_LOSE, 300)) {
        lose_row(sim, epoch, STORE_MAIL);
    }
    if (sim->topic.open == 0 && plant_strikes(sim, PLANT_LAW6_POP, 300)) {
        lose_row(sim, epoch, STORE_OUTBOX); /* the topic's, if it has any: it comes last */
    }
    if (epoch->op_count > 3 && plant_strikes(sim, PLANT_LAW3_SPLIT_EPOCH, 300)) {
        struct epoch *half = copy_epoch(epoch, NONE, epoch->op_count / 2);
        const uint64_t before = sim->disk.epoch;
        disk_apply(sim, half, sim->committing_ms);
        sim->disk.epoch = before;
        epoch_destroy(half);
    }
}

bool plant_skips_epoch(struct sim *sim, const struct epoch *epoch)
{
    if (sim->late == NULL && plant_strikes(sim, PLANT_LAW4_EARLY, 200)) {
        sim->late = copy_epoch(epoch, NONE, epoch->op_count);
        sim->late_ms = sim->committing_ms;
        return true;
    }
    return plant_strikes(sim, PLANT_LAW5_SKIP_EPOCH, 200);
}

struct epoch *plant_stored(struct sim *sim, struct epoch *epoch)
{
    if (epoch->op_count > 1 && plant_strikes(sim, PLANT_LAW5_LOSE_OP, 200)) {
        for (uint32_t i = epoch->op_count; i-- > 0;) {
            if (epoch->ops[i].table != STORE_META) {
                return copy_epoch(epoch, i, epoch->op_count);
            }
        }
    }
    return epoch;
}

/* ---- calls and messages ------------------------------------------------------------------------------- */

void plant_call(struct sim *sim, const struct effect_call *effect)
{
    if (effect->message_count < 2 || !plant_strikes(sim, PLANT_LAW2_SWAP, 1000)) {
        return;
    }
    struct call_message *messages = (struct call_message *)(uintptr_t)effect->messages;
    const struct call_message first = messages[0];
    messages[0] = messages[1];
    messages[1] = first;
}

/* The engine hears that a call ended which goes on. */
void plant_after_call(struct sim *sim, struct sim_call *call)
{
    if (plant_strikes(sim, PLANT_LAW1_ENDS_CALL, 200)) {
        struct event *event = world_event(sim, EVENT_LIE, sim->now_ms);
        event->result = (struct input_result){.call = call->number, .outcome = CALL_TIMEOUT, .duration_us = 1};
        event->call = call;
    }
}

/* A late answer reaches the engine under the number of the call that is in flight now. */
void plant_fenced(struct sim *sim, const struct sim_call *call, struct input *input)
{
    const uint64_t open = sim->instances[call->instance].call;

    if (open != 0 && input->result.take_result != NULL && input->result.take_result->kind == RESULT_DONE &&
        plant_strikes(sim, PLANT_LAW1_UNFENCED, 1000)) {
        input->result.call = open;
    }
}

void plant_message(struct sim *sim, struct input *inputs, uint32_t *count)
{
    const struct input *newest = &inputs[*count - 1];

    if (*count < INPUTS_MAX && newest->kind == INPUT_MESSAGE && !newest->message.is_ask &&
        plant_strikes(sim, PLANT_LAW6_TWICE, 300)) {
        inputs[*count] = *newest;
        inputs[*count].message.waiter = WAITER_PLANTED;
        inputs[*count].message.invocation.bytes[0] ^= 1;
        (*count)++;
    }
}

void plant_after_step(struct sim *sim)
{
    if (sim->late != NULL && sim->disk.epoch + 1 == sim->late->number &&
        (sim->committing == NULL || sim->committing->number != sim->late->number)) {
        struct err err;
        epoch_sort(sim->late);
        check(store_apply(sim->store, sim->late, &err) == STORE_APPLIED);
        disk_apply(sim, sim->late, sim->late_ms);
        epoch_destroy(TAKE(sim->late));
    }
    if (sim->skew_ms == 0 && sim->disk.counts[STORE_TIMER] > 0 && plant_strikes(sim, PLANT_LAW7_EARLY, 100)) {
        sim->skew_ms = 40000;
    }
}

bool plant_answer(struct sim *sim, struct effect_answer *answer)
{
    if (answer->waiter == WAITER_PLANTED) {
        return false;
    }
    if (answer->kind == ANSWER_ERROR && answer->code == ERR_OVERLOADED && plant_strikes(sim, PLANT_LAW8_CODE, 1000)) {
        answer->code = ERR_SYSTEM;
    }
    return !plant_strikes(sim, PLANT_LAW9_FORGET, 50);
}
