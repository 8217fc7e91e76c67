/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls, typed values and scalars: the few fields are written and read tag by tag. A call goes out for each
 * batch, so it is measured first and then stored into one piece of the buffer; protobuf-c is the oracle of
 * the tests. Answers are in wire_result.c.
 */
#include "wire.h"

#include "check.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_BYTES = 2, WIRE_32_BITS = 5 };

enum {
    VARINT_BYTES_MAX = 10,
    SHORT_VARINT_BYTES_MAX = 5, /* of a tag or a length, which have 32 bits: some readers take no more */
    STORE_ID_HEX_BYTES = 32,
    /* Tags of one byte: field number, wire type. */
    TAG_ADDRESS_SPACE = 1 << 3 | WIRE_BYTES,
    TAG_ADDRESS_NAME = 2 << 3 | WIRE_BYTES,
    TAG_ADDRESS_ID = 3 << 3 | WIRE_BYTES,
    TAG_BATCH_TARGET = 1 << 3 | WIRE_BYTES,
    TAG_BATCH_STATE = 2 << 3 | WIRE_BYTES,
    TAG_BATCH_MESSAGE = 3 << 3 | WIRE_BYTES,
    TAG_STATE_NAME = 1 << 3 | WIRE_BYTES,
    TAG_STATE_VALUE = 2 << 3 | WIRE_BYTES,
    TAG_MESSAGE_CALLER = 1 << 3 | WIRE_BYTES,
    TAG_MESSAGE_ARGUMENT = 2 << 3 | WIRE_BYTES,
    TAG_VALUE_TYPENAME = 1 << 3 | WIRE_BYTES,
    TAG_VALUE_HAS_VALUE = 2 << 3 | WIRE_VARINT,
    TAG_VALUE_VALUE = 3 << 3 | WIRE_BYTES,
    /* Tags of two bytes. */
    TAG_CALL_BATCH = 100 << 3 | WIRE_BYTES,
    TAG_MESSAGE_ID = 110 << 3 | WIRE_BYTES,
    TAG_MESSAGE_TRACEPARENT = 111 << 3 | WIRE_BYTES,
};

/* ---- measuring and writing -------------------------------------------------------------------------------- */

static size_t varint_bytes(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7) {
        size++;
    }
    return size;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

/* Bytes of a field of `size` bytes: tag, length, content. */
static size_t field_bytes(uint32_t tag, size_t size)
{
    return varint_bytes(tag) + varint_bytes(size) + size;
}

/* The same, but proto3 leaves an empty string out. */
static size_t text_bytes(uint32_t tag, struct slice text)
{
    return text.size == 0 ? 0 : field_bytes(tag, text.size);
}

static uint8_t *put_head(uint8_t *at, uint32_t tag, size_t size)
{
    return put_varint(put_varint(at, tag), size);
}

static uint8_t *put_field(uint8_t *at, uint32_t tag, struct slice content)
{
    at = put_head(at, tag, content.size);
    if (content.size > 0) {
        memcpy(at, content.data, content.size);
    }
    return at + content.size;
}

static uint8_t *put_text(uint8_t *at, uint32_t tag, struct slice text)
{
    return text.size == 0 ? at : put_field(at, tag, text);
}

/* ---- calls -------------------------------------------------------------------------------------------------- */

static size_t address_field_bytes(const struct address *address)
{
    return text_bytes(TAG_ADDRESS_SPACE, address->space) + text_bytes(TAG_ADDRESS_NAME, address->name) +
           text_bytes(TAG_ADDRESS_ID, address->id);
}

static uint8_t *put_address(uint8_t *at, uint32_t tag, const struct address *address)
{
    at = put_head(at, tag, address_field_bytes(address));
    at = put_text(at, TAG_ADDRESS_SPACE, address->space);
    at = put_text(at, TAG_ADDRESS_NAME, address->name);
    return put_text(at, TAG_ADDRESS_ID, address->id);
}

/* A registered but unset state has no value field at all (R21). */
static size_t state_bytes(const struct call_state *state)
{
    return text_bytes(TAG_STATE_NAME, state->name) + text_bytes(TAG_STATE_VALUE, state->value);
}

static uint8_t *put_state(uint8_t *at, const struct call_state *state)
{
    at = put_head(at, TAG_BATCH_STATE, state_bytes(state));
    at = put_text(at, TAG_STATE_NAME, state->name);
    return put_text(at, TAG_STATE_VALUE, state->value);
}

