/* SPDX-License-Identifier: Apache-2.0 */
#include "expiry.h"

#include "calls.h"
#include "epochs.h"
#include "instance.h"
#include "reads.h"
#include "types.h"

enum {
    EXPIRY_ROWS = 128,
    EXPIRY_PAGE_MS = 10,   /* between two pages of rows: what they name is being loaded meanwhile */
    EXPIRY_BUSY_MS = 1000, /* an instance that is not idle is looked at again after this */
};

static uint64_t value_due_ms(const struct instance *instance, uint32_t index)
{
    const struct state_spec *spec = &instance->type->specs[index];
    const struct value *value = &instance->values[index];
    uint64_t since_ms = value->written_ms;

    if (value->data == NULL || spec->mode == EXPIRY_NONE || spec->expire_ms <= 0) {
        return UINT64_MAX;
    }
    if (spec->mode == EXPIRY_AFTER_INVOKE && instance->touched_ms > since_ms) {
        since_ms = instance->touched_ms;
    }
    const uint64_t after_ms = (uint64_t)spec->expire_ms;
    return since_ms > UINT64_MAX - 1 - after_ms ? UINT64_MAX - 1 : since_ms + after_ms;
}

static uint64_t earliest_due_ms(const struct instance *instance)
{
    uint64_t due_ms = UINT64_MAX;

    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        const uint64_t value_ms = value_due_ms(instance, i);
        due_ms = value_ms < due_ms ? value_ms : due_ms;
    }
    return due_ms;
}

uint32_t expiry_clear(struct engine *engine, struct instance *instance)
{
    uint32_t expired = 0;

    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        if (value_due_ms(instance, i) <= engine->now_ms) {
            instance_clear_value(engine, instance, i);
            expired++;
        }
    }
    metric_add(engine, METRIC_EXPIRED_VALUES, expired);
    return expired;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_armed(struct engine *engine, struct instance *instance, uint64_t due_ms)
{
    instance->armed_ms = due_ms;
    instance_changed(engine, instance);
    if (due_ms != 0) {
        engine->open->expiry_ms = earlier(engine->open->expiry_ms, due_ms);
        engine->expiry_since_ms = earlier(engine->expiry_since_ms, due_ms);
        engine->expiry_next_ms = earlier(engine->expiry_next_ms, due_ms);
    }
}

void expiry_arm(struct engine *engine, struct instance *instance)
{
    const uint64_t due_ms = earliest_due_ms(instance);

    if (due_ms != UINT64_MAX && (instance->armed_ms == 0 || due_ms < instance->armed_ms)) {
        set_armed(engine, instance, due_ms);
    }
}

void expiry_run(struct engine *engine)
{
    if (engine->now_ms < engine->expiry_next_ms || engine->expiry_read != NULL ||
        engine->committed < engine->expiry_after_epoch) {
        return;
    }
    struct read *read = reads_create(engine, READ_EXPIRY, NULL, 1);
    read->keys[0] = engine->expiry_after;
    read->keys[0].bytes[read->keys[0].size++] = 0; /* the least key behind it */
    read->ranges[0] = (struct read_range){.kind = RANGE_FROM, .table = STORE_EXPIRY};
    read->rows_max = EXPIRY_ROWS;
    read->bytes_max = LIMIT_READ_BYTES_MAX;
    engine->expiry_read = read;
    /* The snapshot may lack the rows of epochs not yet on disk: what they armed is remembered here. */
    engine->expiry_since_ms = engine->open->expiry_ms;
    if (engine->sealed != NULL) {
        engine->expiry_since_ms = earlier(engine->expiry_since_ms, engine->sealed->expiry_ms);
    }
    reads_start(engine, read);
}

void expiry_judge(struct engine *engine, struct instance *instance)
{
    const uint64_t fired_ms = instance->expiry_due;

    instance->expiry_due = 0;
    if (instance->armed_ms != fired_ms) {
        return; /* the row is gone, or goes with an epoch under way */
    }
    if (instance->phase != INSTANCE_IDLE || instance->mailbox.count > 0) {
        set_armed(engine, instance, engine->now_ms + EXPIRY_BUSY_MS);
        return;
    }
    (void)expiry_clear(engine, instance); /* how many is in the metrics */
    const uint64_t due_ms = earliest_due_ms(instance);
    set_armed(engine, instance, due_ms == UINT64_MAX ? 0 : due_ms);
}

static void judge_row(struct engine *engine, uint64_t due_ms, uint32_t type_number, struct slice id)
{
    struct function_type *type = type_number < engine->type_capacity ? engine->types_by_number[type_number] : NULL;

    if (type == NULL) {
        return;
    }
    struct instance *instance = instance_get(engine, type, id);
    instance->expiry_due = due_ms;
    if (instance->is_loaded) {
        expiry_judge(engine, instance);
    } else {
        calls_schedule(engine, instance);
    }
}

void expiry_rows(struct engine *engine, const struct input_rows *rows)
{
    uint64_t next_ms = engine->expiry_since_ms;
    bool has_future = false;

    for (uint32_t i = 0; i < rows->row_count; i++) {
        uint64_t due_ms = 0;
        uint32_t type_number = 0;
        struct slice id;
        struct err err;
        if (!key_read_expiry(rows->rows[i].key, &due_ms, &type_number) ||
            record_get_expiry(rows->rows[i].value, &id, &err) != ERR_NONE) {
            continue; /* the value itself is judged when it is used: nothing expired is ever handed out */
        }
        if (due_ms > engine->now_ms) {
            next_ms = due_ms < next_ms ? due_ms : next_ms;
            has_future = true;
            break;
        }
        judge_row(engine, due_ms, type_number, id);
    }
    engine->expiry_after.size = 0;
    if (rows->is_cut && !has_future) {
        const struct slice last = rows->rows[rows->row_count - 1].key;
        memcpy(engine->expiry_after.bytes, last.data, last.size);
        engine->expiry_after.size = (uint16_t)last.size;
    }
    if (rows->is_cut && !has_future && next_ms > engine->now_ms + EXPIRY_PAGE_MS) {
        next_ms = engine->now_ms + EXPIRY_PAGE_MS;
    }
    engine->expiry_next_ms = earlier(next_ms, engine->expiry_since_ms);
    engine->expiry_after_epoch =
        engine->open->opened_ms == 0 ? 0 : engine->open->number; /* it deletes rows just seen */
}

uint64_t expiry_wake_ms(const struct engine *engine)
{
    if (engine->expiry_read != NULL || engine->committed < engine->expiry_after_epoch) {
        return UINT64_MAX; /* an answer or a commit comes first */
    }
    return engine->expiry_next_ms;
}
