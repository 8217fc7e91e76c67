/* SPDX-License-Identifier: Apache-2.0
 *
 * outbox.h: records for egresses, kept until somebody took them.
 */
#pragma once

#include "core.h"

struct instance;

/* An egress of the module file, a topic of the playground too; its place is that in the registry. */
struct egress {
    uint32_t number;      /* interned; 0: not yet */
    uint64_t count;       /* records that wait, those of the open epoch too */
    uint64_t bytes;       /* of them */
    uint64_t put_epoch;   /* that holds the newest of them */
    uint64_t next;        /* numbers below it were popped; their rows may still be on disk */
    struct list pops;     /* oldest first */
    struct read *read;    /* of its oldest rows, pending */
    struct link syncing;  /* in engine.pops_syncing */
    struct wake patience; /* of its oldest pop */
};

/* Makes the egresses of the registry. */
void outbox_create(struct engine *engine);
/* Frees them, and the pops that wait. */
void outbox_destroy(struct engine *engine);
/* Takes up the number of an egress in the store; one that the module file has no more is only counted. */
void outbox_load_egress(struct engine *engine, uint32_t number, struct slice space, struct slice name);
/* Counts a record of the store, of so many bytes, under the egress with this number. */
void outbox_load_record(struct engine *engine, uint32_t number, size_t bytes);
/* Gives new egresses of the module file their numbers. */
void outbox_intern(struct engine *engine);
/* The egress, by its place, to which a record goes; -1: nowhere, and it is to be parked. */
int32_t outbox_egress(const struct engine *engine, const struct emitted *emitted);
/* Puts a record into the open epoch, under its egress. */
void outbox_put(struct engine *engine, const struct instance *sender, const struct emitted *emitted, uint32_t egress);
