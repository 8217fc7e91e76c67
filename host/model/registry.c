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
        if (slice_equal(registry->egresses[i].space, space) && slice_equal(registry->egresses[i].name, name)) {
            return (int32_t)i;
        }
    }
    return -1;
}
