/* SPDX-License-Identifier: Apache-2.0
 *
 * test_engine.c: the engine, directed: one behaviour a test. Random programs, faults and the laws are in tests/sim.
 */
#include "engine_bench.h"

#include <stdio.h>

/* Opens a type: until its endpoint answered for it, it gets one call at a time. */
static void open_type(struct bench *bench, const char *name)
{
    (void)bench_send(bench, name, "first", "opens the type", 0);
    bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE));
}

static void an_ask_costs_one_commit_and_is_answered_after_it(void **state)
{
    struct bench *bench = *state;
    const uint64_t ask = bench_ask(bench, "example/counter", "bob", "5");
    bench_handshake(bench, EXPIRY_NONE, 0);
    struct pending_call call = bench_take_call(bench);
    assert_string_equal(call.target, "example/counter/bob");
    assert_string_equal(call.first_value, "5");
    assert_true(call.has_caller);
    assert_int_equal(call.state_count, 1);

    bench->is_disk_held = true;
    struct result *result = result_begin(RESULT_DONE);
    result_set(result, "s", "five");
    result_send(result, "proa", "reply", call.caller_id, "total 5");
    bench_result(bench, call.call, result);
    assert_null(bench_answer(bench, ask)); /* law 4 */
    bench->is_disk_held = false;
    bench_commit(bench);
    assert_non_null(bench_answer(bench, ask));
    assert_string_equal(bench_answer(bench, ask)->value, "total 5");
    assert_int_equal(store_memory_count(bench->store, STORE_INVOCATION), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_INSTANCE), 1);
}

static void state_survives_a_crash_without_a_handshake(void **state)
{
    struct bench *bench = *state;
    (void)bench_ask(bench, "example/counter", "bob", "5");
    bench_handshake(bench, EXPIRY_NONE, 0);
    struct result *result = result_begin(RESULT_DONE);
    result_set(result, "s", "five");
    bench_result(bench, bench_take_call(bench).call, result);
    bench_advance(bench, 10);
    bench_crash(bench);
    bench_start(bench);
    (void)bench_ask(bench, "example/counter", "bob", "2");
    const struct pending_call call = bench_take_call(bench);
    assert_int_equal(call.state_count, 1);
    assert_string_equal(call.state_value, "five");
}

static void an_accepted_send_survives_a_crash(void **state)
{
    struct bench *bench = *state;
    const uint64_t send = bench_send(bench, "example/counter", "bob", "5", 0);
    assert_int_equal(bench_answer(bench, send)->kind, ANSWER_ACCEPTED);
    const uint64_t number = bench_take_call(bench).first_number;
    bench_crash(bench);
    bench_start(bench);
    const struct pending_call call = bench_take_call(bench);
    assert_string_equal(call.first_value, "5");
    assert_int_equal(call.first_number, number);
}

static void messages_of_one_instance_wait_and_go_in_one_batch(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/counter", "bob", "1", 0);
    (void)bench_send(bench, "example/counter", "bob", "2", 0);
    (void)bench_send(bench, "example/counter", "bob", "3", 0);
    struct pending_call call = bench_take_call(bench);
    assert_int_equal(call.message_count, 1);
    assert_int_equal(bench->call_count, 0); /* law 1 */
    bench_result(bench, call.call, result_begin(RESULT_DONE));
    call = bench_take_call(bench);
    assert_int_equal(call.message_count, 2);
    assert_string_equal(call.first_value, "2");
    bench_result(bench, call.call, result_begin(RESULT_DONE));
    assert_int_equal(bench_metric(bench, METRIC_MAILBOX_MESSAGES), 0);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 0);
}

