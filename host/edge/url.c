/* SPDX-License-Identifier: Apache-2.0 */
#include "url.h"

#include <arpa/inet.h>
#include <ctype.h>

static const struct slice name_mark = {(const uint8_t *)"{function.name}", sizeof("{function.name}") - 1};

/* The index of the first byte out of `set`, or the size. */
static size_t find_any(struct slice text, const char *set)
{
    size_t i = 0;
    while (i < text.size && strchr(set, text.data[i]) == NULL) {
        i++;
    }
    return i;
}

static bool is_numeric_host(struct slice host)
{
    char text[URL_HOST_BYTES_MAX + 1];
    unsigned char address[sizeof(struct in6_addr)];
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* ":8000" behind the host; empty is the scheme's own. */
static enum err_code parse_port(struct slice text, struct url *url, struct err *err)
{
    if (text.size == 0) {
        return ERR_NONE;
    }
    if (text.data[0] != ':' || text.size > 6) {
        return err_set(err, ERR_CONFIG, "what follows the host in a URL is a colon and a port, or a slash");
    }
    uint32_t port = 0;
    for (size_t i = 1; i < text.size; i++) {
        if (!isdigit(text.data[i])) {
            return err_set(err, ERR_CONFIG, "the port of a URL is a number");
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (text.size > 1 && (port == 0 || port > UINT16_MAX)) {
        return err_set(err, ERR_CONFIG, "the port of a URL is between 1 and 65535");
    }
    if (text.size > 1) {
        url->port = (uint16_t)port;
    }
    return ERR_NONE;
}

/* host, host:port, [v6] or [v6]:port */
static enum err_code parse_host(struct slice text, struct url *url, struct err *err)
{
    size_t host_size = slice_find(text, ':');
    if (text.size > 0 && text.data[0] == '[') {
        size_t end = slice_find(text, ']');
        if (end == text.size) {
            return err_set(err, ERR_CONFIG, "an IPv6 address in a URL ends with ']'");
        }
        url->host = (struct slice){text.data + 1, end - 1};
        host_size = end + 1;
    } else {
        url->host = (struct slice){text.data, host_size};
    }
    if (url->host.size == 0 || url->host.size > URL_HOST_BYTES_MAX) {
        return err_set(err, ERR_CONFIG, "a URL names a host of 1 to %d bytes", URL_HOST_BYTES_MAX);
    }
    url->is_numeric = is_numeric_host(url->host);
    return parse_port(slice_from(text, host_size), url, err);
}

enum err_code url_parse(struct slice text, struct url *out, struct err *err)
{
    struct url url = {.port = 80};
    size_t scheme_size = 7;

    if (text.size > URL_BYTES_MAX) {
        return err_set(err, ERR_CONFIG, "a URL has at most %d bytes", URL_BYTES_MAX);
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] == 0x7F) {
            return err_set(err, ERR_CONFIG, "a URL holds no blanks and no control characters");
        }
    }
    if (slice_begins_with_nocase(text, SLICE("https://"))) {
        url.is_https = true;
        url.port = 443;
        scheme_size = 8;
    } else if (!slice_begins_with_nocase(text, SLICE("http://"))) {
        return err_set(err, ERR_CONFIG, "a function's URL begins with http:// or https://");
    }
    struct slice authority = slice_from(text, scheme_size);
    authority.size = find_any(authority, "/?#");
    for (size_t i = authority.size; i > 0; i--) {
        if (authority.data[i - 1] == '@') {
            url.userinfo_start = scheme_size;
            url.userinfo_size = i;
            authority = slice_from(authority, i);
            break;
        }
    }
    if (parse_host(authority, &url, err) != ERR_NONE) {
        return err->code;
    }
    *out = url;
    return ERR_NONE;
}

static size_t find_name_mark(struct slice text, size_t from)
{
    for (size_t i = from; i + name_mark.size <= text.size; i++) {
        if (memcmp(text.data + i, name_mark.data, name_mark.size) == 0) {
            return i;
        }
    }
    return text.size;
}

bool url_has_name(struct slice url_template)
{
    return find_name_mark(url_template, 0) < url_template.size;
}

static void put_encoded(struct buf *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_unreserved = byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL) && byte != 0;
        if (is_unreserved) {
            buf_append_u8(out, byte);
        } else {
            buf_append_u8(out, '%');
            buf_append_u8(out, (uint8_t)digits[byte >> 4]);
            buf_append_u8(out, (uint8_t)digits[byte & 15]);
        }
    }
}

void url_expand(struct buf *out, struct slice url_template, struct slice function_name)
{
    size_t at = 0;
    while (at < url_template.size) {
        size_t mark = find_name_mark(url_template, at);
        buf_append(out, url_template.data + at, mark - at);
        if (mark == url_template.size) {
            return;
        }
        put_encoded(out, function_name);
        at = mark + name_mark.size;
    }
}
