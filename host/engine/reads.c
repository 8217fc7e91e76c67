/* SPDX-License-Identifier: Apache-2.0 */
#include "reads.h"

#include <stdlib.h>

#include "expiry.h"
#include "instance.h"
#include "mailbox.h"
#include "outbox.h"
#include "pops.h"
#include "recovery.h"
#include "timers.h"
#include "tokens.h"

enum { READ_AGAIN_MS = 100 };

static bool is_number(const struct table_node *node, const void *key)
{
    return container_of(node, struct read, node)->number == *(const uint64_t *)key;
}

struct read *reads_create(struct engine *engine, enum read_purpose purpose, void *subject, uint32_t range_count)
{
    struct read *read = calloc(1, sizeof *read + range_count * (sizeof(struct read_range) + sizeof(struct key)));

    check(read != NULL && range_count > 0);
    read->number = ++engine->read_number;
    read->purpose = purpose;
    read->subject = subject;
    read->wake.kind = WAKE_READ;
    read->ranges = (struct read_range *)(void *)(read + 1);
    read->keys = (struct key *)(void *)(read->ranges + range_count);
    read->range_count = range_count;
    read->rows_max = LIMIT_READ_ROWS_MAX;
    read->bytes_max = LIMIT_READ_BYTES_MAX;
    table_insert(&engine->reads, &read->node, read->number);
    return read;
}

static void emit(struct engine *engine, struct read *read)
{
    struct read_range *ranges = engine_step_alloc(engine, read->range_count * sizeof *ranges);
    struct effect_read *effect = &engine_effect(engine, EFFECT_READ)->read;

    for (uint32_t i = 0; i < read->range_count; i++) {
        ranges[i] = read->ranges[i];
        ranges[i].key = arena_copy(engine->step_arena, key_slice(&read->keys[i]));
    }
    effect->read = read->number;
    effect->ranges = ranges;
    effect->range_count = read->range_count;
    effect->rows_max = read->rows_max;
    effect->bytes_max = read->bytes_max;
    engine->reads_in_flight++;
    metric_add(engine, METRIC_READS, 1);
}

void reads_start(struct engine *engine, struct read *read)
{
    if (engine->reads_in_flight >= engine->options.reads_in_flight_max) {
        list_push(&engine->reads_waiting, &read->waiting);
        return;
    }
    emit(engine, read);
}

static void deliver(struct engine *engine, struct read *read, const struct input_rows *rows)
{
    switch (read->purpose) {
    case READ_INSTANCE:
    case READ_VALUES: {
        struct instance *instance = read->subject;
        instance->read = NULL;
        instance_load_rows(engine, instance, rows, read->purpose == READ_INSTANCE);
        break;
    }
    case READ_BODIES: {
        struct instance *instance = read->subject;
        instance->read = NULL;
        mailbox_rows(engine, instance, rows);
        break;
    }
    case READ_TOKEN:
        tokens_rows(engine, read->subject, rows);
        break;
    case READ_TIMERS:
        engine->timers_read = NULL;
        timers_rows(engine, rows);
        break;
    case READ_EXPIRY:
        engine->expiry_read = NULL;
        expiry_rows(engine, rows);
        break;
    case READ_RECORDS: {
        struct egress *egress = read->subject;
        egress->read = NULL;
        pops_rows(engine, egress, rows);
        break;
    }
    case READ_SCAN:
        recovery_rows(engine, rows);
        break;
    }
}

void reads_rows(struct engine *engine, const struct input_rows *rows)
{
    struct table_node *node = table_find(&engine->reads, rows->read, is_number, &rows->read);

    if (node == NULL) {
        return; /* answers nothing of this engine: it was asked before a restart */
    }
    struct read *read = container_of(node, struct read, node);
    engine->reads_in_flight--;
    if (rows->has_failed) {
        engine_note(engine, NOTE_ERROR, "store.read_failed", SLICE_EMPTY, "%s",
                    rows->text == NULL ? "the store gave no reason" : rows->text);
        engine_wake_at(engine, &read->wake, engine->now_ms + READ_AGAIN_MS);
        return;
    }
    table_remove(&engine->reads, node);
    deliver(engine, read, rows);
    free(read);
    while (engine->reads_waiting.count > 0 && engine->reads_in_flight < engine->options.reads_in_flight_max) {
        emit(engine, container_of(list_pop(&engine->reads_waiting), struct read, waiting));
    }
}

void reads_destroy(struct engine *engine)
{
    for (struct table_node *node = table_any(&engine->reads); node != NULL; node = table_any(&engine->reads)) {
        table_remove(&engine->reads, node);
        free(container_of(node, struct read, node));
    }
    table_done(&engine->reads);
}