static size_t message_id_bytes(uint64_t number)
{
    size_t digits = 1;

    for (; number >= 10; number /= 10) {
        digits++;
    }
    return STORE_ID_HEX_BYTES + 1 + digits;
}

static uint8_t *put_message_id(uint8_t *at, uint64_t number, const char *store_id_hex)
{
    const size_t size = message_id_bytes(number);

    at = put_head(at, TAG_MESSAGE_ID, size);
    memcpy(at, store_id_hex, STORE_ID_HEX_BYTES);
    at[STORE_ID_HEX_BYTES] = '-';
    for (size_t i = size - 1; i > STORE_ID_HEX_BYTES; i--) {
        at[i] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    return at + size;
}

/* No caller: no field, an empty address would be one to Go (R19). The argument always stands, even if empty. */
static size_t message_bytes(const struct call_message *message, bool knows_partial)
{
    size_t size = field_bytes(TAG_MESSAGE_ARGUMENT, message->value.size);

    if (!address_is_empty(&message->caller)) {
        size += field_bytes(TAG_MESSAGE_CALLER, address_field_bytes(&message->caller));
    }
    if (knows_partial) {
        size += field_bytes(TAG_MESSAGE_ID, message_id_bytes(message->number));
        size += text_bytes(TAG_MESSAGE_TRACEPARENT, message->traceparent);
    }
    return size;
}

/* `store_id_hex` is NULL for a function that does not know `partial`: it gets no message ids and trace contexts. */
static uint8_t *put_message(uint8_t *at, const struct call_message *message, const char *store_id_hex)
{
    at = put_head(at, TAG_BATCH_MESSAGE, message_bytes(message, store_id_hex != NULL));
    if (!address_is_empty(&message->caller)) {
        at = put_address(at, TAG_MESSAGE_CALLER, &message->caller);
    }
    at = put_field(at, TAG_MESSAGE_ARGUMENT, message->value);
    if (store_id_hex != NULL) {
        at = put_message_id(at, message->number, store_id_hex);
        at = put_text(at, TAG_MESSAGE_TRACEPARENT, message->traceparent);
    }
    return at;
}

void wire_put_call(struct buf *buf, const struct effect_call *call, const char *store_id_hex)
{
    size_t batch_bytes = field_bytes(TAG_BATCH_TARGET, address_field_bytes(&call->target));

    check(!call->knows_partial || strlen(store_id_hex) == STORE_ID_HEX_BYTES);
    for (uint32_t i = 0; i < call->state_count; i++) {
        batch_bytes += field_bytes(TAG_BATCH_STATE, state_bytes(&call->states[i]));
    }
    for (uint32_t i = 0; i < call->message_count; i++) {
        batch_bytes += field_bytes(TAG_BATCH_MESSAGE, message_bytes(&call->messages[i], call->knows_partial));
    }
    const size_t size = field_bytes(TAG_CALL_BATCH, batch_bytes);
    uint8_t *const start = buf_reserve(buf, size);
    if (start == NULL) {
        return;
    }
    uint8_t *at = put_head(start, TAG_CALL_BATCH, batch_bytes);
    at = put_address(at, TAG_BATCH_TARGET, &call->target);
    for (uint32_t i = 0; i < call->state_count; i++) {
        at = put_state(at, &call->states[i]);
    }
    for (uint32_t i = 0; i < call->message_count; i++) {
        at = put_message(at, &call->messages[i], call->knows_partial ? store_id_hex : NULL);
    }
    check(at == start + size);
    buf->size += size;
}

/* ---- reading fields ------------------------------------------------------------------------------------------- */

/* One field of a message. */
struct field {
    uint32_t number;
    enum wire_type type;
    uint64_t integer;     /* of the three number types, as its bits */
    struct slice content; /* of WIRE_BYTES */
};

static bool get_varint(struct slice *left, size_t bytes_max, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < left->size && i < bytes_max; i++) {
        const uint8_t byte = left->data[i];
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *left = slice_from(*left, i + 1);
            *out = value;
            return true;
        }
    }
    return false;
}

static bool get_fixed(struct slice *left, size_t size, uint64_t *out)
{
    uint64_t value = 0;

    if (left->size < size) {
        return false;
    }
    for (size_t i = size; i > 0; i--) {
        value = value << 8 | left->data[i - 1];
    }
    *left = slice_from(*left, size);
    *out = value;
    return true;
}

