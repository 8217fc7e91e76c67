/* SPDX-License-Identifier: Apache-2.0 */
#include "parked.h"

#include "epochs.h"
#include "instance.h"
#include "types.h"

bool parked_is_full(const struct engine *engine)
{
    return engine->parked_count >= engine->options.parked_max;
}

void parked_put(struct engine *engine, struct instance *owner, const struct envelope *envelope, const char *reason,
                const char *text, uint32_t attempts)
{
    const struct hash_key *secret = &engine->store.secret;
    const struct parked record = {.envelope = *envelope,
                                  .attempts = attempts,
                                  .parked_ms = engine->now_ms,
                                  .reason = slice_of(reason),
                                  .text = slice_of(text)};
    struct key key;

    types_intern(engine, owner->type);
    buf_clear(&engine->scratch);
    record_put_parked(&engine->scratch, &record);
    key_parked(&key, owner->type->number, owner->id, envelope->number, secret);
    epochs_put(engine, STORE_PARKED, &key, &engine->scratch);
    engine->parked_count++;
    metric_add(engine, METRIC_MESSAGES_PARKED, 1);
    engine_note_message(engine, "message.parked", instance_text(engine, owner), envelope, "%s: %s", reason, text);
}
