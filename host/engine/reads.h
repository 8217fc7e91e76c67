/* SPDX-License-Identifier: Apache-2.0
 *
 * reads.h: reads as effects and inputs, against a credit.
 *
 * A row that is being read has one pending read, kept with what needs it; so an answer can be old only for
 * what changed meanwhile, and that is in memory and wins.
 */
#pragma once

#include "core.h"

/* What a read is for, and so who gets its rows. */
enum read_purpose {
    READ_INSTANCE,
    READ_VALUES,
    READ_BODIES,
    READ_TOKEN,
    READ_TIMERS,
    READ_EXPIRY,
    READ_RECORDS,
    READ_SCAN
};

/* One read, waiting for a credit or under way. */
struct read {
    struct table_node node;
    struct link waiting; /* in engine.reads_waiting */
    struct wake wake;    /* made again after the store failed to answer */
    uint64_t number;
    enum read_purpose purpose;
    void *subject; /* instance, token or egress */
    struct read_range *ranges;
    struct key *keys; /* the ranges' keys, same places */
    uint32_t range_count;
    uint32_t rows_max;
    uint32_t bytes_max;
};

/* A read of so many ranges, which the caller fills in, with their keys at the same places; then reads_start. */
struct read *reads_create(struct engine *engine, enum read_purpose purpose, void *subject, uint32_t range_count);
/* Begins it at once (EFFECT_READ), or when there is a credit; by its wake too, when it failed. It is freed when its
 * rows were delivered. */
void reads_start(struct engine *engine, struct read *read);
/* Rows of the store go to whoever asked for them. A read that failed is made again after a while. */
void reads_rows(struct engine *engine, const struct input_rows *rows);
/* Frees all reads. */
void reads_destroy(struct engine *engine);
