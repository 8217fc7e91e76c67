/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.h: the numbers of the host, defined once in metrics.def, printed as Prometheus text.
 *
 * An object, not a global: one process can hold several engines. Thread: the loop only (threads report
 * through their answers). Histograms take microseconds and print seconds.
 */
#pragma once

#include <stdint.h>

#include "bytes.h"

enum metric {
#define COUNTER(name, text, help) METRIC_##name,
#define GAUGE(name, text, help) METRIC_##name,
#define HISTOGRAM(name, text, help) METRIC_##name,
#include "metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
    METRIC_COUNT
};

struct metrics;

/* All at zero. Ends the process if memory is out. */
struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics); /* accepts NULL */
void metrics_add(struct metrics *metrics, enum metric counter, uint64_t by);
/* Sets a gauge; a counter that is kept elsewhere may be set too, but only upwards. */
void metrics_set(struct metrics *metrics, enum metric gauge, uint64_t value);
void metrics_observe_us(struct metrics *metrics, enum metric histogram, uint64_t microseconds);
uint64_t metrics_get(const struct metrics *metrics,
                     enum metric metric); /* a counter's or gauge's value, a histogram's count */
/* Appends the Prometheus text exposition format 0.0.4, HELP and TYPE included. */
void metrics_print(const struct metrics *metrics, struct buf *out);
/* Appends the reference page of all metrics, in Markdown. */
void metrics_print_reference(struct buf *out);
