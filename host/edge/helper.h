/* SPDX-License-Identifier: Apache-2.0
 *
 * helper.h: threads for what would hold the loop: name look-ups, parsing of large bodies; reads of the store have
 * some of their own (reader.h).
 *
 * Plain data in, plain data out. A job belongs to the helper from helper_push until its `done` runs on
 * the loop. At most `capacity` jobs are under way, and nobody ever waits for a place.
 */
#pragma once

#include <stdbool.h>

#include "loop.h"

struct helper;

struct helper_job {
    void (*work)(struct helper_job *job); /* on a helper thread */
    void (*done)(struct helper_job *job); /* on the loop, exactly once; frees the job if it is the job's owner */
};

/* Starts 1 to 16 threads, all of that name (at most 15 bytes). */
MUST_USE enum err_code helper_start(struct loop *loop, const char *name, uint32_t threads, uint32_t capacity,
                                    struct helper **out, struct err *err) LOOP_THREAD;
/* Waits for the jobs under way and calls their `done`; a job pushed by one of them is refused. A look-up that hangs
 * holds this up for as long as the resolver waits, so a host with a stop deadline bounds it from outside. */
void helper_stop(struct helper *helper) LOOP_THREAD; /* accepts NULL */
/* Gives it a job. False: it has as many as it may, or is being stopped; the job is still the caller's. */
MUST_USE bool helper_push(struct helper *helper, struct helper_job *job) LOOP_THREAD;