static void a_late_answer_is_fenced_off(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/counter", "bob", "1", 0);
    const struct pending_call first = bench_take_call(bench);
    bench_outcome(bench, first.call, CALL_TIMEOUT, 0);
    bench_advance(bench, 60);
    const struct pending_call second = bench_take_call(bench);
    assert_int_not_equal(first.call, second.call);
    struct result *late = result_begin(RESULT_DONE);
    result_send(late, "example", "other", "x", "late");
    bench_result(bench, first.call, late);
    assert_int_equal(bench->call_count, 0);
    assert_int_equal(bench_metric(bench, METRIC_CALL_ANSWERS_LATE), 1);
    bench_result(bench, second.call, result_begin(RESULT_DONE));
}

static void timers_fire_once_in_order_and_can_be_cancelled(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/a", "x", "go", 0);
    struct result *result = result_begin(RESULT_DONE);
    result_delay(result, 1000, "b", "y", "second", "");
    result_delay(result, 500, "b", "y", "first", "t1");
    result_delay(result, 700, "b", "y", "cancelled", "t2");
    bench_result(bench, bench_take_call(bench).call, result);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_TIMER), 3);
    assert_int_equal(store_memory_count(bench->store, STORE_TOKEN), 2);
    (void)bench_send(bench, "example/a", "x", "cancel", 0);
    result = result_begin(RESULT_DONE);
    result_cancel(result, "t2");
    result_cancel(result, "unknown");
    bench_result(bench, bench_take_call(bench).call, result);
    assert_int_equal(bench->call_count, 0);
    bench_advance(bench, 489); /* 499 ms after they were sent: never early (law 7) */
    assert_int_equal(bench->call_count, 0);
    bench_advance(bench, 1);
    struct pending_call call = bench_take_call(bench);
    assert_string_equal(call.first_value, "first");
    bench_result(bench, call.call, result_begin(RESULT_DONE));
    bench_crash(bench);
    bench_start(bench);
    bench->now_ms += 10000;
    bench_settle(bench, NULL, 0);
    while (bench->call_count > 0) {
        call = bench_take_call(bench);
        bench_result(bench, call.call, result_begin(RESULT_DONE));
    }
    assert_string_equal(call.first_value, "second");
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_TIMER), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_TOKEN), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 0);
}

static void a_duplicate_token_parks_the_item_only(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/a", "x", "go", 0);
    struct result *result = result_begin(RESULT_DONE);
    result_delay(result, 500, "b", "y", "one", "t");
    result_delay(result, 500, "b", "y", "two", "t");
    result_emit(result, "out", "record");
    result_emit(result, "nowhere", "record");
    result_send(result, "nobody", "serves", "this", "x");
    bench_result(bench, bench_take_call(bench).call, result);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_TIMER), 1);
    assert_int_equal(store_memory_count(bench->store, STORE_PARKED), 3);
    assert_int_equal(store_memory_count(bench->store, STORE_OUTBOX), 1);
}

static void expired_values_are_not_handed_out_and_leave_the_disk(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/a", "x", "go", 0);
    bench_handshake(bench, EXPIRY_AFTER_WRITE, 5000);
    struct result *result = result_begin(RESULT_DONE);
    result_set(result, "s", "short-lived");
    bench_result(bench, bench_take_call(bench).call, result);
    bench_advance(bench, 4000);
    (void)bench_send(bench, "example/a", "x", "look", 0);
    struct pending_call call = bench_take_call(bench);
    assert_string_equal(call.state_value, "short-lived");
    bench_result(bench, call.call, result_begin(RESULT_DONE));
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_EXPIRY), 1);
    bench_crash(bench);
    bench_start(bench);
    bench_advance(bench, 990);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_INSTANCE), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_EXPIRY), 0);
    (void)bench_send(bench, "example/a", "x", "look", 0);
    call = bench_take_call(bench);
    assert_string_equal(call.state_value, "");
    bench_result(bench, call.call, result_begin(RESULT_DONE));
}

/* What the next message of example/a/x is shown of its value; it does nothing else. */
static void look_at(struct bench *bench, const char *wanted)
{
    (void)bench_send(bench, "example/a", "x", "look", 0);
    const struct pending_call call = bench_take_call(bench);
    assert_string_equal(call.state_value, wanted);
    bench_result(bench, call.call, result_begin(RESULT_DONE));
}

