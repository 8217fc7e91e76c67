/* SPDX-License-Identifier: Apache-2.0
 *
 * expiry.h: state values that go when nobody wrote, or asked, for long enough.
 *
 * A value that expired is never handed out: that is judged when a batch is cut (expiry_clear). The rows of
 * `expiry` only see to it that it leaves the disk too: one row an instance, put at its first due time and
 * re-armed when it fires, so a touch costs no write. It is a step in the instance's own line: only when it is
 * idle with an empty mailbox; it takes values and the record, never mail, timers or parked messages.
 */
#pragma once

#include "core.h"

struct instance;

/* Clears the values that expired by now; returns how many. Before a batch is cut, so that none is handed out. */
uint32_t expiry_clear(struct engine *engine, struct instance *instance);
/* Sees to it that there is a row for the time when the first of its values expires. */
void expiry_arm(struct engine *engine, struct instance *instance);
/* Begins a read of the rows that are due, if it is time to. */
void expiry_run(struct engine *engine);
/* The rows that expiry_run asked for: those that are due are judged now, or when their instance is loaded. */
void expiry_rows(struct engine *engine, const struct input_rows *rows);
/* The row of a loaded instance fired (instance.expiry_due): what expired goes, and the row is armed anew. */
void expiry_judge(struct engine *engine, struct instance *instance);
/* When expiry_run has something to do; UINT64_MAX: an answer or a commit comes first, or no row is known. */
uint64_t expiry_wake_ms(const struct engine *engine);
