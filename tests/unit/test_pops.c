/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pops.c: topics of the playground, in the engine: what waits, and who gets it.
 */
#include "engine_bench.h"

/* One call whose result sends these records to the topic greetings, on disk when it returns unless that is held. */
static void emit(struct bench *bench, const char *const *texts, size_t count)
{
    (void)bench_send(bench, "example/greeter", "bob", "hi", 0);
    struct result *result = result_begin(RESULT_DONE);
    for (size_t i = 0; i < count; i++) {
        result_record(result, "greetings", texts[i]);
    }
    bench_result(bench, bench_take_call(bench).call, result);
    if (!bench->is_disk_held) {
        bench_advance(bench, 10);
    }
}

static void is_popped(const struct bench *bench, uint64_t pop, const char *text)
{
    assert_non_null(bench_answer(bench, pop));
    assert_int_equal(bench_answer(bench, pop)->kind, ANSWER_POPPED);
    assert_string_equal(bench_answer(bench, pop)->value, text);
}

static void is_error(const struct bench *bench, uint64_t pop, enum err_code code)
{
    assert_non_null(bench_answer(bench, pop));
    assert_int_equal(bench_answer(bench, pop)->kind, ANSWER_ERROR);
    assert_int_equal(bench_answer(bench, pop)->code, code);
}

static void records_are_popped_oldest_first(void **state)
{
    struct bench *bench = *state;
    static const char *const texts[] = {"one", "two", "three"};

    is_error(bench, bench_pop(bench, EGRESS_GREETINGS), ERR_EMPTY);
    emit(bench, texts, 3);
    is_error(bench, bench_pop(bench, EGRESS_QUIET), ERR_EMPTY);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_RECORDS), 3);
    for (size_t i = 0; i < 3; i++) {
        is_popped(bench, bench_pop(bench, EGRESS_GREETINGS), texts[i]);
    }
    is_error(bench, bench_pop(bench, EGRESS_GREETINGS), ERR_EMPTY);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_RECORDS), 0);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_BYTES), 0);
    assert_int_equal(bench_metric(bench, METRIC_EGRESS_POPPED), 3);
    assert_int_equal(store_memory_count(bench->store, STORE_OUTBOX), 0);
}

static void an_answer_waits_for_the_removal(void **state)
{
    struct bench *bench = *state;
    static const char *const texts[] = {"one", "two"};

    emit(bench, texts, 2);
    bench->is_disk_held = true;
    const uint64_t first = bench_pop(bench, EGRESS_GREETINGS);
    const uint64_t second = bench_pop(bench, EGRESS_GREETINGS);
    const uint64_t third = bench_pop(bench, EGRESS_GREETINGS);
    assert_null(bench_answer(bench, first));
    assert_null(bench_answer(bench, third)); /* what it is derived from is not on disk either */
    assert_int_equal(store_memory_count(bench->store, STORE_OUTBOX), 2);
    bench_commit(bench); /* the removal of the first */
    is_popped(bench, first, "one");
    assert_null(bench_answer(bench, second));
    bench->is_disk_held = false;
    bench_commit(bench);
    is_popped(bench, second, "two");
    is_error(bench, third, ERR_EMPTY);
}

static void a_crash_takes_back_what_nobody_got(void **state)
{
    struct bench *bench = *state;
    static const char *const texts[] = {"one", "two"};

    emit(bench, texts, 2);
    is_popped(bench, bench_pop(bench, EGRESS_GREETINGS), "one");
    bench->is_disk_held = true;
    const uint64_t lost = bench_pop(bench, EGRESS_GREETINGS);
    assert_null(bench_answer(bench, lost));
    bench_crash(bench);
    bench->is_disk_held = false;
    bench_start(bench);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_RECORDS), 1);
    is_popped(bench, bench_pop(bench, EGRESS_GREETINGS), "two");
    is_error(bench, bench_pop(bench, EGRESS_GREETINGS), ERR_EMPTY);
}

static void a_record_of_the_open_epoch_is_waited_for(void **state)
{
    struct bench *bench = *state;
    static const char *const texts[] = {"one"};

    bench->is_disk_held = true;
    emit(bench, texts, 1);
    const uint64_t pop = bench_pop(bench, EGRESS_GREETINGS);
    assert_null(bench_answer(bench, pop));
    bench_commit(bench);           /* the message that was sent */
    assert_non_null(bench->epoch); /* sealed at once: somebody waits for it */
    assert_null(bench_answer(bench, pop));
    bench_commit(bench); /* its record */
    assert_null(bench_answer(bench, pop));
    bench_commit(bench); /* the removal */
    is_popped(bench, pop, "one");
}

