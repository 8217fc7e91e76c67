/* SPDX-License-Identifier: Apache-2.0
 *
 * keys.h: the keys of every table, built and read back.
 *
 *   instance    type:4 idkey
 *   state       type:4 idkey state:4
 *   mail        number:8
 *   timer       due:8 number:8
 *   token       type:4 idkey hash:16            (the sender, and SipHash-128 of the token)
 *   invocation  0x01 invocation id:16
 *   expiry      due:8 kind:1 type:4 idkey
 *   outbox      egress:4 number:8
 *   parked      type:4 idkey number:8
 *   meta        text; "type/" and "egress/" are followed by ten decimal digits
 *
 * idkey is the id, 0x00, 0x00; for ids over LIMIT_ID_KEY_BYTES_MAX bytes it is the first 200 bytes, 0x00,
 * 0x01, SipHash-128 of the whole id. Numbers and times are big-endian, so byte order is their order.
 */
#pragma once

#include "address.h"
#include "bytes.h"
#include "hash.h"
#include "limit.h"

struct key {
    uint16_t size;
    uint8_t bytes[LIMIT_STORE_KEY_BYTES_MAX];
};

static inline struct slice key_slice(const struct key *key)
{
    return (struct slice){key->bytes, key->size};
}

/* Writers: each fills the whole key. `id` is not empty and holds no NUL; `secret` is the store's. */
void key_instance(struct key *key, uint32_t type, struct slice id, const struct hash_key *secret);
void key_state(struct key *key, uint32_t type, struct slice id, uint32_t state, const struct hash_key *secret);
void key_mail(struct key *key, uint64_t number);
void key_timer(struct key *key, uint64_t due_ms, uint64_t number);
void key_token(struct key *key, uint32_t type, struct slice id, struct slice token, const struct hash_key *secret);
void key_invocation(struct key *key, const struct invocation_id *id);
void key_expiry(struct key *key, uint64_t due_ms, uint32_t type, struct slice id, const struct hash_key *secret);
void key_outbox(struct key *key, uint32_t egress, uint64_t number);
void key_parked(struct key *key, uint32_t type, struct slice id, uint64_t number, const struct hash_key *secret);
/* The prefix of all rows of one instance in `state`, `parked` or `token` (it equals its key in `instance`). */
void key_instance_prefix(struct key *key, uint32_t type, struct slice id, const struct hash_key *secret);
void key_meta(struct key *key, const char *name);
/* "type/" and the number: one row of `meta` for each interned function type; likewise egresses. */
void key_meta_type(struct key *key, uint32_t type);
void key_meta_egress(struct key *key, uint32_t egress);

/* Readers: false if the key has not that shape. */
bool key_read_mail(struct slice key, uint64_t *out_number);
bool key_read_timer(struct slice key, uint64_t *out_due_ms, uint64_t *out_number);
bool key_read_invocation(struct slice key, struct invocation_id *out_id);
bool key_read_expiry(struct slice key, uint64_t *out_due_ms, uint32_t *out_type);
bool key_read_outbox(struct slice key, uint32_t *out_egress, uint64_t *out_number);
bool key_read_state(struct slice key, uint32_t *out_state); /* the last four bytes */
bool key_read_meta_number(struct slice key, const char *prefix, uint32_t *out_number);
