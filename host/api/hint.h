/* SPDX-License-Identifier: Apache-2.0
 *
 * hint.h: what a client may have meant by a name that is not there, or else what there is. Any thread; no state.
 *
 * Each appends a clause, such as: did you mean example/counter? Bounded work, whatever the names are.
 */
#pragma once

#include "registry.h"

enum { HINT_BYTES_MAX = 2048 }; /* of a clause */

/* Of a function that nobody serves. */
void hint_function(const struct registry *registry, struct slice space, struct slice name, struct buf *out);
/* Of a topic that is at none of `ports`, a bit set of the registry's. */
void hint_topic(const struct registry *registry, uint32_t ports, struct slice topic, struct buf *out);
