/* SPDX-License-Identifier: Apache-2.0
 *
 * check_calls.c: laws 1 and 2, and what a call must show: one call at a time, in order, on the right state.
 *
 * A call shows the instance's log: it must be what was applied before, and may go on with the result that was
 * given last and nothing else. That is how the simulation learns that a result was applied or refused.
 */
#include "check.h"
#include "limit.h"
#include "sim.h"

/* ---- results are given, and applied or not ------------------------------------------------------------ */

static void count_failure(struct sim *sim, const struct sim_call *call, const struct input_result *result)
{
    const bool is_message =
        result->outcome == CALL_BAD_ANSWER ||
        (result->outcome == CALL_HTTP_STATUS && (result->http_status == 500 || result->http_status == 422));

    if (result->outcome == CALL_ANSWERED && result->take_result->has_failure) {
        const struct failure *failure = &result->take_result->failure;
        struct sim_message *message = ledger_at(sim, call->tags[failure->index]);
        message->failures += !slice_equal(failure->code, SLICE("unknown_function"));
        message->was_rejected = message->was_rejected || !failure->is_retryable;
    } else if (is_message && call->count == 1) {
        ledger_at(sim, call->tags[0])->failures++;
    }
}

void check_given(struct sim *sim, const struct sim_call *call, uint32_t id, const struct input_result *result)
{
    count_failure(sim, call, result);
    sim_trace(sim, "result of call %llu: outcome %u, way %d, status %d", (unsigned long long)call->number, id,
              (int)result->outcome, result->http_status);
    if (result->outcome != CALL_ANSWERED) {
        return;
    }
    struct outcome *outcome = &sim->outcomes[id];
    outcome->is_given = true;
    outcome->given_ms = sim_engine_ms(sim);
    sim->input_order++;
    for (uint32_t i = 0; i < outcome->item_count; i++) {
        if (!outcome->items[i].is_cancel) {
            struct sim_message *message = ledger_at(sim, outcome->items[i].tag);
            message->order = sim->input_order << 16 | i;
            message->given_ms = sim_engine_ms(sim);
            message->life = sim->life;
            message->is_unroutable = message->is_unroutable || ledger_is_missing(sim, message->target);
        }
    }
    if (outcome->handled_count > 0 && !outcome->is_poisoned) {
        sim->instances[call->instance].pending = id;
    }
}

static bool is_plain(const struct sim_message *message)
{
    return message->kind != MESSAGE_TIMER && message->delay_ms == 0;
}

/* Law 2: the numbers grow, and messages of one sender come in the order they were sent in. */
static void check_order(struct sim *sim, const struct sim_instance *instance, uint32_t tag, uint64_t number)
{
    const struct sim_message *message = &sim->messages[tag];

    if (instance->live_count > 0 && number <= instance->log[instance->live_count - 1].number) {
        sim_fail(sim, LAW_2, "message %u is handled after one that arrived later", tag);
    }
    for (uint32_t i = instance->live_count; is_plain(message) && i-- > 0;) {
        const struct sim_message *other = &sim->messages[instance->log[i].tag];
        if (is_plain(other) && other->source == message->source) {
            if (other->order >= message->order) {
                sim_fail(sim, LAW_2, "message %u is handled after %u of the same sender", tag, instance->log[i].tag);
            }
            break;
        }
    }
}

/* An outcome that shows though it was not the one to be applied. */
static void blame_outcome(struct sim *sim, uint32_t id, uint32_t tag)
{
    if (id == 0 || id > sim->outcome_count) {
        sim_fail(sim, LAW_3, "a log holds an outcome that nobody made");
    } else if (sim->outcomes[id].is_fenced) {
        sim_fail(sim, LAW_1, "outcome %u was applied though its call had ended", id);
    } else if (sim->outcomes[id].is_poisoned) {
        sim_fail(sim, LAW_3, "outcome %u was applied though it breaks the rules of state", id);
    } else if (sim->messages[tag].live > 0) {
        sim_fail(sim, LAW_6, "message %u is applied again by outcome %u", tag, id);
    } else {
        sim_fail(sim, LAW_5, "outcome %u shows out of its turn", id);
    }
}

static bool confirm_pending(struct sim *sim, uint32_t index)
{
    struct sim_instance *instance = &sim->instances[index];
    const uint32_t id = instance->pending;
    const struct outcome *outcome = &sim->outcomes[id];

    for (uint32_t i = 0; i < outcome->handled_count; i++) {
        if (sim->messages[outcome->tags[i]].live > 0) {
            sim_fail(sim, LAW_6, "message %u is applied again by outcome %u", outcome->tags[i], id);
        }
        if (i == 0) {
            check_order(sim, instance, outcome->tags[i], outcome->numbers[i]);
        }
    }
    ledger_append(sim, index, id);
    return sim->law == LAW_NONE;
}

