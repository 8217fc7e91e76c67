/* SPDX-License-Identifier: Apache-2.0
 *
 * invocations.h: asks that have no reply yet.
 *
 * An ask reaches its function with the caller proa/reply/<invocation id>; whoever sends a message there
 * answers it, and the first reply wins. Pending asks are all in memory (bounded). While its client waits
 * nobody was promised anything, so neither the ask nor its message need be on disk; when the client is told
 * that the work goes on, both enter the epoch of that promise. A client that leaves does not stop the work.
 */
#pragma once

#include "core.h"

struct body;

/* An ask without a reply. */
struct invocation {
    struct table_node node;
    struct wake wake;  /* the client's deadline, then the end of our patience */
    struct link fresh; /* in epoch.fresh_invocations */
    struct invocation_id id;
    uint64_t due_ms;
    bool has_waiter;
    struct link abandoned; /* in engine.abandoned: its client left */
    bool is_written;       /* a sealed epoch holds its row */
    struct body *body;     /* its message, while no epoch needs it; NULL otherwise */
    uint64_t waiter;
    struct address target; /* behind this struct */
};

/* Remembers an ask and its client. Valid until it is answered or forgotten. If there is no room, the one whose client
 * left first is forgotten. */
struct invocation *invocations_ask(struct engine *engine, const struct input_message *message);
/* Takes up an ask of the store, whose client is gone. */
void invocations_load(struct engine *engine, const struct invocation_id *id, const struct invocation_record *record);
/* A message to proa/reply/<id>: its client is promised it, if one still waits. An id nobody knows is counted. */
void invocations_reply(struct engine *engine, struct slice id_hex, struct slice value);
/* If `envelope` came from an ask, its asker hears that it failed; all texts are copied. `function_code` is the
 * function's own word for it, or empty. */
void invocations_fail(struct engine *engine, const struct envelope *envelope, enum err_code code, struct slice text,
                      struct slice function_code);
/* Its wake: the client is told that the work goes on; later the ask is forgotten. */
void invocations_wake(struct engine *engine, struct invocation *invocation);
/* The host is stopping: all clients are told that the work goes on. Clears every wake of the engine. */
void invocations_stop(struct engine *engine);
/* The open epoch is being sealed: puts its row into it. */
void invocations_put(struct engine *engine, struct invocation *invocation);
/* Frees all asks. */
void invocations_destroy(struct engine *engine);
