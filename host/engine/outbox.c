/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.c: records for egresses, kept until somebody took them.
 */
#include "core.h"

/* Egress names are interned as types are: by their first record. */
static uint32_t intern(struct engine *engine, uint32_t egress)
{
    const struct egress_config *config = &engine->options.registry->egresses[egress];

    if (engine->egress_numbers[egress] == 0) {
        struct key key;
        engine->egress_numbers[egress] = ++engine->egress_number_max;
        buf_clear(&engine->scratch);
        record_put_egress(&engine->scratch, config->space, config->name);
        key_meta_egress(&key, engine->egress_numbers[egress]);
        epochs_put(engine, STORE_META, &key, &engine->scratch);
    }
    return engine->egress_numbers[egress];
}

void outbox_put(struct engine *engine, const struct instance *sender, uint32_t egress, struct slice value)
{
    const uint32_t number = intern(engine, egress);
    const struct outbox_record record = {.number = epochs_take_number(engine),
                                         .time_ms = engine->now_ms,
                                         .sender = instance_address(sender),
                                         .value = value};
    struct key key;

    buf_clear(&engine->scratch);
    record_put_outbox(&engine->scratch, &record);
    key_outbox(&key, number, record.number);
    epochs_put(engine, STORE_OUTBOX, &key, &engine->scratch);
    engine->outbox_count++;
    engine->outbox_bytes += engine->scratch.size;
    engine->egress_bytes[egress] += engine->scratch.size;
    metric_add(engine, METRIC_EGRESS_RECORDS, 1);
}
