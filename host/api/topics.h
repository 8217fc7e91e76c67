/* SPDX-License-Identifier: Apache-2.0
 *
 * topics.h: the way out at a port of StateFun's playground: GET /{topic} takes the oldest record.
 *
 * Thread: loop.
 */
#pragma once

#include "bytes.h"
#include "door.h"
#include "path.h"
#include "registry.h"

/* The topic a request takes a record of, as an index among the egresses. `ports`: bit set of those whose topics are to
 * be had. The decoded name goes to `memory`. The error says what there is. */
MUST_USE enum err_code topics_find(const struct registry *registry, uint32_t ports, struct slice segment,
                                   struct buf *memory, uint32_t *out_egress, struct err *err);
/* Answers with a record's text. False: its value is no text, and nothing was answered. */
MUST_USE bool topics_answer(const struct door *door, uint64_t id, const char *hex, struct slice value) LOOP_THREAD;
