/* SPDX-License-Identifier: Apache-2.0
 *
 * record_meta.c: the records of table `meta`; the rest of record.h is in record.c.
 */
#include "record_internal.h"

enum { SPEC_FIXED_BYTES = 4 + 1 + 8 }; /* of a declared state, without its names */

size_t record_begin_type(struct buf *buf, const struct type_record *record)
{
    const size_t start = buf->size;
    struct record_writer writer = record_writer_begin(buf, RECORD_FORMAT_BYTES + record_slice_bytes(record->space) +
                                                               record_slice_bytes(record->name) + 4);

    if (writer.at == NULL) {
        return start;
    }
    record_write_u8(&writer, RECORD_FORMAT);
    record_write_slice(&writer, record->space);
    record_write_slice(&writer, record->name);
    record_write_u32(&writer, record->spec_count);
    check(writer.at == writer.end);
    return start;
}

void record_add_spec(struct buf *buf, const struct spec_record *spec)
{
    struct record_writer writer = record_writer_begin(buf, SPEC_FIXED_BYTES + record_slice_bytes(spec->spec.name) +
                                                               record_slice_bytes(spec->spec.typename_));

    if (writer.at == NULL) {
        return;
    }
    record_write_u32(&writer, spec->state);
    record_write_u8(&writer, (uint8_t)spec->spec.mode);
    record_write_u64(&writer, (uint64_t)spec->spec.expire_ms);
    record_write_slice(&writer, spec->spec.name);
    record_write_slice(&writer, spec->spec.typename_);
    check(writer.at == writer.end);
}

void record_end_type(struct buf *buf, size_t start)
{
    record_seal(buf, start);
}

static void get_spec(struct record_reader *reader, struct spec_record *out)
{
    out->state = record_read_u32(reader);
    const uint8_t mode = record_read_u8(reader);
    out->spec.mode = (enum expiry_mode)mode;
    out->spec.expire_ms = (int64_t)record_read_u64(reader);
    out->spec.name = record_read_slice(reader);
    out->spec.typename_ = record_read_slice(reader);
    reader->is_bad = reader->is_bad || mode > EXPIRY_AFTER_INVOKE;
}

enum err_code record_get_type(struct slice bytes, struct type_record *out, struct record_cursor *out_specs,
                              struct err *err)
{
    struct type_record record;
    struct spec_record spec;
    struct record_reader reader = record_reader_begin(bytes, "type", err);

    record.space = record_read_slice(&reader);
    record.name = record_read_slice(&reader);
    record.spec_count = record_read_u32(&reader);
    const struct record_cursor specs = {{reader.at, reader.left}};
    for (uint32_t i = 0; i < record.spec_count && !reader.is_bad; i++) {
        get_spec(&reader, &spec);
    }
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    *out_specs = specs;
    return ERR_NONE;
}

enum err_code record_next_spec(struct record_cursor *cursor, struct spec_record *out, struct err *err)
{
    struct record_reader reader = record_reader_again(cursor->left);
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
    const size_t size = record_slice_bytes(space) + record_slice_bytes(name);
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_slice(&writer, space);
    record_write_slice(&writer, name);
    record_end(&writer, size);
}

enum err_code record_get_egress(struct slice bytes, struct slice *out_space, struct slice *out_name, struct err *err)
{
    struct record_reader reader = record_reader_begin(bytes, "egress", err);

    const struct slice space = record_read_slice(&reader);
    const struct slice name = record_read_slice(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out_space = space;
    *out_name = name;
    return ERR_NONE;
}

void record_put_store(struct buf *buf, const struct store_record *record)
{
    const size_t size = sizeof record->store_id + sizeof record->secret + 8;
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_bytes(&writer, record->store_id, sizeof record->store_id);
    record_write_bytes(&writer, record->secret.bytes, sizeof record->secret.bytes);
    record_write_u64(&writer, record->created_ms);
    record_end(&writer, size);
}

enum err_code record_get_store(struct slice bytes, struct store_record *out, struct err *err)
{
    struct record_reader reader = record_reader_begin(bytes, "store", err);

    const uint8_t *store_id = record_read_bytes(&reader, sizeof out->store_id);
    const uint8_t *secret = record_read_bytes(&reader, sizeof out->secret.bytes);
    const uint64_t created_ms = record_read_u64(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
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
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_u64(&writer, record->number);
    record_write_u64(&writer, record->time_ms);
    record_write_u64(&writer, record->ceiling);
    record_end(&writer, size);
}

enum err_code record_get_epoch(struct slice bytes, struct epoch_record *out, struct err *err)
{
    struct epoch_record record;
    struct record_reader reader = record_reader_begin(bytes, "epoch", err);

    record.number = record_read_u64(&reader);
    record.time_ms = record_read_u64(&reader);
    record.ceiling = record_read_u64(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}

void record_put_journal(struct buf *buf, const struct journal_record *record)
{
    const size_t size = 8 + 8;
    struct record_writer writer = record_begin(buf, size);

    if (writer.at == NULL) {
        return;
    }
    record_write_u64(&writer, record->turn);
    record_write_u64(&writer, record->next_turn);
    record_end(&writer, size);
}

enum err_code record_get_journal(struct slice bytes, struct journal_record *out, struct err *err)
{
    struct journal_record record;
    struct record_reader reader = record_reader_begin(bytes, "journal", err);

    record.turn = record_read_u64(&reader);
    record.next_turn = record_read_u64(&reader);
    if (record_reader_end(&reader, err) != ERR_NONE) {
        return err->code;
    }
    *out = record;
    return ERR_NONE;
}