static void values_live_to_their_last_millisecond(void **state)
{
    struct bench *bench = *state;
    static const enum expiry_mode modes[] = {EXPIRY_AFTER_WRITE, EXPIRY_AFTER_INVOKE};

    for (size_t i = 0; i < 2; i++) {
        (void)bench_send(bench, "example/a", "x", "set", 0);
        bench_handshake(bench, modes[i], 5000);
        struct result *result = result_begin(RESULT_DONE);
        result_set(result, "s", "here");
        bench_result(bench, bench_take_call(bench).call, result);
        if (modes[i] == EXPIRY_AFTER_INVOKE) {
            bench_advance(bench, 4999);
            look_at(bench, "here"); /* from here on it counts */
        }
        bench_advance(bench, 4999);
        look_at(bench, "here");
        bench_advance(bench, modes[i] == EXPIRY_AFTER_INVOKE ? 5000 : 1);
        look_at(bench, "");
        bench_close(bench);
        bench_open(bench);
    }
}

static void a_rejected_message_is_parked_and_its_asker_told(void **state)
{
    struct bench *bench = *state;
    const uint64_t ask = bench_ask(bench, "example/a", "x", "bad");
    struct result *result = result_begin(RESULT_DONE);
    result_fail(result, 0, "invalid", false);
    bench_result(bench, bench_take_call(bench).call, result);
    assert_int_equal(bench_answer(bench, ask)->code, ERR_REJECTED);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_PARKED), 1);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 0);
}

static void a_failing_message_is_parked_after_its_attempts(void **state)
{
    struct bench *bench = *state;
    const uint64_t ask = bench_ask(bench, "example/a", "x", "bad");
    (void)bench_send(bench, "example/a", "x", "good", 0);
    for (int attempt = 0; attempt < 3; attempt++) {
        struct pending_call call = bench_take_call(bench);
        if (call.message_count > 1) { /* a failed batch is split, nobody blamed */
            bench_outcome(bench, call.call, CALL_HTTP_STATUS, 500);
            call = bench_take_call(bench);
        }
        assert_string_equal(call.first_value, "bad");
        bench_outcome(bench, call.call, CALL_HTTP_STATUS, 500);
        bench_advance(bench, 1000);
    }
    assert_int_equal(bench_answer(bench, ask)->code, ERR_PARKED);
    const struct pending_call call = bench_take_call(bench);
    assert_string_equal(call.first_value, "good");
    bench_result(bench, call.call, result_begin(RESULT_DONE));
}

static void an_endpoint_that_is_down_is_probed_and_nothing_is_parked(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/a", "x", "1", 0);
    (void)bench_send(bench, "example/b", "y", "2", 0);
    while (bench->call_count > 0) {
        bench_outcome(bench, bench_take_call(bench).call, CALL_UNREACHABLE, 0);
    }
    assert_int_equal(bench_metric(bench, METRIC_ENDPOINTS_DOWN), 1);
    for (int i = 0; i < 30; i++) {
        bench_advance(bench, 30000);
        assert_int_equal(bench->call_count, 1); /* one probe at a time */
        bench_outcome(bench, bench_take_call(bench).call, CALL_UNREACHABLE, 0);
    }
    bench_advance(bench, 30000);
    bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE));
    assert_int_equal(bench_metric(bench, METRIC_ENDPOINTS_DOWN), 0);
    bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE));
    assert_int_equal(bench_metric(bench, METRIC_MAILBOX_MESSAGES), 0);
    assert_int_equal(bench_metric(bench, METRIC_PARKED_MESSAGES), 0);
}

