/* SPDX-License-Identifier: Apache-2.0 */
#include "config_table.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "limit.h"
#include "nearest.h"

enum { PATH_BYTES_MAX = 64 };

void config_table_default(const struct config_table *table, struct config_value *out_values)
{
    struct err err;

    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        out_values[i] = (struct config_value){0};
        if (key->fallback != NULL && key->fallback[0] != '\0') {
            out_values[i].text = slice_of(key->fallback);
            check(config_rule_parse(&key->rule, out_values[i].text, &out_values[i].number, &err) == ERR_NONE);
        }
    }
}

/* One mapping while it is read by its table. */
struct reading {
    struct config_source *source;
    const struct config_table *table;
    const char *what;
    struct config_value *values;
};

/* The name a path has right under `prefix` ("call." or ""), or empty if it does not lie there. */
static struct slice name_under(const char *path, const char *prefix)
{
    const size_t size = strlen(prefix);

    if (strncmp(path, prefix, size) != 0) {
        return SLICE_EMPTY;
    }
    return (struct slice){(const uint8_t *)path + size, strcspn(path + size, ".")};
}

/* Says what is wrong with a key no row has: an error, or in a foreign kind a warning. */
static void say_unknown(struct reading *reading, const struct config_node *node, const char *sentence)
{
    if (reading->table->is_foreign) {
        config_warn(reading->source, node->key_line, "%s; it is passed over", sentence);
    } else {
        config_error(reading->source, node->key_line, "%s", sentence);
    }
}

/* The name in the table most like a key that stands under `prefix`, or empty. */
static struct slice nearest_key(const struct reading *reading, struct slice key, const char *prefix)
{
    struct nearest nearest = nearest_to(key);
    struct slice found = SLICE_EMPTY;

    for (size_t i = 0; i < reading->table->count; i++) {
        const struct slice name = name_under(reading->table->keys[i].path, prefix);
        if (name.size > 0 && nearest_offer(&nearest, name)) {
            found = name;
        }
    }
    return found;
}

/* Complains about a key no row has, and names what may have been meant. */
static void complain_unknown(struct reading *reading, const struct config_node *node, const char *prefix)
{
    const int shown = config_shown(node->key);
    char sentence[LIMIT_ERR_TEXT_BYTES_MAX];

    const struct slice nearest = nearest_key(reading, node->key, prefix);
    if (nearest.size > 0) {
        (void)snprintf(sentence, sizeof sentence, "%s%.*s is not a known key; did you mean %s%.*s?", prefix, shown,
                       node->key.data, prefix, (int)nearest.size, nearest.data);
        say_unknown(reading, node, sentence);
        return;
    }
    for (size_t i = 0; i < reading->table->count; i++) { /* perhaps it stands in the wrong place */
        const char *path = reading->table->keys[i].path;
        const char *dot = strrchr(path, '.');
        if (slice_equal(slice_of(dot == NULL ? path : dot + 1), node->key)) {
            (void)snprintf(sentence, sizeof sentence, "%s%.*s is not a known key here; did you mean %s.%s?", prefix,
                           shown, node->key.data, reading->what, path);
            say_unknown(reading, node, sentence);
            return;
        }
    }
    (void)snprintf(sentence, sizeof sentence, "%s%.*s is not a known key of %s", prefix, shown, node->key.data,
                   reading->what);
    say_unknown(reading, node, sentence);
}

static void read_value(struct reading *reading, size_t index, const struct config_node *node)
{
    const struct config_key *key = &reading->table->keys[index];
    struct config_value *value = &reading->values[index];
    struct err err;

    value->line = node->line;
    if (node->kind == CONFIG_NODE_BAD) {
        return;
    }
    if (key->rule.type == CONFIG_ENTRIES) {
        value->node = node;
        if (node->kind != CONFIG_NODE_MAP && node->kind != CONFIG_NODE_NOTHING) {
            config_error(reading->source, node->line, "%s is a mapping; write one key a line, each with a colon",
                         key->path);
        }
        return;
    }
    if (key->rule.type == CONFIG_LIST) {
        value->node = node;
        if (node->kind != CONFIG_NODE_LIST) {
            config_error(reading->source, node->line, "%s is a list; write it as in [one, two]", key->path);
        }
        return;
    }
    if (node->kind == CONFIG_NODE_MAP || node->kind == CONFIG_NODE_LIST) {
        config_error(reading->source, node->line, "%s is a single value, not a %s", key->path,
                     node->kind == CONFIG_NODE_MAP ? "mapping" : "list");
        return;
    }
    if (config_rule_parse(&key->rule, node->text, &value->number, &err) != ERR_NONE) {
        config_error(reading->source, node->line, "%s: %s", key->path, err.text);
        return;
    }
    if (key->fate == CONFIG_WITHOUT_EFFECT) {
        config_warn(reading->source, node->key_line, "%s has no effect: %s", key->path, key->help);
    }
    value->text = node->text;
}

/* Reads what stands under `prefix`. Goes as deep as the table's paths do. */
static void read_map(struct reading *reading, const struct config_node *map, const char *prefix)
{
    for (const struct config_node *node = map->first; node != NULL; node = node->next) {
        char path[PATH_BYTES_MAX];
        bool is_known = false;
        const int size = snprintf(path, sizeof path, "%s%.*s", prefix, slice_shown(node->key, 32), node->key.data);
        if (node->key.size == 0) {
            continue; /* complained about when it was read */
        }
        if (slice_has(node->key, '.')) {
            complain_unknown(reading, node, prefix); /* the dot in our paths is a step into a mapping */
            continue;
        }
        for (size_t i = 0; i < reading->table->count && !is_known && size + 1 < PATH_BYTES_MAX; i++) {
            const char *known = reading->table->keys[i].path;
            if (strcmp(known, path) == 0) {
                is_known = true;
                read_value(reading, i, node);
            } else if (strncmp(known, path, (size_t)size) == 0 && known[size] == '.') {
                is_known = true;
                if (node->kind == CONFIG_NODE_MAP) {
                    path[size] = '.';
                    path[size + 1] = '\0';
                    read_map(reading, node, path);
                } else if (node->kind == CONFIG_NODE_SCALAR || node->kind == CONFIG_NODE_LIST) {
                    config_error(reading->source, node->line, "%s is a mapping of its own keys, not a %s", path,
                                 node->kind == CONFIG_NODE_LIST ? "list" : "single value");
                }
            }
        }
        if (!is_known) {
            complain_unknown(reading, node, prefix);
        }
    }
}

bool config_table_read(struct config_source *source, const struct config_table *table, const struct config_node *node,
                       const char *what, struct config_value *out_values)
{
    struct reading reading = {source, table, what, out_values};
    const uint32_t errors_before = source->error_count;

    check(table->count <= CONFIG_KEYS_MAX);
    config_table_default(table, out_values);
    if (node->kind == CONFIG_NODE_BAD) {
        return false;
    }
    if (node->kind == CONFIG_NODE_SCALAR || node->kind == CONFIG_NODE_LIST) {
        config_error(source, node->line, "%s is a mapping of keys, not a %s", what,
                     node->kind == CONFIG_NODE_LIST ? "list" : "single value");
        return false;
    }
    read_map(&reading, node, "");
    for (size_t i = 0; i < table->count; i++) {
        if (table->keys[i].fallback == NULL && out_values[i].line == 0) {
            config_error(source, node->key_line, "%s has no key %s, which must be there", what, table->keys[i].path);
        }
    }
    return source->error_count == errors_before;
}
