/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <stdlib.h>

#include "epochs.h"
#include "instance.h"
#include "pops.h"

void outbox_create(struct engine *engine)
{
    const uint32_t count = engine->options.registry->egress_count;

    engine->egresses = calloc(count + 1, sizeof *engine->egresses);
    check(engine->egresses != NULL);
    for (uint32_t i = 0; i < count; i++) {
        engine->egresses[i].patience.kind = WAKE_EGRESS;
    }
}

void outbox_destroy(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->options.registry->egress_count; i++) {
        struct list *pops = &engine->egresses[i].pops;
        for (struct link *link = list_pop(pops); link != NULL; link = list_pop(pops)) {
            free(container_of(link, struct pop, link));
        }
    }
    free(engine->egresses);
}

void outbox_load_egress(struct engine *engine, uint32_t number, struct slice space, struct slice name)
{
    const struct registry *registry = engine->options.registry;

    for (uint32_t i = 0; i < registry->egress_count; i++) {
        if (slice_equal(registry->egresses[i].name, name) && slice_equal(registry->egresses[i].space, space)) {
            engine->egresses[i].number = number;
        }
    }
    if (number > engine->egress_number_max) {
        engine->egress_number_max = number;
    }
}

void outbox_load_record(struct engine *engine, uint32_t number, size_t bytes)
{
    engine->outbox_count++;
    engine->outbox_bytes += bytes;
    for (uint32_t i = 0; i < engine->options.registry->egress_count; i++) {
        if (engine->egresses[i].number == number) {
            engine->egresses[i].count++;
            engine->egresses[i].bytes += bytes;
            return;
        }
    }
}

void outbox_intern(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->options.registry->egress_count; i++) {
        const struct egress_config *config = &engine->options.registry->egresses[i];
        struct egress *egress = &engine->egresses[i];
        if (egress->number == 0) {
            struct key key;
            egress->number = ++engine->egress_number_max;
            buf_clear(&engine->scratch);
            record_put_egress(&engine->scratch, config->space, config->name);
            key_meta_egress(&key, egress->number);
            epochs_put(engine, STORE_META, &key, &engine->scratch);
        }
    }
}

int32_t outbox_egress(const struct engine *engine, const struct emitted *emitted)
{
    const struct registry *registry = engine->options.registry;

    if (registry_is_playground(registry, emitted->space, emitted->name)) {
        return emitted->topic.size == 0 ? -1 : registry_topic(registry, emitted->topic);
    }
    return registry_egress(registry, emitted->space, emitted->name);
}

void outbox_put(struct engine *engine, const struct instance *sender, const struct emitted *emitted, uint32_t index)
{
    const bool is_topic = engine->options.registry->egresses[index].is_topic;
    struct egress *egress = &engine->egresses[index];
    const struct outbox_record record = {.number = epochs_take_number(engine),
                                         .time_ms = engine->now_ms,
                                         .sender = instance_address(sender),
                                         .value = is_topic ? emitted->text : emitted->value};
    struct key key;

    buf_clear(&engine->scratch);
    record_put_outbox(&engine->scratch, &record);
    key_outbox(&key, egress->number, record.number);
    epochs_put(engine, STORE_OUTBOX, &key, &engine->scratch);
    engine->outbox_count++;
    engine->outbox_bytes += engine->scratch.size;
    egress->count++;
    egress->bytes += engine->scratch.size;
    egress->put_epoch = engine->open->number;
    metric_add(engine, METRIC_EGRESS_RECORDS, 1);
}
