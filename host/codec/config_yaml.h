/* SPDX-License-Identifier: Apache-2.0
 *
 * config_yaml.h: the text of a module file to nodes. The only user of libyaml.
 *
 * Nodes are made from libyaml's events without recursion: the way from the root to the open mapping stands
 * in an array. Anchors, aliases and tags are refused, so a file cannot grow beyond its own size.
 * Memory: nodes and their texts live as long as the source's arena. Included by config*.c only.
 */
#pragma once

#include "config_source.h"

enum config_node_kind {
    CONFIG_NODE_SCALAR,
    CONFIG_NODE_NOTHING, /* a scalar that is not there: `key:` alone, null or ~ */
    CONFIG_NODE_MAP,
    CONFIG_NODE_LIST,
    CONFIG_NODE_BAD, /* already complained about */
};

struct config_node {
    enum config_node_kind kind;
    uint32_t line;
    uint32_t key_line;
    uint32_t child_count;
    struct slice key;  /* of an entry of a mapping, expanded */
    struct slice text; /* of a scalar, expanded */
    struct config_node *first;
    struct config_node *last;
    struct config_node *next;
};

/* Reads the source's text: a list of documents, linked by `next`. Complains about what is not YAML or goes beyond
 * a bound; the documents before it are returned all the same. */
struct config_node *config_yaml_read(struct config_source *source);
