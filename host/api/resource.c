/* SPDX-License-Identifier: Apache-2.0 */
#include "resource.h"

#include "limit.h"
#include "quantity.h"

enum {
    TARGET_SEGMENTS = 3,
    TIMEOUT_DEFAULT_MS = 30 * 1000,
    TIMEOUT_MAX_MS = 10 * 60 * 1000,
};
static const uint64_t DELAY_MAX_MS = UINT64_C(3650) * 24 * 60 * 60 * 1000; /* ten years: longer is a slip */

static const struct {
    const char *path;      /* what stands before namespace, name and id */
    uint32_t before;       /* segments of it */
    const char *methods;   /* as Allow lists them */
    const char *parameter; /* NULL: none */
} resources[] = {
    [RESOURCE_ASK] = {"/v1/ask", 2, "POST", "timeout"},
    [RESOURCE_SEND] = {"/v1/send", 2, "POST", "delay"},
    [RESOURCE_INSTANCE] = {"", 0, "PUT, POST", NULL},
    [RESOURCE_TOPIC] = {"", 0, "GET", NULL},
};

#define API_HELP                                                                         \
    "POST /v1/ask/{namespace}/{name}/{id} calls a function and answers with its reply, " \
    "POST /v1/send/{namespace}/{name}/{id} leaves a message for it"
#define INSTANCES_HELP \
    "PUT /{namespace}/{name}/{id} leaves a message for a function; a slash within the id is written %2F"
#define TOPICS_HELP "GET /{topic} takes the oldest record of a topic"

enum resource resource_find(const struct door *door, const struct path *path)
{
    if (path->count > 1 && slice_equal(path->segments[0], SLICE("v1"))) { /* alone it may be a topic */
        if (!door->has_api) {
            return RESOURCE_NONE;
        }
        if (slice_equal(path->segments[1], SLICE("ask"))) {
            return RESOURCE_ASK;
        }
        return slice_equal(path->segments[1], SLICE("send")) ? RESOURCE_SEND : RESOURCE_NONE;
    }
    if (door->has_instances && path->count == TARGET_SEGMENTS) {
        return RESOURCE_INSTANCE;
    }
    return door->topic_ports != 0 && path->count == 1 ? RESOURCE_TOPIC : RESOURCE_NONE;
}

const char *resource_methods(const struct door *door, enum resource resource)
{
    if (resource != RESOURCE_NONE) {
        return resources[resource].methods;
    }
    return door->has_api ? "POST" : door->has_instances ? "PUT, POST" : "GET";
}

static enum err_code no_resource(const struct door *door, struct err *err)
{
    const char *helps[] = {door->has_api ? API_HELP : NULL, door->has_instances ? INSTANCES_HELP : NULL,
                           door->topic_ports != 0 ? TOPICS_HELP : NULL};
    struct buf text;

    buf_init(&text, LIMIT_ERR_TEXT_BYTES_MAX);
    for (size_t i = 0; i < sizeof helps / sizeof helps[0]; i++) {
        if (helps[i] != NULL) {
            buf_append_text(&text, text.size == 0 ? "" : "; ");
            buf_append_text(&text, helps[i]);
        }
    }
    (void)err_set(err, ERR_NOT_FOUND, "there is nothing at this path; %.*s", (int)text.size, (const char *)text.data);
    buf_done(&text);
    return err->code;
}

static bool takes_method(enum resource resource, struct slice method)
{
    if (resource == RESOURCE_TOPIC) {
        return slice_equal(method, SLICE("GET"));
    }
    return slice_equal(method, SLICE("POST")) || (resource == RESOURCE_INSTANCE && slice_equal(method, SLICE("PUT")));
}

enum err_code resource_check(const struct door *door, enum resource resource, struct slice method, struct err *err)
{
    if (resource == RESOURCE_NONE) {
        return no_resource(door, err);
    }
    if (!takes_method(resource, method)) {
        return err_set(err, ERR_METHOD_NOT_ALLOWED, "%s/… takes %s, not %.*s", resources[resource].path,
                       resources[resource].methods, slice_shown(method, 20), (const char *)method.data);
    }
    return ERR_NONE;
}

enum err_code resource_get_target(enum resource resource, const struct path *path, struct buf *memory,
                                  struct address *out, struct err *err)
{
    enum { SPACE, NAME, ID };
    const uint32_t before = resources[resource].before;
    const struct slice *segments = path->segments + before;

    if (path->count != before + TARGET_SEGMENTS) {
        return err_set(err, ERR_NOT_FOUND,
                       "the path must be %s/{namespace}/{name}/{id}: it has %u parts after the verb instead of 3; "
                       "a slash within the id is written %%2F",
                       resources[resource].path, path->count - before);
    }
    for (uint32_t i = SPACE; i <= ID; i++) {
        if (slice_has(segments[i], '#')) {
            return err_set(err, ERR_BAD_PATH,
                           "the path holds a #, which begins a fragment and is never sent; within an id write %%23");
        }
    }
    if (path_decode(segments[SPACE], "namespace", memory, &out->space, err) != ERR_NONE ||
        path_decode(segments[NAME], "name", memory, &out->name, err) != ERR_NONE ||
        path_decode(segments[ID], "id", memory, &out->id, err) != ERR_NONE) {
        return err->code;
    }
    if (slice_has(out->space, '/') || slice_has(out->name, '/')) {
        return err_set(err, ERR_BAD_PATH, "namespace and name may not hold a slash; only the id may (as %%2F)");
    }
    if (address_is_host_namespace(out->space)) {
        return err_set(err, ERR_BAD_PATH,
                       "the namespace proa belongs to the host and cannot be called; name a function's own namespace");
    }
    return address_check(out, err);
}

static enum err_code unknown_parameter(const char *parameter, struct slice name, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "there is no parameter \"%.*s\"; this path takes %s%s", slice_shown(name, 100),
                   (const char *)name.data, parameter == NULL ? "none" : parameter, parameter == NULL ? "" : " only");
}

enum err_code resource_get_parameters(enum resource resource, struct slice query, struct resource_parameters *out,
                                      struct err *err)
{
    struct slice name;
    struct slice value;
    bool has_come = false;
    const char *parameter = resources[resource].parameter;
    uint64_t *into = resource == RESOURCE_ASK ? &out->timeout_ms : &out->delay_ms;

    *out = (struct resource_parameters){.timeout_ms = TIMEOUT_DEFAULT_MS};
    while (path_query_next(&query, &name, &value)) {
        if (parameter == NULL || !slice_equal(name, slice_of(parameter))) {
            return unknown_parameter(parameter, name, err);
        }
        if (has_come) {
            return err_set(err, ERR_BAD_REQUEST, "the parameter %s is given twice; give it once", parameter);
        }
        if (!quantity_get_duration(value, into)) {
            return err_set(
                err, ERR_BAD_REQUEST,
                "the parameter %s must be an integer and one of ms, s, m, h, d, such as %s=10s, not \"%.*s\"",
                parameter, parameter, slice_shown(value, 100), value.size == 0 ? "" : (const char *)value.data);
        }
        has_come = true;
    }
    if (out->timeout_ms == 0 || out->timeout_ms > TIMEOUT_MAX_MS) {
        return err_set(err, ERR_BAD_REQUEST, "the parameter timeout must be from 1ms to 10m");
    }
    if (out->delay_ms > DELAY_MAX_MS) {
        return err_set(err, ERR_BAD_REQUEST, "the parameter delay must be at most 3650d");
    }
    return ERR_NONE;
}
