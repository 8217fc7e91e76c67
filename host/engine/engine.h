/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h: the pure heart of the host: inputs in, effects out.
 *
 * No sockets, threads, files, clock or randomness: the time, random bytes and what the disk answers are
 * inputs; the same inputs give the same effects, byte for byte (law 10). The ten laws stand in
 * ARCHITECTURE.md and each has a checker in tests/sim.
 * Thread: loop. Memory: see port.h for who owns what passes through.
 */
#pragma once

#include "metrics.h"
#include "port.h"
#include "registry.h"
#include "thread.h"

struct engine_options {
    const struct registry *registry; /* outlives the engine */
    struct metrics *metrics;         /* outlives the engine */
    uint8_t random[64];              /* drawn at the edge: a new store's id and secret, jitter, keys of hash tables */
    uint64_t wall_ms; /* wall clock at start: the store's time may not lie more than an hour ahead of it */
    bool allow_clock_ahead;
    uint32_t commit_interval_ms;   /* an epoch with changes is sealed at this age */
    uint32_t commit_bytes;         /* and at this size; beyond it no more calls go out */
    uint64_t number_block;         /* how far the ceiling of numbers is raised at a time */
    uint64_t memory_bytes;         /* budget of message bodies and clean instances held in memory */
    uint64_t memory_bytes_max;     /* beyond it ingress gets 503, and results that add more than they consume wait */
    uint32_t mailbox_resident_max; /* messages of one instance whose bodies stay in memory */
    uint64_t messages_soft_max;    /* waiting messages: beyond it ingress gets 503 */
    uint64_t messages_hard_max;    /* beyond it a result that adds more than it consumes is not applied */
    uint64_t store_bytes_soft_max; /* beyond it ingress gets 507 */
    uint64_t store_bytes_hard_max;
    uint32_t parked_max;
    uint32_t invocations_max;
    uint32_t timers_max;
    uint32_t types_max;
    uint32_t calls_in_flight_max; /* over all endpoints */
    size_t call_bytes_max;        /* of requests in flight, beyond the last one begun */
    uint32_t reads_in_flight_max;
    uint32_t scan_rows_max; /* rows of one read during recovery */
    uint32_t pops_max;      /* clients that wait for a record at once */
};

/* Sensible values for everything but registry, metrics, random and wall_ms. */
void engine_options_default(struct engine_options *options);

/* An engine that knows nothing yet: its first input is INPUT_START. Ends the process if memory is out. */
struct engine *engine_create(const struct engine_options *options);
void engine_destroy(struct engine *engine); /* accepts NULL; at any time: that is what a crash is */

/* One step: applies the inputs in order at time `now_ms` and fills *out. Times may not go backwards. */
void engine_step(struct engine *engine, uint64_t now_ms, struct input *inputs, uint32_t input_count,
                 struct effects *out) LOOP_THREAD;

bool engine_is_ready(const struct engine *engine);   /* recovery is done */
bool engine_is_stopped(const struct engine *engine); /* after INPUT_STOP: everybody answered, everything on disk */
/* The engine's time. After recovery it may lie ahead of the times it was given: who gives them goes on from it. */
uint64_t engine_now_ms(const struct engine *engine);
/* The store id in hex once recovery read or made it, else "". Valid as long as the engine. */
const char *engine_store_id(const struct engine *engine);
/* Brings the gauges of `metrics` up to date. */
void engine_publish(struct engine *engine) LOOP_THREAD;
