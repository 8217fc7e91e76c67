/* SPDX-License-Identifier: Apache-2.0 */
#include "timers.h"

#include <stdlib.h>

#include "epochs.h"
#include "instance.h"
#include "invocations.h"
#include "mailbox.h"
#include "reads.h"
#include "tokens.h"
#include "types.h"

enum {
    FIRED_PER_STEP_MAX = 1024,
    TIMERS_READ_ROWS = 256,
    CHILLED_PER_STEP = 256,
};

static bool is_number(const struct table_node *node, const void *key)
{
    return container_of(node, struct timer, by_number)->node.sequence == *(const uint64_t *)key;
}

static struct timer *find(const struct engine *engine, uint64_t number)
{
    struct table_node *node = table_find(&engine->timers_by_number, number, is_number, &number);

    return node == NULL ? NULL : container_of(node, struct timer, by_number);
}

static void set_body(struct engine *engine, struct timer *timer, const struct envelope *envelope)
{
    const size_t bytes = sizeof(struct timer_body) + address_bytes(&envelope->target) +
                         address_bytes(&envelope->caller) + envelope->value.size + envelope->traceparent.size +
                         envelope->token.size;
    struct timer_body *body = calloc(1, bytes);
    check(body != NULL);
    uint8_t *at = (uint8_t *)(body + 1);

    body->timer = timer;
    body->bytes = bytes;
    body->envelope = *envelope;
    body->envelope.target = address_pack(&at, &envelope->target);
    body->envelope.caller = address_pack(&at, &envelope->caller);
    body->envelope.value = slice_pack(&at, envelope->value);
    body->envelope.traceparent = slice_pack(&at, envelope->traceparent);
    body->envelope.token = slice_pack(&at, envelope->token);
    timer->body = body;
    engine->memory_bytes += bytes;
    list_push(&engine->timers_resident, &body->resident);
}

static void free_body(struct engine *engine, struct timer *timer)
{
    struct timer_body *body = TAKE(timer->body);

    if (link_is_linked(&body->fresh)) {
        list_remove(&engine->open->fresh_timers, &body->fresh);
    }
    list_remove(&engine->timers_resident, &body->resident);
    engine->memory_bytes -= body->bytes;
    free(body);
}

static struct timer *add(struct engine *engine, uint64_t number, uint64_t due_ms)
{
    struct timer *timer = calloc(1, sizeof *timer);

    check(timer != NULL);
    timer->node.due = due_ms;
    timer->node.sequence = number;
    heap_push(&engine->timers, &timer->node);
    table_insert(&engine->timers_by_number, &timer->by_number, number);
    engine->memory_bytes += sizeof *timer;
    return timer;
}

void timers_add(struct engine *engine, const struct envelope *envelope, uint64_t due_ms)
{
    struct timer *timer = add(engine, envelope->number, due_ms);

    set_body(engine, timer, envelope);
    timer->body->epoch = engine->open->number;
    list_push(&engine->open->fresh_timers, &timer->body->fresh);
    epochs_changed(engine, timer->body->bytes);
}

void timers_add_recovered(struct engine *engine, const struct envelope *envelope, uint64_t due_ms)
{
    struct timer *timer = add(engine, envelope->number, due_ms);

    if (engine->memory_bytes < engine->options.memory_bytes) {
        set_body(engine, timer, envelope);
    }
}

/* Takes a timer out of memory, and its row out of the store if it is there. */
static void remove_timer(struct engine *engine, struct timer *timer)
{
    if (timer->body == NULL || !link_is_linked(&timer->body->fresh)) {
        struct key key;
        key_timer(&key, timer->node.due, timer->node.sequence);
        epochs_delete(engine, STORE_TIMER, &key);
    }
    if (timer->body != NULL) {
        free_body(engine, timer);
    }
    heap_remove(&engine->timers, &timer->node);
    table_remove(&engine->timers_by_number, &timer->by_number);
    engine->memory_bytes -= sizeof *timer;
    free(timer);
}

void timers_cancel(struct engine *engine, struct token *token)
{
    struct timer *timer = token->timer == 0 ? NULL : find(engine, token->timer);

    if (timer == NULL) {
        return; /* unknown or fired: no effect (R32) */
    }
    remove_timer(engine, timer);
    tokens_clear(engine, token->type, token->id, token->text, token->timer);
    metric_add(engine, METRIC_TIMERS_CANCELLED, 1);
}

