/* SPDX-License-Identifier: Apache-2.0
 *
 * mailbox.h: the waiting line of one instance.
 *
 * Why: a function must see the messages of one instance in arrival order, whatever is retried (law 2). A
 * long line keeps its bodies on disk and 24 bytes a message in memory:
 *
 *   head ─── warm: in memory ───┬─── cold: on disk only ───┬─── hot: not yet committed, or not yet chilled ─── tail
 *                             cold                        hot
 *
 * A message that is taken and handled within one epoch is never written; nor is that of an ask before its
 * client is told anything: if it is lost in a crash, nobody was promised it. Unless memory is short: then it is
 * written all the same, because it could not leave memory otherwise. Not here: when to send (calls.c).
 */
#pragma once

#include "core.h"

struct instance;
struct invocation;

/* The bytes of a message that are in memory. */
struct body {
    struct link fresh;        /* in epoch.fresh_messages while no epoch on disk or sealed holds it */
    struct invocation *ask;   /* it came with this ask, and nobody was promised anything: no epoch needs it yet */
    bool is_late;             /* it was such a one: later numbers may be on disk already */
    uint64_t epoch;           /* that holds it; committed when <= engine.committed */
    struct envelope envelope; /* slices point behind this struct */
    size_t bytes;
};

/* A message in its mailbox. */
struct message {
    struct message *next;
    uint64_t number;
    struct body *body; /* NULL: on disk only */
};
_Static_assert(sizeof(struct message) <= 24, "a message on disk costs at most 24 bytes of memory");

/* The line of one instance. */
struct mailbox {
    struct message *head;
    struct message *tail;
    struct message *cold; /* the first that is not warm; NULL: all are */
    struct message *hot;  /* from `cold` on, the first that still has its body; NULL: none */
    uint32_t count;
    uint32_t warm_count; /* before `cold` */
};

/* Appends a message, which is copied and enters the open epoch, and gives the instance its place in the delivery. Its
 * number is greater than those before it. */
void mailbox_push(struct engine *engine, struct instance *instance, const struct envelope *envelope);
/* The same for an ask whose client waits: its message enters an epoch only when somebody is promised something.
 * `ask` NULL: as mailbox_push. */
void mailbox_push_ask(struct engine *engine, struct instance *instance, const struct envelope *envelope,
                      struct invocation *ask);
/* The message of an ask must be in the open epoch now. */
void mailbox_settle(struct engine *engine, struct body *body);
/* Settles what is in memory, from its front on, so that it can be chilled when it is on disk. A part of a long line. */
void mailbox_settle_all(struct engine *engine, struct instance *instance);
/* True if the message is in the store. */
bool mailbox_is_on_disk(const struct engine *engine, const struct body *body);
/* Appends a message that the store holds; its body is copied while there is room for it. */
void mailbox_push_recovered(struct engine *engine, struct instance *instance, const struct envelope *envelope);
/* The first message, which is warm, is gone: handled, parked or dropped. Its envelope is freed. */
void mailbox_pop(struct engine *engine, struct instance *instance);
/* Frees the bodies beyond the warm part that the store holds. */
void mailbox_chill(struct engine *engine, struct instance *instance);
/* The same with the warm part. */
void mailbox_chill_all(struct engine *engine, struct instance *instance);
/* True if the first message is in memory, ready to be sent. */
bool mailbox_warm(struct engine *engine, struct instance *instance);
/* Begins a read of the bodies at the head, which is cold; the instance is loading until they come. */
void mailbox_thaw(struct engine *engine, struct instance *instance);
/* The bodies that mailbox_thaw asked for. If one is missing or cannot be read the instance is blocked. */
void mailbox_rows(struct engine *engine, struct instance *instance, const struct input_rows *rows);
/* Frees all messages of an instance; for the engine's end. */
void mailbox_destroy(struct engine *engine, struct instance *instance);
/* The open epoch is being sealed: puts the row of a message into it. */
void mailbox_put(struct engine *engine, struct body *body);
