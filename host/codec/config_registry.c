/* SPDX-License-Identifier: Apache-2.0 */
#include "config_registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "config_name.h"
#include "limit.h"

enum { REGISTRY_BYTES_MAX = 64 << 20 }; /* far above what a file at its limits comes to */

/* Where something was said, for who says it again. */
struct place {
    struct slice file;
    uint32_t line; /* 0: a flag */
};

struct function_entry {
    struct function_entry *next;
    struct function_config function;
    struct place place;
};

struct egress_entry {
    struct egress_entry *next;
    struct egress_config egress;
    struct place place;
};

struct port_entry {
    struct port_entry *next;
    struct playground_port port;
    struct place place;
};

struct endpoint_entry {
    struct endpoint_entry *next;
    struct endpoint_config endpoint;
    bool is_flag; /* functions of later flags with the same URL join it */
};

struct config {
    struct arena *arena; /* becomes the registry's */
    struct function_entry *functions;
    struct function_entry **functions_end;
    struct endpoint_entry *endpoints;
    struct endpoint_entry **endpoints_end;
    struct egress_entry *egresses;
    struct egress_entry **egresses_end;
    struct port_entry *ports;
    struct port_entry **ports_end;
    uint32_t function_count;
    uint32_t endpoint_count;
    uint32_t egress_count;
    uint32_t port_count;
    bool has_error; /* what was added is not whole: no registry comes of it */
};

struct config *config_create(void)
{
    struct config *config = calloc(1, sizeof *config);

    check(config != NULL);
    config->arena = arena_create(REGISTRY_BYTES_MAX);
    check(config->arena != NULL);
    config->functions_end = &config->functions;
    config->endpoints_end = &config->endpoints;
    config->egresses_end = &config->egresses;
    config->ports_end = &config->ports;
    return config;
}

void config_destroy(struct config *config)
{
    if (config != NULL) {
        arena_destroy(config->arena);
        free(config);
    }
}

enum err_code config_end_source(struct config *config, const struct config_source *source)
{
    config->has_error |= source->error_count > 0;
    return source->error_count > 0 ? ERR_CONFIG : ERR_NONE;
}

/* Memory of the registry. Its budget is far above what the bounds of files and entries allow. */
static void *allocate(struct config *config, size_t size)
{
    void *memory = arena_alloc(config->arena, size);

    check(memory != NULL);
    return memory;
}

static struct slice copy(struct config *config, struct slice text)
{
    const struct slice copied = arena_copy(config->arena, text);

    check(text.size == 0 || copied.data != NULL);
    return copied;
}

static void describe_place(const struct place *place, char *out, size_t size)
{
    if (place->line == 0) {
        (void)snprintf(out, size, "by %.*s", config_shown(place->file), place->file.data);
    } else {
        (void)snprintf(out, size, "at %.*s:%u", config_shown(place->file), place->file.data, place->line);
    }
}

/* ---- endpoints and their functions ---------------------------------------------------------------------- */

void config_put_function(struct config *config, struct config_source *source, struct function_config function,
                         uint32_t line)
{
    for (const struct function_entry *other = config->functions; other != NULL; other = other->next) {
        char place[2 * CONFIG_SHOWN_BYTES_MAX];
        if (slice_equal(other->function.space, function.space) && slice_equal(other->function.name, function.name)) {
            describe_place(&other->place, place, sizeof place);
            config_error(source, line, "%.*s/%.*s already has an endpoint, given %s", config_shown(function.space),
                         function.space.data, config_shown(function.name), function.name.data, place);
            return;
        }
    }
    if (config->function_count == LIMIT_MODULE_ENTRIES_MAX) {
        config_error(source, line, "there are more than %d functions", LIMIT_MODULE_ENTRIES_MAX);
        return;
    }
    struct function_entry *entry = allocate(config, sizeof *entry);
    entry->function = function;
    entry->function.space = copy(config, function.space);
    entry->function.name = copy(config, function.name);
    entry->function.takes = copy(config, function.takes);
    entry->place = (struct place){copy(config, slice_of(source->input->file_name)), line};
    *config->functions_end = entry;
    config->functions_end = &entry->next;
    config->function_count++;
}

static void copy_file(struct config *config, struct tls_file *file)
{
    file->path = copy(config, file->path);
    file->where = copy(config, file->where);
}

