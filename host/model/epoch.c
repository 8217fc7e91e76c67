/* SPDX-License-Identifier: Apache-2.0 */
#include "epoch.h"

#include <stdlib.h>

#include "check.h"

const char *store_table_name(enum store_table table)
{
    static const char *const names[] = {
#define X(name, text) [STORE_##name] = (text),
        STORE_TABLES(X)
#undef X
    };

    check(table < STORE_TABLE_COUNT);
    return names[table];
}

struct epoch *epoch_create(uint64_t number, size_t bytes_max)
{
    struct epoch *epoch = calloc(1, sizeof *epoch);

    check(epoch != NULL);
    epoch->number = number;
    epoch->arena = arena_create(bytes_max);
    check(epoch->arena != NULL);
    return epoch;
}

void epoch_destroy(struct epoch *epoch)
{
    if (epoch == NULL) {
        return;
    }
    arena_destroy(epoch->arena);
    free(epoch->ops);
    free(epoch);
}

void epoch_add(struct epoch *epoch, enum op_kind kind, enum store_table table, struct slice key, struct slice value)
{
    check(key.size > 0 && key.size <= LIMIT_STORE_KEY_BYTES_MAX);
    if (epoch->op_count == epoch->op_capacity) {
        const uint32_t capacity = epoch->op_capacity == 0 ? 64 : epoch->op_capacity * 2;
        struct op *grown = realloc(epoch->ops, capacity * sizeof(*grown));
        check(grown != NULL);
        epoch->ops = grown;
        epoch->op_capacity = capacity;
    }
    struct op *op = &epoch->ops[epoch->op_count++];
    op->kind = kind;
    op->table = table;
    op->key = arena_copy(epoch->arena, key);
    op->value = arena_copy(epoch->arena, value);
    check(op->key.data != NULL && (value.size == 0 || op->value.data != NULL));
}

size_t epoch_bytes(const struct epoch *epoch)
{
    return arena_bytes(epoch->arena);
}

static int compare_ops(const void *a, const void *b)
{
    const struct op *x = a;
    const struct op *y = b;

    return x->table != y->table ? (int)x->table - (int)y->table : slice_compare(x->key, y->key);
}

void epoch_sort(struct epoch *epoch)
{
    if (epoch->op_count > 1) {
        qsort(epoch->ops, epoch->op_count, sizeof epoch->ops[0], compare_ops);
    }
}
