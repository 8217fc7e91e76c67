/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.h: a turn of the loop: what the sockets brought, one step of the engine, its effects handed out.
 *
 * A turn gives the engine answers of the disk, results of calls and new requests, in this order; timers that are due
 * come after them, the engine's own.
 * Thread: loop.
 */
#pragma once

#include "clock.h"
#include "committer.h"
#include "dispatcher.h"
#include "engine.h"
#include "http_server.h"
#include "reader.h"

struct runner;

/* Who gets the answers to messages: the API whose request waits. */
typedef void runner_answer(void *context, const struct effect_answer *answer);

struct runner_options {
    struct loop *loop;
    struct engine *engine;
    struct committer *committer;
    struct reader *reader;
    struct dispatcher *dispatcher;
    struct metrics *metrics;
    struct log *log;
};

/* A runner over parts that outlive it. Ends the process if memory is out. */
struct runner *runner_create(const struct runner_options *options);
void runner_destroy(struct runner *runner); /* accepts NULL */
/* Who answers clients; once, before the first turn. */
void runner_on_answer(struct runner *runner, runner_answer *answer, void *context) LOOP_THREAD;
/* HTTP servers that are to be run at the end of each turn; once each, before the first turn. */
void runner_add_server(struct runner *runner, struct http_server *server) LOOP_THREAD;
/* Takes a message for the next step; copies address, value and traceparent. False: too many wait already. */
MUST_USE bool runner_post(struct runner *runner, const struct input_message *message) LOOP_THREAD;
/* Takes a pop for the next step. False: too many requests wait already. */
MUST_USE bool runner_pop(struct runner *runner, const struct input_pop *pop) LOOP_THREAD;
/* Asks the engine to stop; from a signal watch on the loop. */
void runner_stop(struct runner *runner) LOOP_THREAD;
/* One turn: waits for something to do, at most 1 s, and does it. */
void runner_turn(struct runner *runner) LOOP_THREAD;
/* Set once EFFECT_FATAL came; the text says why. */
const struct err *runner_fatal(const struct runner *runner);
