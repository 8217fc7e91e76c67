/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include "hint.h"
#include "wire.h"

static enum err_code no_topic(const struct registry *registry, uint32_t ports, struct slice topic, struct err *err)
{
    struct buf hint;

    buf_init(&hint, HINT_BYTES_MAX);
    hint_topic(registry, ports, topic, &hint);
    (void)err_set(err, ERR_NOT_FOUND, "there is no topic \"%.*s\" at this port; %.*s", slice_shown(topic, 64),
                  (const char *)topic.data, (int)hint.size, (const char *)hint.data);
    buf_done(&hint);
    return err->code;
}

enum err_code topics_find(const struct registry *registry, uint32_t ports, struct slice segment, struct buf *memory,
                          uint32_t *out_egress, struct err *err)
{
    struct slice topic;

    if (path_decode(segment, "topic", memory, &topic, err) != ERR_NONE) {
        return err->code;
    }
    for (uint32_t i = 0; i < registry->egress_count; i++) {
        if (registry_has_topic_at(registry, i, ports) && slice_equal(registry->egresses[i].name, topic)) {
            *out_egress = i;
            return ERR_NONE;
        }
    }
    return no_topic(registry, ports, topic, err);
}

bool topics_answer(const struct door *door, uint64_t id, const char *hex, struct slice value)
{
    struct typed_value typed;
    struct scalar_value scalar;
    struct err err;

    if (wire_get_typed_value(value, &typed, &err) != ERR_NONE || wire_scalar_of(typed.typename_) != SCALAR_STRING ||
        wire_get_scalar(SCALAR_STRING, typed.value, &scalar, &err) != ERR_NONE) {
        return false;
    }
    door_answer(door, id, hex,
                &(struct http_answer){.status = 200, .content_type = "text/plain; charset=utf-8", .body = scalar.text});
    return true;
}