/* A message that ends the process it is sent to takes the endpoint down once, and is then known. */
static void an_instance_that_takes_its_endpoint_down_again_waits_alone(void **state)
{
    struct bench *bench = *state;
    struct pending_call call = {0};

    open_type(bench, "example/a");
    (void)bench_send(bench, "example/a", "deadly", "1", 0);
    bench_outcome(bench, bench_take_call(bench).call, CALL_UNREACHABLE, 0);
    assert_int_equal(bench_metric(bench, METRIC_ENDPOINTS_DOWN), 1);
    (void)bench_send(bench, "example/a", "good", "1", 0);
    for (int i = 0; i < 10 && strcmp(call.target, "example/a/good") != 0; i++) { /* probes go round */
        bench_advance(bench, 30000);
        call = bench_take_call(bench);
        if (strcmp(call.target, "example/a/good") == 0) {
            bench_result(bench, call.call, result_begin(RESULT_DONE));
        } else {
            bench_outcome(bench, call.call, CALL_UNREACHABLE, 0);
        }
    }
    assert_int_equal(bench_metric(bench, METRIC_ENDPOINTS_DOWN), 0);
    call = bench_take_call(bench);
    assert_string_equal(call.target, "example/a/deadly");
    bench_outcome(bench, call.call, CALL_UNREACHABLE, 0);
    assert_int_equal(bench_metric(bench, METRIC_ENDPOINTS_DOWN), 0);
    (void)bench_send(bench, "example/a", "good", "2", 0);
    assert_string_equal(bench_take_call(bench).target, "example/a/good"); /* at once */
    assert_int_equal(bench->call_count, 0);
    bench_advance(bench, 30000);
    assert_string_equal(bench_take_call(bench).target, "example/a/deadly");
    assert_int_equal(bench_metric(bench, METRIC_PARKED_MESSAGES), 0);
}

/* A result with so many messages for others. */
static struct result *sending(uint32_t count)
{
    static const char *const ids[] = {"1", "2"};
    struct result *result = result_begin(RESULT_DONE);

    for (uint32_t i = 0; i < count; i++) {
        result_send(result, "example", "b", ids[i], "x");
    }
    return result;
}

static void a_full_store_takes_only_what_shrinks(void **state)
{
    struct bench *bench = *state;

    open_type(bench, "example/a");
    (void)bench_send(bench, "example/a", "grows", "1", 0);
    const uint64_t grows = bench_take_call(bench).call;
    (void)bench_send(bench, "example/a", "does not", "1", 0);
    const uint64_t does_not = bench_take_call(bench).call;
    bench->figures.bytes_used = (uint64_t)73 << 30; /* beyond the hard limit */
    (void)bench_send(bench, "example/a", "last", "1", 0);
    assert_int_equal(bench_answer(bench, bench_send(bench, "example/a", "late", "1", 0))->code, ERR_STORE_FULL);

    bench_result(bench, grows, sending(2));
    assert_int_equal(bench_metric(bench, METRIC_INSTANCES_BLOCKED), 1);
    assert_int_equal(bench_metric(bench, METRIC_MESSAGES_SENT), 0);
    bench_result(bench, does_not, sending(1)); /* as many as it handled */
    assert_int_equal(bench_metric(bench, METRIC_MESSAGES_SENT), 1);

    bench->figures.bytes_used = 0;
    for (int i = 0; i < 60 && bench_metric(bench, METRIC_INSTANCES_BLOCKED) == 1; i++) {
        bench_advance(bench, 1000);
        while (bench->call_count > 0) {
            const struct pending_call call = bench_take_call(bench);
            bench_result(bench, call.call, sending(strcmp(call.target, "example/a/grows") == 0 ? 2 : 0));
        }
    }
    assert_int_equal(bench_metric(bench, METRIC_INSTANCES_BLOCKED), 0);
    assert_int_equal(bench_metric(bench, METRIC_MESSAGES_SENT), 3);
}

