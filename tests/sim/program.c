/* SPDX-License-Identifier: Apache-2.0
 *
 * program.c: the simulated functions: what they do with a call, and how their answer travels back.
 *
 * Each run of a message makes new items with new tags, so two applications of one message can be told
 * apart. The answer is made when the call is made; the world decides when, how often and whether it comes.
 */
#include <stdio.h>

#include "check.h"
#include "plant.h"

enum { RESULT_BYTES_MAX = 4 << 20, DEPTH_MAX = 3, DELAY_MS_MAX = 30000 };

/* A result being made. */
struct making {
    struct sim *sim;
    struct sim_call *call;
    struct result *result;
    uint32_t id; /* of the outcome */
    struct random random;
};

static struct outcome *outcome_of(const struct making *making)
{
    return &making->sim->outcomes[making->id];
}

static struct slice copy_text(struct result *result, const char *text)
{
    return arena_copy(result->arena, slice_of(text));
}

static struct slice copy_buf(struct result *result, struct buf *buf)
{
    const struct slice copy = arena_copy(result->arena, buf_slice(buf));

    check(!buf->overflow);
    buf_done(buf);
    return copy;
}

static struct result *result_begin(void)
{
    struct arena *arena = arena_create(RESULT_BYTES_MAX);
    check(arena != NULL);
    struct result *result = arena_alloc(arena, sizeof *result);

    result->arena = arena;
    result->outgoing = arena_alloc(arena, ITEMS_MAX * sizeof result->outgoing[0]);
    result->delayed = arena_alloc(arena, ITEMS_MAX * sizeof result->delayed[0]);
    result->emitted = arena_alloc(arena, ITEMS_MAX * sizeof result->emitted[0]);
    result->mutations = arena_alloc(arena, (STATES_MAX + 1) * sizeof result->mutations[0]);
    result->missing = arena_alloc(arena, (STATES_MAX + 1) * sizeof result->missing[0]);
    result->bytes = 100;
    return result;
}

/* ---- items -------------------------------------------------------------------------------------------- */

static uint32_t item_message(struct making *making, enum message_kind kind, uint32_t parent)
{
    struct sim *sim = making->sim;
    const uint32_t tag = ledger_message(sim, kind);

    if (tag == 0) {
        return 0;
    }
    struct sim_message *message = &sim->messages[tag];
    message->maker = making->id;
    message->source = making->call->instance;
    message->depth = sim->messages[parent].depth + 1;
    message->padding =
        random_chance(&making->random, 50) ? random_below(&making->random, 3000) : random_below(&making->random, 60);
    if (random_chance(&making->random, sim->faults.message_fails)) {
        message->fails_first = random_chance(&making->random, 300) ? NONE : random_between(&making->random, 1, 6);
    }
    struct outcome *outcome = outcome_of(making);
    outcome->items[outcome->item_count++] = (struct item){.tag = tag};
    return tag;
}

static struct slice item_value(struct making *making, uint32_t tag)
{
    struct buf buf;

    buf_init(&buf, 1 << 20);
    ledger_put_message(making->sim, tag, &buf);
    return copy_buf(making->result, &buf);
}

static struct slice token_text(struct making *making, uint32_t token)
{
    char text[24];

    (void)snprintf(text, sizeof text, "token-%u", token);
    return copy_text(making->result, text);
}

/* Where an item goes; one in thirty to a function nobody serves. */
static struct address item_target(struct making *making, struct sim_message *message)
{
    struct sim *sim = making->sim;

    if (random_chance(&making->random, 30)) {
        message->is_unroutable = true;
        return (struct address){SLICE("sim"), SLICE("nobody"), SLICE("x")};
    }
    message->target = random_chance(&making->random, 250) ? making->call->instance
                                                          : random_below(&making->random, sim->instance_count);
    return ledger_address(sim, message->target);
}

static struct address reply_target(struct making *making, uint32_t ask)
{
    char hex[INVOCATION_HEX_BYTES + 1];
    struct address address;

    ledger_reply_address(making->sim, ask, &address, hex);
    address.id = copy_text(making->result, hex);
    return address;
}

static void add_reply(struct making *making, uint32_t parent, uint32_t ask)
{
    const uint32_t tag = item_message(making, MESSAGE_REPLY, parent);

    if (tag != 0) {
        making->sim->messages[tag].reply_of = ask;
        making->result->outgoing[making->result->outgoing_count++] =
            (struct outgoing){.target = reply_target(making, ask), .value = item_value(making, tag)};
    }
}

static void add_out(struct making *making, uint32_t parent, uint32_t reply_of)
{
    const uint32_t tag = item_message(making, MESSAGE_OUT, parent);

    if (tag != 0) {
        struct sim_message *message = &making->sim->messages[tag];
        message->reply_of = reply_of;
        making->result->outgoing[making->result->outgoing_count++] =
            (struct outgoing){.target = item_target(making, message), .value = item_value(making, tag)};
    }
}

