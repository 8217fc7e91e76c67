/* SPDX-License-Identifier: Apache-2.0
 *
 * dispatcher.h: calls of functions: an effect of the engine becomes a request to its endpoint, what comes of it an
 * input.
 *
 * Decides nothing beyond the one call: blame, retries and limits are the engine's. Every call given to dispatcher_call
 * comes back exactly once through dispatcher_take. Names are looked up by a helper, bodies over
 * LIMIT_PARSE_INLINE_BYTES_MAX are parsed by one.
 * The deadline covers look-up, connection and answer. If it passes before anything was sent, the call was
 * unreachable, not timed out: that says nothing of the function. A name's other addresses are tried within the same
 * call as long as none takes a connection, other connections if a kept one turned out to be closed.
 * Not here: HTTP and connections (transfer.h), URLs (route.h), names (resolver.h), large answers (parse.h).
 * Thread: loop. Memory: requests are bounded by the engine's credit, answers by their endpoint's limit and by
 * LIMIT_ARENA_BYTES_MAX in all.
 */
#pragma once

#include "helper.h"
#include "loop.h"
#include "metrics.h"
#include "port.h"
#include "registry.h"

struct dispatcher;

struct dispatcher_options {
    struct loop *loop;
    struct helper *helper;
    const struct registry *registry;
    struct metrics *metrics;
    uint32_t calls_in_flight_max;
};

/* Makes a dispatcher for the endpoints of the registry, which must outlive it, as must loop and helper. The helper
 * wants two threads: one may be held by a dead name server. */
MUST_USE enum err_code dispatcher_create(const struct dispatcher_options *options, struct dispatcher **out,
                                         struct err *err) LOOP_THREAD;
/* Ends every call without reporting it. */
void dispatcher_destroy(struct dispatcher *dispatcher) LOOP_THREAD; /* accepts NULL */
/* Begins a call; copies what it needs of it. `store_id_hex` makes message ids. */
void dispatcher_call(struct dispatcher *dispatcher, const struct effect_call *call,
                     const char *store_id_hex) LOOP_THREAD;
/* Moves at most `max` ended calls out as INPUT_RESULT inputs; returns how many. Their texts stay valid until
 * the next call of dispatcher_take; results pass to the caller. */
uint32_t dispatcher_take(struct dispatcher *dispatcher, struct input *out_inputs, uint32_t max) LOOP_THREAD;
/* True if dispatcher_take has something. */
bool dispatcher_has_ended(const struct dispatcher *dispatcher);
/* Sends what dispatcher_call began and sees to time-outs; once a turn, best after the last dispatcher_call of it. */
void dispatcher_run(struct dispatcher *dispatcher) LOOP_THREAD;
/* Milliseconds until dispatcher_run must be called even if nothing stirs; -1: no need. */
int dispatcher_timeout_ms(struct dispatcher *dispatcher) LOOP_THREAD;
