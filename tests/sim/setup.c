/* SPDX-License-Identifier: Apache-2.0
 *
 * setup.c: what a seed decides before the first step: functions, policies, limits, faults.
 *
 * Limits are tiny on purpose: what takes a million messages in production takes five here.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "limit.h"
#include "plant.h"

enum { LONG_ID_BYTES = 300, START_MS = 1700000000u };

static void setup_endpoint(struct sim *sim, struct endpoint_config *endpoint)
{
    struct random *random = &sim->random;

    *endpoint = (struct endpoint_config){
        .url = SLICE("http://simulated/"),
        .timeout_ms = random_between(random, 200, 4000),
        .connect_ms = 100,
        .in_flight = random_chance(random, 500) ? 0 : random_between(random, 1, 6),
        .batch_messages_max = random_between(random, 1, 8),
        .batch_bytes_max = random_between(random, 64, 4096),
        .answer_bytes_max = 1 << 20,
        .mailbox_messages_max = random_between(random, 4, 60),
        .run_ahead = random_chance(random, 600),
        .retry = {.first_ms = random_between(random, 1, 100),
                  .factor_permille = random_between(random, 1000, 3000),
                  .max_ms = random_between(random, 100, 5000),
                  .attempts = random_between(random, 1, 5),
                  .then = (enum retry_then)random_below(random, 3)},
    };
}

static void setup_registry(struct sim *sim)
{
    static const char *const names[] = {"f0", "f1", "f2", "f3"};
    struct arena *arena = arena_create(1 << 20);
    check(arena != NULL);
    struct registry *registry = arena_alloc(arena, sizeof *registry);
    const uint32_t exact = random_between(&sim->random, 1, 4);

    registry->arena = arena;
    registry->endpoint_count = random_between(&sim->random, 1, ENDPOINTS_MAX);
    registry->endpoints = arena_alloc(arena, ENDPOINTS_MAX * sizeof registry->endpoints[0]);
    for (uint32_t i = 0; i < registry->endpoint_count; i++) {
        setup_endpoint(sim, &registry->endpoints[i]);
    }
    registry->functions = arena_alloc(arena, TYPES_MAX * sizeof registry->functions[0]);
    registry->function_count = exact + 1;
    for (uint32_t i = 0; i < exact; i++) {
        const uint32_t endpoint = random_below(&sim->random, registry->endpoint_count);
        registry->functions[i] =
            (struct function_config){.space = SLICE("sim"), .name = slice_of(names[i]), .endpoint = endpoint};
        sim->types[sim->type_count++] = (struct type){.space = "sim", .name = names[i], .endpoint = endpoint};
    }
    const uint32_t wild = random_below(&sim->random, registry->endpoint_count);
    registry->functions[exact] = (struct function_config){.space = SLICE("wild"), .name = SLICE("*"), .endpoint = wild};
    sim->types[sim->type_count++] = (struct type){.space = "wild", .name = "w0", .endpoint = wild};
    sim->types[sim->type_count++] = (struct type){.space = "wild", .name = "w1", .endpoint = wild};
    registry->egress_count = EGRESSES_MAX;
    registry->egresses = arena_alloc(arena, EGRESSES_MAX * sizeof registry->egresses[0]);
    const uint64_t egress_bytes_max =
        random_chance(&sim->random, 100) ? random_between(&sim->random, 100, 20000) : 1 << 30;
    registry->egresses[0] =
        (struct egress_config){.space = SLICE("sim"), .name = SLICE("e0"), .bytes_max = egress_bytes_max};
    registry->egresses[1] = (struct egress_config){.space = SLICE("sim"), .name = SLICE("e1"), .bytes_max = 1 << 30};
    registry->egresses[EGRESS_TOPIC] =
        (struct egress_config){.space = PLAYGROUND_SPACE, .name = SLICE("t0"), .bytes_max = 1 << 30, .is_topic = true};
    registry->port_count = 1;
    registry->ports = arena_alloc(arena, sizeof registry->ports[0]);
    registry->ports[0].is_egress = true;
    sim->registry = registry;
}

static void setup_instances(struct sim *sim)
{
    sim->instance_count = random_between(&sim->random, 1, INSTANCES_MAX);
    if (random_chance(&sim->random, 300)) {
        sim->instance_count = random_between(&sim->random, 1, 5); /* long lines */
    }
    for (uint32_t i = 0; i < sim->type_count; i++) {
        struct type *type = &sim->types[i];
        type->number = NONE;
        type->declared = random_between(&sim->random, 1, STATES_MAX);
        type->declares_all_ms = sim->now_ms + random_below(&sim->random, 120000);
        for (uint32_t state = 0; state < STATES_MAX; state++) {
            type->states[state] = NONE;
        }
    }
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        struct sim_instance *instance = &sim->instances[i];
        char tail[16];
        const int tail_bytes = snprintf(tail, sizeof tail, "%u", i);
        const bool is_long = random_chance(&sim->random, 200); /* they differ only behind the kept prefix */
        instance->type = random_below(&sim->random, sim->type_count);
        instance->id_bytes = (uint32_t)tail_bytes + (is_long ? LONG_ID_BYTES : 0);
        instance->id = malloc(instance->id_bytes);
        check(instance->id != NULL);
        memset(instance->id, 'i', instance->id_bytes);
        memcpy(instance->id + instance->id_bytes - (uint32_t)tail_bytes, tail, (size_t)tail_bytes);
    }
}