bool check_log(struct sim *sim, uint32_t index, struct slice entries, uint32_t base, uint32_t must_have)
{
    struct sim_instance *instance = &sim->instances[index];
    const uint32_t count = base + (uint32_t)(entries.size / 8);

    for (uint32_t i = base; i < count; i++) {
        const struct entry entry = ledger_log_entry(entries, i - base);
        if (i >= instance->live_count) {
            if (entry.outcome != instance->pending || entry.outcome == 0) {
                blame_outcome(sim, entry.outcome, entry.tag > sim->message_count ? 0 : entry.tag);
                return false;
            }
            if (!confirm_pending(sim, index)) {
                return false;
            }
        }
        if (instance->log[i].tag != entry.tag || instance->log[i].outcome != entry.outcome) {
            sim_fail(sim, LAW_5, "entry %u of instance %u's log is message %u of outcome %u, and was %u of %u", i,
                     index, entry.tag, entry.outcome, instance->log[i].tag, instance->log[i].outcome);
            return false;
        }
    }
    if (count < must_have) {
        sim_fail(sim, LAW_5, "instance %u's log has %u entries of %u", index, count, must_have);
    }
    return count >= must_have;
}

/* ---- state in a call ---------------------------------------------------------------------------------- */

uint64_t check_touched_ms(const struct sim *sim, const struct sim_instance *instance, uint32_t count)
{
    return count == 0 ? 0 : sim->outcomes[instance->log[count - 1].outcome].given_ms;
}

bool check_may_expire(const struct sim *sim, uint32_t state, const struct sim_value *value, uint64_t touched_ms,
                      uint64_t now_ms)
{
    int64_t expire_ms = 0;
    const enum expiry_mode mode = state_expiry(sim, state, &expire_ms);
    const bool is_touched = mode == EXPIRY_AFTER_INVOKE && touched_ms > value->written_ms_min;
    const uint64_t since_ms = is_touched ? touched_ms : value->written_ms_min;

    return mode != EXPIRY_NONE && now_ms >= since_ms + (uint64_t)expire_ms;
}

bool check_log_may_expire(struct sim *sim, uint32_t index, uint32_t count)
{
    const struct sim_instance *instance = &sim->instances[index];

    if (count == 0 || instance->live_count != instance->disk_count) {
        return false; /* time passes by the hour only when all is on disk */
    }
    const struct sim_value next = {.written_ms_min = sim->outcomes[instance->pending].given_ms};
    if (instance->pending != 0 && check_may_expire(sim, 0, &next, 0, sim_engine_ms(sim))) {
        return false;
    }
    const struct sim_value last = {.written_ms_min = sim->outcomes[instance->log[count - 1].outcome].given_ms};
    return check_may_expire(sim, 0, &last, 0, sim_engine_ms(sim) + sim->skew_ms);
}

/* The other side: a value that no view of its last use keeps alive. */
static bool must_have_expired(struct sim *sim, uint32_t index, uint32_t state)
{
    const struct sim_instance *instance = &sim->instances[index];
    const struct sim_value *value = &instance->live[state];
    int64_t expire_ms = 0;
    const enum expiry_mode mode = state_expiry(sim, state, &expire_ms);
    const bool is_touched = mode == EXPIRY_AFTER_INVOKE && instance->touched_ms_max > value->written_ms_max;
    const uint64_t since_ms = is_touched ? instance->touched_ms_max : value->written_ms_max;

    return mode != EXPIRY_NONE && sim_engine_ms(sim) >= since_ms + (uint64_t)expire_ms;
}

