/* SPDX-License-Identifier: Apache-2.0
 *
 * check_disk.c: laws 3, 5, 6 and 7 on the store: after each epoch, where is everything that it touched?
 *
 *   nowhere ─► timer ─► mail ─► log (handled) | parked | gone by policy
 *                 └──► cancelled
 *
 * A result is on disk if the instance's log names it. Then all it did must be there, and nothing of a result
 * that is not named may be. A message is in one place at most, and moves only along the arrows.
 */
#include <stdlib.h>

#include "check.h"
#include "record.h"
#include "sim.h"

enum { NEW_MAX = 4096 };

/* What the epoch being looked at brought. */
struct news {
    uint32_t outcomes[NEW_MAX];
    uint32_t count;
    uint64_t sealed_ms;
    uint64_t touched_ms; /* of the instance being looked at, before it */
};

bool check_is_on_disk(const struct sim_message *message)
{
    uint32_t rows = 0;

    for (uint32_t place = 0; place < PLACE_COUNT; place++) {
        rows += message->places[place];
    }
    return rows > 0;
}

bool check_may_be_dropped(const struct sim *sim, const struct sim_message *message)
{
    if (message->target == NONE) {
        return false;
    }
    const struct retry_policy *retry = &ledger_endpoint(sim, message->target)->retry;

    return retry->then == RETRY_DROP && (message->was_rejected || message->failures >= retry->attempts);
}

static bool may_be_parked(const struct sim *sim, const struct sim_message *message)
{
    if (message->is_unroutable || message->token != 0 || sim->is_tight_on_types) {
        return true; /* a token is looked at in check_token */
    }
    if (message->target == NONE) {
        return false;
    }
    const struct retry_policy *retry = &ledger_endpoint(sim, message->target)->retry;
    return message->was_rejected || (retry->then == RETRY_PARK && message->failures >= retry->attempts);
}

/* ---- the rows of one instance ------------------------------------------------------------------------- */

static struct slice large_value(struct sim *sim, uint32_t index, uint32_t state)
{
    const struct sim_instance *instance = &sim->instances[index];
    struct slice value = SLICE_EMPTY;
    struct key key;
    struct err err;

    key_state(&key, sim->types[instance->type].number, (struct slice){instance->id, instance->id_bytes}, state,
              &sim->disk.secret);
    const struct disk_row *row = disk_find(&sim->disk, STORE_STATE, key_slice(&key));
    if (row == NULL || record_get_state(disk_value(row), &value, &err) != ERR_NONE) {
        sim_fail(sim, LAW_3, "a large value of instance %u is missing", index);
    }
    return value;
}

static void read_values(struct sim *sim, uint32_t index, struct slice values[STATES_MAX])
{
    const struct sim_instance *instance = &sim->instances[index];
    const struct type *type = &sim->types[instance->type];
    struct instance_record record;
    struct record_cursor cursor;
    struct state_value value;
    struct key key;
    struct err err;

    key_instance(&key, type->number, (struct slice){instance->id, instance->id_bytes}, &sim->disk.secret);
    const struct disk_row *row = disk_find(&sim->disk, STORE_INSTANCE, key_slice(&key));
    if (row == NULL) {
        return;
    }
    if (record_get_instance(disk_value(row), &record, &cursor, &err) != ERR_NONE) {
        sim_fail(sim, LAW_5, "the row of instance %u cannot be read", index);
        return;
    }
    for (uint32_t i = 0; i < record.state_count; i++) {
        if (record_next_state(&cursor, &value, &err) != ERR_NONE) {
            sim_fail(sim, LAW_5, "the values of instance %u cannot be read", index);
            return;
        }
        for (uint32_t state = 0; state < STATES_MAX; state++) {
            if (type->states[state] == value.state) {
                values[state] = value.is_large ? large_value(sim, index, value.state) : value.value;
            }
        }
    }
}

static void check_value(struct sim *sim, uint32_t index, uint32_t state, struct slice stored, const struct news *news)
{
    struct sim_value *value = &sim->instances[index].disk[state];
    struct buf buf;

    if (!value->is_set || stored.size == 0) {
        if (stored.size > 0) {
            sim_fail(sim, LAW_3, "state %s of instance %u is on disk, its last result deleted it", state_name(state),
                     index);
        }
        if (value->is_set && !check_may_expire(sim, state, value, news->touched_ms, news->sealed_ms + sim->skew_ms)) {
            sim_fail(sim, LAW_3, "state %s of instance %u, set by outcome %u, is not on disk", state_name(state), index,
                     value->outcome);
        }
        value->is_set = false;
        return;
    }
    buf_init(&buf, 1 << 20);
    ledger_put_state(&buf, value->outcome, state, value->padding);
    if (!slice_equal(buf_slice(&buf), stored)) {
        sim_fail(sim, LAW_3, "state %s of instance %u is not what outcome %u wrote", state_name(state), index,
                 value->outcome);
    }
    buf_done(&buf);
}

