/* SPDX-License-Identifier: Apache-2.0 */
#include "listeners.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "door.h"
#include "limit.h"
#include "runner.h"

enum {
    IDLE_TIMEOUT_S = 120,
    PLAYGROUND_MEMORY_BYTES = 64 << 20, /* of bodies, at each further listener */
    PORTS_TEXT_BYTES = LIMIT_PLAYGROUND_PORTS_MAX * 6 + 1,
};

struct listeners {
    struct http_server *servers[1 + LIMIT_PLAYGROUND_PORTS_MAX]; /* the ingress port's first */
    uint32_t count;
    char playground_ports[PORTS_TEXT_BYTES]; /* "8090 8092", in the order of the module file */
};
_Static_assert(1 + LIMIT_PLAYGROUND_PORTS_MAX <= DOORS_MAX, "a door for each listener");

static bool is_shared(const struct listeners_options *options, const struct playground_port *port)
{
    return port->port != 0 && port->port == options->ingress_port;
}

uint32_t listeners_playground_connections(const struct registry *registry)
{
    return registry->port_count * LISTENERS_PLAYGROUND_CONNECTIONS_MAX;
}

static enum err_code open_one(struct listeners *listeners, const struct listeners_options *options,
                              const struct http_server_options *how, struct door *door, struct err *err) LOOP_THREAD
{
    struct http_server_options server = *how;
    struct http_server **out = &listeners->servers[listeners->count];

    server.address = options->address;
    server.body_bytes_max = LIMIT_INGRESS_BODY_BYTES_MAX;
    server.idle_timeout_s = IDLE_TIMEOUT_S;
    server.handler = ingress_handle;
    server.context = door;
    if (http_server_open(options->loop, &server, out, err) != ERR_NONE) {
        return err->code;
    }
    ingress_serve(door, *out);
    listeners->count++;
    return ERR_NONE;
}

static enum err_code open_ingress(struct listeners *listeners, const struct listeners_options *options,
                                  struct err *err) LOOP_THREAD
{
    const struct http_server_options how = {.port = options->ingress_port, .connections_max = options->connections_max};
    bool has_instances = false;

    for (uint32_t i = 0; i < options->registry->port_count; i++) {
        has_instances |= is_shared(options, &options->registry->ports[i]);
    }
    return open_one(listeners, options, &how, ingress_door(options->ingress, true, has_instances), err);
}

static void note_port(struct listeners *listeners, uint16_t port)
{
    char *text = listeners->playground_ports;
    const size_t used = strlen(text);

    (void)snprintf(text + used, PORTS_TEXT_BYTES - used, "%s%u", used == 0 ? "" : " ", port);
}

static enum err_code open_playground(struct listeners *listeners, const struct listeners_options *options,
                                     const struct playground_port *port, struct err *err) LOOP_THREAD
{
    const struct http_server_options how = {.port = port->port,
                                            .connections_max = LISTENERS_PLAYGROUND_CONNECTIONS_MAX,
                                            .memory_bytes_max = PLAYGROUND_MEMORY_BYTES};

    if (port->port != 0 && port->port == options->admin_port) {
        return err_set(err, ERR_CONFIG,
                       "port %u of io.statefun.playground.v1/ingress is the admin port; give another --admin-port",
                       port->port);
    }
    if (open_one(listeners, options, &how, ingress_door(options->ingress, false, true), err) != ERR_NONE) {
        return err_wrap(err, "spec.port of io.statefun.playground.v1/ingress");
    }
    return ERR_NONE;
}

static enum err_code open_all(struct listeners *listeners, const struct listeners_options *options,
                              struct err *err) LOOP_THREAD
{
    enum err_code code = open_ingress(listeners, options, err);

    for (uint32_t i = 0; i < options->registry->port_count && code == ERR_NONE; i++) {
        const struct playground_port *port = &options->registry->ports[i];
        if (!is_shared(options, port)) {
            code = open_playground(listeners, options, port, err);
        }
        if (code == ERR_NONE) {
            const uint32_t at = is_shared(options, port) ? 0 : listeners->count - 1;
            note_port(listeners, http_server_port(listeners->servers[at]));
        }
    }
    return code;
}

enum err_code listeners_open(const struct listeners_options *options, struct runner *runner, struct listeners **out,
                             struct err *err)
{
    struct listeners *listeners = calloc(1, sizeof *listeners);

    check(listeners != NULL);
    if (open_all(listeners, options, err) != ERR_NONE) {
        listeners_close(listeners);
        return err->code;
    }
    for (uint32_t i = 0; i < listeners->count; i++) {
        runner_add_server(runner, listeners->servers[i]);
    }
    *out = listeners;
    return ERR_NONE;
}

void listeners_close(struct listeners *listeners)
{
    for (uint32_t i = 0; listeners != NULL && i < listeners->count; i++) {
        http_server_close(listeners->servers[i]);
    }
    free(listeners);
}

void listeners_quiesce(struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        http_server_quiesce(listeners->servers[i]);
    }
}

uint32_t listeners_waiting(const struct listeners *listeners)
{
    uint32_t waiting = 0;

    for (uint32_t i = 0; i < listeners->count; i++) {
        waiting += http_server_waiting(listeners->servers[i]);
    }
    return waiting;
}

size_t listeners_fields(const struct listeners *listeners, struct log_field fields[LISTENERS_FIELDS_MAX])
{
    size_t count = 0;

    fields[count++] = LOG_NUMBER("ingress_port", http_server_port(listeners->servers[0]));
    if (listeners->playground_ports[0] != '\0') {
        fields[count++] = LOG_STRING("playground_ingress_ports", listeners->playground_ports);
    }
    return count;
}
