/* SPDX-License-Identifier: Apache-2.0
 *
 * check_end.c: law 8 on what is in flight, law 9 and law 6 when all has come to rest.
 */
#include "check.h"
#include "limit.h"
#include "sim.h"

enum { EPOCH_SLACK_BYTES = 4 << 20 };

void check_limits(struct sim *sim)
{
    const struct engine_options *options = &sim->engine_options;

    if (sim->calls_open > options->calls_in_flight_max) {
        sim_fail(sim, LAW_8, "%u calls in flight of %u", sim->calls_open, options->calls_in_flight_max);
    }
    if (sim->reads_open > options->reads_in_flight_max) {
        sim_fail(sim, LAW_8, "%u reads in flight of %u", sim->reads_open, options->reads_in_flight_max);
    }
    for (uint32_t i = 0; i < sim->registry->endpoint_count; i++) {
        const uint32_t in_flight = sim->registry->endpoints[i].in_flight;
        if (sim->calls_open_of[i] > (in_flight == 0 ? LIMIT_ENDPOINT_IN_FLIGHT_MAX : in_flight)) {
            sim_fail(sim, LAW_8, "%u calls in flight to endpoint %u of %u", sim->calls_open_of[i], i, in_flight);
        }
    }
}

void check_sealed(struct sim *sim, const struct epoch *epoch)
{
    if (sim->committing != NULL) {
        sim_fail(sim, LAW_5, "epoch %llu is sealed while %llu is being committed", (unsigned long long)epoch->number,
                 (unsigned long long)sim->committing->number);
    }
    if (epoch->number != sim->epoch_sealed + 1) {
        sim_fail(sim, LAW_5, "epoch %llu is sealed after %llu", (unsigned long long)epoch->number,
                 (unsigned long long)sim->epoch_sealed);
    }
    if (epoch_bytes(epoch) > (size_t)4 * sim->engine_options.commit_bytes + EPOCH_SLACK_BYTES) {
        sim_fail(sim, LAW_8, "an epoch of %zu bytes, they should end at %u", epoch_bytes(epoch),
                 sim->engine_options.commit_bytes);
    }
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static bool is_at_rest(const struct sim *sim)
{
    return sim->engine != NULL && engine_is_ready(sim->engine) && sim->calls_open == 0 && sim->reads_open == 0 &&
           sim->committing == NULL && sim->waiters_open == 0 && !sim->is_stopping;
}

bool check_is_clean(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        if (sim->instances[i].live_count != sim->instances[i].disk_count || sim->instances[i].pending != 0) {
            return false;
        }
    }
    return true;
}

bool check_is_drained(const struct sim *sim)
{
    return is_at_rest(sim) && check_is_clean(sim) && sim->disk.counts[STORE_MAIL] == 0 &&
           sim->disk.counts[STORE_TIMER] == 0;
}

/* As check_is_clean; but whether the newest outcome of an instance that has mail was refused shows only when it is
 * called again, and then there is a newer one. */
static bool is_clean_but_for(const struct sim *sim, const bool has_mail[INSTANCES_MAX])
{
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        if (sim->instances[i].live_count != sim->instances[i].disk_count ||
            (sim->instances[i].pending != 0 && !has_mail[i])) {
            return false;
        }
    }
    return true;
}

/* What may rest in a mailbox when all is quiet: only what a full table keeps there, for everybody to see. */
bool check_is_blocked(struct sim *sim)
{
    bool has_mail[INSTANCES_MAX] = {false};
    uint32_t waiting = 0;
    const bool is_full = sim->is_tight_on_types || sim->disk.counts[STORE_PARKED] >= sim->engine_options.parked_max ||
                         sim->disk.counts[STORE_TIMER] >= sim->engine_options.timers_max ||
                         sim->disk.counts[STORE_MAIL] + ITEMS_MAX > sim->engine_options.messages_hard_max;

    thread_assume(&thread_loop);
    engine_publish(sim->engine);
    for (uint32_t tag = 1; tag <= sim->message_count; tag++) {
        const struct sim_message *message = &sim->messages[tag];
        if (message->places[PLACE_MAIL] > 0 && !has_mail[message->target]) {
            has_mail[message->target] = true;
            waiting++;
        }
    }
    return is_full && waiting > 0 && is_at_rest(sim) && is_clean_but_for(sim, has_mail) &&
           metrics_get(sim->metrics, METRIC_INSTANCES_BLOCKED) == waiting;
}

