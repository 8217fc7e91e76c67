/* SPDX-License-Identifier: Apache-2.0
 *
 * playground.h: the records functions send to the egress of StateFun's playground: JSON with a topic and a payload.
 *
 * Why here: jansson parses in one piece, so records are read where answers are, a large one by a helper; the engine
 * sees a topic and a text. Thread: any; no state.
 */
#pragma once

#include "bytes.h"
#include "result.h"

/* Reads the record in `value` of an emitted item: sets its topic and text, or its fault. Memory: the arena's. */
void playground_read(struct emitted *emitted, struct arena *arena);
