/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include <stdio.h>

#include "config_text.h"
#include "wire.h"

enum {
    COMPARED_MAX = 64, /* topics looked at for a hint */
    LISTED_MAX = 5,
    NAME_BYTES_MAX = LIMIT_NAMESPACE_BYTES_MAX + 1,
    LIST_BYTES_MAX = 200,
};

struct names {
    char texts[COMPARED_MAX][NAME_BYTES_MAX];
    const char *list[COMPARED_MAX];
    size_t count;
};

static bool is_here(const struct egress_config *egress, uint32_t ports)
{
    return egress->is_topic && (ports & UINT32_C(1) << egress->port) != 0;
}

static void collect(const struct registry *registry, uint32_t ports, struct names *names)
{
    for (uint32_t i = 0; i < registry->egress_count && names->count < COMPARED_MAX; i++) {
        const struct slice name = registry->egresses[i].name;
        if (is_here(&registry->egresses[i], ports)) {
            (void)snprintf(names->texts[names->count], NAME_BYTES_MAX, "%.*s", (int)name.size, (const char *)name.data);
            names->list[names->count] = names->texts[names->count];
            names->count++;
        }
    }
}

static enum err_code no_topic(const struct registry *registry, uint32_t ports, struct slice topic, struct err *err)
{
    struct names names = {.count = 0};
    char there_are[LIST_BYTES_MAX] = "this port has ";
    const int shown = (int)(topic.size < 64 ? topic.size : 64);

    collect(registry, ports, &names);
    const char *nearest = config_nearest(topic, names.list, names.count);
    if (nearest != NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no topic \"%.*s\" at this port; did you mean %s?", shown,
                       (const char *)topic.data, nearest);
    }
    for (size_t i = 0; i < names.count && i < LISTED_MAX; i++) {
        const size_t used = strlen(there_are);
        (void)snprintf(there_are + used, sizeof there_are - used, "%s%s", i == 0 ? "" : ", ", names.list[i]);
    }
    return err_set(err, ERR_NOT_FOUND, "there is no topic \"%.*s\" at this port; %s", shown, (const char *)topic.data,
                   there_are);
}

enum err_code topics_find(const struct registry *registry, uint32_t ports, struct slice segment, struct buf *memory,
                          uint32_t *out_egress, struct err *err)
{
    struct slice topic;

    if (path_decode(segment, "topic", memory, &topic, err) != ERR_NONE) {
        return err->code;
    }
    for (uint32_t i = 0; i < registry->egress_count; i++) {
        if (is_here(&registry->egresses[i], ports) && slice_equal(registry->egresses[i].name, topic)) {
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