static void an_ask_times_out_and_the_work_goes_on(void **state)
{
    struct bench *bench = *state;
    const uint64_t ask = bench_ask(bench, "example/a", "x", "slow");
    const struct pending_call call = bench_take_call(bench);
    bench_advance(bench, 29999);
    assert_null(bench_answer(bench, ask));
    bench_advance(bench, 1);
    assert_int_equal(bench_answer(bench, ask)->code, ERR_TIMEOUT);
    struct result *result = result_begin(RESULT_DONE);
    result_send(result, "proa", "reply", call.caller_id, "late");
    bench_result(bench, call.call, result);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_INVOCATION), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 0);
}

static void an_ask_is_not_written_before_its_client_is_told_anything(void **state)
{
    struct bench *bench = *state;
    const uint64_t ask = bench_ask(bench, "example/a", "x", "slow");
    (void)bench_send(bench, "example/a", "x", "after it", 0);
    bench_advance(bench, 100);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 1); /* only what was accepted */
    assert_int_equal(store_memory_count(bench->store, STORE_INVOCATION), 0);
    bench_advance(bench, 29900);
    assert_int_equal(bench_answer(bench, ask)->code, ERR_TIMEOUT);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 2);
    assert_int_equal(store_memory_count(bench->store, STORE_INVOCATION), 1);
    bench_crash(bench);
    bench_start(bench);
    const struct pending_call call = bench_take_call(bench);
    assert_int_equal(call.message_count, 2);
    assert_string_equal(call.first_value, "slow"); /* law 2 */
}

/* Else those that wait for an endpoint that is away would keep everybody out until they time out. */
static void asks_that_wait_go_to_disk_when_memory_is_short(void **state)
{
    struct bench *bench = *state;
    uint64_t asks[20];
    char value[2001] = {0};

    bench_crash(bench);
    bench->memory_bytes = 10000;
    bench_start(bench);
    for (uint32_t i = 0; i < 20; i++) {
        const char id[] = {'a' + (char)(i / 2), 0}; /* two for each instance */
        memset(value, 'a' + (int)i, sizeof value - 1);
        asks[i] = bench_ask(bench, "example/counter", id, value);
        bench_advance(bench, 10);
        assert_null(bench_answer(bench, asks[i])); /* it is taken, and waits */
    }
    assert_in_range(bench_metric(bench, METRIC_MAILBOX_BYTES_RESIDENT), 1, 10000);
    assert_in_range(store_memory_count(bench->store, STORE_MAIL), 14, 20);
    while (bench->call_count > 0) {
        bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE));
    }
    bench_advance(bench, 10);
    assert_int_equal(bench_metric(bench, METRIC_MAILBOX_MESSAGES), 0);
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 0);
}

static void without_run_ahead_calls_wait_for_the_disk(void **state)
{
    struct bench *bench = *state;
    bench->is_disk_held = true;
    (void)bench_send(bench, "slow/a", "x", "1", 0);
    assert_int_equal(bench->call_count, 0);
    bench->is_disk_held = false;
    bench_commit(bench);
    assert_int_equal(bench->call_count, 1);
}

static void stopping_answers_everybody(void **state)
{
    struct bench *bench = *state;
    const uint64_t ask = bench_ask(bench, "example/a", "x", "slow");
    struct input stop = {.kind = INPUT_STOP};
    bench_settle(bench, &stop, 1);
    assert_int_equal(bench_answer(bench, ask)->code, ERR_STOPPING);
    assert_true(engine_is_stopped(bench->engine));
    assert_int_equal(store_memory_count(bench->store, STORE_MAIL), 1);
}

static void a_changed_state_type_blocks_the_type_and_is_refused_whole(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/a", "x", "1", 0);
    bench_handshake(bench, EXPIRY_NONE, 0);
    struct result *result = result_begin(RESULT_DONE);
    result_set(result, "s", "value");
    result->mutations[0].typename_ = SLICE("other");
    result_emit(result, "out", "record");
    bench_result(bench, bench_take_call(bench).call, result);
    assert_int_equal(bench_metric(bench, METRIC_TYPES_BLOCKED), 1);
    bench_advance(bench, 10);
    assert_int_equal(store_memory_count(bench->store, STORE_OUTBOX), 0);
    bench_advance(bench, 2000);
    result = result_begin(RESULT_DONE);
    result_set(result, "s", "value");
    bench_result(bench, bench_take_call(bench).call, result);
    assert_int_equal(bench_metric(bench, METRIC_TYPES_BLOCKED), 0);
}

