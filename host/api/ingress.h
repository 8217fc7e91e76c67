/* SPDX-License-Identifier: Apache-2.0
 *
 * ingress.h: the client's API: POST /v1/ask and /v1/send, and the playground's PUT /{namespace}/{name}/{id} and
 * GET /{topic}.
 *
 * Turns requests into messages and answers into HTTP (RFC 9110), errors into problem details (RFC 9457).
 * Thread: loop.
 */
#pragma once

#include "helper.h"
#include "http_server.h"
#include "registry.h"
#include "runner.h"

struct ingress;
struct door;

struct ingress_options {
    const struct registry *registry;
    struct runner *runner;
    struct helper *helper;
    struct metrics *metrics;
    struct log *log;
};

/* Copies the options; what they point to outlives the ingress. Ends the process if memory is out. */
struct ingress *ingress_create(const struct ingress_options *options);
void ingress_destroy(struct ingress *ingress); /* accepts NULL */
/* One more listener, at most DOORS_MAX, and which paths it has: those of /v1, those of the playground, and the topics
 * of these of the registry's ports (a bit set). */
struct door *ingress_door(struct ingress *ingress, bool has_api, bool has_instances, uint32_t topic_ports);
/* The server a door's requests come from; once, after http_server_open with ingress_handle. */
void ingress_serve(struct door *door, struct http_server *server) LOOP_THREAD;
/* An http_handler; context is the door. */
void ingress_handle(void *door, const struct http_request *request) LOOP_THREAD;
/* From now on nothing is posted and no helper is used: requests, those with helpers too, are answered as stopping.
 * Called when the engine is stopped, then: helper_stop, http_server_close, ingress_destroy. */
void ingress_stop(struct ingress *ingress) LOOP_THREAD;
/* A runner_answer; context is the ingress. */
void ingress_answer(void *ingress, const struct effect_answer *answer) LOOP_THREAD;
