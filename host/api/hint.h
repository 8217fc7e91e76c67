/* SPDX-License-Identifier: Apache-2.0
 *
 * hint.h: what a client may have meant by the name of a function nobody serves. Any thread; no state.
 */
#pragma once

#include "registry.h"

/* Fills `out` with a clause such as: did you mean example/counter? Bounded work, whatever the names are. */
void hint_function(const struct registry *registry, struct slice space, struct slice name, char *out, size_t out_bytes);
