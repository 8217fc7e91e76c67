/* SPDX-License-Identifier: Apache-2.0 */
#include "listeners.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "door.h"
#include "limit.h"
#include "runner.h"

enum {
    PLAYGROUND_MEMORY_BYTES = 64 << 20, /* of bodies, at each further listener */
    PORTS_TEXT_BYTES = LIMIT_PLAYGROUND_PORTS_MAX * 6 + 1,
};

struct listeners {
    struct http_server *servers[1 + LIMIT_PLAYGROUND_PORTS_MAX]; /* the ingress port's first */
    uint32_t count;
    char ports[2][PORTS_TEXT_BYTES]; /* of the playground's ingress and egress, in the order of the module file */
};
_Static_assert(1 + LIMIT_PLAYGROUND_PORTS_MAX <= DOORS_MAX, "a door for each listener");

/* What a port of the module file asks of the listener it comes to be at. */
struct wants {
    bool has_instances;
    uint32_t topic_ports;
};

uint32_t listeners_playground_connections(const struct registry *registry)
{
    return registry->port_count * LISTENERS_PLAYGROUND_CONNECTIONS_MAX;
}

static const char *kind_of(const struct playground_port *port)
{
    return port->is_egress ? "io.statefun.playground.v1/egress" : "io.statefun.playground.v1/ingress";
}

/* All that the module file wants at the port of `which`, or at `number` if that is none of its ports. */
static struct wants wants_at(const struct registry *registry, uint16_t number, uint32_t which)
{
    struct wants wants = {.has_instances = false};

    for (uint32_t i = 0; i < registry->port_count; i++) {
        if (i == which || (number != 0 && registry->ports[i].port == number)) {
            wants.has_instances |= !registry->ports[i].is_egress;
            wants.topic_ports |= registry->ports[i].is_egress ? UINT32_C(1) << i : 0;
        }
    }
    return wants;
}

static enum err_code open_one(struct listeners *listeners, const struct listeners_options *options,
                              const struct http_server_options *how, struct door *door, struct err *err) LOOP_THREAD
{
    struct http_server_options server = *how;
    struct http_server **out = &listeners->servers[listeners->count];

    server.address = options->address;
    server.body_bytes_max = LIMIT_INGRESS_BODY_BYTES_MAX;
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
    const struct wants wants = wants_at(options->registry, options->ingress_port, UINT32_MAX);

    return open_one(listeners, options, &how,
                    ingress_door(options->ingress, true, wants.has_instances, wants.topic_ports), err);
}

static enum err_code open_playground(struct listeners *listeners, const struct listeners_options *options,
                                     uint32_t which, struct err *err) LOOP_THREAD
{
    const struct playground_port *port = &options->registry->ports[which];
    const struct wants wants = wants_at(options->registry, port->port, which);
    const struct http_server_options how = {.port = port->port,
                                            .connections_max = LISTENERS_PLAYGROUND_CONNECTIONS_MAX,
                                            .memory_bytes_max = PLAYGROUND_MEMORY_BYTES};

    if (port->port != 0 && port->port == options->admin_port) {
        return err_set(err, ERR_CONFIG, "port %u of %s is the admin port; give another --admin-port", port->port,
                       kind_of(port));
    }
    struct door *door = ingress_door(options->ingress, false, wants.has_instances, wants.topic_ports);
    if (open_one(listeners, options, &how, door, err) != ERR_NONE) {
        return err_wrap(err, "spec.port of %s", kind_of(port));
    }
    return ERR_NONE;
}

/* The listener that has this port already, or NULL. */
static const struct http_server *find(const struct listeners *listeners, const struct listeners_options *options,
                                      uint32_t which)
{
    const struct playground_port *ports = options->registry->ports;

    if (ports[which].port == 0) {
        return NULL;
    }
    if (ports[which].port == options->ingress_port) {
        return listeners->servers[0];
    }
    for (uint32_t i = 0; i < which; i++) {
        for (uint32_t j = 1; ports[i].port == ports[which].port && j < listeners->count; j++) {
            if (http_server_port(listeners->servers[j]) == ports[which].port) {
                return listeners->servers[j];
            }
        }
    }
    return NULL;
}

static void note_port(struct listeners *listeners, bool is_egress, uint16_t port)
{
    char *text = listeners->ports[is_egress];
    const size_t used = strlen(text);

    (void)snprintf(text + used, PORTS_TEXT_BYTES - used, "%s%u", used == 0 ? "" : " ", port);
}

static enum err_code open_all(struct listeners *listeners, const struct listeners_options *options,
                              struct err *err) LOOP_THREAD
{
    enum err_code code = open_ingress(listeners, options, err);

    for (uint32_t i = 0; i < options->registry->port_count && code == ERR_NONE; i++) {
        const struct http_server *server = find(listeners, options, i);
        if (server == NULL) {
            code = open_playground(listeners, options, i, err);
            server = code == ERR_NONE ? listeners->servers[listeners->count - 1] : NULL;
        }
        if (server != NULL) {
            note_port(listeners, options->registry->ports[i].is_egress, http_server_port(server));
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
    if (listeners->ports[0][0] != '\0') {
        fields[count++] = LOG_STRING("playground_ingress_ports", listeners->ports[0]);
    }
    if (listeners->ports[1][0] != '\0') {
        fields[count++] = LOG_STRING("playground_egress_ports", listeners->ports[1]);
    }
    return count;
}