static void check_state(struct sim *sim, uint32_t index, uint32_t state, struct slice shown)
{
    const struct sim_instance *instance = &sim->instances[index];
    const uint64_t touched_ms = check_touched_ms(sim, instance, instance->live_count);
    struct sim_value *value = &sim->instances[index].live[state];
    struct buf buf;

    if (!value->is_set || shown.size == 0) {
        if (shown.size > 0) {
            sim_fail(sim, LAW_5, "state %s of instance %u is shown, and is not set", state_name(state), index);
        }
        if (value->is_set && !check_may_expire(sim, state, value, touched_ms, sim_engine_ms(sim) + sim->skew_ms)) {
            sim_fail(sim, LAW_5, "state %s of instance %u is set by outcome %u, and is not shown", state_name(state),
                     index, value->outcome);
        }
        value->is_set = false;
        return;
    }
    if (must_have_expired(sim, index, state)) {
        sim_fail(sim, LAW_7, "state %s of instance %u is shown, and has expired", state_name(state), index);
    }
    buf_init(&buf, 1 << 20);
    ledger_put_state(&buf, value->outcome, state, value->padding);
    if (!slice_equal(buf_slice(&buf), shown)) {
        sim_fail(sim, LAW_5, "state %s of instance %u is not what outcome %u wrote", state_name(state), index,
                 value->outcome);
    }
    buf_done(&buf);
}

static void check_states(struct sim *sim, struct sim_call *call, const struct effect_call *effect)
{
    struct sim_instance *instance = &sim->instances[call->instance];
    struct slice shown[STATES_MAX] = {0};
    struct slice entries = SLICE_EMPTY;

    for (uint32_t i = 0; i < effect->state_count; i++) {
        for (uint32_t state = 0; state < STATES_MAX; state++) {
            if (slice_equal(effect->states[i].name, slice_of(state_name(state)))) {
                if ((call->shown & 1u << state) != 0) {
                    sim_fail(sim, LAW_3, "state %s is shown twice", state_name(state));
                }
                call->shown |= 1u << state;
                shown[state] = effect->states[i].value;
            }
        }
    }
    if (!ledger_get_log(shown[0], &entries)) {
        sim_fail(sim, LAW_5, "the log of instance %u is not what was written", call->instance);
        return;
    }
    if (entries.size == 0 && check_log_may_expire(sim, call->instance, instance->live_count)) {
        instance->live_base = instance->live_count;
    }
    if (!check_log(sim, call->instance, entries, instance->live_base, instance->live_count)) {
        return;
    }
    if (instance->pending != 0) {
        sim_trace(sim, "  outcome %u was not applied", instance->pending);
        sim->outcomes[instance->pending].is_refused = true;
        instance->pending = 0;
    }
    call->log_count = instance->live_count - instance->live_base;
    for (uint32_t state = 1; state < STATES_MAX; state++) {
        check_state(sim, call->instance, state, shown[state]);
    }
}

/* ---- messages in a call ------------------------------------------------------------------------------- */

static void check_caller(struct sim *sim, uint32_t tag, const struct address *caller)
{
    const struct sim_message *message = &sim->messages[tag];
    char hex[INVOCATION_HEX_BYTES + 1];
    struct address wanted = {0};

    if (message->kind == MESSAGE_ASK) {
        ledger_reply_address(sim, tag, &wanted, hex);
    } else if (message->source != NONE) {
        wanted = ledger_address(sim, message->source);
    }
    if (!address_equal(&wanted, caller)) {
        sim_fail(sim, LAW_3, "message %u names another caller", tag);
    }
}

/* Where it came from must be known to the engine: told in this life, or on disk. */
static void check_origin(struct sim *sim, uint32_t tag)
{
    const struct sim_message *message = &sim->messages[tag];

    if (message->is_refused) {
        sim_fail(sim, LAW_6, "message %u is called though it was refused", tag);
    }
    if (message->is_cancelled) {
        sim_fail(sim, LAW_7, "message %u is called though it was cancelled", tag);
    }
    if (message->live > 0 || message->places[PLACE_PARKED] > 0 || message->is_gone) {
        sim_fail(sim, LAW_6, "message %u is called again: it is handled, parked or gone", tag);
    }
    if (message->maker == 0) {
        if (message->life != sim->life && !check_is_on_disk(message)) {
            sim_fail(sim, LAW_5, "message %u comes from a life that left nothing of it", tag);
        }
        return;
    }
    const struct outcome *maker = &sim->outcomes[message->maker];
    if (maker->is_fenced) {
        sim_fail(sim, LAW_1, "message %u is of outcome %u, whose call had ended", tag, message->maker);
    }
    if (!maker->is_given || maker->is_poisoned || maker->is_refused) {
        sim_fail(sim, LAW_3, "message %u is of outcome %u, which was not applied", tag, message->maker);
    }
    if (message->life != sim->life && !maker->is_on_disk) {
        sim_fail(sim, LAW_5, "message %u is of outcome %u, which a crash took back", tag, message->maker);
    }
}

