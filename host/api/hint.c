/* SPDX-License-Identifier: Apache-2.0 */
#include "hint.h"

#include "nearest.h"

enum {
    COMPARED_MAX = 256, /* names looked at */
    LISTED_MAX = 5,     /* names given when none is near */
    NAME_BYTES_MAX = 2 * LIMIT_NAMESPACE_BYTES_MAX + 1,
};

static void put_function(struct slice space, struct slice name, struct buf *out)
{
    buf_append_slice(out, space);
    buf_append_u8(out, '/');
    buf_append_slice(out, name);
}

static void list_functions(const struct registry *registry, struct buf *out)
{
    buf_append_text(out, "this host serves ");
    for (uint32_t i = 0; i < registry->function_count && i < LISTED_MAX; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        put_function(registry->functions[i].space, registry->functions[i].name, out);
    }
    if (registry->function_count > LISTED_MAX) {
        buf_appendf(out, " and %u more", registry->function_count - LISTED_MAX);
    }
}

void hint_function(const struct registry *registry, struct slice space, struct slice name, struct buf *out)
{
    const uint32_t count = registry->function_count < COMPARED_MAX ? registry->function_count : COMPARED_MAX;
    const struct function_config *meant = NULL;
    struct buf wanted;
    struct buf served;

    buf_init(&wanted, NAME_BYTES_MAX);
    buf_init(&served, NAME_BYTES_MAX);
    put_function(space, name, &wanted);
    struct nearest nearest = nearest_to(buf_slice(&wanted));
    for (uint32_t i = 0; i < count; i++) {
        const struct function_config *function = &registry->functions[i];
        /* A wildcard serves the wanted name too, so only its namespace can be meant otherwise. */
        const bool is_wildcard = slice_equal(function->name, SLICE("*"));
        buf_clear(&served);
        put_function(function->space, is_wildcard ? name : function->name, &served);
        meant = nearest_offer(&nearest, buf_slice(&served)) ? function : meant;
    }
    if (meant == NULL) {
        list_functions(registry, out);
    } else {
        buf_append_text(out, "did you mean ");
        put_function(meant->space, slice_equal(meant->name, SLICE("*")) ? name : meant->name, out);
        buf_append_u8(out, '?');
    }
    buf_done(&wanted);
    buf_done(&served);
}

static void list_topics(const struct registry *registry, uint32_t ports, struct buf *out)
{
    uint32_t count = 0;

    buf_append_text(out, "this port has ");
    for (uint32_t i = 0; i < registry->egress_count; i++) {
        if (!registry_has_topic_at(registry, i, ports)) {
            continue;
        }
        if (count < LISTED_MAX) {
            buf_append_text(out, count == 0 ? "" : ", ");
            buf_append_slice(out, registry->egresses[i].name);
        }
        count++;
    }
    if (count > LISTED_MAX) {
        buf_appendf(out, " and %u more", count - LISTED_MAX);
    }
}

void hint_topic(const struct registry *registry, uint32_t ports, struct slice topic, struct buf *out)
{
    struct nearest nearest = nearest_to(topic);
    struct slice meant = SLICE_EMPTY;
    uint32_t compared = 0;

    for (uint32_t i = 0; i < registry->egress_count && compared < COMPARED_MAX; i++) {
        if (registry_has_topic_at(registry, i, ports)) {
            compared++;
            meant = nearest_offer(&nearest, registry->egresses[i].name) ? registry->egresses[i].name : meant;
        }
    }
    if (meant.size == 0) {
        list_topics(registry, ports, out);
    } else {
        buf_append_text(out, "did you mean ");
        buf_append_slice(out, meant);
        buf_append_u8(out, '?');
    }
}
