/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h: where a function is: its endpoint's URL with the function's name in it, taken apart and kept.
 *
 * Why: a URL is made and parsed once for each (endpoint, function name), not for each call. Names come from
 * clients under a wildcard, so routes nobody uses are forgotten beyond ROUTES_KEPT_MAX.
 * Thread: loop. Memory: routes are counted by the calls that use them.
 */
#pragma once

#include "list.h"
#include "registry.h"
#include "resolver.h"
#include "table.h"
#include "transfer.h"

enum { ROUTES_KEPT_MAX = 1024 };

struct routes;

struct route {
    struct peer *peer;
    char *shown;                /* its URL without user and password, for texts; NUL-terminated */
    struct resolver_name *name; /* NULL: the host is an address */
    bool is_https;
    const struct endpoint_config *endpoint;
    uint32_t endpoint_index; /* in the registry */

    /* owned by route.c */
    struct table_node node;
    struct link idle_link;
    uint32_t users;
    struct slice function_name;
};

/* All three must outlive the routes. */
struct routes *routes_create(const struct registry *registry, struct resolver *resolver, const struct tls_set *tls);
void routes_destroy(struct routes *routes) LOOP_THREAD; /* accepts NULL; every route must have been given back */
/* The route to a function, counted once more. Fails if the URL that comes out is no URL. */
MUST_USE enum err_code routes_get(struct routes *routes, uint32_t endpoint, struct slice function_name,
                                  struct route **out, struct err *err) LOOP_THREAD;
void routes_put(struct routes *routes, struct route *route) LOOP_THREAD; /* gives it back; accepts NULL */
