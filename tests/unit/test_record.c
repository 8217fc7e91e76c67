/* SPDX-License-Identifier: Apache-2.0
 *
 * test_record.c: records: what is put is got; every shorter, longer or changed record is refused.
 */
#include "unit.h"

#include <stdlib.h>

#include "hash.h"
#include "record.h"

static struct buf buf;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    buf_init(&buf, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&buf);
    return 0;
}

static const struct address counter = {
    {(const uint8_t *)"example", 7}, {(const uint8_t *)"counter", 7}, {(const uint8_t *)"bob", 3}};
static const struct address caller = {
    {(const uint8_t *)"proa", 4}, {(const uint8_t *)"reply", 5}, {(const uint8_t *)"00", 2}};

static struct envelope sample_envelope(void)
{
    return (struct envelope){
        .number = UINT64_C(0x0102030405060708),
        .time_ms = 1700000000000,
        .target = counter,
        .caller = caller,
        .value = SLICE("\x0A\x01t\x10\x01"),
        .traceparent = SLICE("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .token = SLICE("token"),
    };
}

static void assert_slice(struct slice got, struct slice wanted)
{
    assert_true(slice_equal(got, wanted));
}

static void assert_envelope(const struct envelope *got, const struct envelope *wanted)
{
    assert_true(got->number == wanted->number);
    assert_true(got->time_ms == wanted->time_ms);
    assert_true(address_equal(&got->target, &wanted->target));
    assert_true(address_equal(&got->caller, &wanted->caller));
    assert_slice(got->value, wanted->value);
    assert_slice(got->traceparent, wanted->traceparent);
    assert_slice(got->token, wanted->token);
}

static void an_envelope_is_read_back(void **state)
{
    (void)state;
    const struct envelope envelope = sample_envelope();
    const struct envelope empty = {.target = counter};
    struct envelope got;

    record_put_envelope(&buf, &envelope);
    assert_int_equal(record_get_envelope(buf_slice(&buf), &got, &err), ERR_NONE);
    assert_envelope(&got, &envelope);
    buf_clear(&buf);
    record_put_envelope(&buf, &empty);
    assert_int_equal(record_get_envelope(buf_slice(&buf), &got, &err), ERR_NONE);
    assert_envelope(&got, &empty);
    assert_true(address_is_empty(&got.caller));
}

static void the_bytes_are_as_documented(void **state)
{
    (void)state;
    const struct token_record record = {SLICE("tok"), 0x0807060504030201, 9};
    static const uint8_t wanted[] = {1, 3, 0, 0, 0, 't', 'o', 'k', 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0};

    record_put_token(&buf, &record);
    assert_int_equal(buf.size, sizeof wanted + 4);
    assert_memory_equal(buf.data, wanted, sizeof wanted);
    const uint32_t crc = hash_crc32c_portable(0, (struct slice){wanted, sizeof wanted});
    for (int i = 0; i < 4; i++) {
        assert_int_equal(buf.data[sizeof wanted + (size_t)i], (uint8_t)(crc >> (8 * i)));
    }
}

static void a_parked_message_is_read_back(void **state)
{
    (void)state;
    const struct parked parked = {sample_envelope(), 20, 1700000000001, SLICE("rejected"), SLICE("no such thing")};
    struct parked got;

    record_put_parked(&buf, &parked);
    assert_int_equal(record_get_parked(buf_slice(&buf), &got, &err), ERR_NONE);
    assert_envelope(&got.envelope, &parked.envelope);
    assert_int_equal(got.attempts, 20);
    assert_true(got.parked_ms == parked.parked_ms);
    assert_slice(got.reason, parked.reason);
    assert_slice(got.text, parked.text);
}

/* Appends an instance with three values and returns where it begins. */
static size_t put_instance(void)
{
    const struct instance_record record = {1, 2, 3, true, SLICE("bob"), 3};
    const struct state_value values[] = {
        {.state = 0, .written_ms = 10, .value = SLICE("value")},
        {.state = 7, .is_large = true, .written_ms = 11},
        {.state = 9, .written_ms = 12},
    };
    const size_t start = record_begin_instance(&buf, &record);

    for (size_t i = 0; i < 3; i++) {
        record_add_state(&buf, &values[i]);
    }
    record_end_instance(&buf, start);
    return start;
}

static void an_instance_is_read_back(void **state)
{
    (void)state;
    struct instance_record got;
    struct record_cursor cursor;
    struct state_value value;

    buf_append_text(&buf, "other data stands before");
    const size_t start = put_instance();
    assert_int_equal(start, 24);
    const struct slice bytes = {buf.data + start, buf.size - start};
    assert_int_equal(record_get_instance(bytes, &got, &cursor, &err), ERR_NONE);
    assert_true(got.created_ms == 1 && got.touched_ms == 2 && got.armed_ms == 3 && got.is_paused);
    assert_slice(got.id, SLICE("bob"));
    assert_int_equal(got.state_count, 3);
    assert_int_equal(record_next_state(&cursor, &value, &err), ERR_NONE);
    assert_true(value.state == 0 && !value.is_large && value.written_ms == 10);
    assert_slice(value.value, SLICE("value"));
    assert_int_equal(record_next_state(&cursor, &value, &err), ERR_NONE);
    assert_true(value.state == 7 && value.is_large && value.value.size == 0);
    assert_int_equal(record_next_state(&cursor, &value, &err), ERR_NONE);
    assert_true(value.state == 9 && !value.is_large && value.value.size == 0);
    assert_int_equal(record_next_state(&cursor, &value, &err), ERR_CORRUPT);
}

static void the_small_records_are_read_back(void **state)
{
    (void)state;
    const struct invocation_record invocation = {55, counter};
    const struct outbox_record outbox = {5, 6, counter, SLICE("v")};
    struct invocation_record got_invocation;
    struct outbox_record got_outbox;
    struct slice got;

    record_put_state(&buf, SLICE("large"));
    assert_int_equal(record_get_state(buf_slice(&buf), &got, &err), ERR_NONE);
    assert_slice(got, SLICE("large"));
    buf_clear(&buf);
    record_put_expiry(&buf, SLICE("id"));
    assert_int_equal(record_get_expiry(buf_slice(&buf), &got, &err), ERR_NONE);
    assert_slice(got, SLICE("id"));
    buf_clear(&buf);
    record_put_invocation(&buf, &invocation);
    assert_int_equal(record_get_invocation(buf_slice(&buf), &got_invocation, &err), ERR_NONE);
    assert_true(got_invocation.due_ms == 55 && address_equal(&got_invocation.target, &counter));
    buf_clear(&buf);
    record_put_outbox(&buf, &outbox);
    assert_int_equal(record_get_outbox(buf_slice(&buf), &got_outbox, &err), ERR_NONE);
    assert_true(got_outbox.number == 5 && got_outbox.time_ms == 6);
    assert_true(address_equal(&got_outbox.sender, &counter));
    assert_slice(got_outbox.value, SLICE("v"));
}

static void the_records_of_meta_are_read_back(void **state)
{
    (void)state;
    const struct store_record store = {"0123456789abcde", {"secretsecretsec"}, 77};
    const struct epoch_record epoch = {1, 2, 3};
    struct store_record got_store;
    struct epoch_record got_epoch;
    const struct journal_record journal = {UINT64_MAX - 1, 7};
    struct journal_record got_journal;
    struct slice space;
    struct slice name;

    record_put_store(&buf, &store);
    assert_int_equal(record_get_store(buf_slice(&buf), &got_store, &err), ERR_NONE);
    assert_memory_equal(got_store.store_id, store.store_id, 16);
    assert_memory_equal(got_store.secret.bytes, store.secret.bytes, 16);
    assert_true(got_store.created_ms == 77);
    buf_clear(&buf);
    record_put_epoch(&buf, &epoch);
    assert_int_equal(record_get_epoch(buf_slice(&buf), &got_epoch, &err), ERR_NONE);
    assert_true(got_epoch.number == 1 && got_epoch.time_ms == 2 && got_epoch.ceiling == 3);
    buf_clear(&buf);
    record_put_journal(&buf, &journal);
    assert_int_equal(record_get_journal(buf_slice(&buf), &got_journal, &err), ERR_NONE);
    assert_true(got_journal.turn == UINT64_MAX - 1 && got_journal.next_turn == 7);
    buf_clear(&buf);
    record_put_egress(&buf, SLICE("example"), SLICE("receipts"));
    assert_int_equal(record_get_egress(buf_slice(&buf), &space, &name, &err), ERR_NONE);
    assert_slice(space, SLICE("example"));
    assert_slice(name, SLICE("receipts"));
}

static void a_type_is_read_back(void **state)
{
    (void)state;
    const struct type_record type = {SLICE("example"), SLICE("counter"), 2};
    const struct spec_record specs[] = {
        {0, {SLICE("seen"), SLICE("io.statefun.types/int"), EXPIRY_NONE, 0}},
        {4, {SLICE("idle"), SLICE("io.statefun.types/long"), EXPIRY_AFTER_INVOKE, -60000}},
    };
    struct type_record got;
    struct record_cursor cursor;
    struct spec_record spec;

    buf_append_u8(&buf, 'x');
    const size_t start = record_begin_type(&buf, &type);
    record_add_spec(&buf, &specs[0]);
    record_add_spec(&buf, &specs[1]);
    record_end_type(&buf, start);
    const struct slice bytes = {buf.data + start, buf.size - start};
    assert_int_equal(record_get_type(bytes, &got, &cursor, &err), ERR_NONE);
    assert_slice(got.space, SLICE("example"));
    assert_slice(got.name, SLICE("counter"));
    assert_int_equal(got.spec_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(record_next_spec(&cursor, &spec, &err), ERR_NONE);
        assert_int_equal(spec.state, specs[i].state);
        assert_slice(spec.spec.name, specs[i].spec.name);
        assert_slice(spec.spec.typename_, specs[i].spec.typename_);
        assert_int_equal(spec.spec.mode, specs[i].spec.mode);
        assert_true(spec.spec.expire_ms == specs[i].spec.expire_ms);
    }
    assert_int_equal(record_next_spec(&cursor, &spec, &err), ERR_CORRUPT);
}

static enum err_code get_instance(struct slice bytes)
{
    struct instance_record record;
    struct record_cursor cursor;

