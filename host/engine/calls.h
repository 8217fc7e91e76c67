/* SPDX-License-Identifier: Apache-2.0
 *
 * calls.h: whose turn it is: ready lines of endpoints, batches, calls in flight and their limits.
 *
 * A batch is a prefix of its mailbox and stays there until its result is applied; so whatever happens to a
 * call, order is kept and nothing is lost (laws 1 and 2). Batching is by back-pressure: while an endpoint has
 * a free call, whoever is ready leaves at once with what there is.
 */
#pragma once

#include "core.h"

struct instance;

/* An endpoint of the module file; its place is that in the registry. */
struct endpoint {
    const struct endpoint_config *config;
    uint32_t index;
    struct list ready; /* instances: instance.queue */
    uint32_t in_flight;
    uint32_t limit;
    bool is_down;
    bool knows_partial; /* its last answer announced `partial` */
    uint32_t failures;  /* in a row */
    struct wake probe;
    uint64_t successes;    /* ever */
    uint32_t window_calls; /* adaptive limit: calls answered in this window */
    uint64_t window_us;    /* and the sum of their durations */
    uint64_t base_us;      /* the mean duration the limit is judged by */
    bool window_was_busy;  /* calls waited for a credit */
};

/* What is remembered of a call until it is answered; how it is made is the edge's affair. */
struct call_in_flight {
    struct table_node node;
    uint64_t number;
    struct instance *instance;
    uint32_t message_count;
    size_t bytes;              /* about what its request holds: state and messages */
    uint64_t successes_before; /* of the endpoint */
    bool is_probe;
};

/* Makes the endpoints of the registry. */
void calls_create(struct engine *engine);
/* Frees them and the calls in flight. */
void calls_destroy(struct engine *engine);
/* Moves an idle instance on: to where its state says it must wait now. Nothing if it is not idle. */
void calls_schedule(struct engine *engine, struct instance *instance);
/* The same, but before others of its endpoint: its turn was interrupted through no fault of its own. */
void calls_reschedule(struct engine *engine, struct instance *instance);
/* An idle instance waits so long before it is scheduled again. */
void calls_backoff(struct engine *engine, struct instance *instance, uint64_t delay_ms);
/* Makes as many calls as the limits allow (EFFECT_CALL), and begins the reads that the next in line need. */
void calls_dispatch(struct engine *engine);
/* The answer to a call, or its failure. Its result is taken; one that comes too late is counted and dropped. */
void calls_result(struct engine *engine, struct input_result *input);
/* An epoch is on disk: the instances that waited for it go on. */
void calls_release_syncing(struct engine *engine);
/* Puts an idle instance among those that wait for their type to be mended. */
void calls_pend(struct instance *instance);
/* The endpoint answered: it is up. */
void calls_endpoint_up(struct engine *engine, struct endpoint *endpoint);
/* The endpoint is to blame: it is probed after a while, at least `retry_after_ms`. */
void calls_endpoint_down(struct engine *engine, struct endpoint *endpoint, const struct call_in_flight *call,
                         const struct input_result *input);