static void setup_faults(struct sim *sim)
{
    struct random *random = &sim->random;
    struct faults *faults = &sim->faults;

    *faults = (struct faults){.call_slow_ms = random_between(random, 1, 300),
                              .read_slow_ms = random_between(random, 0, 20),
                              .commit_slow_ms = random_between(random, 0, 30)};
    if (random_chance(random, 150)) {
        return; /* a quiet world: what breaks here is broken plainly */
    }
    faults->call_fails = random_chance(random, 700) ? random_below(random, 300) : 0;
    faults->call_lates = random_chance(random, 500) ? random_below(random, 80) : 0;
    faults->call_doubles = random_chance(random, 500) ? random_below(random, 100) : 0;
    faults->read_fails = random_chance(random, 400) ? random_below(random, 200) : 0;
    faults->commit_full = random_chance(random, 300) ? random_below(random, 100) : 0;
    faults->figures_high = random_chance(random, 200) ? random_below(random, 100) : 0;
    faults->crashes = random_chance(random, 700) ? random_between(random, 1, 15) : 0;
    faults->stops = random_chance(random, 300) ? random_between(random, 1, 4) : 0;
    faults->jumps = random_chance(random, 300) ? random_between(random, 1, 5) : 0;
    faults->misbehaves = random_chance(random, 400) ? random_below(random, 60) : 0;
    faults->message_fails = random_chance(random, 600) ? random_below(random, 200) : 0;
    faults->endpoint_down = random_chance(random, 300) ? random_below(random, 20) : 0;
    faults->clock_behind = random_chance(random, 300) ? 300 : 0;
    faults->lacks_function = random_chance(random, 200) ? 200 : 0;
    if (random_chance(random, 300)) {
        faults->commit_slow_ms = random_between(random, 50, 1500);
    }
}

