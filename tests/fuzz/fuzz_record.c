/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_record.c: what the store holds: the first byte chooses the record, the rest are its fields between a format byte
 * and a right checksum (the fuzzer would never find one). Every record has one encoding: what can be read is written
 * back to the same bytes. The same bytes without that help, and as keys, are read too.
 */
#include "fuzz.h"

#include "check.h"
#include "hash.h"
#include "keys.h"
#include "record.h"

static void again_envelope(struct slice bytes, struct buf *out, struct err *err)
{
    struct envelope record;

    if (record_get_envelope(bytes, &record, err) == ERR_NONE) {
        record_put_envelope(out, &record);
    }
}

static void again_parked(struct slice bytes, struct buf *out, struct err *err)
{
    struct parked record;

    if (record_get_parked(bytes, &record, err) == ERR_NONE) {
        record_put_parked(out, &record);
    }
}

static void again_instance(struct slice bytes, struct buf *out, struct err *err)
{
    struct instance_record record;
    struct record_cursor cursor;
    struct state_value value;

    if (record_get_instance(bytes, &record, &cursor, err) != ERR_NONE) {
        return;
    }
    const size_t start = record_begin_instance(out, &record);
    for (uint32_t i = 0; i < record.state_count; i++) {
        check(record_next_state(&cursor, &value, err) == ERR_NONE);
        record_add_state(out, &value);
    }
    check(record_next_state(&cursor, &value, err) == ERR_CORRUPT);
    record_end_instance(out, start);
}

static void again_type(struct slice bytes, struct buf *out, struct err *err)
{
    struct type_record record;
    struct record_cursor cursor;
    struct spec_record spec;

    if (record_get_type(bytes, &record, &cursor, err) != ERR_NONE) {
        return;
    }
    const size_t start = record_begin_type(out, &record);
    for (uint32_t i = 0; i < record.spec_count; i++) {
        check(record_next_spec(&cursor, &spec, err) == ERR_NONE);
        record_add_spec(out, &spec);
    }
    check(record_next_spec(&cursor, &spec, err) == ERR_CORRUPT);
    record_end_type(out, start);
}

static void again_state(struct slice bytes, struct buf *out, struct err *err)
{
    struct slice value;

    if (record_get_state(bytes, &value, err) == ERR_NONE) {
        record_put_state(out, value);
    }
}

static void again_token(struct slice bytes, struct buf *out, struct err *err)
{
    struct token_record record;

    if (record_get_token(bytes, &record, err) == ERR_NONE) {
        record_put_token(out, &record);
    }
}

static void again_invocation(struct slice bytes, struct buf *out, struct err *err)
{
    struct invocation_record record;

    if (record_get_invocation(bytes, &record, err) == ERR_NONE) {
        record_put_invocation(out, &record);
    }
}

static void again_expiry(struct slice bytes, struct buf *out, struct err *err)
{
    struct slice id;

    if (record_get_expiry(bytes, &id, err) == ERR_NONE) {
        record_put_expiry(out, id);
    }
}

static void again_outbox(struct slice bytes, struct buf *out, struct err *err)
{
    struct outbox_record record;

    if (record_get_outbox(bytes, &record, err) == ERR_NONE) {
        record_put_outbox(out, &record);
    }
}

static void again_egress(struct slice bytes, struct buf *out, struct err *err)
{
    struct slice space;
    struct slice name;

    if (record_get_egress(bytes, &space, &name, err) == ERR_NONE) {
        record_put_egress(out, space, name);
    }
}

static void again_store(struct slice bytes, struct buf *out, struct err *err)
{
    struct store_record record;

    if (record_get_store(bytes, &record, err) == ERR_NONE) {
        record_put_store(out, &record);
    }
}

static void again_epoch(struct slice bytes, struct buf *out, struct err *err)
{
    struct epoch_record record;

    if (record_get_epoch(bytes, &record, err) == ERR_NONE) {
        record_put_epoch(out, &record);
    }
}

static void again_journal(struct slice bytes, struct buf *out, struct err *err)
{
    struct journal_record record;

    if (record_get_journal(bytes, &record, err) == ERR_NONE) {
        record_put_journal(out, &record);
    }
}

static void (*const again[])(struct slice, struct buf *, struct err *) = {
    again_envelope, again_parked, again_instance, again_type,  again_state, again_token,   again_invocation,
    again_expiry,   again_outbox, again_egress,   again_store, again_epoch, again_journal,
};

static void read_as_keys(struct slice bytes)
{
    struct invocation_id id;
    uint64_t big;
    uint64_t other;
    uint32_t small;

    (void)key_read_mail(bytes, &big);
    (void)key_read_timer(bytes, &big, &other);
    (void)key_read_invocation(bytes, &id);
    (void)key_read_expiry(bytes, &big, &small);
    (void)key_read_outbox(bytes, &small, &big);
    (void)key_read_state(bytes, &small);
    (void)key_read_meta_number(bytes, "type/", &small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf record;
    struct buf out;
    struct err err;

    if (size == 0) {
        return 0;
    }
    const uint8_t kind = data[0] % (sizeof again / sizeof again[0]);
    const struct slice fields = {data + 1, size - 1};
    buf_init(&out, 2 * size + 64);
    buf_init(&record, size + 64);
    again[kind](fields, &out, &err);
    read_as_keys(fields);
    buf_clear(&out);
    buf_append_u8(&record, RECORD_FORMAT);
    buf_append_slice(&record, fields);
    const uint32_t crc = hash_crc32c(0, buf_slice(&record));
    for (int i = 0; i < 4; i++) {
        buf_append_u8(&record, (uint8_t)(crc >> (8 * i)));
    }
    again[kind](buf_slice(&record), &out, &err);
    check(!out.overflow);
    check(out.size == 0 || slice_equal(buf_slice(&out), buf_slice(&record)));
    buf_done(&out);
    buf_done(&record);
    return 0;
}
