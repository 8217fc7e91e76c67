/* SPDX-License-Identifier: Apache-2.0 */
#include "hint.h"

#include <stdio.h>

enum {
    COMPARED_MAX = 256,  /* functions looked at */
    TEXT_BYTES_MAX = 64, /* of a name that is compared; the rest does not count */
    LISTED_MAX = 5,      /* names given when none is near */
    NEAR_SHARE = 3,      /* near: at most one change in so many characters */
};

struct text {
    char bytes[2 * TEXT_BYTES_MAX];
    size_t size;
};

static struct text join(struct slice space, struct slice name)
{
    struct text text = {.size = 0};
    const int size =
        snprintf(text.bytes, sizeof text.bytes, "%.*s/%.*s",
                 (int)(space.size < TEXT_BYTES_MAX - 2 ? space.size : TEXT_BYTES_MAX - 2), (const char *)space.data,
                 (int)(name.size < TEXT_BYTES_MAX - 2 ? name.size : TEXT_BYTES_MAX - 2), (const char *)name.data);
    text.size = size > 0 ? (size_t)size : 0;
    return text;
}

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* How many characters must be changed, added or left out (Levenshtein), row by row. */
static uint32_t distance(const struct text *a, const struct text *b)
{
    uint32_t row[2 * TEXT_BYTES_MAX + 1];

    for (size_t j = 0; j <= b->size; j++) {
        row[j] = (uint32_t)j;
    }
    for (size_t i = 1; i <= a->size; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= b->size; j++) {
            const uint32_t above = row[j];
            const uint32_t change = a->bytes[i - 1] == b->bytes[j - 1] ? 0 : 1;
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + change);
            diagonal = above;
        }
    }
    return row[b->size];
}

void hint_function(const struct registry *registry, struct slice space, struct slice name, char *out, size_t out_bytes)
{
    const struct text wanted = join(space, name);
    const uint32_t count = registry->function_count < COMPARED_MAX ? registry->function_count : COMPARED_MAX;
    uint32_t nearest = UINT32_MAX;
    size_t used = 0;

    out[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct function_config *function = &registry->functions[i];
        /* A wildcard serves the wanted name too, so only its namespace can be meant otherwise. */
        const bool is_wildcard = slice_equal(function->name, SLICE("*"));
        const struct text served = join(function->space, is_wildcard ? name : function->name);
        const uint32_t changes = distance(&wanted, &served);
        const size_t longer = wanted.size > served.size ? wanted.size : served.size;
        if (changes < nearest && changes <= longer / NEAR_SHARE) {
            nearest = changes;
            (void)snprintf(out, out_bytes, "did you mean %s?", served.bytes);
        }
    }
    if (nearest != UINT32_MAX) {
        return;
    }
    for (uint32_t i = 0; i < count && i < LISTED_MAX && used < out_bytes; i++) {
        const struct text served = join(registry->functions[i].space, registry->functions[i].name);
        const int size =
            snprintf(out + used, out_bytes - used, "%s%s", i == 0 ? "this host serves " : ", ", served.bytes);
        used += size > 0 ? (size_t)size : 0;
    }
    if (registry->function_count > LISTED_MAX && used < out_bytes) {
        (void)snprintf(out + used, out_bytes - used, " and %u more", registry->function_count - LISTED_MAX);
    }
}
