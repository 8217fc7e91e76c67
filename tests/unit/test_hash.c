/* SPDX-License-Identifier: Apache-2.0
 *
 * test_hash.c: the hashes: CRC-32C against the vectors of RFC 3720 B.4, both ways of computing it against each other,
 * SipHash-2-4-128 against its authors' first vectors.
 */
#include "unit.h"

#include "hash.h"

static uint32_t crc_both(uint32_t crc, struct slice data)
{
    const uint32_t fast = hash_crc32c(crc, data);

    assert_int_equal(fast, hash_crc32c_portable(crc, data));
    return fast;
}

static void crc32c_gives_the_vectors_of_rfc_3720(void **state)
{
    (void)state;
    uint8_t bytes[32];
    const struct slice data = {bytes, sizeof bytes};

    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc_both(0, data), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(crc_both(0, data), 0x62A8AB43);
    for (uint8_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = i;
    }
    assert_int_equal(crc_both(0, data), 0x46DD794E);
    for (uint8_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc_both(0, data), 0x113FDB5C);
    const uint8_t scsi_read[48] = {0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                                   0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                                   0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
    assert_int_equal(crc_both(0, (struct slice){scsi_read, sizeof scsi_read}), 0xD9963A56);
    assert_int_equal(crc_both(0, SLICE("123456789")), 0xE3069283);
    assert_int_equal(crc_both(0, SLICE_EMPTY), 0);
}

static void crc32c_is_the_same_at_every_place_and_length(void **state)
{
    (void)state;
    uint8_t bytes[300];
    uint32_t random = 1;

    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(random >> 24);
    }
    for (size_t start = 0; start < 9; start++) {
        for (size_t size = 0; start + size <= sizeof bytes; size++) {
            (void)crc_both(random, (struct slice){bytes + start, size});
        }
    }
}

static void crc32c_continues(void **state)
{
    (void)state;
    const struct slice whole = SLICE("a record in several pieces");

    for (size_t cut = 0; cut <= whole.size; cut++) {
        const uint32_t first = hash_crc32c(0, (struct slice){whole.data, cut});
        const uint32_t both = hash_crc32c(first, (struct slice){whole.data + cut, whole.size - cut});
        assert_int_equal(both, hash_crc32c(0, whole));
    }
}

static void siphash_gives_its_vectors(void **state)
{
    (void)state;
    static const uint8_t empty[16] = {0xA3, 0x81, 0x7F, 0x04, 0xBA, 0x25, 0xA8, 0xE6,
                                      0x6D, 0xF6, 0x72, 0x14, 0xC7, 0x55, 0x02, 0x93};
    static const uint8_t one_zero[16] = {0xDA, 0x87, 0xC1, 0xD8, 0x6B, 0x99, 0xAF, 0x44,
                                         0x34, 0x76, 0x59, 0x11, 0x9B, 0x22, 0xFC, 0x45};
    struct hash_key key;

    for (uint8_t i = 0; i < sizeof key.bytes; i++) {
        key.bytes[i] = i;
    }
    const struct hash128 of_empty = hash_siphash128(&key, SLICE_EMPTY);
    assert_memory_equal(of_empty.bytes, empty, sizeof empty);
    const struct hash128 of_zero = hash_siphash128(&key, SLICE("\0"));
    assert_memory_equal(of_zero.bytes, one_zero, sizeof one_zero);
    assert_true(hash_siphash64(&key, SLICE_EMPTY) == UINT64_C(0xE6A825BA047F81A3));
    key.bytes[0] = 1;
    assert_true(hash_siphash64(&key, SLICE_EMPTY) != UINT64_C(0xE6A825BA047F81A3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_vectors_of_rfc_3720),
        cmocka_unit_test(crc32c_is_the_same_at_every_place_and_length),
        cmocka_unit_test(crc32c_continues),
        cmocka_unit_test(siphash_gives_its_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
