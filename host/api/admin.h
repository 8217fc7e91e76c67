/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h: the operator's API: /healthz, /readyz, /metrics. Thread: loop.
 */
#pragma once

#include "engine.h"
#include "http_server.h"
#include "metrics.h"

struct admin;

struct admin_options {
    struct engine *engine;
    struct metrics *metrics;
    struct log *log;
};

/* Copies the options; what they point to outlives the admin. Ends the process if memory is out. */
struct admin *admin_create(const struct admin_options *options);
void admin_destroy(struct admin *admin); /* accepts NULL */
/* From now on /readyz says that the host is stopping. */
void admin_stop(struct admin *admin) LOOP_THREAD;
/* The server its requests come from; once, after http_server_open with admin_handle. */
void admin_serve(struct admin *admin, struct http_server *server) LOOP_THREAD;
/* An http_handler; context is the admin. */
void admin_handle(void *admin, const struct http_request *request) LOOP_THREAD;
