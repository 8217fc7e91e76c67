/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include "check.h"

enum {
    LONG_ID_PREFIX_BYTES = 200, /* of an id over LIMIT_ID_KEY_BYTES_MAX, kept so that long ids sort near each other */
    KEY_INVOCATION = 0x01,      /* first byte of table `invocation`: the id is the key */
    KEY_EXPIRY_INSTANCE = 0x01, /* kind in table `expiry`: an instance */
};

static const char prefix_type[] = "type/";
static const char prefix_egress[] = "egress/";

static void add_bytes(struct key *key, const void *bytes, size_t size)
{
    check(size <= sizeof key->bytes - key->size);
    if (size > 0) {
        memcpy(key->bytes + key->size, bytes, size);
    }
    key->size = (uint16_t)(key->size + size);
}

static void add_u8(struct key *key, uint8_t value)
{
    add_bytes(key, &value, 1);
}

static void add_u32(struct key *key, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

    add_bytes(key, bytes, sizeof bytes);
}

static void add_u64(struct key *key, uint64_t value)
{
    add_u32(key, (uint32_t)(value >> 32));
    add_u32(key, (uint32_t)value);
}

/* An id holds no NUL (both borders refuse it), so no id key is the beginning of another. */
static void add_id(struct key *key, struct slice id, const struct hash_key *secret)
{
    check(id.size > 0);
    check_slow(memchr(id.data, 0, id.size) == NULL);
    if (id.size <= LIMIT_ID_KEY_BYTES_MAX) {
        add_bytes(key, id.data, id.size);
        add_u8(key, 0x00);
        add_u8(key, 0x00);
        return;
    }
    const struct hash128 hash = hash_siphash128(secret, id);
    add_bytes(key, id.data, LONG_ID_PREFIX_BYTES);
    add_u8(key, 0x00);
    add_u8(key, 0x01);
    add_bytes(key, hash.bytes, sizeof hash.bytes);
}

void key_instance(struct key *key, uint32_t type, struct slice id, const struct hash_key *secret)
{
    key->size = 0;
    add_u32(key, type);
    add_id(key, id, secret);
}

void key_instance_prefix(struct key *key, uint32_t type, struct slice id, const struct hash_key *secret)
{
    key_instance(key, type, id, secret);
}

void key_state(struct key *key, uint32_t type, struct slice id, uint32_t state, const struct hash_key *secret)
{
    key_instance(key, type, id, secret);
    add_u32(key, state);
}

void key_mail(struct key *key, uint64_t number)
{
    key->size = 0;
    add_u64(key, number);
}

void key_timer(struct key *key, uint64_t due_ms, uint64_t number)
{
    key->size = 0;
    add_u64(key, due_ms);
    add_u64(key, number);
}

void key_token(struct key *key, uint32_t type, struct slice id, struct slice token, const struct hash_key *secret)
{
    const struct hash128 hash = hash_siphash128(secret, token);

    key_instance(key, type, id, secret);
    add_bytes(key, hash.bytes, sizeof hash.bytes);
}

void key_invocation(struct key *key, const struct invocation_id *id)
{
    key->size = 0;
    add_u8(key, KEY_INVOCATION);
    add_bytes(key, id->bytes, sizeof id->bytes);
}

void key_expiry(struct key *key, uint64_t due_ms, uint32_t type, struct slice id, const struct hash_key *secret)
{
    key->size = 0;
    add_u64(key, due_ms);
    add_u8(key, KEY_EXPIRY_INSTANCE);
    add_u32(key, type);
    add_id(key, id, secret);
}

void key_outbox(struct key *key, uint32_t egress, uint64_t number)
{
    key->size = 0;
    add_u32(key, egress);
    add_u64(key, number);
}

void key_parked(struct key *key, uint32_t type, struct slice id, uint64_t number, const struct hash_key *secret)
{
    key_instance(key, type, id, secret);
    add_u64(key, number);
}

void key_meta(struct key *key, const char *name)
{
    key->size = 0;
    add_bytes(key, name, strlen(name));
}

/* The number in ten decimal digits: people read this table, and byte order is the order of numbers. */
static void key_meta_number(struct key *key, const char *prefix, uint32_t number)
{
    char digits[10];

    for (size_t i = sizeof digits; i > 0; i--) {
        digits[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    key_meta(key, prefix);
    add_bytes(key, digits, sizeof digits);
}

void key_meta_type(struct key *key, uint32_t type)
{
    key_meta_number(key, prefix_type, type);
}

void key_meta_egress(struct key *key, uint32_t egress)
{
    key_meta_number(key, prefix_egress, egress);
}

/* ---- readers -------------------------------------------------------------------------------------------- */

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t read_u64(const uint8_t *at)
{
    return (uint64_t)read_u32(at) << 32 | read_u32(at + 4);
}

bool key_read_mail(struct slice key, uint64_t *out_number)
{
    if (key.size != 8) {
        return false;
    }
    *out_number = read_u64(key.data);
    return true;
}

bool key_read_timer(struct slice key, uint64_t *out_due_ms, uint64_t *out_number)
{
    if (key.size != 16) {
        return false;
    }
    *out_due_ms = read_u64(key.data);
    *out_number = read_u64(key.data + 8);
    return true;
}

bool key_read_invocation(struct slice key, struct invocation_id *out_id)
{
    if (key.size != 1 + sizeof out_id->bytes || key.data[0] != KEY_INVOCATION) {
        return false;
    }
    memcpy(out_id->bytes, key.data + 1, sizeof out_id->bytes);
    return true;
}

bool key_read_expiry(struct slice key, uint64_t *out_due_ms, uint32_t *out_type)
{
    if (key.size < 8 + 1 + 4 + 3 || key.data[8] != KEY_EXPIRY_INSTANCE) {
        return false;
    }
    *out_due_ms = read_u64(key.data);
    *out_type = read_u32(key.data + 9);
    return true;
}

bool key_read_outbox(struct slice key, uint32_t *out_egress, uint64_t *out_number)
{
    if (key.size != 12) {
        return false;
    }
    *out_egress = read_u32(key.data);
    *out_number = read_u64(key.data + 4);
    return true;
}

bool key_read_state(struct slice key, uint32_t *out_state)
{
    if (key.size < 4 + 3 + 4) {
        return false;
    }
    *out_state = read_u32(key.data + key.size - 4);
    return true;
}

bool key_read_meta_number(struct slice key, const char *prefix, uint32_t *out_number)
{
    const size_t prefix_size = strlen(prefix);
    uint64_t number = 0;

    if (key.size != prefix_size + 10 || memcmp(key.data, prefix, prefix_size) != 0) {
        return false;
    }
    for (size_t i = prefix_size; i < key.size; i++) {
        if (key.data[i] < '0' || key.data[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(key.data[i] - '0');
    }
    if (number > UINT32_MAX) {
        return false;
    }
    *out_number = (uint32_t)number;
    return true;
}
