/* SPDX-License-Identifier: Apache-2.0
 *
 * pops.h: clients that take the oldest record of a topic, for good.
 *
 * A record is read from the disk, removed in the open epoch and handed to its client as a promise of that epoch: it is
 * gone from the disk when the answer leaves, so no crash hands it out twice. An egress has one pending read, and its
 * pops wait in line; numbers of records grow, so a snapshot that still has what was popped does no harm: reads begin
 * behind it. A record that is not on disk yet is waited for: the next commit is made soon.
 */
#pragma once

#include "core.h"

/* A client that takes the oldest record of a topic. */
struct pop {
    struct link link; /* in egress.pops */
    uint64_t waiter;
    struct invocation_id invocation;
    uint64_t since_ms;
};

/* A client wants the oldest record of a topic: it waits in line, or is refused at once. */
void pops_take(struct engine *engine, const struct input_pop *input);
/* The oldest rows of an egress: each goes to the pop whose turn it is. */
void pops_rows(struct engine *engine, struct egress *egress, const struct input_rows *rows);
/* An epoch is on disk: the pops that waited for it go on. */
void pops_committed(struct engine *engine);
/* The patience of its oldest pop is at its end: those that waited long enough are refused. */
void pops_wake(struct engine *engine, struct egress *egress);
/* Refuses all that wait: the host is stopping. */
void pops_stop(struct engine *engine);