bool config_put_endpoint(struct config *config, struct config_source *source, const struct endpoint_config *endpoint,
                         uint32_t line, uint32_t *out_index)
{
    if (config->endpoint_count == LIMIT_MODULE_ENTRIES_MAX) {
        config_error(source, line, "there are more than %d endpoints", LIMIT_MODULE_ENTRIES_MAX);
        return false;
    }
    struct endpoint_entry *entry = allocate(config, sizeof *entry);
    entry->endpoint = *endpoint;
    entry->endpoint.url = copy(config, endpoint->url);
    entry->endpoint.socket = config_socket_of(entry->endpoint.url);
    copy_file(config, &entry->endpoint.tls.ca);
    copy_file(config, &entry->endpoint.tls.cert);
    copy_file(config, &entry->endpoint.tls.key);
    copy_file(config, &entry->endpoint.tls.key_password);
    entry->is_flag = line == 0;
    *config->endpoints_end = entry;
    config->endpoints_end = &entry->next;
    *out_index = config->endpoint_count++;
    return true;
}

bool config_find_flag_endpoint(const struct config *config, struct slice url, uint32_t *out_index)
{
    uint32_t index = 0;

    for (const struct endpoint_entry *entry = config->endpoints; entry != NULL; entry = entry->next, index++) {
        if (entry->is_flag && slice_equal(entry->endpoint.url, url)) {
            *out_index = index;
            return true;
        }
    }
    return false;
}

/* ---- egresses and ports --------------------------------------------------------------------------------- */

/* The first port at which records are popped, or NULL. */
static const struct port_entry *find_egress_port(const struct config *config)
{
    const struct port_entry *entry = config->ports;

    while (entry != NULL && !entry->port.is_egress) {
        entry = entry->next;
    }
    return entry;
}

void config_put_egress(struct config *config, struct config_source *source, struct egress_config egress, uint32_t line)
{
    const struct port_entry *port = find_egress_port(config);
    char taken[2 * CONFIG_SHOWN_BYTES_MAX];

    if (port != NULL && !egress.is_topic && registry_is_playground_name(egress.space, egress.name)) {
        describe_place(&port->place, taken, sizeof taken);
        config_error(source, line, "the egress io.statefun.playground/egress is that of the playground, given %s",
                     taken);
        return;
    }
    for (const struct egress_entry *other = config->egresses; other != NULL; other = other->next) {
        char place[2 * CONFIG_SHOWN_BYTES_MAX];
        if (slice_equal(other->egress.space, egress.space) && slice_equal(other->egress.name, egress.name)) {
            describe_place(&other->place, place, sizeof place);
            config_error(source, line, "the %s %.*s/%.*s is already there, given %s",
                         egress.is_topic ? "topic" : "egress", config_shown(egress.space), egress.space.data,
                         config_shown(egress.name), egress.name.data, place);
            return;
        }
    }
    if (config->egress_count == LIMIT_MODULE_ENTRIES_MAX) {
        config_error(source, line, "there are more than %d egresses and topics", LIMIT_MODULE_ENTRIES_MAX);
        return;
    }
    struct egress_entry *entry = allocate(config, sizeof *entry);
    entry->egress = egress;
    entry->egress.space = copy(config, egress.space);
    entry->egress.name = copy(config, egress.name);
    entry->place = (struct place){copy(config, slice_of(source->input->file_name)), line};
    *config->egresses_end = entry;
    config->egresses_end = &entry->next;
    config->egress_count++;
}

/* An egress of ours that has the name of the playground's, or NULL. */
static const struct egress_entry *find_namesake(const struct config *config)
{
    const struct egress_entry *entry = config->egresses;

    while (entry != NULL &&
           (entry->egress.is_topic || !registry_is_playground_name(entry->egress.space, entry->egress.name))) {
        entry = entry->next;
    }
    return entry;
}