static void add_timer(struct making *making, uint32_t parent)
{
    const uint32_t tag = item_message(making, MESSAGE_TIMER, parent);

    if (tag == 0) {
        return;
    }
    struct sim_message *message = &making->sim->messages[tag];
    struct delayed *delayed = &making->result->delayed[making->result->delayed_count++];
    message->delay_ms = random_chance(&making->random, 100) ? 0 : random_below(&making->random, DELAY_MS_MAX);
    message->token = random_chance(&making->random, 600) ? random_between(&making->random, 1, TOKENS_MAX) : 0;
    const uint32_t ask = making->sim->messages[parent].reply_of;
    if (ask != 0 && random_chance(&making->random, 300)) {
        message->reply_of = ask;
        delayed->target = reply_target(making, ask);
    } else {
        delayed->target = item_target(making, message);
    }
    delayed->delay_ms = (int64_t)message->delay_ms;
    delayed->token = message->token == 0 ? SLICE_EMPTY : token_text(making, message->token);
    delayed->value = item_value(making, tag);
}

static void add_cancel(struct making *making)
{
    const uint32_t token = random_between(&making->random, 1, TOKENS_MAX);
    struct outcome *outcome = outcome_of(making);

    outcome->items[outcome->item_count++] = (struct item){.is_cancel = true, .token = token};
    if (making->sim->options.plant == PLANT_LAW7_CANCEL && plant_strikes(making->sim, PLANT_LAW7_CANCEL, 1000)) {
        return;
    }
    making->result->delayed[making->result->delayed_count++] =
        (struct delayed){.is_cancel = true, .token = token_text(making, token)};
}

static void add_egress(struct making *making, uint32_t parent)
{
    const uint32_t tag = item_message(making, MESSAGE_EGRESS, parent);

    if (tag == 0) {
        return;
    }
    struct sim_message *message = &making->sim->messages[tag];
    message->egress = random_below(&making->random, EGRESSES_MAX);
    message->is_unroutable = random_chance(&making->random, 50);
    const struct egress_config *egress = &making->sim->registry->egresses[message->egress];
    const struct slice name = message->is_unroutable ? SLICE("nowhere") : egress->name;
    struct emitted *emitted = &making->result->emitted[making->result->emitted_count++];
    *emitted = (struct emitted){.space = egress->space, .name = name, .value = item_value(making, tag)};
    if (egress->is_topic) { /* as the decoder leaves it */
        emitted->name = PLAYGROUND_EGRESS;
        emitted->topic = name;
        emitted->text = emitted->value;
    }
}

static bool has_room(const struct making *making)
{
    return outcome_of(making)->item_count < ITEMS_MAX;
}

static void answer_ask(struct making *making, uint32_t tag, uint32_t ask)
{
    const uint32_t way = random_below(&making->random, 100);

    if (way < 70) {
        add_reply(making, tag, ask);
    }
    if (way < 10 && has_room(making)) {
        add_reply(making, tag, ask); /* the second one comes late */
    }
    if (way >= 70 && way < 90) {
        add_out(making, tag, ask);
    }
}

static void run_message(struct making *making, uint32_t tag)
{
    struct sim *sim = making->sim;
    const struct sim_message message = sim->messages[tag];

    if (message.reply_of != 0 && has_room(making)) {
        answer_ask(making, tag, message.reply_of);
    }
    const uint32_t most = sim->amplifies ? 7 : message.depth == 0 ? 3 : 2;
    const uint32_t wanted = message.depth >= DEPTH_MAX ? 0 : random_below(&making->random, most);
    for (uint32_t i = 0; i < wanted && has_room(making); i++) {
        const uint32_t way = random_below(&making->random, 100);
        if (way < (sim->amplifies ? 70 : 40)) {
            add_out(making, tag, 0);
        } else if (way < (sim->amplifies ? 75 : 65)) {
            add_timer(making, tag);
        } else if (way < 80) {
            add_cancel(making);
        } else if (way < 95) {
            add_egress(making, tag);
        } else {
            add_reply(making, tag, random_between(&making->random, 1, sim->message_count)); /* to whomever */
        }
    }
}

/* ---- state -------------------------------------------------------------------------------------------- */

