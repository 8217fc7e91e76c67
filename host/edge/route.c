/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include <stdlib.h>
#include <sys/random.h>

#include "check.h"
#include "hash.h"
#include "url.h"

struct routes {
    const struct registry *registry;
    struct resolver *resolver;
    const struct tls_set *tls;
    struct table table;
    struct list idle; /* routes without users, the longest unused first */
    struct hash_key hash_key;
};

struct route_key {
    uint32_t endpoint;
    struct slice function_name; /* empty if the template does not ask for it */
};

struct routes *routes_create(const struct registry *registry, struct resolver *resolver, const struct tls_set *tls)
{
    struct routes *routes = calloc(1, sizeof(*routes));
    check(routes != NULL);
    routes->registry = registry;
    routes->resolver = resolver;
    routes->tls = tls;
    check(getrandom(&routes->hash_key, sizeof(routes->hash_key), 0) == (ssize_t)sizeof(routes->hash_key));
    return routes;
}

static void free_route(struct routes *routes, struct route *route) LOOP_THREAD
{
    check(route->users == 0);
    list_remove(&routes->idle, &route->idle_link);
    table_remove(&routes->table, &route->node);
    resolver_unref(routes->resolver, route->name);
    peer_destroy(route->peer);
    free(route->shown);
    free((void *)(uintptr_t)route->function_name.data);
    free(route);
}

void routes_destroy(struct routes *routes)
{
    if (routes == NULL) {
        return;
    }
    struct link *first = NULL;
    while ((first = list_first(&routes->idle)) != NULL) {
        free_route(routes, container_of(first, struct route, idle_link));
    }
    check(routes->table.count == 0);
    table_done(&routes->table);
    free(routes);
}

static bool is_route(const struct table_node *node, const void *context)
{
    const struct route *route = container_of(node, struct route, node);
    const struct route_key *key = context;
    return route->endpoint_index == key->endpoint && slice_equal(route->function_name, key->function_name);
}

static char *copy_text(struct slice text)
{
    char *copy = malloc(text.size + 1);
    check(copy != NULL);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    return copy;
}

static char *without_userinfo(struct slice text, const struct url *url)
{
    char *shown = copy_text(text);
    size_t end = url->userinfo_start + url->userinfo_size;
    memmove(shown + url->userinfo_start, shown + end, text.size - end + 1);
    return shown;
}

/* What is asked for over a Unix socket: a URL of http with a host that nobody looks up. */
static void put_socket_url(struct buf *out, struct slice text, struct slice socket)
{
    const size_t skipped = strlen("http+unix://") + socket.size;
    buf_append_text(out, "http://localhost");
    if (text.size == skipped || text.data[skipped] != '/') {
        buf_append_u8(out, '/');
    }
    buf_append(out, text.data + skipped, text.size - skipped);
}

static enum err_code make_peer(const struct routes *routes, uint32_t index, struct slice called, struct peer **out,
                               struct err *err)
{
    const struct endpoint_config *endpoint = &routes->registry->endpoints[index];
    char *url = copy_text(called);
    char *socket = endpoint->socket.size > 0 ? copy_text(endpoint->socket) : NULL;
    const struct peer_options options = {
        .url = url, .socket = socket, .tls = tls_of(routes->tls, index), .is_h2c = endpoint->http == HTTP_H2C};
    enum err_code code = peer_create(&options, out, err);
    free(url);
    free(socket);
    return code;
}

static enum err_code make_route(struct routes *routes, const struct route_key *key, struct route **out,
                                struct err *err) LOOP_THREAD
{
    const struct endpoint_config *endpoint = &routes->registry->endpoints[key->endpoint];
    struct buf text CLEANUP(buf_done);
    struct buf socket_url CLEANUP(buf_done);
    struct url url = {0};
    struct peer *peer = NULL;

    buf_init(&text, URL_BYTES_MAX);
    buf_init(&socket_url, 2 * URL_BYTES_MAX);
    url_expand(&text, endpoint->url, key->function_name);
    if (text.overflow) {
        return err_set(err, ERR_CONFIG, "the URL of endpoint %u is over %d bytes with the function's name in it",
                       key->endpoint, URL_BYTES_MAX);
    }
    const bool is_socket = endpoint->socket.size > 0;
    if (is_socket) {
        put_socket_url(&socket_url, buf_slice(&text), endpoint->socket);
    }
    const struct slice called = is_socket ? buf_slice(&socket_url) : buf_slice(&text);
    if (url_parse(called, &url, err) != ERR_NONE || make_peer(routes, key->endpoint, called, &peer, err) != ERR_NONE) {
        return err_wrap(err, "the URL of endpoint %u", key->endpoint);
    }
    struct route *route = calloc(1, sizeof(*route));
    check(route != NULL);
    route->peer = peer;
    route->shown = is_socket ? copy_text(buf_slice(&text)) : without_userinfo(called, &url);
    route->name = url.is_numeric || is_socket ? NULL : resolver_ref(routes->resolver, url.host);
    route->is_https = url.is_https;
    route->endpoint = endpoint;
    route->endpoint_index = key->endpoint;
    route->function_name = (struct slice){(uint8_t *)copy_text(key->function_name), key->function_name.size};
    *out = route;
    return ERR_NONE;
}

enum err_code routes_get(struct routes *routes, uint32_t endpoint, struct slice function_name, struct route **out,
                         struct err *err)
{
    check(endpoint < routes->registry->endpoint_count);
    bool has_name = url_has_name(routes->registry->endpoints[endpoint].url);
    struct route_key key = {endpoint, has_name ? function_name : SLICE_EMPTY};
    uint64_t hash = hash_siphash64(&routes->hash_key, key.function_name) ^ endpoint;
    struct table_node *node = table_find(&routes->table, hash, is_route, &key);
    struct route *route = NULL;

    if (node != NULL) {
        route = container_of(node, struct route, node);
    } else {
        if (make_route(routes, &key, &route, err) != ERR_NONE) {
            return err->code;
        }
        table_insert(&routes->table, &route->node, hash);
    }
    if (link_is_linked(&route->idle_link)) {
        list_remove(&routes->idle, &route->idle_link);
    }
    route->users++;
    *out = route;
    return ERR_NONE;
}

void routes_put(struct routes *routes, struct route *route)
{
    if (route == NULL) {
        return;
    }
    check(route->users > 0);
    if (--route->users > 0) {
        return;
    }
    list_push(&routes->idle, &route->idle_link);
    if (routes->table.count > ROUTES_KEPT_MAX) {
        free_route(routes, container_of(list_first(&routes->idle), struct route, idle_link));
    }
}
