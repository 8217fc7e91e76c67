/* SPDX-License-Identifier: Apache-2.0
 *
 * committer.h: the thread that owns the store's write transaction; one sealed epoch at a time.
 *
 * A full disk or store keeps the epoch, answers that it is full, and tries again every 250 ms (a new answer only
 * if the last one was taken); after any other write error `on_failure` runs on the committer thread (it ends the
 * process: only recovery is safe).
 * It also watches the loop: no turn ended for 5 s is a warning in the log.
 */
#pragma once

#include "log.h"
#include "loop.h"
#include "port.h"

struct store;
struct committer;

struct committer_options {
    struct loop *loop;
    struct store *store; /* outlives the committer */
    struct log *log;
    void (*on_failure)(const struct err *err); /* if it returns, the thread ends and answers no more */
};

/* Starts the thread. */
MUST_USE enum err_code committer_start(const struct committer_options *options, struct committer **out,
                                       struct err *err);
/* Hands over a sealed epoch; none may be under way. It is sorted in place on the committer thread, so nobody may
 * look at its list of operations until it is answered. It stays the engine's to free. */
void committer_commit(struct committer *committer, struct epoch *epoch) LOOP_THREAD;
/* The answers so far, at most `max`. */
uint32_t committer_take(struct committer *committer, struct input *out_inputs, uint32_t max) LOOP_THREAD;
/* Says that a turn of the loop ended (monotonic microseconds). */
void committer_saw_turn(struct committer *committer, uint64_t now_us) LOOP_THREAD;
/* Finishes the epoch under way, or leaves it if it does not fit, and ends the thread. */
void committer_stop(struct committer *committer) LOOP_THREAD; /* accepts NULL */