static void a_new_state_value_does_not_block_calls_under_way(void **state)
{
    struct bench *bench = *state;
    static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    (void)bench_send(bench, "example/a", "first", "opens the type", 0);
    bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE));
    for (size_t i = 0; i < 8; i++) {
        (void)bench_send(bench, "example/a", ids[i], "go", 0);
    }
    for (size_t i = 0; i < 8; i++) {
        bench_handshake(bench, EXPIRY_NONE, 0); /* all left before the value was registered */
    }
    assert_int_equal(bench_metric(bench, METRIC_TYPES_BLOCKED), 0);
    assert_int_equal(bench->call_count, 8);
}

static void a_refused_handshake_leaves_nothing_behind(void **state)
{
    struct bench *bench = *state;
    (void)bench_send(bench, "example/a", "x", "go", 0);
    struct result *result = result_begin(RESULT_INCOMPLETE);
    result_missing(result, "n", EXPIRY_NONE, 0);
    result_missing(result, "n", EXPIRY_NONE, 0);
    result->missing[1].typename_ = SLICE("other");
    bench_result(bench, bench_take_call(bench).call, result);
    assert_int_equal(bench_metric(bench, METRIC_TYPES_BLOCKED), 1);
    bench_advance(bench, 2000);
    assert_int_equal(bench_take_call(bench).state_count, 0);
}

/* A call that began before its type was blocked lifts no block; but what waited for its end must not wait on. */
static void a_late_answer_leaves_nobody_behind(void **state)
{
    struct bench *bench = *state;

    (void)bench_send(bench, "example/greeter", "a", "1", 0);
    bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE)); /* the type is known */
    (void)bench_send(bench, "example/greeter", "a", "2", 0);
    (void)bench_send(bench, "example/greeter", "b", "1", 0);
    const struct pending_call first = bench_take_call(bench);
    const struct pending_call second = bench_take_call(bench);
    struct result *result = result_begin(RESULT_DONE);
    result_fail(result, 0, "unknown_function", true);
    bench_result(bench, first.call, result);
    assert_int_equal(bench_metric(bench, METRIC_TYPES_BLOCKED), 1);
    bench_advance(bench, 60000); /* its retry comes while the second call is under way */
    assert_int_equal(bench->call_count, 0);
    bench_result(bench, second.call, result_begin(RESULT_DONE));
    const struct pending_call again = bench_take_call(bench);
    assert_string_equal(again.first_value, "2");
    bench_result(bench, again.call, result_begin(RESULT_DONE));
    assert_int_equal(bench_metric(bench, METRIC_TYPES_BLOCKED), 0);
    assert_int_equal(bench_metric(bench, METRIC_MAILBOX_MESSAGES), 0);
}

enum { WORKERS = 60, WORKERS_A_RESULT = 15 };

/* Sixty instances with a message each, which every answer of answer_busy replaces: more wait than may be called. */
static void begin_busy(struct bench *bench)
{
    static const char *const bosses[WORKERS / WORKERS_A_RESULT] = {"0", "1", "2", "3"};
    uint64_t calls[WORKERS / WORKERS_A_RESULT];
    char id[4];

    open_type(bench, "example/worker");
    open_type(bench, "example/boss");
    for (int i = 0; i < WORKERS / WORKERS_A_RESULT; i++) {
        (void)bench_send(bench, "example/boss", bosses[i], "go", 0);
        calls[i] = bench_take_call(bench).call;
    }
    for (int i = 0; i < WORKERS / WORKERS_A_RESULT; i++) {
        struct result *result = result_begin(RESULT_DONE);
        for (int j = 0; j < WORKERS_A_RESULT; j++) {
            (void)snprintf(id, sizeof id, "%d", i * WORKERS_A_RESULT + j);
            result_send(result, "example", "worker", id, "x");
        }
        bench_result(bench, calls[i], result);
    }
}

