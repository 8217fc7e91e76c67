/* SPDX-License-Identifier: Apache-2.0
 *
 * listeners.h: where clients come in: the ingress port, and the ports of StateFun's playground.
 *
 * Why: a port of the module file is a door of the ingress port if it is the same, else a listener of its own; from
 * here on all of them are one. Thread: loop.
 */
#pragma once

#include "ingress.h"
#include "log.h"

struct listeners;

struct listeners_options {
    struct loop *loop;
    const struct registry *registry;
    struct ingress *ingress;
    const char *address;
    uint16_t ingress_port; /* 0: any free one; it is then no port of the module file */
    uint16_t admin_port;   /* not to be had by others */
    uint32_t connections_max;
};

enum {
    LISTENERS_PLAYGROUND_CONNECTIONS_MAX = 256, /* of each further listener */
    LISTENERS_FIELDS_MAX = 3,
};

/* Connections that the further listeners may have, all together. */
uint32_t listeners_playground_connections(const struct registry *registry);
/* Listens on all of them and has the runner run them. ERR_IN_USE, ERR_CONFIG and ERR_SYSTEM say which port it is. */
MUST_USE enum err_code listeners_open(const struct listeners_options *options, struct runner *runner,
                                      struct listeners **out, struct err *err) LOOP_THREAD;
void listeners_close(struct listeners *listeners) LOOP_THREAD; /* accepts NULL */
/* Takes no new connections and lets go of idle ones. */
void listeners_quiesce(struct listeners *listeners) LOOP_THREAD;
uint32_t listeners_waiting(const struct listeners *listeners); /* requests not yet answered */
/* What a log line says of the ports; returns how many fields. They borrow from the listeners. */
size_t listeners_fields(const struct listeners *listeners, struct log_field fields[LISTENERS_FIELDS_MAX]);
