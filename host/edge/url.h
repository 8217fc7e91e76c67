/* SPDX-License-Identifier: Apache-2.0
 *
 * url.h: the little the host must know of a function's URL: where its template wants the name, and which
 * host and port it names.
 *
 * Why: libcurl has its own parse of the URL (transfer.c); the host needs the name to look it up, and a URL fit to be
 * shown to people. Not here: caching (route.h). Thread: any; no state.
 */
#pragma once

#include "bytes.h"
#include "err.h"

enum {
    URL_BYTES_MAX = 4096,     /* of an expanded URL */
    URL_HOST_BYTES_MAX = 253, /* RFC 1035: of a host name */
};

struct url {
    struct slice host; /* without the brackets of an IPv6 address */
    uint16_t port;     /* the scheme's own if the URL names none */
    bool is_https;
    bool is_numeric; /* the host is an IPv4 or IPv6 address: nothing to look up */
    size_t userinfo_start;
    size_t userinfo_size; /* with its '@'; 0: none. Not to be shown to anybody. */
};

/* Takes a URL apart; the slices borrow from `text`. ERR_CONFIG says what is wrong with it. */
MUST_USE enum err_code url_parse(struct slice text, struct url *out, struct err *err);
/* True if a template asks for the function's name. */
bool url_has_name(struct slice url_template);
/* Appends a template with every {function.name} replaced by the name, percent-encoded but for the
 * unreserved characters of RFC 3986. */
void url_expand(struct buf *out, struct slice url_template, struct slice function_name);
