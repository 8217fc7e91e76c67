/* SPDX-License-Identifier: Apache-2.0
 *
 * record_internal.h: the frame of a record, and its fields one by one. For record*.c only.
 */
#pragma once

#include "check.h"
#include "hash.h"
#include "record.h"

enum {
    RECORD_FORMAT_BYTES = 1,
    RECORD_CRC_BYTES = 4,
    RECORD_FRAME_BYTES = RECORD_FORMAT_BYTES + RECORD_CRC_BYTES,
};

/* ---- writing: room for the whole is reserved once, then bytes are stored without a question --------------- */

struct record_writer {
    uint8_t *at; /* NULL: the buffer is full, nothing is written */
    uint8_t *end;
};

static inline struct record_writer record_writer_begin(struct buf *buf, size_t size)
{
    uint8_t *at = buf_reserve(buf, size);

    if (at == NULL) {
        return (struct record_writer){NULL, NULL};
    }
    buf->size += size;
    return (struct record_writer){at, at + size};
}

static inline void record_write_u8(struct record_writer *writer, uint8_t value)
{
    *writer->at++ = value;
}

static inline void record_write_u32(struct record_writer *writer, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};

    memcpy(writer->at, bytes, sizeof bytes);
    writer->at += sizeof bytes;
}

static inline void record_write_u64(struct record_writer *writer, uint64_t value)
{
    record_write_u32(writer, (uint32_t)value);
    record_write_u32(writer, (uint32_t)(value >> 32));
}

static inline void record_write_bytes(struct record_writer *writer, const void *bytes, size_t size)
{
    memcpy(writer->at, bytes, size);
    writer->at += size;
}

static inline void record_write_slice(struct record_writer *writer, struct slice slice)
{
    record_write_u32(writer, (uint32_t)slice.size);
    if (slice.size > 0) {
        record_write_bytes(writer, slice.data, slice.size);
    }
}

static inline void record_write_address(struct record_writer *writer, const struct address *address)
{
    record_write_slice(writer, address->space);
    record_write_slice(writer, address->name);
    record_write_slice(writer, address->id);
}

/* Bytes of a slice with its length. */
static inline size_t record_slice_bytes(struct slice slice)
{
    check(slice.size <= UINT32_MAX);
    return 4 + slice.size;
}

static inline size_t record_address_bytes(const struct address *address)
{
    return record_slice_bytes(address->space) + record_slice_bytes(address->name) + record_slice_bytes(address->id);
}

/* A record of `size` bytes of fields: room for all of it, the format byte written. */
static inline struct record_writer record_begin(struct buf *buf, size_t size)
{
    struct record_writer writer = record_writer_begin(buf, RECORD_FRAME_BYTES + size);

    if (writer.at != NULL) {
        record_write_u8(&writer, RECORD_FORMAT);
    }
    return writer;
}

/* The checksum over all `size` bytes of fields and the format byte; they must have been filled exactly. */
static inline void record_end(struct record_writer *writer, size_t size)
{
    check(writer->end - writer->at == RECORD_CRC_BYTES);
    const struct slice covered = {writer->at - size - RECORD_FORMAT_BYTES, RECORD_FORMAT_BYTES + size};
    record_write_u32(writer, hash_crc32c(0, covered));
}

/* The checksum of a record that was written in several pieces from `start` on. */
static inline void record_seal(struct buf *buf, size_t start)
{
    if (buf->overflow) {
        return;
    }
    check(start < buf->size);
    const uint32_t crc = hash_crc32c(0, (struct slice){buf->data + start, buf->size - start});
    struct record_writer writer = record_writer_begin(buf, RECORD_CRC_BYTES);
    if (writer.at != NULL) {
        record_write_u32(&writer, crc);
    }
}

/* ---- reading: every length is checked; once short, all that follows is zero ------------------------------- */

struct record_reader {
    const uint8_t *at;
    size_t left;
    const char *what;    /* kind of record, for sentences */
    enum err_code frame; /* what is wrong with the frame; ERR_NONE: nothing */
    bool is_bad;         /* sticky: a bad frame, too short, or a value that is never written */
};