static void note_entries(struct sim *sim, uint32_t index, uint32_t from, uint32_t to, struct news *news)
{
    const struct sim_instance *instance = &sim->instances[index];

    for (uint32_t i = from; i < to; i++) {
        struct outcome *outcome = &sim->outcomes[instance->log[i].outcome];
        ledger_at(sim, instance->log[i].tag)->places[PLACE_LOG]++;
        disk_touch(sim, instance->log[i].tag);
        if (!outcome->is_on_disk) {
            outcome->is_on_disk = true;
            outcome->disk_ms = news->sealed_ms;
            check(news->count < NEW_MAX);
            news->outcomes[news->count++] = instance->log[i].outcome;
        }
    }
}

/* True if a log on disk goes on from its first entry as it was. */
static bool begins_with(const struct entry *first, uint32_t count, struct slice entries)
{
    if (count == 0 || entries.size == 0) {
        return count == 0 && entries.size == 0;
    }
    const struct entry entry = ledger_log_entry(entries, 0);
    return entry.tag == first->tag && entry.outcome == first->outcome;
}

static void check_instance(struct sim *sim, uint32_t index, struct news *news)
{
    struct sim_instance *instance = &sim->instances[index];
    struct slice values[STATES_MAX] = {0};
    struct slice entries = SLICE_EMPTY;

    instance->is_touched = false;
    read_values(sim, index, values);
    if (!ledger_get_log(values[0], &entries)) {
        sim_fail(sim, LAW_3, "the log of instance %u on disk is not what was written", index);
    }
    if (entries.size == 0 && check_log_may_expire(sim, index, instance->disk_count)) {
        instance->live_base = instance->disk_count;
    }
    if (!begins_with(&instance->log[instance->disk_base], instance->disk_count - instance->disk_base, entries)) {
        instance->disk_base = instance->live_base; /* what went before expired */
    }
    if (sim->law != LAW_NONE || !check_log(sim, index, entries, instance->disk_base, instance->disk_count)) {
        return;
    }
    const uint32_t from = instance->disk_count;
    const uint32_t to = instance->disk_base + (uint32_t)(entries.size / 8);
    if (to > from && to < instance->live_count && instance->log[to].outcome == instance->log[to - 1].outcome) {
        sim_fail(sim, LAW_3, "half of outcome %u is on disk", instance->log[to].outcome);
        return;
    }
    news->touched_ms = check_touched_ms(sim, instance, from); /* a value may have ended before what the epoch brought */
    ledger_disk(sim, index, to);
    note_entries(sim, index, from, to, news);
    for (uint32_t state = 1; state < STATES_MAX; state++) {
        check_value(sim, index, state, values[state], news);
    }
}

/* ---- tokens ------------------------------------------------------------------------------------------- */

/* Law 7: who holds a token, as of the disk. A token stays taken until its timer fires or is cancelled. */
static void take_token(struct sim *sim, struct sim_instance *sender, uint32_t tag)
{
    const struct sim_message *message = &sim->messages[tag];
    const uint32_t holder = sender->holders[message->token];

    if (message->places[PLACE_PARKED] > 0) {
        const bool was_fired = holder == 0 || sim->messages[holder].is_gone ||
                               (sim->messages[holder].before != PLACE_TIMER && sim->messages[holder].was_seen);
        if (was_fired && !message->is_unroutable && !sim->is_tight_on_types && message->failures == 0 &&
            !message->was_rejected) {
            sim_fail(sim, LAW_7, "message %u is parked for its token, which nobody holds", tag);
        }
        return;
    }
    if (holder != 0 && sim->messages[holder].places[PLACE_TIMER] > 0 && message->places[PLACE_TIMER] > 0) {
        sim_fail(sim, LAW_7, "messages %u and %u wait under one token", holder, tag);
    }
    sender->holders[message->token] = tag;
}

