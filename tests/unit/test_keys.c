/* SPDX-License-Identifier: Apache-2.0
 *
 * test_keys.c: store keys: shapes, order, long ids, and reading back.
 */
#include "unit.h"

#include <stdlib.h>

#include "keys.h"

static const struct hash_key secret = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static void numbers_are_in_byte_order(void **state)
{
    (void)state;
    const uint64_t numbers[] = {0, 1, 255, 256, 65536, UINT64_C(1) << 32, UINT64_MAX - 1, UINT64_MAX};
    struct key last;
    struct key key;
    uint64_t number;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        key_mail(&key, numbers[i]);
        assert_true(key_read_mail(key_slice(&key), &number));
        assert_true(number == numbers[i]);
        assert_true(i == 0 || slice_compare(key_slice(&last), key_slice(&key)) < 0);
        last = key;
    }
    assert_false(key_read_mail((struct slice){key.bytes, 7}, &number));
}

static void timers_sort_by_due_time_then_number(void **state)
{
    (void)state;
    struct key early;
    struct key late;
    uint64_t due_ms;
    uint64_t number;

    key_timer(&early, 1000, 9);
    key_timer(&late, 1001, 1);
    assert_true(slice_compare(key_slice(&early), key_slice(&late)) < 0);
    key_timer(&late, 1000, 10);
    assert_true(slice_compare(key_slice(&early), key_slice(&late)) < 0);
    assert_true(key_read_timer(key_slice(&late), &due_ms, &number));
    assert_true(due_ms == 1000 && number == 10);
    assert_false(key_read_timer((struct slice){late.bytes, 15}, &due_ms, &number));
}

static bool begins_with(const struct key *key, const struct key *prefix)
{
    return key->size >= prefix->size && memcmp(key->bytes, prefix->bytes, prefix->size) == 0;
}

static void an_instance_prefix_covers_its_rows_only(void **state)
{
    (void)state;
    struct key bob;
    struct key bobby;
    struct key key;
    uint32_t number;

    key_instance_prefix(&bob, 7, SLICE("bob"), &secret);
    assert_int_equal(bob.size, 4 + 3 + 2);
    assert_memory_equal(bob.bytes, "\0\0\0\7bob\0\0", bob.size);
    key_instance(&bobby, 7, SLICE("bobby"), &secret);
    assert_false(begins_with(&bobby, &bob));
    key_state(&key, 7, SLICE("bob"), 3, &secret);
    assert_true(begins_with(&key, &bob));
    assert_true(key_read_state(key_slice(&key), &number));
    assert_int_equal(number, 3);
    key_parked(&key, 7, SLICE("bob"), 99, &secret);
    assert_true(begins_with(&key, &bob));
    key_token(&key, 7, SLICE("bob"), SLICE("token"), &secret);
    assert_true(begins_with(&key, &bob));
    assert_int_equal(key.size, bob.size + 16);
    assert_false(key_read_state(SLICE("abcd"), &number));
}

static void long_ids_are_kept_as_prefix_and_hash(void **state)
{
    (void)state;
    uint8_t text[LIMIT_ID_BYTES_MAX];
    struct key shortest;
    struct key longest;
    struct key other;

    memset(text, 'x', sizeof text);
    key_instance(&shortest, 1, (struct slice){text, LIMIT_ID_KEY_BYTES_MAX}, &secret);
    assert_int_equal(shortest.size, 4 + LIMIT_ID_KEY_BYTES_MAX + 2);
    key_instance(&longest, 1, (struct slice){text, sizeof text}, &secret);
    assert_int_equal(longest.size, 4 + 200 + 2 + 16);
    text[sizeof text - 1] = 'y'; /* beyond the prefix: only the hash differs */
    key_instance(&other, 1, (struct slice){text, sizeof text}, &secret);
    assert_int_equal(other.size, longest.size);
    assert_memory_equal(other.bytes, longest.bytes, 4 + 200 + 2);
    assert_memory_not_equal(other.bytes, longest.bytes, other.size);
    key_instance(&other, 1, (struct slice){text, 200}, &secret);
    assert_false(begins_with(&longest, &other)); /* the tag byte tells a whole id from a prefix */
    key_token(&other, 1, (struct slice){text, sizeof text}, (struct slice){text, 1}, &secret);
    assert_true(other.size <= LIMIT_STORE_KEY_BYTES_MAX);
}

static void expiry_rows_are_read_back(void **state)
{
    (void)state;
    struct key key;
    uint64_t due_ms;
    uint32_t type;

    key_expiry(&key, 5000, 12, SLICE("a"), &secret);
    assert_true(key_read_expiry(key_slice(&key), &due_ms, &type));
    assert_true(due_ms == 5000 && type == 12);
    key.bytes[8] = 2; /* another kind */
    assert_false(key_read_expiry(key_slice(&key), &due_ms, &type));
    assert_false(key_read_expiry(SLICE("12345678"), &due_ms, &type));
}

static void outbox_and_invocation_are_read_back(void **state)
{
    (void)state;
    struct invocation_id id = {{0xAB, 1}};
    struct invocation_id read;
    struct key key;
    uint64_t number;
    uint32_t egress;

    key_outbox(&key, 3, 77);
    assert_true(key_read_outbox(key_slice(&key), &egress, &number));
    assert_true(egress == 3 && number == 77);
    assert_false(key_read_outbox((struct slice){key.bytes, 11}, &egress, &number));
    key_invocation(&key, &id);
    assert_int_equal(key.size, 17);
    assert_true(key_read_invocation(key_slice(&key), &read));
    assert_memory_equal(read.bytes, id.bytes, sizeof id.bytes);
    key.bytes[0] = 2; /* an idempotency key, of a later version */
    assert_false(key_read_invocation(key_slice(&key), &read));
}

static void meta_numbers_are_text(void **state)
{
    (void)state;
    struct key key;
    uint32_t number;

    key_meta_type(&key, 42);
    assert_true(slice_equal(key_slice(&key), SLICE("type/0000000042")));
    assert_true(key_read_meta_number(key_slice(&key), "type/", &number));
    assert_int_equal(number, 42);
    assert_false(key_read_meta_number(key_slice(&key), "egress/", &number));
    key_meta_egress(&key, UINT32_MAX);
    assert_true(key_read_meta_number(key_slice(&key), "egress/", &number));
    assert_true(number == UINT32_MAX);
    assert_false(key_read_meta_number(SLICE("type/4294967296"), "type/", &number));
    assert_false(key_read_meta_number(SLICE("type/00000000x2"), "type/", &number));
    assert_false(key_read_meta_number(SLICE("type/2"), "type/", &number));
    key_meta(&key, "store");
    assert_true(slice_equal(key_slice(&key), SLICE("store")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_in_byte_order),
        cmocka_unit_test(timers_sort_by_due_time_then_number),
        cmocka_unit_test(an_instance_prefix_covers_its_rows_only),
        cmocka_unit_test(long_ids_are_kept_as_prefix_and_hash),
        cmocka_unit_test(expiry_rows_are_read_back),
        cmocka_unit_test(outbox_and_invocation_are_read_back),
        cmocka_unit_test(meta_numbers_are_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
