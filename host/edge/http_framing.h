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

#include <microhttpd.h>
#include <stdint.h>

#include "err.h"

struct http_framing {
    enum err_code code; /* ERR_NONE, ERR_BAD_REQUEST or ERR_UNKNOWN_CODING: then the connection must end */
    const char *why;    /* a sentence, static storage; NULL with ERR_NONE */
    uint64_t length;    /* the Content-Length; 0: none; UINT64_MAX: more than fits */
};

/* Reads the header fields of a request that are all there. `version` is that of its first line. */
struct http_framing http_framing_of(struct MHD_Connection *connection, const char *version);