static void cancel_token(struct sim *sim, struct sim_instance *sender, uint32_t token)
{
    const uint32_t holder = sender->holders[token];

    sender->holders[token] = 0;
    if (holder == 0) {
        return;
    }
    struct sim_message *message = &sim->messages[holder];
    if (message->places[PLACE_TIMER] > 0) {
        sim_fail(sim, LAW_7, "message %u still waits though its token was cancelled", holder);
    }
    if (!check_is_on_disk(message) && !check_may_be_dropped(sim, message)) {
        message->is_cancelled = true;
        disk_touch(sim, holder);
    }
}

static void check_items(struct sim *sim, uint32_t id)
{
    const struct outcome *outcome = &sim->outcomes[id];
    struct sim_instance *sender = &sim->instances[outcome->instance];

    for (uint32_t i = 0; i < outcome->item_count; i++) {
        const struct item *item = &outcome->items[i];
        if (item->is_cancel) {
            cancel_token(sim, sender, item->token);
            continue;
        }
        disk_touch(sim, item->tag);
        if (sim->messages[item->tag].token != 0) {
            take_token(sim, sender, item->tag);
        }
    }
}

/* ---- places ------------------------------------------------------------------------------------------- */

static enum place place_of(struct sim *sim, uint32_t tag)
{
    const struct sim_message *message = &sim->messages[tag];
    enum place found = PLACE_NOWHERE;

    for (uint32_t place = 0; place < PLACE_COUNT; place++) {
        if (message->places[place] == 0) {
            continue;
        }
        if (found == PLACE_NOWHERE && message->places[place] == 1) {
            found = (enum place)place;
            continue;
        }
        const bool is_half = message->places[PLACE_LOG] == 1 && message->before != PLACE_LOG;
        const bool is_timer = message->places[PLACE_TIMER] > 0 && message->places[PLACE_LOG] == 0;
        sim_fail(sim,
                 is_half    ? LAW_3
                 : is_timer ? LAW_7
                            : LAW_6,
                 "message %u is in several places: mail %u, timer %u, parked %u, log %u", tag,
                 message->places[PLACE_MAIL], message->places[PLACE_TIMER], message->places[PLACE_PARKED],
                 message->places[PLACE_LOG]);
    }
    return found;
}

/* A message that an applied result made, or that had a place, has none. */
static void check_absent(struct sim *sim, uint32_t tag)
{
    struct sim_message *message = &sim->messages[tag];
    const bool is_reply = message->target == NONE && message->reply_of != 0 && !message->is_unroutable;
    const bool is_due = sim_engine_ms(sim) >= message->given_ms + message->delay_ms;

    if (message->maker == 0 && !message->was_seen) {
        return;
    }
    if (message->maker != 0 && !sim->outcomes[message->maker].is_on_disk) {
        return;
    }
    message->is_gone = true;
    if (message->is_cancelled || message->kind == MESSAGE_REPLY || (is_reply && is_due)) {
        return;
    }
    if (check_may_be_dropped(sim, message) || (message->was_seen && pops_is_record(message))) {
        return; /* pops_removed looked at a record */
    }
    if (message->was_seen) {
        sim_fail(sim, message->before == PLACE_TIMER ? LAW_7 : LAW_6, "message %u is lost: nothing of it is on disk",
                 tag);
    } else {
        sim_fail(sim, LAW_3, "outcome %u is on disk without its message %u", message->maker, tag);
    }
}

static void check_arrival(struct sim *sim, uint32_t tag, uint64_t sealed_ms)
{
    const struct sim_message *message = &sim->messages[tag];

    if (message->maker != 0 && !sim->outcomes[message->maker].is_on_disk) {
        const bool is_fenced = sim->outcomes[message->maker].is_fenced;
        sim_fail(sim, is_fenced ? LAW_1 : LAW_3, "message %u is on disk without its outcome %u", tag, message->maker);
    }
    if (message->is_refused) {
        sim_fail(sim, LAW_6, "message %u is on disk though it was refused", tag);
    }
    if (message->is_gone) {
        sim_fail(sim, message->is_cancelled ? LAW_7 : LAW_6, "message %u is back from nowhere", tag);
    }
    if (message->places[PLACE_TIMER] == 0 && message->places[PLACE_PARKED] == 0 &&
        sealed_ms < message->given_ms + message->delay_ms) {
        sim_fail(sim, LAW_7, "message %u fired before it was due", tag);
    }
}

static void check_move(struct sim *sim, uint32_t tag, enum place now)
{
    const struct sim_message *message = &sim->messages[tag];
    const enum place before = message->before;

    if (now == PLACE_PARKED && before != PLACE_PARKED && !may_be_parked(sim, message)) {
        sim_fail(sim, LAW_6, "message %u is parked, and no policy says so", tag);
    }
    if (before == now || before == PLACE_NOWHERE) {
        return;
    }
    const bool is_forward = (before == PLACE_TIMER && now != PLACE_OUTBOX) ||
                            (before == PLACE_MAIL && (now == PLACE_LOG || now == PLACE_PARKED));
    if (!is_forward) {
        sim_fail(sim, LAW_6, "message %u went from place %d back to %d", tag, (int)before, (int)now);
    }
}

