/* SPDX-License-Identifier: Apache-2.0
 *
 * parked.h: messages that left their mailbox and wait for a person.
 *
 * A parked message keeps its bytes, its reason and its number; the rows stand under the instance that could
 * not handle it, or that sent it to where nothing takes it.
 */
#pragma once

#include "core.h"

struct instance;

/* Parks an envelope under an instance, in the open epoch. `reason` is a word, `text` a sentence; `attempts`: how often
 * it failed. All texts are copied. */
void parked_put(struct engine *engine, struct instance *owner, const struct envelope *envelope, const char *reason,
                const char *text, uint32_t attempts);
/* True if no more may be parked. */
bool parked_is_full(const struct engine *engine);
