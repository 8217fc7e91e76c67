/* SPDX-License-Identifier: Apache-2.0
 *
 * timers.h: delayed messages.
 *
 * Every delayed message keeps its due time and number in memory (some 80 bytes); bodies may be on disk only.
 * They fire strictly in order of (due, number), never early, and enter their mailbox under a new number
 * (law 7): so one cold body at the head holds up those behind it for the time of a read.
 */
#pragma once

#include "core.h"

struct token;

/* A delayed message; sequence of its heap node is its number. */
struct timer {
    struct heap_node node;
    struct table_node by_number;
    struct timer_body *body; /* NULL: on disk only */
};

/* The bytes of a delayed message that are in memory. */
struct timer_body {
    struct link fresh;    /* in epoch.fresh_timers */
    struct link resident; /* in engine.timers_resident */
    struct timer *timer;
    uint64_t epoch;
    struct envelope envelope;
    size_t bytes;
};

/* Keeps a message until it is due; it is copied and enters the open epoch. Its number is its own. */
void timers_add(struct engine *engine, const struct envelope *envelope, uint64_t due_ms);
/* Takes up a delayed message of the store; its body is copied while there is room for it. */
void timers_add_recovered(struct engine *engine, const struct envelope *envelope, uint64_t due_ms);
/* Takes back the message that waits under this token, and clears the token; nothing if it fired. */
void timers_cancel(struct engine *engine, struct token *token);
/* Delivers what is due, a bounded number a step. */
void timers_fire(struct engine *engine);
/* The bodies that timers_fire asked for. A row that cannot be read ends the engine. */
void timers_rows(struct engine *engine, const struct input_rows *rows);
/* The open epoch is being sealed: puts the row of a delayed message into it. */
void timers_put(struct engine *engine, struct timer_body *body);
/* Frees bodies that the store holds, oldest first; a bounded step. */
void timers_chill(struct engine *engine);
/* Frees all timers. */
void timers_destroy(struct engine *engine);
/* When the first is due; UINT64_MAX: there is none, or an answer or a commit comes first. */
uint64_t timers_wake_ms(const struct engine *engine);