static void check_message_end(struct sim *sim, uint32_t tag)
{
    const struct sim_message *message = &sim->messages[tag];

    if (message->maker == 0 && !message->is_answered && !message->is_lost && message->given_ms > 0) {
        sim_fail(sim, LAW_9, "client %u was never answered", tag);
    }
    if (message->is_promised && !check_is_on_disk(message) && !message->is_gone &&
        !check_may_be_dropped(sim, message)) {
        sim_fail(sim, LAW_6, "message %u was promised and is nowhere", tag);
    }
    if (message->places[PLACE_LOG] + message->places[PLACE_PARKED] > 1) {
        sim_fail(sim, LAW_6, "message %u was applied or parked %u times", tag,
                 message->places[PLACE_LOG] + message->places[PLACE_PARKED]);
    }
    if (message->is_refused && message->was_seen) {
        sim_fail(sim, LAW_6, "message %u was refused, and lives", tag);
    }
}

/* The figures an operator sees agree with the store. */
void check_figures(struct sim *sim)
{
    const struct {
        enum metric metric;
        uint64_t wanted;
        const char *name;
    } figures[] = {
        {METRIC_MAILBOX_MESSAGES, sim->disk.counts[STORE_MAIL], "mailbox messages"},
        {METRIC_TIMERS, sim->disk.counts[STORE_TIMER], "timers"},
        {METRIC_PARKED_MESSAGES, sim->disk.counts[STORE_PARKED], "parked messages"},
        {METRIC_OUTBOX_RECORDS, sim->disk.counts[STORE_OUTBOX], "outbox records"},
        {METRIC_CALLS_IN_FLIGHT, 0, "calls in flight"},
        {METRIC_PROMISES_WAITING, 0, "waiting promises"},
        {METRIC_EPOCH_COMMITTED, sim->disk.epoch, "epoch committed"},
    };

    thread_assume(&thread_loop);
    engine_publish(sim->engine);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (metrics_get(sim->metrics, figures[i].metric) != figures[i].wanted) {
            sim_fail(sim, LAW_9, "the engine counts %llu %s, the store has %llu",
                     (unsigned long long)metrics_get(sim->metrics, figures[i].metric), figures[i].name,
                     (unsigned long long)figures[i].wanted);
        }
    }
}

void check_settled(struct sim *sim)
{
    const uint32_t *counts = sim->disk.counts;

    if (counts[STORE_INVOCATION] > 0 || counts[STORE_EXPIRY] > 0 || counts[STORE_TOKEN] > 0) {
        sim_fail(sim, LAW_9, "long after the end %u asks, %u expiries and %u tokens are on disk",
                 counts[STORE_INVOCATION], counts[STORE_EXPIRY], counts[STORE_TOKEN]);
    }
    if (sim->all_expires && (counts[STORE_INSTANCE] > 0 || counts[STORE_STATE] > 0)) {
        sim_fail(sim, LAW_9, "all has expired, and %u instances and %u large values are on disk",
                 counts[STORE_INSTANCE], counts[STORE_STATE]);
    }
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        for (uint32_t state = 1; state < STATES_MAX; state++) {
            int64_t expire_ms = 0;
            if (sim->instances[i].disk[state].is_set && state_expiry(sim, state, &expire_ms) != EXPIRY_NONE) {
                sim_fail(sim, LAW_9, "state %s of instance %u never left the disk", state_name(state), i);
            }
        }
    }
}

void check_end(struct sim *sim)
{
    if (sim->engine == NULL) {
        sim_fail(sim, LAW_9, "the engine did not start again");
        return;
    }
    if (!check_is_drained(sim) && !check_is_blocked(sim)) {
        sim_fail(sim, LAW_9, "faults stopped, and %u mail, %u timers, %u calls, %u reads, %u clients stay; ready %d",
                 sim->disk.counts[STORE_MAIL], sim->disk.counts[STORE_TIMER], sim->calls_open, sim->reads_open,
                 sim->waiters_open, engine_is_ready(sim->engine));
        return;
    }
    for (uint32_t tag = 1; tag <= sim->message_count; tag++) {
        check_message_end(sim, tag);
    }
    if (check_is_drained(sim)) {
        check_figures(sim);
    }
    sim->seen.parked = sim->disk.counts[STORE_PARKED];
}