    return record_get_instance(bytes, &record, &cursor, &err);
}

/* Every prefix, every flipped bit and one byte more are refused. The copy is exact so that a sanitizer sees a
 * read beyond it. */
static void changed_records_are_corrupt(void **state)
{
    (void)state;
    (void)put_instance();
    const size_t size = buf.size;

    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, buf.data, cut);
        copy[cut] = 0;
        assert_int_equal(get_instance((struct slice){copy, cut}), ERR_CORRUPT);
        free(copy);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(get_instance(buf_slice(&buf)), ERR_CORRUPT);
        buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_append_u8(&buf, 0);
    assert_int_equal(get_instance(buf_slice(&buf)), ERR_CORRUPT);
}

/* Puts a right checksum at the end of the `size` bytes in the buffer. */
static void reseal(size_t size)
{
    buf.size = size;
    const uint32_t crc = hash_crc32c(0, buf_slice(&buf));
    for (int i = 0; i < 4; i++) {
        buf_append_u8(&buf, (uint8_t)(crc >> (8 * i)));
    }
}

static void a_right_checksum_does_not_excuse_wrong_lengths(void **state)
{
    (void)state;
    (void)put_instance();
    const size_t fields = buf.size - 4;

    for (size_t cut = 1; cut < fields; cut++) {
        buf_clear(&buf);
        (void)put_instance();
        reseal(cut);
        assert_int_equal(get_instance(buf_slice(&buf)), ERR_CORRUPT);
    }
    buf_clear(&buf);
    (void)put_instance();
    buf.size = fields;
    buf_append_u8(&buf, 0);
    reseal(fields + 1);
    assert_int_equal(get_instance(buf_slice(&buf)), ERR_CORRUPT);
    for (size_t at = 1; at < fields; at++) {
        buf_clear(&buf);
        (void)put_instance();
        buf.data[at] = 0xFF; /* a length, a count or a flag here and there; never a read beyond the end */
        reseal(fields);
        (void)get_instance(buf_slice(&buf));
    }
}

