/* SPDX-License-Identifier: Apache-2.0
 *
 * blame.h: what follows from a failed call: for the endpoint, the instance, or the message.
 *
 * An attempt counts against a message only if it was alone in its call and the function itself answered for
 * it; a failed batch is split, nobody blamed.
 */
#pragma once

#include "core.h"

struct call_in_flight;
struct instance;

/* Carries out what follows from a failed call for its endpoint, type, instance or message. The call stays the
 * caller's. */
void blame_failure(struct engine *engine, struct call_in_flight *call, const struct input_result *input);
/* The function itself failed for the first message, alone in its call: counts it, and lets it wait, parks or drops it.
 * `failure` NULL: the function gave no reason. */
void blame_message(struct engine *engine, struct instance *instance, const struct failure *failure);
