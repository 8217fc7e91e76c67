/* SPDX-License-Identifier: Apache-2.0
 *
 * test_metrics.c: metrics: values, buckets, the exposition text, and that docs/metrics.md is what the table prints.
 */
#include "unit.h"

#include <stdio.h>

#include "metrics.h"
#include "page.h"

static struct metrics *metrics;
static struct buf text;

static int set_up(void **state)
{
    (void)state;
    metrics = metrics_create();
    buf_init(&text, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    metrics_destroy(metrics);
    buf_done(&text);
    return 0;
}

/* True if `line` is one whole line of the text. */
static bool has_line(const char *line)
{
    const size_t size = strlen(line);

    for (size_t at = 0; at + size < text.size; at++) {
        const bool begins = at == 0 || text.data[at - 1] == '\n';
        if (begins && memcmp(text.data + at, line, size) == 0 && text.data[at + size] == '\n') {
            return true;
        }
    }
    return false;
}

static void counters_and_gauges(void **state)
{
    (void)state;
    metrics_add(metrics, METRIC_CALLS, 2);
    metrics_add(metrics, METRIC_CALLS, 3);
    metrics_set(metrics, METRIC_TIMERS, 7);
    metrics_set(metrics, METRIC_TIMERS, 4);
    metrics_set(metrics, METRIC_LOG_DROPPED, 9); /* a counter kept elsewhere */
    assert_int_equal(metrics_get(metrics, METRIC_CALLS), 5);
    assert_int_equal(metrics_get(metrics, METRIC_TIMERS), 4);
    assert_int_equal(metrics_get(metrics, METRIC_LOG_DROPPED), 9);
    metrics_print(metrics, &text);
    assert_true(has_line("# TYPE proa_calls_total counter"));
    assert_true(has_line("proa_calls_total 5"));
    assert_true(has_line("# TYPE proa_timers gauge"));
    assert_true(has_line("proa_timers 4"));
    assert_true(has_line("# HELP proa_timers Delayed messages not yet due"));
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    metrics_observe_us(metrics, METRIC_TURN_SECONDS, 0);
    metrics_observe_us(metrics, METRIC_TURN_SECONDS, 100); /* a bound belongs to its bucket */
    metrics_observe_us(metrics, METRIC_TURN_SECONDS, 101);
    metrics_observe_us(metrics, METRIC_TURN_SECONDS, 2000000);
    metrics_observe_us(metrics, METRIC_TURN_SECONDS, 60000000);
    assert_int_equal(metrics_get(metrics, METRIC_TURN_SECONDS), 5);
    metrics_print(metrics, &text);
    assert_true(has_line("# TYPE proa_turn_duration_seconds histogram"));
    assert_true(has_line("proa_turn_duration_seconds_bucket{le=\"0.0001\"} 2"));
    assert_true(has_line("proa_turn_duration_seconds_bucket{le=\"0.00025\"} 3"));
    assert_true(has_line("proa_turn_duration_seconds_bucket{le=\"1\"} 3"));
    assert_true(has_line("proa_turn_duration_seconds_bucket{le=\"2.5\"} 4"));
    assert_true(has_line("proa_turn_duration_seconds_bucket{le=\"10\"} 4"));
    assert_true(has_line("proa_turn_duration_seconds_bucket{le=\"+Inf\"} 5"));
    assert_true(has_line("proa_turn_duration_seconds_sum 62.000201"));
    assert_true(has_line("proa_turn_duration_seconds_count 5"));
}

static void names_follow_the_conventions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *suffix;
    } rows[] = {
#define COUNTER(name, text, help) {text, "_total"},
#define GAUGE(name, text, help) {text, ""},
#define HISTOGRAM(name, text, help) {text, "_seconds"},
#include "metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
    };

    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const size_t size = strlen(rows[i].name);
        assert_memory_equal(rows[i].name, "proa_", 5);
        assert_string_equal(rows[i].name + size - strlen(rows[i].suffix), rows[i].suffix);
        assert_int_equal(strspn(rows[i].name, "abcdefghijklmnopqrstuvwxyz_"), size);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
        }
    }
}

static void the_page_is_current(void **state)
{
    (void)state;
    metrics_print_reference(&text);
    page_compare("docs/metrics.md", buf_slice(&text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_and_gauges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(histograms_are_cumulative, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_follow_the_conventions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_page_is_current, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