static void check_message(struct sim *sim, struct sim_call *call, const struct call_message *shown, uint32_t place)
{
    uint32_t tag = 0;

    if (!ledger_get_message(sim, shown->value, &tag)) {
        sim_fail(sim, LAW_3, "a call carries a value that nobody sent");
        return;
    }
    struct sim_message *message = &sim->messages[tag];
    call->tags[place] = tag;
    call->numbers[place] = shown->number;
    if (message->places[PLACE_MAIL] > 0 && message->number != shown->number) {
        sim_fail(sim, LAW_2, "message %u has number %llu in mail and %llu in a call", tag,
                 (unsigned long long)message->number, (unsigned long long)shown->number);
    }
    message->number = shown->number;
    if (message->target != call->instance) {
        sim_fail(sim, LAW_3, "message %u is called at instance %u", tag, call->instance);
    }
    check_caller(sim, tag, &shown->caller);
    check_origin(sim, tag);
    if (place == 0) {
        check_order(sim, &sim->instances[call->instance], tag, shown->number);
    } else if (shown->number <= call->numbers[place - 1]) {
        sim_fail(sim, LAW_2, "message %u comes before one that arrived earlier", call->tags[place - 1]);
    }
    if (!ledger_number(sim, shown->number, tag)) {
        sim_fail(sim, LAW_6, "number %llu of message %u was another's", (unsigned long long)shown->number, tag);
    }
    if (shown->number > sim->disk.ceiling) {
        sim_fail(sim, LAW_5, "number %llu is above the ceiling %llu on disk", (unsigned long long)shown->number,
                 (unsigned long long)sim->disk.ceiling);
    }
    if (sim_engine_ms(sim) < message->given_ms + message->delay_ms) {
        sim_fail(sim, LAW_7, "message %u is called %llu ms early", tag,
                 (unsigned long long)(message->given_ms + message->delay_ms - sim_engine_ms(sim)));
    }
}

/* run_ahead: false: what the call shows is on disk. */
static void check_no_run_ahead(struct sim *sim, const struct sim_call *call)
{
    const struct sim_instance *instance = &sim->instances[call->instance];

    if (instance->live_count != instance->disk_count) {
        sim_fail(sim, LAW_4, "instance %u is called ahead of the disk", call->instance);
    }
    for (uint32_t i = 0; i < call->count; i++) {
        if (sim->messages[call->tags[i]].places[PLACE_MAIL] == 0) {
            sim_fail(sim, LAW_4, "message %u is called before it is on disk", call->tags[i]);
        }
    }
}

static void check_batch(struct sim *sim, const struct effect_call *effect, const struct endpoint_config *endpoint)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < effect->message_count; i++) {
        bytes += effect->messages[i].value.size;
    }
    const bool is_large = effect->message_count > 1 && bytes > endpoint->batch_bytes_max; /* alone it may be */
    if (effect->message_count == 0 || effect->message_count > endpoint->batch_messages_max || is_large) {
        sim_fail(sim, LAW_8, "a batch of %u messages and %zu bytes; at most %u and %u", effect->message_count, bytes,
                 endpoint->batch_messages_max, endpoint->batch_bytes_max);
    }
}

void check_call(struct sim *sim, struct sim_call *call, const struct effect_call *effect)
{
    if (call->instance == NONE) {
        sim_fail(sim, LAW_3, "a call to an instance that nobody named");
        return;
    }
    struct sim_instance *instance = &sim->instances[call->instance];
    const struct endpoint_config *endpoint = ledger_endpoint(sim, call->instance);
    sim_trace(sim, "call %llu to instance %u, %u messages", (unsigned long long)call->number, call->instance,
              call->count);
    if (effect->endpoint != sim->types[instance->type].endpoint || ledger_is_missing(sim, call->instance)) {
        sim_fail(sim, LAW_3, "a call goes to the wrong endpoint");
        return;
    }
    if (instance->call != 0) {
        sim_fail(sim, LAW_1, "instance %u is called while call %llu is in flight", call->instance,
                 (unsigned long long)instance->call);
    }
    if (!ledger_number(sim, call->number | (uint64_t)sim->life << 40, (uint32_t)sim->seen.calls | 1u << 31)) {
        sim_fail(sim, LAW_1, "call number %llu is used twice", (unsigned long long)call->number);
    }
    check_states(sim, call, effect);
    for (uint32_t i = 0; i < call->count && sim->law == LAW_NONE; i++) {
        check_message(sim, call, &effect->messages[i], i);
    }
    if (sim->law == LAW_NONE && !endpoint->run_ahead) {
        check_no_run_ahead(sim, call);
    }
    check_batch(sim, effect, endpoint);
}
