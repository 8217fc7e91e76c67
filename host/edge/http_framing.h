/* SPDX-License-Identifier: Apache-2.0
 *
 * http_framing.h: where a request's body ends, as its header fields say it (RFC 9112, 6).
 *
 * libmicrohttpd believes the first Content-Length it sees, prefers a Transfer-Encoding to it, and reads an unknown
 * coding to the end of the stream; a blank before a colon it takes for a part of the name. A proxy in front may see
 * another end, and so another next request: what two readers could take two ways is refused here. Thread: loop; no
 * state.
 */
#pragma once

#include "bytes.h"
#include "err.h"

/* Zeroed at the beginning of a request. */
struct http_framing {
    enum err_code code; /* ERR_NONE, ERR_BAD_REQUEST or ERR_UNKNOWN_CODING: then the connection must end */
    const char *why;    /* a sentence, static storage; NULL with ERR_NONE */
    uint64_t length;    /* the Content-Length; 0: none; UINT64_MAX: more than fits */
    struct slice length_text;
    struct slice coding;
    uint32_t lengths;
    uint32_t codings;
    bool lengths_differ;
    bool has_blank; /* in a name */
};

/* Sees one header field; borrows it until http_framing_end. */
void http_framing_add(struct http_framing *framing, struct slice name, struct slice value);
/* Decides, after the last field. `version` is that of the first line. */
void http_framing_end(struct http_framing *framing, const char *version);