static inline const uint8_t *record_read_bytes(struct record_reader *reader, size_t size)
{
    if (reader->is_bad || size > reader->left) {
        reader->is_bad = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    reader->left -= size;
    return at;
}

static inline uint8_t record_read_u8(struct record_reader *reader)
{
    const uint8_t *at = record_read_bytes(reader, 1);

    return at == NULL ? 0 : at[0];
}

static inline bool record_read_bool(struct record_reader *reader)
{
    const uint8_t value = record_read_u8(reader);

    reader->is_bad = reader->is_bad || value > 1;
    return value == 1;
}

static inline uint32_t record_read_u32(struct record_reader *reader)
{
    const uint8_t *at = record_read_bytes(reader, 4);

    if (at == NULL) {
        return 0;
    }
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static inline uint64_t record_read_u64(struct record_reader *reader)
{
    const uint64_t low = record_read_u32(reader);

    return (uint64_t)record_read_u32(reader) << 32 | low;
}

static inline struct slice record_read_slice(struct record_reader *reader)
{
    const uint32_t size = record_read_u32(reader);
    const uint8_t *at = record_read_bytes(reader, size);

    return at == NULL || size == 0 ? SLICE_EMPTY : (struct slice){at, size};
}

static inline struct address record_read_address(struct record_reader *reader)
{
    struct address address;

    address.space = record_read_slice(reader);
    address.name = record_read_slice(reader);
    address.id = record_read_slice(reader);
    return address;
}

/* The checksum comes first: a newer format promises only that it and the format byte stay. */
static inline enum err_code record_check_frame(struct slice bytes, const char *what, struct err *err)
{
    if (bytes.size < RECORD_FRAME_BYTES) {
        return err_set(err, ERR_CORRUPT, "the %s record has only %zu bytes", what, bytes.size);
    }
    const struct slice covered = {bytes.data, bytes.size - RECORD_CRC_BYTES};
    struct record_reader tail = {.at = bytes.data + covered.size, .left = RECORD_CRC_BYTES};
    if (record_read_u32(&tail) != hash_crc32c(0, covered)) {
        return err_set(err, ERR_CORRUPT, "the %s record of %zu bytes fails its checksum", what, bytes.size);
    }
    const uint8_t format = bytes.data[0];
    if (format > RECORD_FORMAT) {
        return err_set(err, ERR_NEWER_FORMAT, "the %s record has format %u; this version reads up to %u", what, format,
                       RECORD_FORMAT);
    }
    if (format == 0) {
        return err_set(err, ERR_CORRUPT, "the %s record has format 0, which never existed", what);
    }
    return ERR_NONE;
}

/* A reader of the fields within the frame. If that is bad, *err says why, they are all zero, and so does
 * record_reader_end. */
static inline struct record_reader record_reader_begin(struct slice bytes, const char *what, struct err *err)
{
    const enum err_code frame = record_check_frame(bytes, what, err);

    if (frame != ERR_NONE) {
        return (struct record_reader){.what = what, .frame = frame, .is_bad = true};
    }
    return (struct record_reader){
        .at = bytes.data + RECORD_FORMAT_BYTES, .left = bytes.size - RECORD_FRAME_BYTES, .what = what};
}

/* A reader of fields that were read once already. */
static inline struct record_reader record_reader_again(struct slice fields)
{
    return (struct record_reader){.at = fields.data, .left = fields.size};
}

/* Nothing that was read counts unless this is ERR_NONE. */
static inline enum err_code record_reader_end(const struct record_reader *reader, struct err *err)
{
    if (reader->frame != ERR_NONE) {
        return reader->frame;
    }
    if (reader->is_bad) {
        return err_set(err, ERR_CORRUPT, "the %s record ends too early or holds an impossible value", reader->what);
    }
    if (reader->left != 0) {
        return err_set(err, ERR_CORRUPT, "the %s record has %zu bytes too many", reader->what, reader->left);
    }
    return ERR_NONE;
}