static void setup_limits(struct sim *sim)
{
    struct random *random = &sim->random;
    struct engine_options *options = &sim->engine_options;
    const bool is_tiny = random_chance(random, 600);

    engine_options_default(options);
    options->registry = sim->registry;
    options->metrics = sim->metrics;
    options->commit_interval_ms = random_between(random, 1, 20);
    options->commit_bytes = is_tiny ? random_between(random, 512, 20000) : 1 << 20;
    options->number_block = is_tiny ? random_between(random, 1, 40) : 1000;
    options->memory_bytes = is_tiny ? random_between(random, 1, 30000) : 64 << 20;
    if (is_tiny && random_chance(random, 300)) {
        options->memory_bytes_max = options->memory_bytes + random_between(random, 20000, 200000);
    }
    options->call_bytes_max = is_tiny && random_chance(random, 500) ? random_between(random, 1, 20000) : 256 << 20;
    options->mailbox_resident_max = is_tiny ? random_between(random, 1, 6) : 1000;
    options->messages_soft_max = is_tiny ? random_between(random, 10, 200) : 100000;
    options->messages_hard_max = options->messages_soft_max + (is_tiny ? random_between(random, 0, 100) : 100000);
    options->parked_max = is_tiny ? random_between(random, 1, 20) : 10000;
    options->invocations_max = is_tiny ? random_between(random, 2, 30) : 10000;
    options->timers_max = is_tiny ? random_between(random, 2, 60) : 10000;
    options->calls_in_flight_max = is_tiny ? random_between(random, 1, 8) : 256;
    options->reads_in_flight_max = is_tiny ? random_between(random, 1, 4) : 64;
    options->pops_max = is_tiny ? random_between(random, 1, 10) : 1000;
    options->scan_rows_max = is_tiny ? random_between(random, 1, 7) : 256;
    if (random_chance(random, 100)) {
        options->types_max = random_between(random, 1, 4);
        sim->is_tight_on_types = true;
    }
    options->store_bytes_soft_max = (uint64_t)1 << 40;
    options->store_bytes_hard_max = (uint64_t)1 << 41;
}

void setup_world(struct sim *sim)
{
    sim->random.state = random_mix(sim->options.seed, 77);
    sim->now_ms = (uint64_t)START_MS * 1000 + random_below(&sim->random, 100000);
    setup_registry(sim);
    setup_instances(sim);
    setup_faults(sim);
    setup_limits(sim);
    plant_setup(sim);
    sim->all_expires = random_chance(&sim->random, 250);
    sim->amplifies = random_chance(&sim->random, 150);
    if (sim->amplifies) {
        sim->engine_options.messages_soft_max = random_between(&sim->random, 5, 60);
        sim->engine_options.messages_hard_max = sim->engine_options.messages_soft_max + random_below(&sim->random, 4);
    }
    sim->clients_left = sim->options.steps / 4 + 1;
}

/* The module file of this life: now and then a function is missing from it. */
static const struct registry *setup_registry_of_life(struct sim *sim)
{
    sim->missing = NONE;
    if (!random_chance(&sim->random, sim->faults.lacks_function)) {
        return sim->registry;
    }
    sim->lacking = *sim->registry;
    sim->missing = sim->registry->function_count - 2; /* the last exact one: the wildcard stays */
    sim->lacking.functions = arena_alloc(sim->registry->arena, TYPES_MAX * sizeof sim->lacking.functions[0]);
    check(sim->lacking.functions != NULL);
    memcpy(sim->lacking.functions, sim->registry->functions,
           sim->registry->function_count * sizeof sim->lacking.functions[0]);
    sim->lacking.functions[sim->missing] = sim->lacking.functions[sim->registry->function_count - 1];
    sim->lacking.function_count--;
    return &sim->lacking;
}

/* What the engine is told: the same as the checkers know, but for planted lies. */
void setup_engine_options(struct sim *sim, struct engine_options *out)
{
    *out = sim->engine_options;
    sim->behind_ms =
        random_chance(&sim->random, sim->faults.clock_behind) ? random_below(&sim->random, 1800 * 1000) : 0;
    out->wall_ms = sim->now_ms - sim->behind_ms;
    out->registry = setup_registry_of_life(sim);
    for (size_t i = 0; i < sizeof out->random; i++) {
        out->random[i] = (uint8_t)random_next(&sim->random);
    }
    if (plant_strikes(sim, PLANT_LAW8_CALLS, 1000)) {
        out->calls_in_flight_max += 2;
    }
    if (sim->options.pass == 1 && plant_strikes(sim, PLANT_LAW10_RANDOM, 1000)) {
        out->random[0] ^= 1;
    }
}
