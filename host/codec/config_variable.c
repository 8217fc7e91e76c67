/* SPDX-License-Identifier: Apache-2.0 */
#include "config_variable.h"

#include "config_source.h"

enum { NAME_BYTES_MAX = 128 };

static bool is_name_byte(uint8_t byte, bool is_first)
{
    const uint8_t small = byte_lower(byte);

    return (small >= 'a' && small <= 'z') || byte == '_' || (!is_first && byte >= '0' && byte <= '9');
}

/* What stands between "${" and "}": a name, and perhaps a default. */
static enum err_code expand_one(struct slice inside, config_getenv *lookup, void *context, struct buf *out,
                                struct err *err)
{
    char name[NAME_BYTES_MAX];
    size_t size = 0;

    while (size < inside.size && is_name_byte(inside.data[size], size == 0)) {
        size++;
    }
    const struct slice rest = slice_from(inside, size);
    const bool has_default = slice_begins_with(rest, SLICE(":-"));
    if (size == 0 || size >= sizeof name || (rest.size > 0 && !has_default)) {
        return err_set(err, ERR_CONFIG, "${%.*s} cannot be read; write ${NAME} or ${NAME:-default}",
                       config_shown(inside), inside.data);
    }
    memcpy(name, inside.data, size);
    name[size] = '\0';
    const char *value = lookup == NULL ? NULL : lookup(context, name);
    if (value != NULL && (*value != '\0' || !has_default)) {
        buf_append_text(out, value);
        return ERR_NONE;
    }
    if (!has_default) {
        return err_set(err, ERR_CONFIG, "the environment variable %s is not set; set it or write ${%s:-default}", name,
                       name);
    }
    buf_append_slice(out, slice_from(rest, 2));
    return ERR_NONE;
}

enum err_code config_expand(struct slice text, config_getenv *lookup, void *lookup_context, struct buf *out,
                            struct err *err)
{
    size_t at = 0;

    while (at < text.size) {
        const struct slice left = slice_from(text, at);
        if (slice_begins_with(left, SLICE("$${"))) {
            buf_append_text(out, "${");
            at += 3;
            continue;
        }
        if (!slice_begins_with(left, SLICE("${"))) {
            buf_append_u8(out, left.data[0]);
            at++;
            continue;
        }
        const size_t end = slice_find(left, '}');
        if (end == left.size) {
            return err_set(err, ERR_CONFIG, "'%.*s' has no closing brace; write $${ for the characters themselves",
                           config_shown(left), left.data);
        }
        const struct slice inside = {left.data + 2, end - 2};
        if (slice_has(inside, '$')) {
            return err_set(err, ERR_CONFIG, "${%.*s}: a default cannot hold a variable", config_shown(inside),
                           inside.data);
        }
        if (expand_one(inside, lookup, lookup_context, out, err) != ERR_NONE) {
            return err->code;
        }
        at += inside.size + 3;
    }
    return ERR_NONE;
}
