/* SPDX-License-Identifier: Apache-2.0
 *
 * config_kind.h: the kinds of documents: the table of keys of each, and what of it enters the registry.
 *
 * A new kind is a table and a row in one of the two lists; a new key of our own kinds is a row and a line in
 * config_proa.c. Included by config*.c and their tests only.
 */
#pragma once

#include "config_table.h"

/* A kind of document. */
struct config_kind {
    const char *name;
    const struct config_table *table;       /* NULL: the host has nothing to make of this kind yet */
    const struct config_table *entry_table; /* of its CONFIG_ENTRIES key; NULL: it has none */
    void (*add)(struct config *config, struct config_source *source, const struct config_node *spec,
                const struct config_value *values);
    const char *help;    /* without a table: what to do instead */
    const char *example; /* a whole document; NULL: none */
};
/* Our own (config_proa.c). */
extern const struct config_kind config_proa_kinds[];
extern const size_t config_proa_kind_count;
/* StateFun's (config_statefun.c). */
extern const struct config_kind config_statefun_kinds[];
extern const size_t config_statefun_kind_count;

/* An endpoint as it is when nothing but its URL is said. */
void config_endpoint_default(struct endpoint_config *out_endpoint);
/* The bytes that may wait in an egress of which nothing else is said. */
uint64_t config_egress_bytes_default(void);

/* Those of StateFun's kinds that are its playground's (config_playground.c). */
extern const struct config_table config_playground_ingress_table;
extern const struct config_table config_playground_egress_table;
/* Each adds the port of a document of the playground, and an egress its topics. */
void config_read_playground_ingress(struct config *config, struct config_source *source, const struct config_node *spec,
                                    const struct config_value *values);
void config_read_playground_egress(struct config *config, struct config_source *source, const struct config_node *spec,
                                   const struct config_value *values);

/* True if the document is a whole module of StateFun 3.0, which had a form of its own; complained about. */
bool config_refuse_legacy(struct config_source *source, const struct config_node *document);
