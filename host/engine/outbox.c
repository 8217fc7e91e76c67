/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.c: records for egresses, kept until somebody took them.
 */
#include "core.h"

void outbox_intern(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->options.registry->egress_count; i++) {
        const struct egress_config *config = &engine->options.registry->egresses[i];
        if (engine->egress_numbers[i] == 0) {
            struct key key;
            engine->egress_numbers[i] = ++engine->egress_number_max;
            buf_clear(&engine->scratch);
            record_put_egress(&engine->scratch, config->space, config->name);
            key_meta_egress(&key, engine->egress_numbers[i]);
            epochs_put(engine, STORE_META, &key, &engine->scratch);
        }
    }
}

void outbox_put(struct engine *engine, const struct instance *sender, uint32_t egress, struct slice value)
{
    const struct outbox_record record = {.number = epochs_take_number(engine),
                                         .time_ms = engine->now_ms,
                                         .sender = instance_address(sender),
                                         .value = value};
    struct key key;

    buf_clear(&engine->scratch);
    record_put_outbox(&engine->scratch, &record);
    key_outbox(&key, engine->egress_numbers[egress], record.number);
    epochs_put(engine, STORE_OUTBOX, &key, &engine->scratch);
    engine->outbox_count++;
    engine->outbox_bytes += engine->scratch.size;
    engine->egress_bytes[egress] += engine->scratch.size;
    metric_add(engine, METRIC_EGRESS_RECORDS, 1);
}