static void check_places(struct sim *sim, uint64_t sealed_ms)
{
    struct disk *disk = &sim->disk;

    for (uint32_t i = 0; i < disk->touched_count; i++) {
        const uint32_t tag = disk->touched[i];
        struct sim_message *message = &sim->messages[tag];
        const enum place now = place_of(sim, tag);
        message->is_touched = false;
        disk->fired +=
            (message->kind == MESSAGE_TIMER || message->delay_ms > 0) && now != message->before && now != PLACE_TIMER;
        if (now == PLACE_NOWHERE) {
            check_absent(sim, tag);
        } else {
            check_arrival(sim, tag, sealed_ms);
            check_move(sim, tag, now);
            message->was_seen = true;
        }
        message->before = now;
    }
    disk->touched_count = 0;
}

/* Law 8: tables with a limit. Timers that fire may add to what waits: what is inside is never dropped. The engine
 * counts asks that no epoch needed yet, whose clients wait; so they may come to the disk after a timer took it over the
 * limit. */
static void check_tables(struct sim *sim)
{
    const struct engine_options *options = &sim->engine_options;
    const uint32_t *counts = sim->disk.counts;
    const uint64_t hard = options->messages_hard_max;
    const uint64_t before = sim->disk.mail_before + sim->waiters_open;
    const uint64_t most = (before > hard ? before : hard) + sim->disk.fired;

    if (counts[STORE_PARKED] > options->parked_max || counts[STORE_TIMER] > options->timers_max ||
        counts[STORE_INVOCATION] > options->invocations_max || counts[STORE_MAIL] > most) {
        sim_fail(sim, LAW_8, "the store holds %u parked of %u, %u timers of %u, %u invocations of %u, %u mail of %llu",
                 counts[STORE_PARKED], options->parked_max, counts[STORE_TIMER], options->timers_max,
                 counts[STORE_INVOCATION], options->invocations_max, counts[STORE_MAIL], (unsigned long long)most);
    }
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        if (sim->instances[i].client_mail > ledger_endpoint(sim, i)->mailbox_messages_max) {
            sim_fail(sim, LAW_8, "%u messages of clients wait for instance %u, at most %u may",
                     sim->instances[i].client_mail, i, ledger_endpoint(sim, i)->mailbox_messages_max);
        }
    }
    if (counts[STORE_TOKEN] != sim->disk.tokens) {
        sim_fail(sim, LAW_7, "%u delayed messages have a token, and %u tokens are on disk", sim->disk.tokens,
                 counts[STORE_TOKEN]);
    }
    if (counts[STORE_EXPIRY] != sim->disk.armed || counts[STORE_STATE] != sim->disk.large) {
        sim_fail(sim, LAW_3, "instances name %u expiries and %u large values, on disk are %u and %u", sim->disk.armed,
                 sim->disk.large, counts[STORE_EXPIRY], counts[STORE_STATE]);
    }
}

/* Asks that wait in memory alone: nobody was promised anything about them. */
static uint32_t count_bare_asks(struct sim *sim)
{
    uint32_t count = 0;

    for (uint32_t tag = 1; tag <= sim->message_count; tag++) {
        const struct sim_message *message = &sim->messages[tag];
        count += message->kind == MESSAGE_ASK && message->life == sim->life && !message->is_refused &&
                 message->live == 0 && !check_is_on_disk(message) && !message->is_gone;
    }
    return count;
}

void check_epoch(struct sim *sim, uint64_t sealed_ms)
{
    struct news *news = calloc(1, sizeof *news);
    check(news != NULL);

    news->sealed_ms = sealed_ms;
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        if (sim->instances[i].is_touched && sim->law == LAW_NONE) {
            check_instance(sim, i, news);
        }
    }
    for (uint32_t i = 0; i < news->count && sim->law == LAW_NONE; i++) {
        check_items(sim, news->outcomes[i]);
    }
    if (sim->law == LAW_NONE) {
        check_places(sim, sealed_ms);
        check_tables(sim);
    }
    sim->disk.mail_before = sim->disk.counts[STORE_MAIL] + count_bare_asks(sim);
    sim->disk.fired = 0;
    free(news);
}
