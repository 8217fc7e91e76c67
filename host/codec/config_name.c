/* SPDX-License-Identifier: Apache-2.0 */
#include "config_name.h"

#include <string.h>

#include "config_source.h"
#include "limit.h"
#include "nearest.h"
#include "quantity.h"
#include "wire.h"

static const char placeholder[] = "{function.name}";
#define UNIX_SCHEME SLICE("http+unix://")

static bool is_reserved(struct slice space)
{
    return address_is_host_namespace(space) || slice_equal(space, SLICE("v1"));
}

/* What functions and egresses have in common. */
static enum err_code check_parts(struct slice space, struct slice name, struct err *err)
{
    if (is_reserved(space)) {
        return err_set(err, ERR_CONFIG, "the namespace %.*s belongs to the host; choose another", config_shown(space),
                       space.data);
    }
    if (space.size > LIMIT_NAMESPACE_BYTES_MAX || name.size > LIMIT_NAMESPACE_BYTES_MAX) {
        return err_set(err, ERR_CONFIG, "'%.*s/…' is too long; a namespace and a name have at most %d bytes each",
                       config_shown(space), space.data, LIMIT_NAMESPACE_BYTES_MAX);
    }
    return ERR_NONE;
}

/* No spaces and no control characters: they cannot stand in a log line, a header or a path as they are. */
static bool is_graphic(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= 0x20 || text.data[i] == 0x7F) {
            return false;
        }
    }
    return slice_is_utf8_text(text);
}

enum err_code config_check_pattern(struct slice text, struct slice *out_space, struct slice *out_name, struct err *err)
{
    struct slice space;
    struct slice name;

    if (!is_graphic(text) || !address_split_type(text, &space, &name)) {
        return err_set(err, ERR_CONFIG, "'%.*s' does not name functions; write namespace/name or namespace/*",
                       config_shown(text), text.data);
    }
    if (slice_has(space, '*') || (slice_has(name, '*') && !slice_equal(name, SLICE("*")))) {
        return err_set(err, ERR_CONFIG, "'%.*s': a star stands only for the whole name, as in namespace/*",
                       config_shown(text), text.data);
    }
    if (check_parts(space, name, err) != ERR_NONE) {
        return err->code;
    }
    *out_space = space;
    *out_name = name;
    return ERR_NONE;
}

enum err_code config_check_name(struct slice text, struct slice *out_space, struct slice *out_name, struct err *err)
{
    struct slice space;
    struct slice name;

    if (!is_graphic(text) || !address_split_type(text, &space, &name) || slice_has(text, '*')) {
        return err_set(err, ERR_CONFIG, "'%.*s' does not name an egress; write namespace/name, as in example/receipts",
                       config_shown(text), text.data);
    }
    if (check_parts(space, name, err) != ERR_NONE) {
        return err->code;
    }
    *out_space = space;
    *out_name = name;
    return ERR_NONE;
}

struct slice config_file_path(struct slice text)
{
    const size_t skipped = slice_begins_with(text, SLICE("file:///")) ? 7
                           : slice_begins_with(text, SLICE("file:"))  ? 5
                                                                      : 0;

    return slice_from(text, skipped);
}

enum err_code config_check_file(struct slice text, struct err *err)
{
    const struct slice path = config_file_path(text);

    if (slice_begins_with(text, SLICE("classpath:"))) {
        return err_set(err, ERR_CONFIG, "'%.*s' lies on a Java class path, which there is none of here; name a file",
                       config_shown(text), text.data);
    }
    if (path.size == 0 || (path.size < text.size && slice_begins_with(path, SLICE("//")))) {
        return err_set(err, ERR_CONFIG, "'%.*s' names no file of this machine; write a path, as in /etc/proa/ca.pem",
                       config_shown(text), text.data);
    }
    if (path.size > LIMIT_PATH_BYTES_MAX) {
        return err_set(err, ERR_CONFIG, "'%.*s…' is too long; a path has at most %d bytes", config_shown(text),
                       text.data, LIMIT_PATH_BYTES_MAX);
    }
    return ERR_NONE;
}