/* Takes one field off `left`; false if it is malformed or a group. */
static bool get_field(struct slice *left, struct field *out)
{
    uint64_t tag;
    uint64_t size;

    if (!get_varint(left, SHORT_VARINT_BYTES_MAX, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) {
        return false;
    }
    *out = (struct field){.number = (uint32_t)(tag >> 3)};
    switch (tag & 7) {
    case WIRE_VARINT:
        out->type = WIRE_VARINT;
        return get_varint(left, VARINT_BYTES_MAX, &out->integer);
    case WIRE_64_BITS:
        out->type = WIRE_64_BITS;
        return get_fixed(left, 8, &out->integer);
    case WIRE_32_BITS:
        out->type = WIRE_32_BITS;
        return get_fixed(left, 4, &out->integer);
    case WIRE_BYTES:
        out->type = WIRE_BYTES;
        if (!get_varint(left, SHORT_VARINT_BYTES_MAX, &size) || size > left->size) {
            return false;
        }
        out->content = (struct slice){left->data, (size_t)size};
        *left = slice_from(*left, (size_t)size);
        return true;
    default:
        return false;
    }
}

/* ---- typed values --------------------------------------------------------------------------------------------- */

enum err_code wire_get_typed_value(struct slice bytes, struct typed_value *out, struct err *err)
{
    struct typed_value value = {SLICE_EMPTY, false, SLICE_EMPTY};
    struct slice left = bytes;
    struct field field;

    while (left.size > 0) {
        if (!get_field(&left, &field)) {
            return err_set(err, ERR_BAD_VALUE, "a TypedValue of %zu bytes is malformed", bytes.size);
        }
        if (field.number > 3) {
            continue; /* unknown here, kept by whoever keeps the bytes */
        }
        if (field.type != (field.number == 2 ? WIRE_VARINT : WIRE_BYTES)) {
            return err_set(err, ERR_BAD_VALUE, "field %u of a TypedValue has the wrong wire type", field.number);
        }
        if (field.number == 1) {
            value.typename_ = field.content;
        } else if (field.number == 2) {
            value.has_value = field.integer != 0;
        } else {
            value.value = field.content;
        }
    }
    if (value.typename_.size > LIMIT_TYPENAME_BYTES_MAX) {
        return err_set(err, ERR_BAD_VALUE, "the typename of a value has %zu bytes; at most %d are taken",
                       value.typename_.size, LIMIT_TYPENAME_BYTES_MAX);
    }
    if (!slice_is_utf8_text(value.typename_)) {
        return err_set(err, ERR_BAD_VALUE, "the typename of a value is not UTF-8 text without NUL");
    }
    *out = value;
    return ERR_NONE;
}

void wire_put_typed_value(struct buf *buf, const struct typed_value *value)
{
    const size_t size = text_bytes(TAG_VALUE_TYPENAME, value->typename_) + (value->has_value ? 2 : 0) +
                        text_bytes(TAG_VALUE_VALUE, value->value);
    uint8_t *at = size == 0 ? NULL : buf_reserve(buf, size);

    if (at == NULL) {
        return;
    }
    at = put_text(at, TAG_VALUE_TYPENAME, value->typename_);
    if (value->has_value) {
        *at++ = TAG_VALUE_HAS_VALUE;
        *at++ = 1;
    }
    (void)put_text(at, TAG_VALUE_VALUE, value->value); /* measured above, so the end is known */
    buf->size += size;
}

/* ---- scalars -------------------------------------------------------------------------------------------------- */

static const struct scalar_type {
    const char *typename_;
    enum wire_type type;
} scalar_types[SCALAR_COUNT] = {
    [SCALAR_BOOL] = {"io.statefun.types/bool", WIRE_VARINT},
    [SCALAR_INT] = {"io.statefun.types/int", WIRE_32_BITS},
    [SCALAR_LONG] = {"io.statefun.types/long", WIRE_64_BITS},
    [SCALAR_FLOAT] = {"io.statefun.types/float", WIRE_32_BITS},
    [SCALAR_DOUBLE] = {"io.statefun.types/double", WIRE_64_BITS},
    [SCALAR_STRING] = {"io.statefun.types/string", WIRE_BYTES},
};

struct slice wire_scalar_typename(enum scalar scalar)
{
    check(scalar < SCALAR_COUNT);
    return slice_of(scalar_types[scalar].typename_);
}

enum scalar wire_scalar_of(struct slice typename_)
{
    enum scalar scalar = SCALAR_BOOL;

    while (scalar < SCALAR_COUNT && !slice_equal(typename_, wire_scalar_typename(scalar))) {
        scalar++;
    }
    return scalar;
}

/* The bits that stand on the wire. Only all zero bits are left out: a negative zero has bytes. */
static uint64_t scalar_bits(const struct scalar_value *value)
{
    uint64_t bits = 0;
    uint32_t narrow = 0;
    float single = 0;

    switch (value->kind) {
    case SCALAR_BOOL:
        return value->boolean ? 1 : 0;
    case SCALAR_INT:
        check(value->integer >= INT32_MIN && value->integer <= INT32_MAX);
        return (uint32_t)(int32_t)value->integer;
    case SCALAR_LONG:
        return (uint64_t)value->integer;
    case SCALAR_FLOAT:
        single = (float)value->number;
        memcpy(&narrow, &single, sizeof narrow);
        return narrow;
    case SCALAR_DOUBLE:
        memcpy(&bits, &value->number, sizeof bits);
        return bits;
    case SCALAR_STRING:
    case SCALAR_COUNT:
        break;
    }
    check_failed("a scalar that is a number", __FILE__, __LINE__);
}

void wire_put_scalar(struct buf *buf, const struct scalar_value *value)
{
    check(value->kind < SCALAR_COUNT);
    const enum wire_type type = scalar_types[value->kind].type;
    const uint32_t tag = 1 << 3 | (uint32_t)type;

    if (value->kind == SCALAR_STRING) {
        const size_t size = text_bytes(tag, value->text);
        uint8_t *at = size == 0 ? NULL : buf_reserve(buf, size);
        if (at != NULL) {
            (void)put_text(at, tag, value->text); /* measured above, so the end is known */
            buf->size += size;
        }
        return;
    }
    uint64_t bits = scalar_bits(value);
    if (bits == 0) {
        return;
    }
    const size_t size = type == WIRE_VARINT ? 1 : type == WIRE_32_BITS ? 4 : 8;
    buf_append_u8(buf, (uint8_t)tag);
    for (size_t i = 0; i < size; i++) {
        buf_append_u8(buf, (uint8_t)bits);
        bits >>= 8;
    }
}

void wire_put_scalar_value(struct buf *buf, const struct scalar_value *value)
{
    struct buf message;

    buf_init(&message, buf->bytes_max);
    wire_put_scalar(&message, value);
    wire_put_typed_value(buf, &(struct typed_value){.typename_ = wire_scalar_typename(value->kind),
                                                    .has_value = true,
                                                    .value = buf_slice(&message)});
    buf->overflow = buf->overflow || message.overflow;
    buf_done(&message);
}

/* What the bits of a number mean. */
static void scalar_from_bits(enum scalar kind, uint64_t bits, struct scalar_value *out)
{
    const uint32_t narrow = (uint32_t)bits;
    float single;

    switch (kind) {
    case SCALAR_BOOL:
        out->boolean = bits != 0;
        break;
    case SCALAR_INT:
        out->integer = (int32_t)narrow;
        break;
    case SCALAR_LONG:
        out->integer = (int64_t)bits;
        break;
    case SCALAR_FLOAT:
        memcpy(&single, &narrow, sizeof single);
        out->number = (double)single;
        break;
    case SCALAR_DOUBLE:
        memcpy(&out->number, &bits, sizeof out->number);
        break;
    case SCALAR_STRING:
    case SCALAR_COUNT:
        check_failed("a scalar that is a number", __FILE__, __LINE__);
    }
}

enum err_code wire_get_scalar(enum scalar kind, struct slice bytes, struct scalar_value *out, struct err *err)
{
    check(kind < SCALAR_COUNT);
    const struct scalar_type *type = &scalar_types[kind];
    struct field last = {.number = 1, .type = type->type}; /* absent: zero, false or no text */
    struct slice left = bytes;
    struct field field;

    while (left.size > 0) {
        if (!get_field(&left, &field)) {
            return err_set(err, ERR_BAD_VALUE, "the %zu bytes are not a value of %s", bytes.size, type->typename_);
        }
        if (field.number != 1) {
            continue;
        }
        if (field.type != type->type) {
            return err_set(err, ERR_BAD_VALUE, "field 1 has the wrong wire type for %s", type->typename_);
        }
        last = field;
    }
    if (kind == SCALAR_STRING && !slice_is_utf8(last.content)) {
        return err_set(err, ERR_BAD_VALUE, "the text of a %s is not UTF-8", type->typename_);
    }
    out->kind = kind;
    if (kind == SCALAR_STRING) {
        out->text = last.content;
    } else {
        scalar_from_bits(kind, last.integer, out);
    }
    return ERR_NONE;
}