static void set_log(struct making *making)
{
    const struct outcome *outcome = outcome_of(making);
    const struct sim_instance *instance = &making->sim->instances[making->call->instance];
    struct mutation *mutation = &making->result->mutations[making->result->mutation_count++];
    struct buf buf;

    check(instance->live_base + making->call->log_count == instance->live_count);
    const uint32_t count = making->call->log_count + outcome->handled_count;
    struct entry *log = arena_alloc(making->result->arena, count * sizeof *log);
    check(log != NULL);
    if (making->call->log_count > 0) {
        memcpy(log, instance->log + instance->live_base, making->call->log_count * sizeof *log);
    }
    for (uint32_t i = 0; i < outcome->handled_count; i++) {
        log[making->call->log_count + i] = (struct entry){.tag = outcome->tags[i], .outcome = making->id};
    }
    buf_init(&buf, 1 << 20);
    ledger_put_log(&buf, log, count);
    mutation->name = copy_text(making->result, state_name(0));
    mutation->typename_ = copy_text(making->result, state_typename(0));
    mutation->value = copy_buf(making->result, &buf);
}

static void set_states(struct making *making)
{
    struct outcome *outcome = outcome_of(making);

    for (uint32_t state = 1; state < STATES_MAX; state++) {
        if ((making->call->shown & 1u << state) == 0 || !random_chance(&making->random, 350)) {
            continue;
        }
        struct change *change = &outcome->changes[outcome->change_count++];
        struct mutation *mutation = &making->result->mutations[making->result->mutation_count++];
        *change = (struct change){.state = state, .is_delete = random_chance(&making->random, 250)};
        change->padding = random_chance(&making->random, 100) ? NONE
                          : state == 3 && random_chance(&making->random, 700)
                              ? random_between(&making->random, 3900, 9000)
                              : random_below(&making->random, 80);
        mutation->is_delete = change->is_delete;
        mutation->name = copy_text(making->result, state_name(state));
        if (!change->is_delete) {
            struct buf buf;
            buf_init(&buf, 1 << 20);
            ledger_put_state(&buf, making->id, state, change->padding);
            mutation->typename_ = copy_text(making->result, state_typename(state));
            mutation->value = copy_buf(making->result, &buf);
        }
    }
}

/* A result that breaks a rule about state: nothing of it may be applied. */
static void poison(struct making *making)
{
    struct outcome *outcome = outcome_of(making);
    struct mutation *mutation = &making->result->mutations[0];

    outcome->is_poisoned = true;
    if (random_chance(&making->random, 500)) {
        mutation->name = copy_text(making->result, "never_declared");
    } else {
        mutation->typename_ = copy_text(making->result, "sim/other");
    }
}

/* ---- the call ----------------------------------------------------------------------------------------- */

static bool endpoint_knows_partial(const struct sim *sim, uint32_t endpoint)
{
    return random_mix(sim->options.seed, 1000 + endpoint) % 3 != 0;
}

static bool does_reject(const struct sim *sim, uint32_t tag)
{
    return sim->messages[tag].fails_first != 0 && random_mix(sim->options.seed, tag) % 10 == 0;
}

static bool does_fail(const struct sim *sim, uint32_t tag)
{
    const struct sim_message *message = &sim->messages[tag];

    return message->fails_first == NONE ? !sim->is_draining : message->runs <= message->fails_first;
}

/* States declared by now that the call did not carry. */
static bool make_handshake(struct making *making)
{
    const struct sim *sim = making->sim;
    const struct type *type = &sim->types[sim->instances[making->call->instance].type];
    const uint32_t declared = sim->now_ms >= type->declares_all_ms ? STATES_MAX : type->declared;
    struct result *result = making->result;
    const bool is_mad = random_chance(&making->random, sim->faults.misbehaves);

    for (uint32_t state = 0; state < declared; state++) {
        if ((making->call->shown & 1u << state) == 0 || (is_mad && state == 0)) {
            struct state_spec *spec = &result->missing[result->missing_count++];
            spec->name = copy_text(result, state_name(state));
            spec->typename_ = copy_text(result, state_typename(state));
            spec->mode = state_expiry(sim, state, &spec->expire_ms);
            if ((making->call->shown & 1u << state) != 0 && random_chance(&making->random, 500)) {
                spec->typename_ = copy_text(result, "sim/changed");
            }
        }
    }
    if (result->missing_count > 0) {
        result->kind = RESULT_INCOMPLETE;
        outcome_of(making)->handled_count = 0;
    }
    return result->missing_count > 0;
}

static void make_failure(struct making *making, uint32_t index, bool is_retryable, const char *code)
{
    making->result->has_failure = true;
    making->result->failure = (struct failure){.index = index,
                                               .is_retryable = is_retryable,
                                               .code = copy_text(making->result, code),
                                               .message = copy_text(making->result, "as the script says")};
    outcome_of(making)->handled_count = index;
}

