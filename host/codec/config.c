/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "check.h"
#include "config_kind.h"
#include "config_registry.h"
#include "nearest.h"

enum { NODES_BYTES_MAX = 32 << 20 }; /* of one file while it is read */

static const struct config_kind *find_kind(const struct config_node *node)
{
    for (size_t i = 0; node->kind == CONFIG_NODE_SCALAR && i < config_proa_kind_count; i++) {
        if (slice_equal(node->text, slice_of(config_proa_kinds[i].name))) {
            return &config_proa_kinds[i];
        }
    }
    for (size_t i = 0; node->kind == CONFIG_NODE_SCALAR && i < config_statefun_kind_count; i++) {
        if (slice_equal(node->text, slice_of(config_statefun_kinds[i].name))) {
            return &config_statefun_kinds[i];
        }
    }
    return NULL;
}

static void complain_kind(struct config_source *source, const struct config_node *node)
{
    struct nearest nearest = nearest_to(node->text);
    const char *meant = config_proa_kinds[0].name;

    if (node->kind == CONFIG_NODE_BAD) {
        return;
    }
    for (size_t i = 0; i < config_proa_kind_count + config_statefun_kind_count; i++) {
        const struct config_kind *kind =
            i < config_proa_kind_count ? &config_proa_kinds[i] : &config_statefun_kinds[i - config_proa_kind_count];
        if (nearest_offer(&nearest, slice_of(kind->name))) {
            meant = kind->name;
        }
    }
    config_error(source, node->line, "kind: '%.*s' is not a known kind; did you mean %s?", config_shown(node->text),
                 node->text.size == 0 ? (const uint8_t *)"" : node->text.data, meant);
}

/* A key beside kind and spec. */
static void complain_key(struct config_source *source, const struct config_node *node, bool is_foreign)
{
    struct nearest nearest = nearest_to(node->key);
    const char *meant = nearest_offer(&nearest, SLICE("kind")) ? "kind" : NULL;

    meant = nearest_offer(&nearest, SLICE("spec")) ? "spec" : meant;
    if (is_foreign) {
        config_warn(source, node->key_line, "%.*s is not a known key; a document has kind and spec; it is passed over",
                    config_shown(node->key), node->key.data);
    } else if (meant == NULL) {
        config_error(source, node->key_line, "%.*s is not a known key; a document has kind and spec",
                     config_shown(node->key), node->key.data);
    } else {
        config_error(source, node->key_line, "%.*s is not a known key; did you mean %s?", config_shown(node->key),
                     node->key.data, meant);
    }
}

static void read_spec(struct config *config, struct config_source *source, const struct config_kind *kind,
                      const struct config_node *kind_node, const struct config_node *spec)
{
    struct config_value values[CONFIG_KEYS_MAX];

    if (kind->table == NULL) {
        config_error(source, kind_node->line, "kind %s: %s", kind->name, kind->help);
    } else if (spec != NULL) {
        /* What could be read is added even after errors, so that doubles are found in the same pass. */
        (void)config_table_read(source, kind->table, spec, "spec", values);
        kind->add(config, source, spec, values);
    }
}

static void read_document(struct config *config, struct config_source *source, const struct config_node *document)
{
    const struct config_node *kind_node = NULL;
    const struct config_node *spec = NULL;

    if (document->kind == CONFIG_NODE_NOTHING || document->kind == CONFIG_NODE_BAD) {
        return; /* an empty document: a file may begin or end with --- */
    }
    if (document->kind != CONFIG_NODE_MAP) {
        config_error(source, document->line, "a document is a mapping with the keys kind and spec");
        return;
    }
    if (config_refuse_legacy(source, document)) {
        return;
    }
    for (const struct config_node *node = document->first; node != NULL; node = node->next) {
        kind_node = slice_equal(node->key, SLICE("kind")) ? node : kind_node;
        spec = slice_equal(node->key, SLICE("spec")) ? node : spec;
    }
    const struct config_kind *kind = kind_node == NULL ? NULL : find_kind(kind_node);
    const bool is_foreign = kind != NULL && (kind->table == NULL || kind->table->is_foreign);
    for (const struct config_node *node = document->first; node != NULL; node = node->next) {
        if (node != kind_node && node != spec && node->key.size > 0) {
            complain_key(source, node, is_foreign);
        }
    }
    if (kind_node == NULL) {
        config_error(source, document->line, "this document has no key kind, which must be there");
    } else if (kind == NULL) {
        complain_kind(source, kind_node);
    }
    if (spec == NULL && (kind == NULL || kind->table != NULL)) {
        config_error(source, document->line, "this document has no key spec, which must be there");
    }
    if (kind != NULL) {
        read_spec(config, source, kind, kind_node, spec);
    }
}

enum err_code config_add_module(struct config *config, const struct config_input *input, struct buf *messages)
{
    struct config_source source = {.input = input, .messages = messages};

    source.arena = arena_create(NODES_BYTES_MAX);
    check(source.arena != NULL);
    const struct config_node *document = config_yaml_read(&source);
    for (; document != NULL; document = document->next) {
        read_document(config, &source, document);
    }
    arena_destroy(source.arena);
    return config_end_source(config, &source);
}
