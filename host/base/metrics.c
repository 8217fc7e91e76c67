/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "check.h"

enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

static const struct {
    enum kind kind;
    const char *name;
    const char *help;
} table[METRIC_COUNT] = {
#define COUNTER(name, text, help) [METRIC_##name] = {KIND_COUNTER, text, help},
#define GAUGE(name, text, help) [METRIC_##name] = {KIND_GAUGE, text, help},
#define HISTOGRAM(name, text, help) [METRIC_##name] = {KIND_HISTOGRAM, text, help},
#include "metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};

/* Upper bounds, in microseconds, and as Prometheus names them, in seconds. */
static const struct {
    uint64_t us;
    const char *seconds;
} bounds[] = {
    {100, "0.0001"}, {250, "0.00025"}, {500, "0.0005"}, {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},
    {10000, "0.01"}, {25000, "0.025"}, {50000, "0.05"}, {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},  {2500000, "2.5"}, {5000000, "5"},  {10000000, "10"},
};
enum { BOUND_COUNT = sizeof bounds / sizeof bounds[0] };

struct metrics {
    uint64_t values[METRIC_COUNT]; /* of a histogram: the number of observations */
    uint64_t sums_us[METRIC_COUNT];
    uint64_t buckets[METRIC_COUNT][BOUND_COUNT]; /* each counts what lies between its bound and the one before */
};

struct metrics *metrics_create(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    check(metrics != NULL);
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    free(metrics);
}

void metrics_add(struct metrics *metrics, enum metric counter, uint64_t by)
{
    check(counter < METRIC_COUNT && table[counter].kind == KIND_COUNTER);
    metrics->values[counter] += by;
}

void metrics_set(struct metrics *metrics, enum metric gauge, uint64_t value)
{
    check(gauge < METRIC_COUNT && table[gauge].kind != KIND_HISTOGRAM);
    check(table[gauge].kind == KIND_GAUGE || value >= metrics->values[gauge]);
    metrics->values[gauge] = value;
}

void metrics_observe_us(struct metrics *metrics, enum metric histogram, uint64_t microseconds)
{
    check(histogram < METRIC_COUNT && table[histogram].kind == KIND_HISTOGRAM);
    metrics->values[histogram]++;
    metrics->sums_us[histogram] += microseconds;
    for (size_t i = 0; i < BOUND_COUNT; i++) {
        if (microseconds <= bounds[i].us) {
            metrics->buckets[histogram][i]++;
            return;
        }
    }
}

uint64_t metrics_get(const struct metrics *metrics, enum metric metric)
{
    check(metric < METRIC_COUNT);
    return metrics->values[metric];
}

static const char *kind_name(enum kind kind)
{
    switch (kind) {
    case KIND_COUNTER:
        return "counter";
    case KIND_GAUGE:
        return "gauge";
    case KIND_HISTOGRAM:
        break;
    }
    return "histogram";
}

static void print_histogram(const struct metrics *metrics, enum metric histogram, struct buf *out)
{
    const char *name = table[histogram].name;
    const uint64_t sum_us = metrics->sums_us[histogram];
    uint64_t below = 0;

    for (size_t i = 0; i < BOUND_COUNT; i++) {
        below += metrics->buckets[histogram][i];
        buf_appendf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bounds[i].seconds, below);
    }
    buf_appendf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, metrics->values[histogram]);
    buf_appendf(out, "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, sum_us / 1000000, sum_us % 1000000);
    buf_appendf(out, "%s_count %" PRIu64 "\n", name, metrics->values[histogram]);
}

void metrics_print(const struct metrics *metrics, struct buf *out)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
                    kind_name(table[i].kind));
        if (table[i].kind == KIND_HISTOGRAM) {
            print_histogram(metrics, (enum metric)i, out);
        } else {
            buf_appendf(out, "%s %" PRIu64 "\n", table[i].name, metrics->values[i]);
        }
    }
}

void metrics_print_reference(struct buf *out)
{
    buf_append_text(out, "# Metrics\n\n"
                         "`GET /metrics` on the admin port gives these in the Prometheus text format. Durations are in "
                         "seconds.\n\n"
                         "| Metric | Kind | Meaning |\n"
                         "|---|---|---|\n");
    for (int i = 0; i < METRIC_COUNT; i++) {
        buf_appendf(out, "| `%s` | %s | %s |\n", table[i].name, kind_name(table[i].kind), table[i].help);
    }
    buf_append_text(out, "\nHistograms have the buckets");
    for (size_t i = 0; i < BOUND_COUNT; i++) {
        buf_appendf(out, "%s %s", i == 0 ? "" : ",", bounds[i].seconds);
    }
    buf_append_text(out, " seconds.\n");
}