static void a_full_topic_holds_its_senders_until_it_is_popped(void **state)
{
    struct bench *bench = *state;
    char long_text[1500];
    const char *const texts[] = {long_text, long_text};

    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    emit(bench, texts, 2); /* the topic takes what comes while it is below its bound */
    emit(bench, texts, 1);
    assert_int_equal(bench_metric(bench, METRIC_INSTANCES_BLOCKED), 1);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_RECORDS), 2);
    (void)bench_pop(bench, EGRESS_GREETINGS);
    bench_advance(bench, 1000);
    struct result *result = result_begin(RESULT_DONE);
    result_record(result, "greetings", "at last");
    bench_result(bench, bench_take_call(bench).call, result);
    assert_int_equal(bench_metric(bench, METRIC_INSTANCES_BLOCKED), 0);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_RECORDS), 2);
}

static void what_waits_in_a_topic_counts_after_a_start_too(void **state)
{
    struct bench *bench = *state;
    char long_text[1500];
    const char *const texts[] = {long_text, long_text};

    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    emit(bench, texts, 2);
    const uint64_t bytes = bench_metric(bench, METRIC_OUTBOX_BYTES);
    bench_crash(bench);
    bench_start(bench);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_BYTES), bytes);
    emit(bench, texts, 1);
    assert_int_equal(bench_metric(bench, METRIC_INSTANCES_BLOCKED), 1);
    assert_int_equal(bench_metric(bench, METRIC_OUTBOX_RECORDS), 2);
}

static void what_no_topic_takes_is_parked(void **state)
{
    struct bench *bench = *state;

    (void)bench_send(bench, "example/greeter", "bob", "hi", 0);
    struct result *result = result_begin(RESULT_DONE);
    result_record(result, "nowhere", "a");
    result_record(result, "", "b");
    result_record(result, "greetings", "c");
    result->emitted[result->emitted_count++] = (struct emitted){
        .space = PLAYGROUND_SPACE, .name = SLICE("greetings"), .value = SLICE("d")}; /* a topic is no egress */
    bench_result(bench, bench_take_call(bench).call, result);
    bench_advance(bench, 10);
    assert_int_equal(bench_metric(bench, METRIC_PARKED_MESSAGES), 3);
    assert_int_equal(store_memory_count(bench->store, STORE_PARKED), 3);
    is_popped(bench, bench_pop(bench, EGRESS_GREETINGS), "c");
}

static void whoever_cannot_be_served_is_told_so(void **state)
{
    struct bench *bench = *state;
    static const char *const texts[] = {"one"};
    struct input stop = {.kind = INPUT_STOP};

    bench->is_disk_held = true;
    emit(bench, texts, 1);
    const uint64_t impatient = bench_pop(bench, EGRESS_GREETINGS);
    bench_advance(bench, 29000);
    assert_null(bench_answer(bench, impatient));
    bench_advance(bench, 2000);
    is_error(bench, impatient, ERR_OVERLOADED);
    for (uint32_t i = 0; i < 1024; i++) {
        assert_null(bench_answer(bench, bench_pop(bench, EGRESS_GREETINGS)));
    }
    is_error(bench, bench_pop(bench, EGRESS_GREETINGS), ERR_OVERLOADED);
    bench_crash(bench);
    bench->is_disk_held = false;
    bench_start(bench);
    emit(bench, texts, 0); /* what was sent before the crash */
    bench->is_disk_held = true;
    (void)bench_send(bench, "example/greeter", "bob", "hi", 0);
    struct result *result = result_begin(RESULT_DONE);
    result_record(result, "greetings", "two");
    bench_result(bench, bench_take_call(bench).call, result);
    const uint64_t late = bench_pop(bench, EGRESS_GREETINGS);
    assert_null(bench_answer(bench, late));
    bench_settle(bench, &stop, 1);
    is_error(bench, late, ERR_STOPPING);
    is_error(bench, bench_pop(bench, EGRESS_GREETINGS), ERR_STOPPING);
}

static int set_up(void **state)
{
    static struct bench bench;

    bench_open(&bench);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_close(*state);
    return 0;
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(records_are_popped_oldest_first),
        CASE(an_answer_waits_for_the_removal),
        CASE(a_crash_takes_back_what_nobody_got),
        CASE(a_record_of_the_open_epoch_is_waited_for),
        CASE(a_full_topic_holds_its_senders_until_it_is_popped),
        CASE(what_waits_in_a_topic_counts_after_a_start_too),
        CASE(what_no_topic_takes_is_parked),
        CASE(whoever_cannot_be_served_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
