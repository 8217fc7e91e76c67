/* SPDX-License-Identifier: Apache-2.0
 *
 * epoch.h: the group of changes that one disk commit makes durable: a plain list of puts and deletes.
 *
 * Filled by the engine, then sealed: from then on nobody changes it, the committer may read it on its
 * thread, and the engine frees it after the commit was reported. A key stands at most once in an epoch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "limit.h"

/* The tables of the store. The texts are the names of the databases on disk: never reuse one for something else. */
#define STORE_TABLES(X)         \
    X(META, "meta")             \
    X(INSTANCE, "instance")     \
    X(STATE, "state")           \
    X(MAIL, "mail")             \
    X(TIMER, "timer")           \
    X(TOKEN, "token")           \
    X(INVOCATION, "invocation") \
    X(EXPIRY, "expiry")         \
    X(OUTBOX, "outbox")         \
    X(PARKED, "parked")

enum store_table {
#define X(name, text) STORE_##name,
    STORE_TABLES(X)
#undef X
        STORE_TABLE_COUNT
};

/* The table's name on disk and in messages. Static storage. */
const char *store_table_name(enum store_table table);

enum op_kind {
    OP_PUT,    /* insert or replace */
    OP_APPEND, /* insert a key greater than every key of its table (MDB_APPEND) */
    OP_DELETE, /* a key that is not there is no error */
};

struct op {
    enum op_kind kind;
    enum store_table table;
    struct slice key;
    struct slice value; /* empty for deletes */
};

struct epoch {
    uint64_t number; /* 1, 2, 3, … of this store; contiguous */
    struct op *ops;
    uint32_t op_count;
    uint32_t op_capacity;
    struct arena *arena; /* keys and values */
};

/* An empty epoch whose keys and values may take `bytes_max` bytes. Ends the process if memory is out. */
struct epoch *epoch_create(uint64_t number, size_t bytes_max);
void epoch_destroy(struct epoch *epoch); /* accepts NULL */
/* Adds one change; key and value are copied. Ends the process if memory is out: the engine bounds epochs. */
void epoch_add(struct epoch *epoch, enum op_kind kind, enum store_table table, struct slice key, struct slice value);
/* Bytes of keys and values. */
size_t epoch_bytes(const struct epoch *epoch);
/* Puts the operations into (table, key) order: how the store applies them. */
void epoch_sort(struct epoch *epoch);
