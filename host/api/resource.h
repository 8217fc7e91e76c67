/* SPDX-License-Identifier: Apache-2.0
 *
 * resource.h: what a request target may name (RFC 9110, 3.1): the resources behind a door, the address of an instance
 * in their paths, their parameters.
 *
 * Here are the sentences a client gets whose target is wrong. Not here: cutting and decoding (path.h), whether anybody
 * serves the function. Any thread; no state.
 */
#pragma once

#include "address.h"
#include "door.h"
#include "path.h"

enum resource {
    RESOURCE_ASK,      /* POST /v1/ask/{namespace}/{name}/{id} */
    RESOURCE_SEND,     /* POST /v1/send/{namespace}/{name}/{id} */
    RESOURCE_INSTANCE, /* PUT /{namespace}/{name}/{id}, of the playground */
    RESOURCE_TOPIC,    /* GET /{topic}, of the playground */
    RESOURCE_NONE,     /* the path is none of the door's */
};

struct resource_parameters {
    uint64_t delay_ms;
    uint64_t timeout_ms;
};

/* What a path names behind this door. */
enum resource resource_find(const struct door *door, const struct path *path);
/* As Allow lists them; for RESOURCE_NONE, what most of the door's paths take. */
const char *resource_methods(const struct door *door, enum resource resource);
/* Whether it is one of the door's, and takes the method: ERR_NOT_FOUND, ERR_METHOD_NOT_ALLOWED. */
MUST_USE enum err_code resource_check(const struct door *door, enum resource resource, struct slice method,
                                      struct err *err);
/* The address in the path of a resource that has one; its decoded names go to `memory`, which must not grow while they
 * are used: reserve before. ERR_NOT_FOUND: another number of parts; ERR_BAD_PATH: a name that no function can have. */
MUST_USE enum err_code resource_get_target(enum resource resource, const struct path *path, struct buf *memory,
                                           struct address *out, struct err *err);
/* The parameters, or what they are by default. ERR_BAD_REQUEST: not its parameter, twice, no duration, out of range. */
MUST_USE enum err_code resource_get_parameters(enum resource resource, struct slice query,
                                               struct resource_parameters *out, struct err *err);
