/* SPDX-License-Identifier: Apache-2.0
 *
 * door.h: a listener that clients come to, and what every answer through it has: its invocation's name, a place in
 * the log, a count.
 *
 * Why: one host has several, the ingress port and those of StateFun's playground, and an answer must find the
 * listener its request came to: the waiter that the engine is given says which, and which resource it was for.
 * Thread: loop.
 */
#pragma once

#include "http_server.h"
#include "log.h"
#include "metrics.h"
#include "problem.h"

enum { DOORS_MAX = 16 };

struct door {
    struct ingress *ingress;
    struct metrics *metrics;
    struct log *log;
    struct http_server *server; /* NULL before ingress_serve */
    uint32_t index;             /* below DOORS_MAX */
    bool has_api;               /* /v1/ask and /v1/send */
    bool has_instances;         /* the playground's /{namespace}/{name}/{id} */
    uint32_t topic_ports;       /* bit set of the registry's ports whose topics are at /{topic} */
};

/* A request at a door. Numbers of resources are below 16. */
uint64_t door_waiter(const struct door *door, uint64_t id, uint32_t resource);
uint32_t door_index_of(uint64_t waiter);
uint32_t door_resource_of(uint64_t waiter);
uint64_t door_id_of(uint64_t waiter);

/* Answers a request, with the header Proa-Invocation. */
void door_answer(const struct door *door, uint64_t id, const char *hex, const struct http_answer *answer) LOOP_THREAD;
/* The same with a problem, which names its invocation; `methods` is what Allow says of a method that is not taken. */
void door_problem(const struct door *door, uint64_t id, const char *methods, const struct problem *problem) LOOP_THREAD;
/* Says which methods the path takes. */
void door_options(const struct door *door, uint64_t id, const char *hex, const char *methods) LOOP_THREAD;