bool config_is_https(struct slice url)
{
    return slice_begins_with(url, SLICE("https://"));
}

enum err_code config_check_typename(struct slice text, struct err *err)
{
    enum { HOST_TYPES = 2 };
    struct slice names[HOST_TYPES + SCALAR_COUNT] = {SLICE("proa/json"), SLICE("proa/bytes")};
    struct nearest nearest = nearest_to(text);
    struct slice meant = names[0];
    struct slice space;
    struct slice name;

    if (!is_graphic(text) || !address_split_type(text, &space, &name) || text.size > LIMIT_TYPENAME_BYTES_MAX) {
        return err_set(err, ERR_CONFIG,
                       "'%.*s' is not the type of a value; write namespace/name, as in io.statefun.types/int",
                       config_shown(text), text.data);
    }
    if (!address_is_host_namespace(space) && !slice_equal(space, SLICE("io.statefun.types"))) {
        return ERR_NONE;
    }
    for (size_t i = 0; i < SCALAR_COUNT; i++) {
        names[HOST_TYPES + i] = wire_scalar_typename((enum scalar)i);
    }
    for (size_t i = 0; i < HOST_TYPES + SCALAR_COUNT; i++) {
        if (slice_equal(text, names[i])) {
            return ERR_NONE;
        }
        meant = nearest_offer(&nearest, names[i]) ? names[i] : meant;
    }
    return err_set(err, ERR_CONFIG, "'%.*s' is no type that its namespace has; did you mean %.*s?", config_shown(text),
                   text.data, (int)meant.size, meant.data);
}

/* True if each brace is one of a {function.name}. */
static bool has_only_placeholder(struct slice text)
{
    const size_t size = sizeof placeholder - 1;

    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] == '{' && text.size - at >= size && memcmp(text.data + at, placeholder, size) == 0) {
            at += size - 1;
        } else if (text.data[at] == '{' || text.data[at] == '}') {
            return false;
        }
    }
    return true;
}

static enum err_code check_port(struct slice port, struct slice url, struct err *err)
{
    uint64_t number = 0;

    if (!quantity_get_number(port, &number) || number < 1 || number > 65535) {
        return err_set(err, ERR_CONFIG, "'%.*s' has no port between 1 and 65535 after the host", config_shown(url),
                       url.data);
    }
    return ERR_NONE;
}

/* Letters, digits and what names and IPv4 addresses have between them. */
static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        const uint8_t byte = host.data[i];
        const bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!is_letter && !(byte >= '0' && byte <= '9') && byte != '-' && byte != '.' && byte != '_') {
            return false;
        }
    }
    return host.size > 0 && host.size <= 253; /* the longest name DNS has */
}

/* The digits and colons between the brackets of an IPv6 address. */
static bool is_host_v6(struct slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        const uint8_t byte = host.data[i];
        const bool is_hex = (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
        if (!is_hex && !(byte >= '0' && byte <= '9') && byte != ':' && byte != '.') {
            return false;
        }
    }
    return host.size > 1;
}

static enum err_code check_authority(struct slice authority, struct slice url, struct err *err)
{
    struct slice host = authority;
    struct slice after = slice_from(authority, authority.size);
    bool is_good = false;

    if (slice_has(authority, '@')) {
        return err_set(err, ERR_CONFIG, "the URL holds a user name or password; those are not sent to functions");
    }
    if (slice_has(authority, '{')) {
        return err_set(err, ERR_CONFIG, "'%.*s' has %s in its host; it may stand only in the path", config_shown(url),
                       url.data, placeholder);
    }
    const bool is_v6 = authority.size > 0 && authority.data[0] == '[';
    const size_t end = slice_find(authority, is_v6 ? ']' : ':');
    if (is_v6 && end < authority.size) {
        host = (struct slice){authority.data + 1, end - 1};
        after = slice_from(authority, end + 1);
        is_good = is_host_v6(host);
    } else if (!is_v6) {
        host.size = end;
        after = slice_from(authority, end);
        is_good = is_host(host);
    }
    if (!is_good || (after.size > 0 && after.data[0] != ':')) {
        return err_set(err, ERR_CONFIG, "'%.*s' names no host; write http://host:port/path", config_shown(url),
                       url.data);
    }
    return after.size == 0 ? ERR_NONE : check_port(slice_from(after, 1), url, err);
}