static void fire(struct engine *engine, struct timer *timer)
{
    struct envelope envelope = timer->body->envelope;

    if (envelope.token.size > 0) {
        struct function_type *sender = types_find(engine, envelope.caller.space, envelope.caller.name);
        check(sender != NULL);
        tokens_clear(engine, sender, envelope.caller.id, envelope.token, timer->node.sequence);
    }
    if (address_is_reply(&envelope.target)) {
        invocations_reply(engine, envelope.target.id, envelope.value);
    } else {
        struct function_type *type = types_get(engine, envelope.target.space, envelope.target.name);
        check(type != NULL); /* it was made when the message was taken, and types stay */
        envelope.number = epochs_take_number(engine);
        envelope.token = SLICE_EMPTY;
        mailbox_push(engine, instance_get(engine, type, envelope.target.id), &envelope);
    }
    metric_add(engine, METRIC_TIMERS_FIRED, 1);
    remove_timer(engine, timer);
}

static void read_bodies(struct engine *engine, const struct timer *first)
{
    struct read *read = reads_create(engine, READ_TIMERS, NULL, 1);

    key_timer(&read->keys[0], first->node.due, first->node.sequence);
    read->ranges[0] = (struct read_range){.kind = RANGE_FROM, .table = STORE_TIMER};
    read->rows_max = TIMERS_READ_ROWS;
    read->bytes_max = LIMIT_READ_BYTES_MAX;
    engine->timers_read = read;
    reads_start(engine, read);
}

void timers_fire(struct engine *engine)
{
    for (uint32_t i = 0; i < FIRED_PER_STEP_MAX && engine->timers_read == NULL; i++) {
        struct heap_node *node = heap_peek(&engine->timers);
        if (node == NULL || node->due > engine->now_ms) {
            return;
        }
        struct timer *timer = container_of(node, struct timer, node);
        if (timer->body == NULL) {
            read_bodies(engine, timer);
            return;
        }
        if (epochs_is_full(engine) || !epochs_has_numbers(engine, 1)) {
            return; /* goes on after the next commit */
        }
        fire(engine, timer);
    }
}

void timers_rows(struct engine *engine, const struct input_rows *rows)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct envelope envelope;
        struct err err;
        uint64_t due_ms = 0;
        uint64_t number = 0;
        if (!key_read_timer(rows->rows[i].key, &due_ms, &number) ||
            record_get_envelope(rows->rows[i].value, &envelope, &err) != ERR_NONE) {
            (void)err_set(&err, ERR_CORRUPT, "the row of delayed message %llu cannot be read",
                          (unsigned long long)number);
            engine_fatal(engine, &err);
            return;
        }
        struct timer *timer = find(engine, number);
        if (timer != NULL && timer->body == NULL) {
            set_body(engine, timer, &envelope);
        }
    }
}

uint64_t timers_wake_ms(const struct engine *engine)
{
    const struct heap_node *node = heap_peek(&engine->timers);

    if (node == NULL || engine->timers_read != NULL || engine->number_next > engine->number_ceiling ||
        epochs_is_full(engine)) {
        return UINT64_MAX; /* an answer or a commit will come first */
    }
    return node->due;
}

void timers_put(struct engine *engine, struct timer_body *body)
{
    struct key key;

    buf_clear(&engine->scratch);
    record_put_envelope(&engine->scratch, &body->envelope);
    key_timer(&key, body->timer->node.due, body->timer->node.sequence);
    epochs_put(engine, STORE_TIMER, &key, &engine->scratch);
}

void timers_chill(struct engine *engine)
{
    for (uint32_t i = 0; i < CHILLED_PER_STEP && engine->timers_resident.count > 0; i++) {
        struct timer_body *body = container_of(list_first(&engine->timers_resident), struct timer_body, resident);
        if (link_is_linked(&body->fresh) || body->epoch > engine->committed) {
            return;
        }
        free_body(engine, body->timer);
    }
}

void timers_destroy(struct engine *engine)
{
    for (struct heap_node *node = heap_pop(&engine->timers); node != NULL; node = heap_pop(&engine->timers)) {
        struct timer *timer = container_of(node, struct timer, node);
        free(timer->body);
        free(timer);
    }
    heap_done(&engine->timers);
    table_done(&engine->timers_by_number);
}
