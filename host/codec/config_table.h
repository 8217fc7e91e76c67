/* SPDX-License-Identifier: Apache-2.0
 *
 * config_table.h: a mapping of a module file is a table of keys, and one reader knows how to use tables.
 *
 * From the same rows come the values (here), the reference pages and the JSON Schema (config_print.c), so they agree.
 * Defaults are texts and go through the same parser as what a person wrote. Included by config*.c only.
 */
#pragma once

#include "config_rule.h"
#include "config_yaml.h"

/* What becomes of a key. */
enum config_fate {
    CONFIG_TAKEN,
    CONFIG_WITHOUT_EFFECT, /* checked, then a warning: "PATH has no effect: HELP" */
};

struct config_key {
    const char *path; /* within its mapping: "call.timeout" */
    struct config_rule rule;
    const char *fallback; /* NULL: the key must be there; empty: it may be missing, and has no default */
    const char *help;     /* a sentence; of a key that is not taken the second half of one */
    enum config_fate fate;
};

struct config_value {
    uint32_t line; /* 0: the default */
    uint64_t number;
    struct slice text;
    const struct config_node *node; /* of CONFIG_ENTRIES and CONFIG_LIST; NULL: none */
};

enum { CONFIG_KEYS_MAX = 32 };

/* A mapping with known keys. */
struct config_table {
    const struct config_key *keys;
    size_t count;
    bool is_foreign; /* StateFun's: its readers pass over unknown keys, so those are warnings */
};

/* Sets every value to its default. */
void config_table_default(const struct config_table *table, struct config_value *out_values);
/* Reads a mapping: defaults, then what stands there. `what` names the mapping in messages ("spec"). Keys that must be
 * there and are not, and whatever is wrong, are complained about; false if anything was. */
bool config_table_read(struct config_source *source, const struct config_table *table, const struct config_node *node,
                       const char *what, struct config_value *out_values);
