/* SPDX-License-Identifier: Apache-2.0 */
#include "invocations.h"

#include <stdlib.h>

#include "epochs.h"
#include "mailbox.h"

enum { PATIENCE_MS = 600000 }; /* after its client left, a pending ask is kept so long */

static uint64_t hash_of(const struct invocation_id *id)
{
    uint64_t hash = 0;

    memcpy(&hash, id->bytes, sizeof hash); /* random bits already */
    return hash;
}

static bool has_id(const struct table_node *node, const void *key)
{
    return memcmp(container_of(node, struct invocation, node)->id.bytes, key, INVOCATION_BYTES) == 0;
}

static struct invocation *find(const struct engine *engine, const struct invocation_id *id)
{
    struct table_node *node = table_find(&engine->invocations, hash_of(id), has_id, id->bytes);

    return node == NULL ? NULL : container_of(node, struct invocation, node);
}

static struct invocation *create(struct engine *engine, const struct invocation_id *id, const struct address *target)
{
    struct invocation *invocation = calloc(1, sizeof *invocation + address_bytes(target));
    check(invocation != NULL);
    uint8_t *at = (uint8_t *)(invocation + 1);

    invocation->target = address_pack(&at, target);
    invocation->id = *id;
    invocation->wake.kind = WAKE_INVOCATION;
    table_insert(&engine->invocations, &invocation->node, hash_of(id));
    return invocation;
}

static void end(struct engine *engine, struct invocation *invocation);

struct invocation *invocations_ask(struct engine *engine, const struct input_message *message)
{
    check(find(engine, &message->invocation) == NULL);
    if (engine->invocations.count >= engine->options.invocations_max && engine->abandoned.count > 0) {
        end(engine,
            container_of(list_first(&engine->abandoned), struct invocation, abandoned)); /* nobody waits for it */
    }
    struct invocation *invocation = create(engine, &message->invocation, &message->target);

    invocation->due_ms = engine->now_ms + message->timeout_ms;
    invocation->has_waiter = true;
    invocation->waiter = message->waiter;
    engine->asks_waiting++;
    engine_wake_at(engine, &invocation->wake, invocation->due_ms);
    return invocation;
}

void invocations_load(struct engine *engine, const struct invocation_id *id, const struct invocation_record *record)
{
    struct invocation *invocation = create(engine, id, &record->target);

    invocation->due_ms = record->due_ms;
    invocation->is_written = true;
    list_push(&engine->abandoned, &invocation->abandoned);
    engine_wake_at(engine, &invocation->wake, record->due_ms + PATIENCE_MS);
}

static void promise(struct engine *engine, struct invocation *invocation, struct effect_answer *answer)
{
    if (!invocation->has_waiter) {
        return;
    }
    answer->waiter = invocation->waiter;
    answer->invocation = invocation->id;
    epochs_promise(engine, answer);
    invocation->has_waiter = false;
    engine->asks_waiting--;
    if (invocation->body != NULL) {
        mailbox_settle(engine, invocation->body);
    }
}

/* The client was told that the work goes on: a reply may still come, after a restart too. */
static void keep(struct engine *engine, struct invocation *invocation)
{
    list_push(&engine->open->fresh_invocations, &invocation->fresh);
    list_push(&engine->abandoned, &invocation->abandoned);
    epochs_changed(engine, 128);
}

/* Nothing is pending any more: forgotten, on disk too. */
static void end(struct engine *engine, struct invocation *invocation)
{
    check(invocation->body == NULL);
    if (link_is_linked(&invocation->fresh)) {
        list_remove(&engine->open->fresh_invocations, &invocation->fresh); /* never written */
    } else if (invocation->is_written) {
        struct key key;
        key_invocation(&key, &invocation->id);
        epochs_delete(engine, STORE_INVOCATION, &key);
    }
    if (link_is_linked(&invocation->abandoned)) {
        list_remove(&engine->abandoned, &invocation->abandoned);
    }
    engine_wake_clear(engine, &invocation->wake);
    table_remove(&engine->invocations, &invocation->node);
    free(invocation);
}

void invocations_reply(struct engine *engine, struct slice id_hex, struct slice value)
{
    struct invocation_id id;
    struct invocation *invocation = invocation_parse(id_hex, &id) ? find(engine, &id) : NULL;

    if (invocation == NULL) {
        metric_add(engine, METRIC_REPLIES_UNKNOWN, 1);
        return;
    }
    struct effect_answer answer = {.kind = ANSWER_REPLY, .value = value};
    metric_add(engine, invocation->has_waiter ? METRIC_REPLIES : METRIC_REPLIES_UNKNOWN, 1);
    promise(engine, invocation, &answer);
    end(engine, invocation);
}

void invocations_fail(struct engine *engine, const struct envelope *envelope, enum err_code code, struct slice text,
                      struct slice function_code)
{
    struct invocation_id id;

    if (!address_is_reply(&envelope->caller) || !invocation_parse(envelope->caller.id, &id)) {
        return;
    }
    struct invocation *invocation = find(engine, &id);
    if (invocation == NULL) {
        return;
    }
    struct effect_answer answer = {.kind = ANSWER_ERROR,
                                   .code = code,
                                   .is_from_function = code == ERR_REJECTED,
                                   .text = text,
                                   .function_code = function_code};
    promise(engine, invocation, &answer);
    end(engine, invocation);
}

void invocations_wake(struct engine *engine, struct invocation *invocation)
{
    if (!invocation->has_waiter) {
        end(engine, invocation);
        return;
    }
    struct effect_answer answer = {
        .kind = ANSWER_ERROR,
        .code = ERR_TIMEOUT,
        .text = SLICE("no reply within the timeout; the message is not lost and its work goes on; if its function or "
                      "endpoint fails, the host's log says how")};
    promise(engine, invocation, &answer);
    keep(engine, invocation);
    engine_wake_at(engine, &invocation->wake, engine->now_ms + PATIENCE_MS);
}

static void stop_one(struct engine *engine, struct invocation *invocation)
{
    struct effect_answer answer = {
        .kind = ANSWER_ERROR,
        .code = ERR_STOPPING,
        .text = SLICE("the host is stopping; the message is kept and the work goes on when it is back"),
        .retry_after_ms = 1000};

    if (invocation->has_waiter) {
        promise(engine, invocation, &answer);
        keep(engine, invocation);
    }
}

void invocations_stop(struct engine *engine)
{
    /* In the order of deadlines, so that the same inputs give the same effects. */
    for (struct heap_node *node = heap_pop(&engine->wakes); node != NULL; node = heap_pop(&engine->wakes)) {
        struct wake *wake = container_of(node, struct wake, node);
        if (wake->kind == WAKE_INVOCATION) {
            stop_one(engine, container_of(wake, struct invocation, wake));
        }
    }
    check(engine->asks_waiting == 0);
}

void invocations_put(struct engine *engine, struct invocation *invocation)
{
    const struct invocation_record record = {.due_ms = invocation->due_ms, .target = invocation->target};
    struct key key;

    invocation->is_written = true;
    buf_clear(&engine->scratch);
    record_put_invocation(&engine->scratch, &record);
    key_invocation(&key, &invocation->id);
    epochs_put(engine, STORE_INVOCATION, &key, &engine->scratch);
}

void invocations_destroy(struct engine *engine)
{
    for (struct table_node *node = table_any(&engine->invocations); node != NULL;
         node = table_any(&engine->invocations)) {
        table_remove(&engine->invocations, node);
        free(container_of(node, struct invocation, node));
    }
    table_done(&engine->invocations);
}
