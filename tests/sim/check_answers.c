/* SPDX-License-Identifier: Apache-2.0
 *
 * check_answers.c: law 4 on all that clients are told, and what law 8 allows to be told at once.
 *
 * At the moment of an answer the store must already hold what the answer was derived from.
 */
#include "check.h"
#include "sim.h"

static bool is_durable(const struct sim *sim, const struct sim_message *message)
{
    return check_is_on_disk(message) || message->is_gone || check_may_be_dropped(sim, message);
}

static void check_reply(struct sim *sim, uint32_t ask, struct slice value)
{
    struct key key;
    uint32_t tag = 0;

    if (!ledger_get_message(sim, value, &tag) || sim->messages[tag].maker == 0) {
        sim_fail(sim, LAW_3, "ask %u is answered with a value that no function made", ask);
        return;
    }
    const struct sim_message *reply = &sim->messages[tag];
    const struct outcome *maker = &sim->outcomes[reply->maker];
    if (reply->reply_of != ask) {
        sim_fail(sim, LAW_3, "ask %u is answered with reply %u of ask %u", ask, tag, reply->reply_of);
    }
    if (maker->is_fenced) {
        sim_fail(sim, LAW_1, "ask %u is answered by outcome %u, whose call had ended", ask, reply->maker);
    }
    if (!maker->is_on_disk || reply->places[PLACE_TIMER] > 0) {
        sim_fail(sim, LAW_4, "ask %u is answered by outcome %u, which is not on disk", ask, reply->maker);
    }
    key_invocation(&key, &sim->messages[ask].invocation);
    if (disk_find(&sim->disk, STORE_INVOCATION, key_slice(&key)) != NULL) {
        sim_fail(sim, LAW_3, "ask %u is answered, and still pending on disk", ask);
    }
    if (sim_engine_ms(sim) < reply->given_ms + reply->delay_ms) {
        sim_fail(sim, LAW_7, "ask %u is answered by reply %u before it is due", ask, tag);
    }
}

/* An answer in the step of its question: only limits and plain mistakes are told at once. */
static void check_refusal(struct sim *sim, struct sim_message *message, uint32_t tag, enum err_code code)
{
    message->is_refused = true;
    sim->seen.refused++;
    if (check_is_on_disk(message)) {
        sim_fail(sim, LAW_6, "message %u is refused and on disk", tag);
    }
    switch ((int)code) {
    case ERR_NOT_READY:
    case ERR_OVERLOADED:
    case ERR_MAILBOX_FULL:
    case ERR_STORE_FULL:
        break;
    case ERR_STOPPING:
        if (!sim->is_stopping) {
            sim_fail(sim, LAW_8, "message %u is refused for a stop that nobody asked for", tag);
        }
        break;
    case ERR_UNKNOWN_FUNCTION:
        if (!message->is_unroutable && !ledger_is_missing(sim, message->target)) {
            sim_fail(sim, LAW_8, "message %u is refused as unknown", tag);
        }
        break;
    default:
        sim_fail(sim, LAW_8, "message %u is refused with %s", tag, err_code_name(code));
        break;
    }
}

static void check_error(struct sim *sim, struct sim_message *message, uint32_t tag, const struct effect_answer *answer)
{
    const bool is_parked = message->places[PLACE_PARKED] > 0;

    message->is_promised = true;
    if (!is_durable(sim, message)) {
        sim_fail(sim, LAW_4, "message %u gets %s and is not on disk", tag, err_code_name(answer->code));
    }
    switch ((int)answer->code) {
    case ERR_TIMEOUT:
        if (sim_engine_ms(sim) + sim->skew_ms < message->given_ms + message->timeout_ms) {
            sim_fail(sim, LAW_7, "ask %u times out early", tag);
        }
        break;
    case ERR_STOPPING:
        if (!sim->is_stopping) {
            sim_fail(sim, LAW_8, "message %u gets the answer of a stop", tag);
        }
        break;
    case ERR_REJECTED:
        if (!message->was_rejected || !answer->is_from_function) {
            sim_fail(sim, LAW_6, "ask %u was not rejected", tag);
        }
        if (!is_parked && !check_may_be_dropped(sim, message)) {
            sim_fail(sim, LAW_4, "ask %u is told that it was rejected, and is not parked on disk", tag);
        }
        break;
    case ERR_PARKED:
        if (!is_parked) {
            sim_fail(sim, LAW_4, "ask %u is told that it was parked, and is not on disk", tag);
        }
        break;
    case ERR_DROPPED:
        if (!check_may_be_dropped(sim, message)) {
            sim_fail(sim, LAW_6, "ask %u was dropped, and no policy says so", tag);
        }
        break;
    default:
        sim_fail(sim, LAW_8, "message %u gets %s", tag, err_code_name(answer->code));
        break;
    }
}

void check_answer(struct sim *sim, const struct effect_answer *answer, uint64_t given_from)
{
    if (answer->waiter >= WAITER_POP) {
        pops_answer(sim, answer);
        return;
    }
    if (answer->waiter == 0 || answer->waiter > sim->message_count) {
        sim_fail(sim, LAW_9, "an answer to a client that does not exist");
        return;
    }
    const uint32_t tag = (uint32_t)answer->waiter;
    struct sim_message *message = ledger_at(sim, tag);
    sim_trace(sim, "answer to %u: kind %d, %s", tag, (int)answer->kind,
              answer->kind == ANSWER_ERROR ? err_code_name(answer->code) : "");
    if (message->maker != 0 || message->is_answered || message->is_lost) {
        sim_fail(sim, LAW_9, "client %u is answered again, or after its connection broke", tag);
        return;
    }
    if (memcmp(answer->invocation.bytes, message->invocation.bytes, INVOCATION_BYTES) != 0) {
        sim_fail(sim, LAW_3, "client %u hears of another invocation", tag);
    }
    message->is_answered = true;
    sim->waiters_open--;
    sim->seen.answers++;
    switch (answer->kind) {
    case ANSWER_ACCEPTED:
        message->is_promised = true;
        if (message->kind != MESSAGE_SEND || !is_durable(sim, message)) {
            sim_fail(sim, LAW_4, "message %u is accepted, and is not on disk", tag);
        }
        break;
    case ANSWER_REPLY:
        message->is_promised = true;
        sim->seen.replies++;
        check_reply(sim, tag, answer->value);
        if (!is_durable(sim, message)) {
            sim_fail(sim, LAW_4, "ask %u is answered, and is not on disk", tag);
        }
        break;
    case ANSWER_POPPED:
        sim_fail(sim, LAW_3, "message %u is answered as a pop", tag);
        break;
    case ANSWER_ERROR:
        if (message->order >> 16 >= given_from) {
            check_refusal(sim, message, tag, answer->code);
        } else {
            check_error(sim, message, tag, answer);
        }
        break;
    }
}
