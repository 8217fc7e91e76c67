/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

/* The absolute form, which every server must take (RFC 9112, 3.2.2); a scheme has no case (RFC 3986, 3.1). */
static struct slice without_authority(struct slice raw)
{
    const struct slice schemes[] = {SLICE("http://"), SLICE("https://")}; /* https: a proxy has taken it off */

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (slice_begins_with_nocase(raw, schemes[i])) {
            const struct slice authority = slice_from(raw, schemes[i].size);
            const struct slice rest = slice_from(authority, slice_find(authority, '/'));
            return rest.size == 0 ? SLICE("/") : rest;
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
        left = slice_from(left, 1);
        const size_t size = slice_find(left, '/');
        if (out->count < PATH_SEGMENTS_MAX) {
            out->segments[out->count] = (struct slice){left.data, size};
        }
        out->count++;
        left = slice_from(left, size);
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
    if (slice_has(text, 0)) {
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
        *query = slice_from(*query, 1);
    }
    if (query->size == 0) {
        return false;
    }
    const struct slice pair = {query->data, slice_find(*query, '&')};
    *out_name = (struct slice){pair.data, slice_find(pair, '=')};
    *out_value = out_name->size == pair.size ? SLICE_EMPTY : slice_from(pair, out_name->size + 1);
    *query = slice_from(*query, pair.size);
    return true;
}
