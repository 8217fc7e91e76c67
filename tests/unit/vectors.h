/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors.h: protocol/vectors/ for C tests. Include unit.h before it.
 *
 * A file that cannot be read, and a key that is missing, fail the running test.
 */
#pragma once

#include <jansson.h>
#include <stdlib.h>

#include "arena.h"
#include "bytes.h"

static inline json_t *vectors_load(const char *file)
{
    char path[512];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%s/protocol/vectors/%s", PROA_SOURCE_ROOT, file);
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (root == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    assert_int_equal(json_integer_value(json_object_get(root, "format")), 1);
    return root;
}

static inline json_t *vectors_get(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    if (value == NULL) {
        fail_msg("a vector has no %s", key);
    }
    return value;
}

static inline struct slice vectors_text(const json_t *object, const char *key)
{
    const json_t *value = vectors_get(object, key);

    assert_true(json_is_string(value));
    return (struct slice){(const uint8_t *)json_string_value(value), json_string_length(value)};
}

/* The bytes of a hexadecimal text. */
static inline struct slice vectors_hex(const json_t *object, const char *key, struct arena *arena)
{
    const struct slice hex = vectors_text(object, key);
    uint8_t *bytes = arena_alloc(arena, hex.size / 2 + 1);

    assert_int_equal(hex.size % 2, 0);
    assert_non_null(bytes);
    for (size_t i = 0; i < hex.size / 2; i++) {
        const char digits[3] = {(char)hex.data[2 * i], (char)hex.data[2 * i + 1], '\0'};
        char *end;
        bytes[i] = (uint8_t)strtoul(digits, &end, 16);
        assert_true(end == digits + 2);
    }
    return (struct slice){bytes, hex.size / 2};
}
