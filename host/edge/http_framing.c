/* SPDX-License-Identifier: Apache-2.0 */
#include "http_framing.h"

#include <string.h>

void http_framing_add(struct http_framing *framing, struct slice name, struct slice value)
{
    framing->has_blank = framing->has_blank || slice_has(name, ' ') || slice_has(name, '\t');
    if (slice_equal_nocase(name, SLICE("Content-Length"))) {
        framing->lengths_differ =
            framing->lengths_differ || (framing->lengths > 0 && !slice_equal(framing->length_text, value));
        framing->length_text = value;
        framing->lengths++;
    } else if (slice_equal_nocase(name, SLICE("Transfer-Encoding"))) {
        framing->coding = value;
        framing->codings++;
    }
}

/* libmicrohttpd has refused what is not a number; what does not fit counts as the largest. */
static uint64_t number_of(struct slice text)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        if (number > UINT64_MAX / 10 - 1) {
            return UINT64_MAX;
        }
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return number;
}

static void refuse(struct http_framing *framing, enum err_code code, const char *why)
{
    framing->code = code;
    framing->why = why;
}

void http_framing_end(struct http_framing *framing, const char *version)
{
    const bool is_chunked = framing->codings == 1 && slice_equal_nocase(framing->coding, SLICE("chunked"));

    framing->length = number_of(framing->length_text);
    if (framing->has_blank) { /* "Content-Length : 3" is none here, but one to others */
        refuse(framing, ERR_BAD_REQUEST, "the name of a header field holds a blank; write the colon right behind it");
    } else if (framing->lengths_differ) {
        refuse(framing, ERR_BAD_REQUEST, "the request has two Content-Length fields that differ; send one");
    } else if (framing->codings > 0 && framing->lengths > 0) {
        refuse(framing, ERR_BAD_REQUEST, "the request has both Content-Length and Transfer-Encoding; send one of them");
    } else if (framing->codings > 0 && strcmp(version, "HTTP/1.0") == 0) {
        refuse(framing, ERR_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding; send Content-Length");
    } else if (framing->codings > 0 && !is_chunked) {
        refuse(framing, ERR_UNKNOWN_CODING, "the only Transfer-Encoding that is taken is chunked, named once");
    }
}
