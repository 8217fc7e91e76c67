/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include "record_internal.h"

enum {
    STATE_FIXED_BYTES = 4 + 1 + 8,            /* without its value */
    INSTANCE_FIXED_BYTES = 8 + 8 + 8 + 1 + 4, /* without its id */
};

/* ---- envelope and parked ------------------------------------------------------------------------------------ */

static size_t envelope_bytes(const struct envelope *envelope)
{
    return 8 + 8 + record_address_bytes(&envelope->target) + record_address_bytes(&envelope->caller) +
           record_slice_bytes(envelope->value) + record_slice_bytes(envelope->traceparent) +
           record_slice_bytes(envelope->token);
}

static void put_envelope(struct record_writer *writer, const struct envelope *envelope)
{
    record_write_u64(writer, envelope->number);
    record_write_u64(writer, envelope->time_ms);
    record_write_address(writer, &envelope->target);
    record_write_address(writer, &envelope->caller);
    record_write_slice(writer, envelope->value);
    record_write_slice(writer, envelope->traceparent);
    record_write_slice(writer, envelope->token);
}

static void get_envelope(struct record_reader *reader, struct envelope *out)
{
    out->number = record_read_u64(reader);
    out->time_ms = record_read_u64(reader);
    out->target = record_read_address(reader);
    out->caller = record_read_address(reader);
    out->value = record_read_slice(reader);
    out->traceparent = record_read_slice(reader);
    out->token = record_read_slice(reader);
}

void record_put_envelope(struct buf *buf, const struct envelope *envelope)
{
    const size_t size = envelope_bytes(envelope);
    struct record_writer writer = record_begin(buf, size);

    if (writer.at != NULL) {
        put_envelope(&writer, envelope);
        record_end(&writer, size);
    }
}

enum err_code record_get_envelope(struct slice bytes, struct envelope *out, struct err *err)
{
    struct envelope envelope;
    struct record_reader reader = record_reader_begin(bytes, "envelope", err);

    get_envelope(&reader, &envelope);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = envelope;
    return ERR_NONE;
}

void record_put_parked(struct buf *buf, const struct parked *parked)
{
    const size_t size = envelope_bytes(&parked->envelope) + 4 + 8 + record_slice_bytes(parked->reason) +
                        record_slice_bytes(parked->text);
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_envelope(&writer, &parked->envelope);
    record_write_u32(&writer, parked->attempts);
    record_write_u64(&writer, parked->parked_ms);
    record_write_slice(&writer, parked->reason);
    record_write_slice(&writer, parked->text);
    record_end(&writer, size);
}

enum err_code record_get_parked(struct slice bytes, struct parked *out, struct err *err)
{
    struct parked parked;
    struct record_reader reader = record_reader_begin(bytes, "parked", err);

    get_envelope(&reader, &parked.envelope);
    parked.attempts = record_read_u32(&reader);
    parked.parked_ms = record_read_u64(&reader);
    parked.reason = record_read_slice(&reader);
    parked.text = record_read_slice(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = parked;
    return ERR_NONE;
}

/* ---- instance and state ------------------------------------------------------------------------------------- */

size_t record_begin_instance(struct buf *buf, const struct instance_record *record)
{
    const size_t start = buf->size;
    struct record_writer writer =
        record_writer_begin(buf, RECORD_FORMAT_BYTES + INSTANCE_FIXED_BYTES + record_slice_bytes(record->id));

    if (writer.at == NULL) {
        return start;
    }
    record_write_u8(&writer, RECORD_FORMAT);
    record_write_u64(&writer, record->created_ms);
    record_write_u64(&writer, record->touched_ms);
    record_write_u64(&writer, record->armed_ms);
    record_write_u8(&writer, record->is_paused ? 1 : 0);
    record_write_slice(&writer, record->id);
    record_write_u32(&writer, record->state_count);
    check(writer.at == writer.end);
    return start;
}

void record_add_state(struct buf *buf, const struct state_value *value)
{
    check(!value->is_large || value->value.size == 0);
    struct record_writer writer = record_writer_begin(buf, STATE_FIXED_BYTES + record_slice_bytes(value->value));

    if (writer.at == NULL) {
        return;
    }
    record_write_u32(&writer, value->state);
    record_write_u8(&writer, value->is_large ? 1 : 0);
    record_write_u64(&writer, value->written_ms);
    record_write_slice(&writer, value->value);
    check(writer.at == writer.end);
}

void record_end_instance(struct buf *buf, size_t start)
{
    record_seal(buf, start);
}

static void get_state(struct record_reader *reader, struct state_value *out)
{
    out->state = record_read_u32(reader);
    out->is_large = record_read_bool(reader);
    out->written_ms = record_read_u64(reader);
    out->value = record_read_slice(reader);
    reader->is_bad = reader->is_bad || (out->is_large && out->value.size > 0);
}

enum err_code record_get_instance(struct slice bytes, struct instance_record *out, struct record_cursor *out_states,
                                  struct err *err)
{
    struct instance_record record;
    struct state_value state;
    struct record_reader reader = record_reader_begin(bytes, "instance", err);

