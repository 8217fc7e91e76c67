/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_bench.h: an engine on the store in memory, stepped by hand, for directed tests.
 *
 * Reads are answered and epochs applied at once (unless held back); calls are kept for the test to answer.
 */
#pragma once

#include "unit.h"

#include "engine.h"
#include "store_memory.h"

struct pending_call {
    uint64_t call;
    char target[64];
    uint32_t message_count;
    uint32_t state_count;
    char first_value[128]; /* of the first message, as text */
    char state_value[128]; /* of the first state value, as text; "" if unset */
    bool has_caller;
    char caller_id[64];
    uint64_t first_number;
};

struct seen_answer {
    uint64_t waiter;
    enum answer_kind kind;
    enum err_code code;
    char value[128];
};

struct bench {
    struct engine *engine;
    struct store *store;
    struct registry registry;
    struct metrics *metrics;
    uint64_t now_ms;
    uint64_t wake_ms;
    uint32_t call_us;             /* how long calls take that are answered from now on */
    struct store_figures figures; /* what the store says with each commit from now on */
    uint64_t memory_bytes;        /* the next engine's budget, and half of its limit; 0: the default */
    bool is_disk_held;            /* epochs wait in `epoch` */
    struct epoch *epoch;
    struct pending_call calls[64];
    uint32_t call_count;
    struct seen_answer answers[64];
    uint32_t answer_count;
    char fatal[256];
    uint64_t invocation_next;
};

enum { EGRESS_OUT, EGRESS_GREETINGS, EGRESS_QUIET };

/* Two endpoints: namespace example (index 0) and slow (index 1, run_ahead off); the egress example/out, and the topics
 * greetings (at most 2,000 bytes wait) and quiet. */
void bench_open(struct bench *bench);
void bench_start(struct bench *bench); /* a new engine on the same store, recovered */
void bench_crash(struct bench *bench); /* the engine is gone, and with it what is not in the store */
void bench_close(struct bench *bench);
/* Steps until nothing is left that needs no answer of the test's. */
void bench_settle(struct bench *bench, struct input *inputs, uint32_t count);
void bench_commit(struct bench *bench); /* lets a held epoch through */
void bench_advance(struct bench *bench, uint64_t ms);
uint64_t bench_ask(struct bench *bench, const char *name, const char *id, const char *value);
uint64_t bench_send(struct bench *bench, const char *name, const char *id, const char *value, uint64_t delay_ms);
uint64_t bench_pop(struct bench *bench, uint32_t egress);
/* Takes the oldest call; fails the test if there is none. */
struct pending_call bench_take_call(struct bench *bench);
const struct seen_answer *bench_answer(const struct bench *bench, uint64_t waiter); /* NULL: none yet */

/* A result under construction. */
struct result *result_begin(enum result_kind kind);
void result_send(struct result *result, const char *space, const char *name, const char *id, const char *value);
void result_delay(struct result *result, int64_t delay_ms, const char *name, const char *id, const char *value,
                  const char *token);
void result_cancel(struct result *result, const char *token);
void result_set(struct result *result, const char *state, const char *value); /* NULL: delete */
void result_emit(struct result *result, const char *name, const char *value);
void result_record(struct result *result, const char *topic, const char *text); /* topic "": it is none */
void result_missing(struct result *result, const char *state, enum expiry_mode mode, int64_t expire_ms);
void result_fail(struct result *result, uint32_t index, const char *code, bool is_retryable);
void bench_result(struct bench *bench, uint64_t call, struct result *result);
void bench_outcome(struct bench *bench, uint64_t call, enum call_outcome outcome, int status);
/* A handshake that declares state "s" (expiry as given) for the next call; the call that follows stays pending. */
void bench_handshake(struct bench *bench, enum expiry_mode mode, int64_t expire_ms);
uint64_t bench_metric(struct bench *bench, enum metric metric);
