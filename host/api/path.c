/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <string.h>
#include <strings.h>

static struct slice skip(struct slice text, size_t size)
{
    return (struct slice){text.data + size, text.size - size};
}

/* The absolute form, which every server must take (RFC 9112, 3.2.2); a scheme has no case (RFC 3986, 3.1). */
static struct slice without_authority(struct slice raw)
{
    static const char *const schemes[] = {"http://", "https://"}; /* https: a proxy has taken it off */

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t size = strlen(schemes[i]);
        if (raw.size >= size && strncasecmp((const char *)raw.data, schemes[i], size) == 0) {
            const struct slice rest = skip(raw, size);
            const uint8_t *slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
            return slash == NULL ? SLICE("/") : skip(rest, (size_t)(slash - rest.data));
        }
    }
    return raw;
}

bool path_split(struct slice raw, struct path *out)
{
    struct slice left = without_authority(raw);

    out->count = 0;
    if (left.size == 0 || left.data[0] != '/') {
        return false;
    }
    while (left.size > 0) { /* at a slash */
        left = skip(left, 1);
        const uint8_t *slash = left.size == 0 ? NULL : memchr(left.data, '/', left.size);
        const size_t size = slash == NULL ? left.size : (size_t)(slash - left.data);
        if (out->count < PATH_SEGMENTS_MAX) {
            out->segments[out->count] = (struct slice){left.data, size};
        }
        out->count++;
        left = skip(left, size);
    }
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum err_code path_decode(struct slice raw, const char *what, struct buf *buf, struct slice *out, struct err *err)
{
    const size_t begin = buf->size;

    if (raw.size == 0) {
        return err_set(err, ERR_BAD_PATH, "the %s is empty; a slash within an id is written %%2F", what);
    }
    if (buf_reserve(buf, raw.size) == NULL) {
        return err_set(err, ERR_BAD_PATH, "the %s is longer than anything it could name", what);
    }
    for (size_t i = 0; i < raw.size; i++) {
        if (raw.data[i] != '%') {
            buf_append_u8(buf, raw.data[i]);
            continue;
        }
        const int high = i + 2 < raw.size ? hex_digit(raw.data[i + 1]) : -1;
        const int low = i + 2 < raw.size ? hex_digit(raw.data[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return err_set(err, ERR_BAD_PATH,
                           "the %s has a %% at byte %zu without two hex digits behind it; a plain %% is written %%25",
                           what, i + 1);
        }
        buf_append_u8(buf, (uint8_t)(high << 4 | low));
        i += 2;
    }
    const struct slice text = {buf->data + begin, buf->size - begin};
    if (memchr(text.data, 0, text.size) != NULL) {
        return err_set(err, ERR_BAD_PATH, "the %s holds a NUL byte (%%00), which no name may", what);
    }
    if (!slice_is_utf8_text(text)) {
        return err_set(err, ERR_BAD_PATH, "the %s is not UTF-8; encode its text as UTF-8 before the percent-encoding",
                       what);
    }
    *out = text;
    return ERR_NONE;
}

bool path_query_next(struct slice *query, struct slice *out_name, struct slice *out_value)
{
    while (query->size > 0 && query->data[0] == '&') {
        *query = skip(*query, 1);
    }
    if (query->size == 0) {
        return false;
    }
    const uint8_t *end = memchr(query->data, '&', query->size);
    const struct slice pair = {query->data, end == NULL ? query->size : (size_t)(end - query->data)};
    const uint8_t *equals = memchr(pair.data, '=', pair.size);
    *out_name = (struct slice){pair.data, equals == NULL ? pair.size : (size_t)(equals - pair.data)};
    *out_value = equals == NULL ? SLICE_EMPTY : skip(pair, out_name->size + 1);
    *query = skip(*query, pair.size);
    return true;
}
