/* SPDX-License-Identifier: Apache-2.0
 *
 * recovery.h: start-up, which is always recovery: paged reads of what waits, then the first epoch.
 *
 * meta (store id, epoch, types), then mail, timers, pending asks, outbox and parked. Instances are read when
 * they are needed. The first epoch raises the ceiling of numbers: until it is on disk no number may be
 * handed out, and a folder that cannot be written shows here.
 */
#pragma once

#include "core.h"

/* Begins to read what waits in the store. Nothing if the engine is stopping already. */
void recovery_start(struct engine *engine);
/* The next page of a table. A row that cannot be taken up ends the engine. */
void recovery_rows(struct engine *engine, const struct input_rows *rows);
/* The first epoch is on disk: the engine is ready, and what waits gets its turn. */
void recovery_committed(struct engine *engine);
