/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include "check.h"

static const char hex_digits[] = "0123456789abcdef";

bool address_equal(const struct address *a, const struct address *b)
{
    return slice_equal(a->id, b->id) && slice_equal(a->name, b->name) && slice_equal(a->space, b->space);
}

bool address_is_empty(const struct address *address)
{
    return address->space.size == 0 && address->name.size == 0 && address->id.size == 0;
}

size_t address_bytes(const struct address *address)
{
    return address->space.size + address->name.size + address->id.size;
}

struct address address_pack(uint8_t **at, const struct address *address)
{
    struct address copy;

    copy.space = slice_pack(at, address->space);
    copy.name = slice_pack(at, address->name);
    copy.id = slice_pack(at, address->id);
    return copy;
}

static enum err_code check_part(struct slice part, const char *what, size_t bytes_max, struct err *err)
{
    if (part.size == 0) {
        return err_set(err, ERR_BAD_PATH, "the %s is empty; write /{namespace}/{name}/{id}", what);
    }
    if (part.size > bytes_max) {
        return err_set(err, ERR_BAD_PATH, "the %s has %zu bytes; at most %zu are taken", what, part.size, bytes_max);
    }
    if (!slice_is_utf8_text(part)) {
        return err_set(err, ERR_BAD_PATH, "the %s is not UTF-8 text without NUL", what);
    }
    return ERR_NONE;
}

enum err_code address_check(const struct address *address, struct err *err)
{
    enum err_code code = check_part(address->space, "namespace", LIMIT_NAMESPACE_BYTES_MAX, err);

    if (code == ERR_NONE) {
        code = check_part(address->name, "function name", LIMIT_NAMESPACE_BYTES_MAX, err);
    }
    if (code == ERR_NONE) {
        code = check_part(address->id, "id", LIMIT_ID_BYTES_MAX, err);
    }
    return code;
}

static void print_part(struct slice part, struct buf *buf)
{
    for (size_t i = 0; i < part.size; i++) {
        buf_append_u8(buf, part.data[i] < 0x20 || part.data[i] == 0x7F ? '?' : part.data[i]);
    }
}

void address_print(const struct address *address, struct buf *buf)
{
    print_part(address->space, buf);
    buf_append_u8(buf, '/');
    print_part(address->name, buf);
    buf_append_u8(buf, '/');
    print_part(address->id, buf);
}

bool address_split_type(struct slice text, struct slice *out_space, struct slice *out_name)
{
    const size_t slash = slice_find(text, '/');

    if (slash == 0 || slash + 1 >= text.size) {
        return false;
    }
    const struct slice name = slice_from(text, slash + 1);
    if (slice_has(name, '/')) {
        return false;
    }
    *out_space = (struct slice){text.data, slash};
    *out_name = name;
    return true;
}

bool address_is_host_namespace(struct slice space)
{
    return slice_equal(space, SLICE("proa"));
}

bool address_is_reply(const struct address *address)
{
    return address_is_host_namespace(address->space) && slice_equal(address->name, SLICE("reply"));
}

void invocation_print(const struct invocation_id *id, char out_hex[INVOCATION_HEX_BYTES + 1])
{
    for (size_t i = 0; i < INVOCATION_BYTES; i++) {
        out_hex[2 * i] = hex_digits[id->bytes[i] >> 4];
        out_hex[2 * i + 1] = hex_digits[id->bytes[i] & 0x0F];
    }
    out_hex[INVOCATION_HEX_BYTES] = '\0';
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool invocation_parse(struct slice hex, struct invocation_id *out_id)
{
    struct invocation_id id;

    if (hex.size != INVOCATION_HEX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < INVOCATION_BYTES; i++) {
        const int high = hex_value(hex.data[2 * i]);
        const int low = hex_value(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out_id = id;
    return true;
}