struct slice config_socket_of(struct slice url)
{
    const size_t start = UNIX_SCHEME.size;
    size_t segment = start; /* begins here */

    if (!slice_begins_with(url, UNIX_SCHEME)) {
        return SLICE_EMPTY;
    }
    for (size_t at = start; at <= url.size; at++) {
        const bool is_end = at == url.size || url.data[at] == '?';
        if (!is_end && url.data[at] != '/') {
            continue;
        }
        if (at - segment >= 5 && memcmp(url.data + at - 5, ".sock", 5) == 0) {
            return (struct slice){url.data + start, at - start};
        }
        if (is_end) {
            break;
        }
        segment = at + 1;
    }
    return SLICE_EMPTY;
}

static enum err_code check_socket(struct slice url, struct err *err)
{
    const struct slice path = config_socket_of(url);

    if (path.size == 0 || path.data[0] != '/') {
        return err_set(err, ERR_CONFIG,
                       "'%.*s' names no Unix socket; write three slashes and a path with a file that ends in .sock, as "
                       "in http+unix:///run/functions.sock/path",
                       config_shown(url), url.data);
    }
    if (path.size > LIMIT_SOCKET_PATH_BYTES_MAX) {
        return err_set(err, ERR_CONFIG, "'%.*s…' is too long for a Unix socket; its path has at most %d bytes",
                       config_shown(url), url.data, LIMIT_SOCKET_PATH_BYTES_MAX);
    }
    if (slice_has(path, '{')) {
        return err_set(err, ERR_CONFIG, "'%.*s' has %s in the path of its socket; it may stand only behind it",
                       config_shown(url), url.data, placeholder);
    }
    if (slice_has(path, '%')) {
        return err_set(err, ERR_CONFIG, "'%.*s': the path of a socket is taken as it stands; write it without %%",
                       config_shown(url), url.data);
    }
    return ERR_NONE;
}

enum err_code config_check_url(struct slice url, struct err *err)
{
    const bool is_socket = slice_begins_with(url, UNIX_SCHEME);
    size_t at = slice_begins_with(url, SLICE("http://")) ? 7 : 8;

    if (url.size > LIMIT_URL_BYTES_MAX) {
        return err_set(err, ERR_CONFIG, "the URL has %zu bytes; at most %d are taken", url.size, LIMIT_URL_BYTES_MAX);
    }
    if (!is_socket && !config_is_https(url) && !slice_begins_with(url, SLICE("http://"))) {
        return err_set(err, ERR_CONFIG,
                       "'%.*s' is not a URL of a function; it begins with http://, https:// or http+unix:///",
                       config_shown(url), url.data);
    }
    if (!is_graphic(url)) {
        return err_set(err, ERR_CONFIG, "'%.*s' holds a space or a control character; write it percent-encoded",
                       config_shown(url), url.data);
    }
    if (slice_has(url, '#')) {
        return err_set(err, ERR_CONFIG, "'%.*s' has a fragment (#), which is never sent; leave it out",
                       config_shown(url), url.data);
    }
    if (!has_only_placeholder(url)) {
        return err_set(err, ERR_CONFIG, "'%.*s' has a brace that is not part of %s, the one thing substituted",
                       config_shown(url), url.data, placeholder);
    }
    if (is_socket) {
        return check_socket(url, err);
    }
    size_t end = at;
    while (end < url.size && url.data[end] != '/' && url.data[end] != '?') {
        end++;
    }
    return check_authority((struct slice){url.data + at, end - at}, url, err);
}
