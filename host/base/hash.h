/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h: the two hashes of the host.
 *
 * SipHash-2-4 with 128 bits (keyed: clients choose ids, so an unkeyed hash could be steered) from
 * libsodium; CRC-32C (Castagnoli, RFC 3720; Debian has no C library of it) to tell torn or rotten records.
 */
#pragma once

#include <stdint.h>

#include "bytes.h"

struct hash_key {
    uint8_t bytes[16];
};
struct hash128 {
    uint8_t bytes[16];
};

/* SipHash-2-4 with 128 bits. */
struct hash128 hash_siphash128(const struct hash_key *key, struct slice data);
/* The first 64 bits of it, for hash tables. */
uint64_t hash_siphash64(const struct hash_key *key, struct slice data);
/* CRC-32C of `data`, continued from `crc` (0 to begin). */
uint32_t hash_crc32c(uint32_t crc, struct slice data);
/* The same without the processor's instruction: what hash_crc32c falls back to, and what tests hold it against. */
uint32_t hash_crc32c_portable(uint32_t crc, struct slice data);
