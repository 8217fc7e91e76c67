/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h: a hash table of members that carry their own link.
 *
 * Grows by doubling, a few buckets with every insertion, so that no single insertion pays for a whole
 * rehash on the loop. The caller hashes and compares. Members live elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

struct table {
    struct table_node **buckets; /* the current array: a power of two */
    size_t bucket_count;
    struct table_node **old; /* the array being emptied, or NULL */
    size_t old_count;
    size_t old_moved; /* buckets of `old` emptied so far */
    size_t count;
};

/* True if `node` is what `key` names. */
typedef bool table_match(const struct table_node *node, const void *key);

void table_done(struct table *table); /* frees the arrays, not the members */
/* The member with this hash that matches `key`, or NULL. */
struct table_node *table_find(const struct table *table, uint64_t hash, table_match *match, const void *key);
/* Adds a member not yet in the table; sets its hash. Ends the process if memory is out. */
void table_insert(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node);
/* Any member, or NULL: for tearing down. */
struct table_node *table_any(const struct table *table);
