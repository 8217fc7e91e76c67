/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stdlib.h>

#include "check.h"

enum {
    BUCKETS_MIN = 64,
    BUCKETS_MOVED_PER_INSERT = 8, /* a table doubles every n insertions: 8 a step ends far before the next */
};

void table_done(struct table *table)
{
    free(table->buckets);
    free(table->old);
    *table = (struct table){0};
}

static struct table_node **buckets_create(size_t count)
{
    struct table_node **buckets = calloc(count, sizeof(*buckets));

    check(buckets != NULL);
    return buckets;
}

static void move_some(struct table *table)
{
    if (table->old == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS_MOVED_PER_INSERT && table->old_moved < table->old_count; i++) {
        struct table_node *node = table->old[table->old_moved];
        table->old[table->old_moved++] = NULL;
        while (node != NULL) {
            struct table_node *next = node->next;
            struct table_node **bucket = &table->buckets[node->hash & (table->bucket_count - 1)];
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    if (table->old_moved == table->old_count) {
        free(table->old);
        table->old = NULL;
    }
}

static void grow(struct table *table)
{
    if (table->buckets == NULL) {
        table->buckets = buckets_create(BUCKETS_MIN);
        table->bucket_count = BUCKETS_MIN;
        return;
    }
    if (table->count < table->bucket_count || table->old != NULL) {
        return;
    }
    table->old = table->buckets;
    table->old_count = table->bucket_count;
    table->old_moved = 0;
    table->bucket_count *= 2;
    table->buckets = buckets_create(table->bucket_count);
}

struct table_node *table_find(const struct table *table, uint64_t hash, table_match *match, const void *key)
{
    if (table->buckets == NULL) {
        return NULL;
    }
    for (struct table_node *node = table->buckets[hash & (table->bucket_count - 1)]; node != NULL; node = node->next) {
        if (node->hash == hash && match(node, key)) {
            return node;
        }
    }
    if (table->old == NULL) {
        return NULL;
    }
    for (struct table_node *node = table->old[hash & (table->old_count - 1)]; node != NULL; node = node->next) {
        if (node->hash == hash && match(node, key)) {
            return node;
        }
    }
    return NULL;
}

void table_insert(struct table *table, struct table_node *node, uint64_t hash)
{
    grow(table);
    move_some(table);
    struct table_node **bucket = &table->buckets[hash & (table->bucket_count - 1)];
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    table->count++;
}

static bool remove_from(struct table_node **bucket, const struct table_node *node)
{
    for (struct table_node **at = bucket; *at != NULL; at = &(*at)->next) {
        if (*at == node) {
            *at = node->next;
            return true;
        }
    }
    return false;
}

void table_remove(struct table *table, struct table_node *node)
{
    bool removed = remove_from(&table->buckets[node->hash & (table->bucket_count - 1)], node);

    if (!removed && table->old != NULL) {
        removed = remove_from(&table->old[node->hash & (table->old_count - 1)], node);
    }
    check(removed);
    node->next = NULL;
    table->count--;
}

struct table_node *table_any(const struct table *table)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        if (table->buckets[i] != NULL) {
            return table->buckets[i];
        }
    }
    for (size_t i = 0; table->old != NULL && i < table->old_count; i++) {
        if (table->old[i] != NULL) {
            return table->old[i];
        }
    }
    return NULL;
}
