/* SPDX-License-Identifier: Apache-2.0
 *
 * apply.h: one result, applied whole or not at all (law 3).
 *
 * First everything that could refuse it is looked at; what is not in memory (a token's row, numbers) holds
 * the result, its instance still in flight. Then it goes into the open epoch in the order of R16: outgoing
 * messages, delayed messages and cancels, egress records, state, and last the consumed messages.
 */
#pragma once

#include "core.h"

struct call_in_flight;
struct instance;

/* Applies the result of a call, or holds or refuses it whole; in each case the instance is moved on. Takes the result;
 * the call stays the caller's. */
void apply_result(struct engine *engine, const struct call_in_flight *call, struct result *take_result);
/* Tries again to apply the result that an instance holds: something that it waited for is there. */
void apply_retry_held(struct engine *engine, struct instance *instance);