/* Runs the batch; false: the function answers 500. */
static bool make_result(struct making *making)
{
    struct sim *sim = making->sim;
    const bool knows_partial = endpoint_knows_partial(sim, making->call->endpoint);

    if (knows_partial && random_chance(&making->random, sim->faults.misbehaves)) {
        make_failure(making, 0, true, "unknown_function");
        return true;
    }
    for (uint32_t i = 0; i < making->call->count; i++) {
        const uint32_t tag = making->call->tags[i];
        sim->messages[tag].runs++;
        const bool is_rejected = knows_partial && does_reject(sim, tag);
        if (!is_rejected && !does_fail(sim, tag)) {
            continue;
        }
        if (!knows_partial) {
            outcome_of(making)->handled_count = 0;
            return false;
        }
        make_failure(making, i, !is_rejected, is_rejected ? "refused" : "failed");
        break;
    }
    for (uint32_t i = 0; i < outcome_of(making)->handled_count; i++) {
        run_message(making, making->call->tags[i]);
    }
    if (outcome_of(making)->handled_count > 0) {
        set_log(making);
        set_states(making);
        if (random_chance(&making->random, sim->faults.misbehaves)) {
            poison(making);
        }
    }
    return true;
}

static void run_function(struct sim *sim, struct sim_call *call, struct input_result *out, uint32_t *out_outcome)
{
    struct making making = {.sim = sim, .call = call, .result = result_begin(), .id = ledger_outcome(sim, call)};

    making.random.state = random_mix(sim->options.seed + 5, making.id);
    *out = (struct input_result){.call = call->number, .outcome = CALL_ANSWERED, .duration_us = 1000};
    *out_outcome = making.id;
    out->knows_partial = endpoint_knows_partial(sim, call->endpoint);
    if (make_handshake(&making) || make_result(&making)) {
        out->take_result = making.result;
        return;
    }
    result_destroy(making.result);
    out->outcome = CALL_HTTP_STATUS;
    out->http_status = 500;
}

static void fail_call(struct sim *sim, struct input_result *out)
{
    static const int statuses[] = {404, 408, 413, 415, 429, 429, 500, 502, 503, 503, 504, 422};
    const uint32_t way = random_below(&sim->random, 10);

    out->text = "the world is unfriendly";
    if (way < 3) {
        out->outcome = CALL_UNREACHABLE;
    } else if (way < 4) {
        out->outcome = CALL_BAD_ANSWER;
    } else if (way < 5) {
        out->outcome = CALL_WRONG_TYPE;
    } else {
        out->outcome = CALL_HTTP_STATUS;
        out->http_status = statuses[random_below(&sim->random, sizeof statuses / sizeof statuses[0])];
        if (out->http_status == 429 || out->http_status == 503) {
            out->retry_after_ms = random_below(&sim->random, 3000);
        }
    }
}

static void send_answer(struct sim *sim, struct sim_call *call, const struct input_result *result, uint32_t outcome,
                        uint64_t due_ms)
{
    struct event *event = world_event(sim, EVENT_RESULT, due_ms);

    event->call = call;
    event->result = *result;
    event->result.duration_us = (uint32_t)(due_ms - sim->now_ms) * 1000 + 300;
    event->outcome = outcome;
}

void program_run(struct sim *sim, struct sim_call *call)
{
    const uint32_t timeout_ms = sim->registry->endpoints[call->endpoint].timeout_ms;
    const uint64_t soon_ms = sim->now_ms + random_below(&sim->random, sim->faults.call_slow_ms + 1);
    struct input_result result = {.call = call->number, .outcome = CALL_TIMEOUT, .duration_us = timeout_ms * 1000};
    uint32_t outcome = 0;

    if (sim->now_ms < sim->down_until_ms[call->endpoint]) {
        result.outcome = CALL_UNREACHABLE;
        send_answer(sim, call, &result, 0, sim->now_ms + 1);
        return;
    }
    if (random_chance(&sim->random, sim->faults.endpoint_down)) {
        sim->down_until_ms[call->endpoint] = sim->now_ms + random_below(&sim->random, 20000);
    }
    if (random_chance(&sim->random, sim->faults.call_lates) || soon_ms >= sim->now_ms + timeout_ms) {
        send_answer(sim, call, &result, 0, sim->now_ms + timeout_ms);
        if (random_chance(&sim->random, 700)) { /* the rest never comes */
            run_function(sim, call, &result, &outcome);
            send_answer(sim, call, &result, outcome,
                        sim->now_ms + timeout_ms + random_below(&sim->random, 3 * timeout_ms));
        }
        return;
    }
    if (random_chance(&sim->random, sim->faults.call_fails)) {
        fail_call(sim, &result);
        send_answer(sim, call, &result, 0, soon_ms);
        return;
    }
    run_function(sim, call, &result, &outcome);
    send_answer(sim, call, &result, outcome, soon_ms);
    if (random_chance(&sim->random, sim->faults.call_doubles)) {
        run_function(sim, call, &result, &outcome);
        send_answer(sim, call, &result, outcome, soon_ms + random_below(&sim->random, 200));
    }
}
