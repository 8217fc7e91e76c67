/* SPDX-License-Identifier: Apache-2.0 */
#include "http_framing.h"

#include <string.h>
#include <strings.h>

#include "bytes.h"

struct fields {
    struct slice length;
    struct slice coding;
    uint32_t lengths;
    uint32_t codings;
    bool lengths_differ;
    bool has_blank; /* in a name */
};

static bool is_named(const char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && strncasecmp(name, wanted, size) == 0;
}

/* tidy: allow parameters: libmicrohttpd's prototype. */
static enum MHD_Result look_at(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
                               const char *value, size_t value_size)
{
    struct fields *fields = context;
    const struct slice text = value == NULL ? SLICE_EMPTY : (struct slice){(const uint8_t *)value, value_size};

    (void)kind;
    fields->has_blank =
        fields->has_blank || memchr(name, ' ', name_size) != NULL || memchr(name, '\t', name_size) != NULL;
    if (is_named(name, name_size, "Content-Length")) {
        fields->lengths_differ = fields->lengths_differ || (fields->lengths > 0 && !slice_equal(fields->length, text));
        fields->length = text;
        fields->lengths++;
    } else if (is_named(name, name_size, "Transfer-Encoding")) {
        fields->coding = text;
        fields->codings++;
    }
    return MHD_YES;
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

static struct http_framing refused(enum err_code code, const char *why)
{
    return (struct http_framing){.code = code, .why = why};
}

struct http_framing http_framing_of(struct MHD_Connection *connection, const char *version)
{
    struct fields fields = {.lengths = 0};

    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at, &fields); /* only counts */
    if (fields.has_blank) { /* "Content-Length : 3" is none here, but one to others */
        return refused(ERR_BAD_REQUEST, "the name of a header field holds a blank; write the colon right behind it");
    }
    if (fields.lengths_differ) {
        return refused(ERR_BAD_REQUEST, "the request has two Content-Length fields that differ; send one");
    }
    if (fields.codings > 0 && fields.lengths > 0) {
        return refused(ERR_BAD_REQUEST, "the request has both Content-Length and Transfer-Encoding; send one of them");
    }
    if (fields.codings > 0 && strcmp(version, "HTTP/1.0") == 0) {
        return refused(ERR_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding; send Content-Length");
    }
    if (fields.codings > 1 ||
        (fields.codings == 1 && !is_named((const char *)fields.coding.data, fields.coding.size, "chunked"))) {
        return refused(ERR_UNKNOWN_CODING, "the only Transfer-Encoding that is taken is chunked, named once");
    }
    return (struct http_framing){.code = ERR_NONE, .length = number_of(fields.length)};
}