static void a_newer_format_is_told_from_rot(void **state)
{
    (void)state;
    (void)put_instance();
    const size_t fields = buf.size - 4;

    buf.data[0] = RECORD_FORMAT + 1;
    assert_int_equal(get_instance(buf_slice(&buf)), ERR_CORRUPT);
    reseal(fields);
    assert_int_equal(get_instance(buf_slice(&buf)), ERR_NEWER_FORMAT);
    buf.data[0] = 0;
    reseal(fields);
    assert_int_equal(get_instance(buf_slice(&buf)), ERR_CORRUPT);
}

static void a_full_buffer_is_marked(void **state)
{
    (void)state;
    const struct envelope envelope = sample_envelope();

    for (size_t bytes_max = 1; bytes_max < 120; bytes_max++) {
        struct buf small;
        buf_init(&small, bytes_max);
        record_put_envelope(&small, &envelope);
        assert_true(small.overflow);
        buf_done(&small);
    }
    for (size_t bytes_max = 1; bytes_max < 90; bytes_max++) {
        buf_done(&buf);
        buf_init(&buf, bytes_max);
        (void)put_instance();
        assert_true(buf.overflow);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_envelope_is_read_back),
        TEST(the_bytes_are_as_documented),
        TEST(a_parked_message_is_read_back),
        TEST(an_instance_is_read_back),
        TEST(the_small_records_are_read_back),
        TEST(the_records_of_meta_are_read_back),
        TEST(a_type_is_read_back),
        TEST(changed_records_are_corrupt),
        TEST(a_right_checksum_does_not_excuse_wrong_lengths),
        TEST(a_newer_format_is_told_from_rot),
        TEST(a_full_buffer_is_marked),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
