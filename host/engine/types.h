/* SPDX-License-Identifier: Apache-2.0
 *
 * types.h: function types: their numbers in the store, the state values they declared, and their blocks.
 *
 * A type is interned when its endpoint first answered for it, so a wildcard endpoint does not fill the store
 * with names clients made up. Declared state values are persisted: no handshake after a restart.
 */
#pragma once

#include "core.h"

enum { TYPE_NUMBER_NONE = 0 };

/* A namespace and name that functions are called by. Lives as long as the engine. */
struct function_type {
    struct table_node node;
    struct arena *arena;
    struct slice space;
    struct slice name;
    uint32_t number;           /* interned; TYPE_NUMBER_NONE: not yet */
    struct endpoint *endpoint; /* NULL: nothing serves it any more */
    struct state_spec *specs;  /* the values it declared; index + 1 is the state's number. Texts: the arena's */
    uint32_t spec_count;
    struct link dirty;        /* in epoch.dirty_types */
    bool is_open;             /* answered since start: any number of its instances may be called */
    uint32_t calls;           /* in flight */
    uint64_t blocked_call;    /* calls up to this one began before the block and do not lift it */
    uint64_t specs_call;      /* calls up to this one left before the newest state value was registered */
    uint32_t handshakes_idle; /* handshakes in a row that brought nothing new */
    bool is_blocked;
    uint32_t blocked_times;
    struct wake retry;
    struct list pending; /* instances that wait for the type: instance.queue */
    struct link order;   /* in engine.types_order, oldest first */
};

/* The type of this name, made if it is new. NULL if there are `types_max` already; recovery knows no such limit. */
struct function_type *types_get(struct engine *engine, struct slice space, struct slice name);
/* The type of this name, or NULL. */
struct function_type *types_find(struct engine *engine, struct slice space, struct slice name);
/* Gives the type its number in the store, if it has none. */
void types_intern(struct engine *engine, struct function_type *type);
/* Frees all types. */
void types_destroy(struct engine *engine);
/* Takes up a type's row. False, with `err` set: the store is corrupt. */
bool types_load(struct engine *engine, uint32_t number, struct slice record, struct err *err);
/* Registers what a handshake declared. False: the type is blocked now. */
bool types_handshake(struct engine *engine, struct function_type *type, const struct result *result, uint64_t call);
/* The place of a state value among the type's specs; -1: not registered. */
int32_t types_spec(const struct function_type *type, struct slice name);
/* Blocks the type because of an answer to `call`: its instances wait, and one of them tries again after a while. The
 * sentence goes to the log when the block begins. */
void types_block(struct engine *engine, struct function_type *type, uint64_t call, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A result of it passed every check: a block that began before `call` is lifted. */
void types_answered(struct engine *engine, struct function_type *type, uint64_t call);
/* Its wake: one of the instances that wait for it tries again. */
void types_retry(struct engine *engine, struct function_type *type);
/* It answered: from now on any number of its instances may be called, and those that waited are. */
void types_open(struct engine *engine, struct function_type *type);
/* True if one more of its instances may be called now. */
bool types_is_passable(const struct function_type *type);
/* Lets one of the instances that wait for the type have its turn, if one may be called. */
void types_try_another(struct engine *engine, struct function_type *type);
/* "namespace/name" for people, in the step's memory. */
struct slice types_text(struct engine *engine, const struct function_type *type);
/* The open epoch is being sealed: puts its row into it. */
void types_put(struct engine *engine, struct function_type *type);
