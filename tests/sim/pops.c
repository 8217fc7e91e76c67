/* SPDX-License-Identifier: Apache-2.0
 *
 * pops.c: clients that take the records of a topic, and what laws 2, 4 and 6 say of them.
 *
 * A record leaves the disk only for a pop that is under way, the oldest first, and reaches its client only when it is
 * gone from there; a crash in between loses it with the connection, as the documents say. Whoever is told that nothing
 * waits may not leave a record behind that was on disk when the question came.
 */
#include <stdlib.h>

#include "check.h"
#include "sim.h"

enum { EAGER_POPS_MAX = 3, LATE_POPS_MAX = 30 };

bool pops_is_record(const struct sim_message *message)
{
    return message->kind == MESSAGE_EGRESS && message->egress == EGRESS_TOPIC && !message->is_unroutable;
}

void pops_client(struct sim *sim, struct input *inputs, uint32_t *count)
{
    struct topic *topic = &sim->topic;
    /* By the seed: a client that finds nothing most of the time, or one that comes late and finds a queue. */
    const bool is_eager = random_mix(sim->options.seed, 55) % 2 == 0;
    const uint32_t most = is_eager ? EAGER_POPS_MAX : LATE_POPS_MAX;
    const uint32_t pops = random_chance(&sim->random, is_eager ? 400 : 40) ? random_between(&sim->random, 1, most) : 0;

    if (topic->pops == NULL) {
        topic->pops = calloc(POPS_MAX, sizeof topic->pops[0]);
        check(topic->pops != NULL);
    }
    for (uint32_t i = 0; i < pops && *count < INPUTS_MAX && topic->count + 1 < POPS_MAX; i++) {
        const uint32_t number = ++topic->count;
        struct input *input = &inputs[(*count)++];
        topic->pops[number] = (struct sim_pop){.disk_epoch = sim->disk.epoch, .step = sim->steps};
        *input = (struct input){.kind = INPUT_POP};
        input->pop = (struct input_pop){.waiter = WAITER_POP + number, .egress = EGRESS_TOPIC};
        memcpy(input->pop.invocation.bytes, &input->pop.waiter, sizeof input->pop.waiter);
        topic->open++;
        sim->waiters_open++;
        sim_trace(sim, "pop %u", number);
    }
}

void pops_stop_waiting(struct sim *sim)
{
    struct topic *topic = &sim->topic;

    for (uint32_t i = 1; i <= topic->count; i++) {
        topic->pops[i].is_over = true;
    }
    topic->open = 0;
    topic->removed = 0;
}

/* ---- the disk ------------------------------------------------------------------------------------------ */

void pops_stored(struct sim *sim, uint32_t tag, uint64_t number)
{
    struct sim_message *message = &sim->messages[tag];

    message->number = number;
    message->disk_epoch = sim->disk.epoch;
    if (number <= sim->topic.removed_last) {
        sim_fail(sim, LAW_2, "record %u comes to the disk with a number that was popped", tag);
    }
}

void pops_removed(struct sim *sim, uint32_t tag)
{
    struct topic *topic = &sim->topic;
    const struct sim_message *gone = &sim->messages[tag];

    topic->removed++;
    if (topic->removed > topic->open) {
        sim_fail(sim, LAW_6, "record %u left the disk, and nobody took it", tag);
    }
    for (uint32_t i = 1; i <= sim->message_count; i++) {
        const struct sim_message *other = &sim->messages[i];
        if (i != tag && pops_is_record(other) && other->places[PLACE_OUTBOX] > 0 && other->number < gone->number) {
            sim_fail(sim, LAW_2, "record %u is popped before record %u, which is older", tag, i);
        }
    }
    topic->removed_last = gone->number;
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static void check_record(struct sim *sim, struct slice value)
{
    struct topic *topic = &sim->topic;
    uint32_t tag = 0;

    if (!ledger_get_message(sim, value, &tag) || !pops_is_record(&sim->messages[tag])) {
        sim_fail(sim, LAW_3, "a client pops what no function sent to the topic");
        return;
    }
    struct sim_message *message = &sim->messages[tag];
    if (message->is_popped) {
        sim_fail(sim, LAW_6, "record %u is popped twice", tag);
    }
    if (!message->was_seen || message->places[PLACE_OUTBOX] > 0) {
        sim_fail(sim, LAW_4, "record %u is handed out, and %s", tag,
                 message->was_seen ? "still on disk" : "was never on disk");
    } else if (message->number <= topic->popped_last) {
        sim_fail(sim, LAW_2, "record %u is handed out after a newer one", tag);
    }
    message->is_popped = true;
    topic->popped_last = message->number;
    topic->removed--;
    sim->seen.popped++;
}

static void check_empty(struct sim *sim, const struct sim_pop *pop)
{
    sim->seen.empty++;
    for (uint32_t i = 1; i <= sim->message_count; i++) {
        const struct sim_message *message = &sim->messages[i];
        if (pops_is_record(message) && message->places[PLACE_OUTBOX] > 0 && message->disk_epoch <= pop->disk_epoch) {
            sim_fail(sim, LAW_4, "a client is told that nothing waits, and record %u is on disk", i);
        }
    }
}

/* What a client may hear instead of a record: at once what keeps everybody out, and later that the disk took too long,
 * if it may have. */
static void check_refusal(struct sim *sim, const struct sim_pop *pop, enum err_code code)
{
    const struct faults *faults = &sim->faults;
    const bool is_disk_good =
        faults->read_fails == 0 && faults->commit_full == 0 && faults->jumps == 0 && faults->commit_slow_ms < 50;

    if (code == ERR_OVERLOADED && pop->step != sim->steps && is_disk_good) {
        sim_fail(sim, LAW_9, "a pop waited in vain on a disk that works");
    }
    if (code != ERR_NOT_READY && code != ERR_OVERLOADED && (code != ERR_STOPPING || !sim->is_stopping)) {
        sim_fail(sim, LAW_8, "a pop is refused with %s", err_code_name(code));
    }
}

void pops_answer(struct sim *sim, const struct effect_answer *answer)
{
    struct topic *topic = &sim->topic;
    const uint64_t number = answer->waiter - WAITER_POP;

    if (number == 0 || number > topic->count || topic->pops[number].is_over) {
        sim_fail(sim, LAW_9, "a pop is answered that is none, or is over");
        return;
    }
    sim_trace(sim, "answer to pop %u: kind %d, %s", (unsigned)number, (int)answer->kind,
              answer->kind == ANSWER_ERROR ? err_code_name(answer->code) : "");
    topic->pops[number].is_over = true;
    sim->waiters_open--;
    sim->seen.answers++;
    if (answer->kind == ANSWER_POPPED) {
        check_record(sim, answer->value);
    } else if (answer->kind == ANSWER_ERROR && answer->code == ERR_EMPTY) {
        check_empty(sim, &topic->pops[number]);
    } else if (answer->kind == ANSWER_ERROR) {
        check_refusal(sim, &topic->pops[number], answer->code);
    } else {
        sim_fail(sim, LAW_3, "a pop is answered as a message");
    }
    topic->open--;
}
