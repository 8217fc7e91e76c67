/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

void registry_destroy(struct registry *registry)
{
    if (registry != NULL) {
        arena_destroy(registry->arena); /* the registry itself lives in it */
    }
}

const struct function_config *registry_function(const struct registry *registry, struct slice space, struct slice name)
{
    const struct function_config *wildcard = NULL;

    for (uint32_t i = 0; i < registry->function_count; i++) {
        const struct function_config *function = &registry->functions[i];
        if (!slice_equal(function->space, space)) {
            continue;
        }
        if (slice_equal(function->name, name)) {
            return function;
        }
        if (slice_equal(function->name, SLICE("*"))) {
            wildcard = function;
        }
    }
    return wildcard;
}

int32_t registry_egress(const struct registry *registry, struct slice space, struct slice name)
{
    for (uint32_t i = 0; i < registry->egress_count; i++) {
        const struct egress_config *egress = &registry->egresses[i];
        if (!egress->is_topic && slice_equal(egress->space, space) && slice_equal(egress->name, name)) {
            return (int32_t)i;
        }
    }
    return -1;
}

bool registry_is_playground_name(struct slice space, struct slice name)
{
    return slice_equal(name, PLAYGROUND_EGRESS) && slice_equal(space, PLAYGROUND_SPACE);
}

bool registry_is_playground(const struct registry *registry, struct slice space, struct slice name)
{
    bool has_egress = false;

    for (uint32_t i = 0; i < registry->port_count; i++) {
        has_egress |= registry->ports[i].is_egress;
    }
    return has_egress && registry_is_playground_name(space, name);
}

bool registry_has_topic_at(const struct registry *registry, uint32_t egress, uint32_t ports)
{
    const struct egress_config *config = &registry->egresses[egress];

    return config->is_topic && (ports & UINT32_C(1) << config->port) != 0;
}

int32_t registry_topic(const struct registry *registry, struct slice topic)
{
    for (uint32_t i = 0; i < registry->egress_count; i++) {
        if (registry->egresses[i].is_topic && slice_equal(registry->egresses[i].name, topic)) {
            return (int32_t)i;
        }
    }
    return -1;
}
