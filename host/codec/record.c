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
    return 8 + 8 + address_field_bytes(&envelope->target) + address_field_bytes(&envelope->caller) +
           slice_bytes(envelope->value) + slice_bytes(envelope->traceparent) + slice_bytes(envelope->token);
}

static void put_envelope(struct writer *writer, const struct envelope *envelope)
{
    put_u64(writer, envelope->number);
    put_u64(writer, envelope->time_ms);
    put_address(writer, &envelope->target);
    put_address(writer, &envelope->caller);
    put_slice(writer, envelope->value);
    put_slice(writer, envelope->traceparent);
    put_slice(writer, envelope->token);
}

static void get_envelope(struct reader *reader, struct envelope *out)
{
    out->number = get_u64(reader);
    out->time_ms = get_u64(reader);
    out->target = get_address(reader);
    out->caller = get_address(reader);
    out->value = get_slice(reader);
    out->traceparent = get_slice(reader);
    out->token = get_slice(reader);
}

void record_put_envelope(struct buf *buf, const struct envelope *envelope)
{
    const size_t size = envelope_bytes(envelope);
    struct writer writer = record_begin(buf, size);

    if (writer.at != NULL) {
        put_envelope(&writer, envelope);
        record_end(&writer, size);
    }
}

enum err_code record_get_envelope(struct slice bytes, struct envelope *out, struct err *err)
{
    struct envelope envelope;
    struct reader reader = reader_begin(bytes, "envelope", err);

    get_envelope(&reader, &envelope);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = envelope;
    return ERR_NONE;
}

void record_put_parked(struct buf *buf, const struct parked *parked)
{
    const size_t size =
        envelope_bytes(&parked->envelope) + 4 + 8 + slice_bytes(parked->reason) + slice_bytes(parked->text);
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_envelope(&writer, &parked->envelope);
    put_u32(&writer, parked->attempts);
    put_u64(&writer, parked->parked_ms);
    put_slice(&writer, parked->reason);
    put_slice(&writer, parked->text);
    record_end(&writer, size);
}

enum err_code record_get_parked(struct slice bytes, struct parked *out, struct err *err)
{
    struct parked parked;
    struct reader reader = reader_begin(bytes, "parked", err);

    get_envelope(&reader, &parked.envelope);
    parked.attempts = get_u32(&reader);
    parked.parked_ms = get_u64(&reader);
    parked.reason = get_slice(&reader);
    parked.text = get_slice(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = parked;
    return ERR_NONE;
}

/* ---- instance and state ------------------------------------------------------------------------------------- */

size_t record_begin_instance(struct buf *buf, const struct instance_record *record)
{
    const size_t start = buf->size;
    struct writer writer = writer_begin(buf, FORMAT_BYTES + INSTANCE_FIXED_BYTES + slice_bytes(record->id));

    if (writer.at == NULL) {
        return start;
    }
    put_u8(&writer, RECORD_FORMAT);
    put_u64(&writer, record->created_ms);
    put_u64(&writer, record->touched_ms);
    put_u64(&writer, record->armed_ms);
    put_u8(&writer, record->is_paused ? 1 : 0);
    put_slice(&writer, record->id);
    put_u32(&writer, record->state_count);
    check(writer.at == writer.end);
    return start;
}

void record_add_state(struct buf *buf, const struct state_value *value)
{
    check(!value->is_large || value->value.size == 0);
    struct writer writer = writer_begin(buf, STATE_FIXED_BYTES + slice_bytes(value->value));

    if (writer.at == NULL) {
        return;
    }
    put_u32(&writer, value->state);
    put_u8(&writer, value->is_large ? 1 : 0);
    put_u64(&writer, value->written_ms);
    put_slice(&writer, value->value);
    check(writer.at == writer.end);
}

void record_end_instance(struct buf *buf, size_t start)
{
    record_seal(buf, start);
}

static void get_state(struct reader *reader, struct state_value *out)
{
    out->state = get_u32(reader);
    out->is_large = get_bool(reader);
    out->written_ms = get_u64(reader);
    out->value = get_slice(reader);
    reader->is_bad = reader->is_bad || (out->is_large && out->value.size > 0);
}

enum err_code record_get_instance(struct slice bytes, struct instance_record *out, struct record_cursor *out_states,
                                  struct err *err)
{
    struct instance_record record;
    struct state_value state;
    struct reader reader = reader_begin(bytes, "instance", err);

    record.created_ms = get_u64(&reader);
    record.touched_ms = get_u64(&reader);
    record.armed_ms = get_u64(&reader);
    record.is_paused = get_bool(&reader);
    record.id = get_slice(&reader);
    record.state_count = get_u32(&reader);
    const struct record_cursor states = {{reader.at, reader.left}};
    for (uint32_t i = 0; i < record.state_count && !reader.is_bad; i++) {
        get_state(&reader, &state);
    }
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    *out_states = states;
    return ERR_NONE;
}

enum err_code record_next_state(struct record_cursor *cursor, struct state_value *out, struct err *err)
{
    struct reader reader = reader_again(cursor->left);
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
    const size_t size = slice_bytes(value);
    struct writer writer = record_begin(buf, size);

    if (writer.at != NULL) {
        put_slice(&writer, value);
        record_end(&writer, size);
    }
}

enum err_code record_get_state(struct slice bytes, struct slice *out_value, struct err *err)
{
    struct reader reader = reader_begin(bytes, "state", err);

    const struct slice value = get_slice(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out_value = value;
    return ERR_NONE;
}

/* ---- token, invocation, expiry, outbox ------------------------------------------------------------------------ */

void record_put_token(struct buf *buf, const struct token_record *record)
{
    const size_t size = slice_bytes(record->token) + 8 + 8;
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_slice(&writer, record->token);
    put_u64(&writer, record->due_ms);
    put_u64(&writer, record->number);
    record_end(&writer, size);
}

enum err_code record_get_token(struct slice bytes, struct token_record *out, struct err *err)
{
    struct token_record record;
    struct reader reader = reader_begin(bytes, "token", err);

    record.token = get_slice(&reader);
    record.due_ms = get_u64(&reader);
    record.number = get_u64(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}

void record_put_invocation(struct buf *buf, const struct invocation_record *record)
{
    const size_t size = 8 + address_field_bytes(&record->target);
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_u64(&writer, record->due_ms);
    put_address(&writer, &record->target);
    record_end(&writer, size);
}

enum err_code record_get_invocation(struct slice bytes, struct invocation_record *out, struct err *err)
{
    struct invocation_record record;
    struct reader reader = reader_begin(bytes, "invocation", err);

    record.due_ms = get_u64(&reader);
    record.target = get_address(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
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
    struct reader reader = reader_begin(bytes, "expiry", err);

    const struct slice id = get_slice(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out_id = id;
    return ERR_NONE;
}

void record_put_outbox(struct buf *buf, const struct outbox_record *record)
{
    const size_t size = 8 + 8 + address_field_bytes(&record->sender) + slice_bytes(record->value);
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_u64(&writer, record->number);
    put_u64(&writer, record->time_ms);
    put_address(&writer, &record->sender);
    put_slice(&writer, record->value);
    record_end(&writer, size);
}

enum err_code record_get_outbox(struct slice bytes, struct outbox_record *out, struct err *err)
{
    struct outbox_record record;
    struct reader reader = reader_begin(bytes, "outbox", err);

    record.number = get_u64(&reader);
    record.time_ms = get_u64(&reader);
    record.sender = get_address(&reader);
    record.value = get_slice(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}
