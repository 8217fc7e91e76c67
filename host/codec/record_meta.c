/* SPDX-License-Identifier: Apache-2.0
 *
 * record_meta.c: the records of table `meta`; the rest of record.h is in record.c.
 */
#include "record_internal.h"

enum { SPEC_FIXED_BYTES = 4 + 1 + 8 }; /* of a declared state, without its names */

size_t record_begin_type(struct buf *buf, const struct type_record *record)
{
    const size_t start = buf->size;
    struct writer writer = writer_begin(buf, FORMAT_BYTES + slice_bytes(record->space) + slice_bytes(record->name) + 4);

    if (writer.at == NULL) {
        return start;
    }
    put_u8(&writer, RECORD_FORMAT);
    put_slice(&writer, record->space);
    put_slice(&writer, record->name);
    put_u32(&writer, record->spec_count);
    check(writer.at == writer.end);
    return start;
}

void record_add_spec(struct buf *buf, const struct spec_record *spec)
{
    struct writer writer =
        writer_begin(buf, SPEC_FIXED_BYTES + slice_bytes(spec->spec.name) + slice_bytes(spec->spec.typename_));

    if (writer.at == NULL) {
        return;
    }
    put_u32(&writer, spec->state);
    put_u8(&writer, (uint8_t)spec->spec.mode);
    put_u64(&writer, (uint64_t)spec->spec.expire_ms);
    put_slice(&writer, spec->spec.name);
    put_slice(&writer, spec->spec.typename_);
    check(writer.at == writer.end);
}

void record_end_type(struct buf *buf, size_t start)
{
    record_seal(buf, start);
}

static void get_spec(struct reader *reader, struct spec_record *out)
{
    out->state = get_u32(reader);
    const uint8_t mode = get_u8(reader);
    out->spec.mode = (enum expiry_mode)mode;
    out->spec.expire_ms = (int64_t)get_u64(reader);
    out->spec.name = get_slice(reader);
    out->spec.typename_ = get_slice(reader);
    reader->is_bad = reader->is_bad || mode > EXPIRY_AFTER_INVOKE;
}

enum err_code record_get_type(struct slice bytes, struct type_record *out, struct record_cursor *out_specs,
                              struct err *err)
{
    struct type_record record;
    struct spec_record spec;
    struct reader reader = reader_begin(bytes, "type", err);

    record.space = get_slice(&reader);
    record.name = get_slice(&reader);
    record.spec_count = get_u32(&reader);
    const struct record_cursor specs = {{reader.at, reader.left}};
    for (uint32_t i = 0; i < record.spec_count && !reader.is_bad; i++) {
        get_spec(&reader, &spec);
    }
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    *out_specs = specs;
    return ERR_NONE;
}

enum err_code record_next_spec(struct record_cursor *cursor, struct spec_record *out, struct err *err)
{
    struct reader reader = reader_again(cursor->left);
    struct spec_record spec;

    get_spec(&reader, &spec);
    if (reader.is_bad) {
        return err_set(err, ERR_CORRUPT, "the type record holds no further state");
    }
    cursor->left = (struct slice){reader.at, reader.left};
    *out = spec;
    return ERR_NONE;
}

void record_put_egress(struct buf *buf, struct slice space, struct slice name)
{
    const size_t size = slice_bytes(space) + slice_bytes(name);
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_slice(&writer, space);
    put_slice(&writer, name);
    record_end(&writer, size);
}

enum err_code record_get_egress(struct slice bytes, struct slice *out_space, struct slice *out_name, struct err *err)
{
    struct reader reader = reader_begin(bytes, "egress", err);

    const struct slice space = get_slice(&reader);
    const struct slice name = get_slice(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out_space = space;
    *out_name = name;
    return ERR_NONE;
}

void record_put_store(struct buf *buf, const struct store_record *record)
{
    const size_t size = sizeof record->store_id + sizeof record->secret + 8;
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_bytes(&writer, record->store_id, sizeof record->store_id);
    put_bytes(&writer, record->secret.bytes, sizeof record->secret.bytes);
    put_u64(&writer, record->created_ms);
    record_end(&writer, size);
}

enum err_code record_get_store(struct slice bytes, struct store_record *out, struct err *err)
{
    struct reader reader = reader_begin(bytes, "store", err);

    const uint8_t *store_id = get_bytes(&reader, sizeof out->store_id);
    const uint8_t *secret = get_bytes(&reader, sizeof out->secret.bytes);
    const uint64_t created_ms = get_u64(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    memcpy(out->store_id, store_id, sizeof out->store_id);
    memcpy(out->secret.bytes, secret, sizeof out->secret.bytes);
    out->created_ms = created_ms;
    return ERR_NONE;
}

void record_put_epoch(struct buf *buf, const struct epoch_record *record)
{
    const size_t size = 8 + 8 + 8;
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_u64(&writer, record->number);
    put_u64(&writer, record->time_ms);
    put_u64(&writer, record->ceiling);
    record_end(&writer, size);
}

enum err_code record_get_epoch(struct slice bytes, struct epoch_record *out, struct err *err)
{
    struct epoch_record record;
    struct reader reader = reader_begin(bytes, "epoch", err);

    record.number = get_u64(&reader);
    record.time_ms = get_u64(&reader);
    record.ceiling = get_u64(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}

void record_put_journal(struct buf *buf, const struct journal_record *record)
{
    const size_t size = 8 + 8;
    struct writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    put_u64(&writer, record->turn);
    put_u64(&writer, record->next_turn);
    record_end(&writer, size);
}

enum err_code record_get_journal(struct slice bytes, struct journal_record *out, struct err *err)
{
    struct journal_record record;
    struct reader reader = reader_begin(bytes, "journal", err);

    record.turn = get_u64(&reader);
    record.next_turn = get_u64(&reader);
    if (reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}