static void answer_busy(struct bench *bench, uint32_t count, uint32_t call_us)
{
    bench->call_us = call_us;
    for (uint32_t i = 0; i < count; i++) {
        const struct pending_call call = bench_take_call(bench);
        struct result *result = result_begin(RESULT_DONE);
        result_send(result, "example", "worker", strrchr(call.target, '/') + 1, "x");
        bench_result(bench, call.call, result);
    }
}

static void an_endpoint_that_keeps_up_gets_more_calls_at_once(void **state)
{
    struct bench *bench = *state;
    bench->call_us = 1000;
    begin_busy(bench);
    assert_int_equal(bench->call_count, 32);
    answer_busy(bench, 32, 1000);
    assert_int_equal(bench->call_count, 40);
    answer_busy(bench, 40, 1100); /* a little more is no reason to stop */
    assert_int_equal(bench->call_count, 50);
    answer_busy(bench, 150, 1900); /* more and more only wait over there: it stays */
    assert_int_equal(bench->call_count, 50);
    answer_busy(bench, 50 + 50 + 40 + 32, 4000);
    assert_int_equal(bench->call_count, 32); /* and never fewer */
    answer_busy(bench, 64, 4000);
    assert_int_equal(bench->call_count, 32);
}

static void calls_that_are_not_all_needed_raise_no_limit(void **state)
{
    struct bench *bench = *state;
    bench->call_us = 1000;
    for (uint32_t i = 0; i < 200; i++) { /* one at a time, as fast as can be */
        (void)bench_send(bench, "example/worker", "one", "x", 0);
        bench_result(bench, bench_take_call(bench).call, result_begin(RESULT_DONE));
        bench->answer_count = 0;
    }
    begin_busy(bench);
    assert_int_equal(bench->call_count, 32);
}

static int open_bench(void **state)
{
    static struct bench bench;

    bench_open(&bench);
    *state = &bench;
    return 0;
}

static int close_bench(void **state)
{
    bench_close(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ask_costs_one_commit_and_is_answered_after_it),
        TEST(state_survives_a_crash_without_a_handshake),
        TEST(an_accepted_send_survives_a_crash),
        TEST(messages_of_one_instance_wait_and_go_in_one_batch),
        TEST(a_late_answer_is_fenced_off),
        TEST(timers_fire_once_in_order_and_can_be_cancelled),
        TEST(a_duplicate_token_parks_the_item_only),
        TEST(expired_values_are_not_handed_out_and_leave_the_disk),
        TEST(values_live_to_their_last_millisecond),
        TEST(a_rejected_message_is_parked_and_its_asker_told),
        TEST(a_failing_message_is_parked_after_its_attempts),
        TEST(an_endpoint_that_is_down_is_probed_and_nothing_is_parked),
        TEST(an_instance_that_takes_its_endpoint_down_again_waits_alone),
        TEST(a_full_store_takes_only_what_shrinks),
        TEST(an_ask_times_out_and_the_work_goes_on),
        TEST(an_ask_is_not_written_before_its_client_is_told_anything),
        TEST(asks_that_wait_go_to_disk_when_memory_is_short),
        TEST(without_run_ahead_calls_wait_for_the_disk),
        TEST(stopping_answers_everybody),
        TEST(a_new_state_value_does_not_block_calls_under_way),
        TEST(a_refused_handshake_leaves_nothing_behind),
        TEST(a_changed_state_type_blocks_the_type_and_is_refused_whole),
        TEST(a_late_answer_leaves_nobody_behind),
        TEST(an_endpoint_that_keeps_up_gets_more_calls_at_once),
        TEST(calls_that_are_not_all_needed_raise_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