bool config_put_port(struct config *config, struct config_source *source, struct playground_port port, uint32_t line,
                     uint32_t *out_index)
{
    const struct egress_entry *namesake = port.is_egress ? find_namesake(config) : NULL;
    char place[2 * CONFIG_SHOWN_BYTES_MAX];

    if (namesake != NULL) {
        describe_place(&namesake->place, place, sizeof place);
        config_error(source, line, "the egress io.statefun.playground/egress is already there, given %s", place);
        return false;
    }
    for (const struct port_entry *other = config->ports; other != NULL; other = other->next) {
        if (port.port != 0 && other->port.port == port.port && other->port.is_egress == port.is_egress) {
            describe_place(&other->place, place, sizeof place);
            config_error(source, line, "the port %u is already taken, given %s", port.port, place);
            return false;
        }
    }
    if (config->port_count == LIMIT_PLAYGROUND_PORTS_MAX) {
        config_error(source, line, "there are more than %d ports of the playground", LIMIT_PLAYGROUND_PORTS_MAX);
        return false;
    }
    struct port_entry *entry = allocate(config, sizeof *entry);
    entry->port = port;
    entry->place = (struct place){copy(config, slice_of(source->input->file_name)), line};
    *config->ports_end = entry;
    config->ports_end = &entry->next;
    *out_index = config->port_count++;
    return true;
}

/* ---- what it comes to ----------------------------------------------------------------------------------- */

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void print_ports(const struct config *config, struct buf *out)
{
    uint32_t index = 0;

    for (const struct port_entry *port = config->ports; port != NULL; port = port->next, index++) {
        buf_appendf(out, "playground %s on port %u\n", port->port.is_egress ? "egress" : "ingress", port->port.port);
        for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
            if (entry->egress.is_topic && entry->egress.port == index) {
                buf_appendf(out, "  topic %.*s\n", (int)entry->egress.name.size, entry->egress.name.data);
            }
        }
    }
}

void config_print_summary(const struct config *config, struct buf *out)
{
    const struct function_entry *function = config->functions;
    uint32_t egress_count = 0;
    uint32_t index = 0;

    for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
        egress_count += !entry->egress.is_topic;
    }
    buf_appendf(out, "%u endpoint%s, %u function%s, %u egress%s\n", config->endpoint_count,
                plural(config->endpoint_count), config->function_count, plural(config->function_count), egress_count,
                egress_count == 1 ? "" : "es");
    for (const struct endpoint_entry *entry = config->endpoints; entry != NULL; entry = entry->next, index++) {
        buf_appendf(out, "endpoint %.*s\n", (int)entry->endpoint.url.size, entry->endpoint.url.data);
        for (; function != NULL && function->function.endpoint == index; function = function->next) {
            buf_appendf(out, "  function %.*s/%.*s\n", (int)function->function.space.size,
                        function->function.space.data, (int)function->function.name.size, function->function.name.data);
        }
    }
    for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
        if (!entry->egress.is_topic) {
            buf_appendf(out, "egress %.*s/%.*s\n", (int)entry->egress.space.size, entry->egress.space.data,
                        (int)entry->egress.name.size, entry->egress.name.data);
        }
    }
    print_ports(config, out);
}

enum err_code config_take_registry(struct config *config, struct registry **out, struct buf *messages)
{
    uint32_t at = 0;

    if (config->has_error) {
        return ERR_CONFIG; /* said already */
    }
    if (config->function_count == 0) {
        buf_append_text(messages, "no endpoint serves a function; give --module FILE, or --function as in "
                                  "--function 'example/*=http://localhost:8000/'\n");
        return ERR_CONFIG;
    }
    struct registry *registry = allocate(config, sizeof *registry);
    registry->endpoints = allocate(config, config->endpoint_count * sizeof *registry->endpoints);
    registry->functions = allocate(config, config->function_count * sizeof *registry->functions);
    registry->egresses = allocate(config, config->egress_count * sizeof *registry->egresses);
    registry->ports = allocate(config, config->port_count * sizeof *registry->ports);
    for (const struct endpoint_entry *entry = config->endpoints; entry != NULL; entry = entry->next) {
        registry->endpoints[at++] = entry->endpoint;
    }
    check(at == config->endpoint_count);
    at = 0;
    for (const struct function_entry *entry = config->functions; entry != NULL; entry = entry->next) {
        registry->functions[at++] = entry->function;
    }
    check(at == config->function_count);
    at = 0;
    for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
        registry->egresses[at++] = entry->egress;
    }
    check(at == config->egress_count);
    at = 0;
    for (const struct port_entry *entry = config->ports; entry != NULL; entry = entry->next) {
        registry->ports[at++] = entry->port;
    }
    check(at == config->port_count);
    registry->endpoint_count = config->endpoint_count;
    registry->function_count = config->function_count;
    registry->egress_count = config->egress_count;
    registry->port_count = config->port_count;
    registry->arena = TAKE(config->arena);
    *out = registry;
    return ERR_NONE;
}