    record.created_ms = record_read_u64(&reader);
    record.touched_ms = record_read_u64(&reader);
    record.armed_ms = record_read_u64(&reader);
    record.is_paused = record_read_bool(&reader);
    record.id = record_read_slice(&reader);
    record.state_count = record_read_u32(&reader);
    const struct record_cursor states = {{reader.at, reader.left}};
    for (uint32_t i = 0; i < record.state_count && !reader.is_bad; i++) {
        get_state(&reader, &state);
    }
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    *out_states = states;
    return ERR_NONE;
}

enum err_code record_next_state(struct record_cursor *cursor, struct state_value *out, struct err *err)
{
    struct record_reader reader = record_reader_again(cursor->left);
    struct state_value state;

    get_state(&reader, &state);
    if (reader.is_bad) {
        return err_set(err, ERR_CORRUPT, "the instance record holds no further state value");
    }
    cursor->left = (struct slice){reader.at, reader.left};
    *out = state;
    return ERR_NONE;
}

void record_put_state(struct buf *buf, struct slice value)
{
    const size_t size = record_slice_bytes(value);
    struct record_writer writer = record_begin(buf, size);

    if (writer.at != NULL) {
        record_write_slice(&writer, value);
        record_end(&writer, size);
    }
}

enum err_code record_get_state(struct slice bytes, struct slice *out_value, struct err *err)
{
    struct record_reader reader = record_reader_begin(bytes, "state", err);

    const struct slice value = record_read_slice(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out_value = value;
    return ERR_NONE;
}

/* ---- token, invocation, expiry, outbox ------------------------------------------------------------------------ */

void record_put_token(struct buf *buf, const struct token_record *record)
{
    const size_t size = record_slice_bytes(record->token) + 8 + 8;
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_slice(&writer, record->token);
    record_write_u64(&writer, record->due_ms);
    record_write_u64(&writer, record->number);
    record_end(&writer, size);
}

enum err_code record_get_token(struct slice bytes, struct token_record *out, struct err *err)
{
    struct token_record record;
    struct record_reader reader = record_reader_begin(bytes, "token", err);

    record.token = record_read_slice(&reader);
    record.due_ms = record_read_u64(&reader);
    record.number = record_read_u64(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}

void record_put_invocation(struct buf *buf, const struct invocation_record *record)
{
    const size_t size = 8 + record_address_bytes(&record->target);
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_u64(&writer, record->due_ms);
    record_write_address(&writer, &record->target);
    record_end(&writer, size);
}

enum err_code record_get_invocation(struct slice bytes, struct invocation_record *out, struct err *err)
{
    struct invocation_record record;
    struct record_reader reader = record_reader_begin(bytes, "invocation", err);

    record.due_ms = record_read_u64(&reader);
    record.target = record_read_address(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}

void record_put_expiry(struct buf *buf, struct slice id)
{
    record_put_state(buf, id); /* one slice as well */
}

enum err_code record_get_expiry(struct slice bytes, struct slice *out_id, struct err *err)
{
    struct record_reader reader = record_reader_begin(bytes, "expiry", err);

    const struct slice id = record_read_slice(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out_id = id;
    return ERR_NONE;
}

void record_put_outbox(struct buf *buf, const struct outbox_record *record)
{
    const size_t size = 8 + 8 + record_address_bytes(&record->sender) + record_slice_bytes(record->value);
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_u64(&writer, record->number);
    record_write_u64(&writer, record->time_ms);
    record_write_address(&writer, &record->sender);
    record_write_slice(&writer, record->value);
    record_end(&writer, size);
}

enum err_code record_get_outbox(struct slice bytes, struct outbox_record *out, struct err *err)
{
    struct outbox_record record;
    struct record_reader reader = record_reader_begin(bytes, "outbox", err);

    record.number = record_read_u64(&reader);
    record.time_ms = record_read_u64(&reader);
    record.sender = record_read_address(&reader);
    record.value = record_read_slice(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}
