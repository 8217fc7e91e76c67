/* SPDX-License-Identifier: Apache-2.0
 *
 * A record, little-endian, offsets in bytes: 0 magic, 4 CRC-32C of what follows it, 8 format, 12 count of operations,
 * 16 turn, 24 number of the epoch, 32 number of the epoch before it, 40 bytes of operations, 48 operations, zeros up to
 * a whole page. An operation: kind (1 byte), table (1), bytes of the key (2), bytes of the value (4), key, value.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "hash.h"

enum {
    FILES = 2,
    FORMAT = 1,
    HEADER_BYTES = 48,
    OP_HEADER_BYTES = 8,
    CRC_FROM = 8,          /* the checksum is over what follows it */
    GROW_BYTES = 1 << 20,  /* a file grows by so many zeros at a time: a sync of new blocks takes longer */
    KEPT_BYTES = 32 << 20, /* what a turn took beyond that is given back at the file's next turn */
    FILE_MODE = 0640,
};
#define RECORD_BYTES_MAX ((size_t)4 << 30) /* an epoch is far smaller: this only tells a bug */
static const uint8_t magic[4] = {'P', 'R', 'O', 'J'};

struct file {
    int fd; /* -1: there is none */
    uint64_t size;
};

struct journal {
    struct file files[FILES];
    uint32_t current;
    uint64_t used;
    uint64_t newest; /* number of the newest epoch in the store: each record names the one before it */
    uint64_t turn;   /* the secret of the current turn */
    bool is_durable;
    struct buf record;
};

/* The beginning of a record, as read. */
struct header {
    uint64_t turn;
    uint64_t number;
    uint64_t before; /* number of the epoch before it */
    uint32_t op_count;
    uint64_t op_bytes;
};

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static void put_number(uint8_t *at, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = bytes; i-- > 0;) {
        number = number << 8 | at[i];
    }
    return number;
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + JOURNAL_PAGE_BYTES - 1) / JOURNAL_PAGE_BYTES * JOURNAL_PAGE_BYTES;
}

/* Encodes the epoch into journal->record. */
static void encode(struct journal *journal, const struct epoch *epoch)
{
    uint64_t bytes = HEADER_BYTES;

    for (uint32_t i = 0; i < epoch->op_count; i++) {
        bytes += OP_HEADER_BYTES + epoch->ops[i].key.size + epoch->ops[i].value.size;
    }
    buf_clear(&journal->record);
    uint8_t *const record = buf_reserve(&journal->record, whole_pages(bytes));
    check(record != NULL);
    uint8_t *at = record + HEADER_BYTES;
    for (uint32_t i = 0; i < epoch->op_count; i++) {
        const struct op *op = &epoch->ops[i];
        at[0] = (uint8_t)op->kind;
        at[1] = (uint8_t)op->table;
        put_number(at + 2, op->key.size, 2);
        put_number(at + 4, op->value.size, 4);
        at += OP_HEADER_BYTES;
        (void)slice_pack(&at, op->key);
        (void)slice_pack(&at, op->value);
    }
    memset(at, 0, whole_pages(bytes) - bytes);
    memcpy(record, magic, sizeof magic);
    put_number(record + 8, FORMAT, 4);
    put_number(record + 12, epoch->op_count, 4);
    put_number(record + 16, journal->turn, 8);
    put_number(record + 24, epoch->number, 8);
    put_number(record + 32, journal->newest, 8);
    put_number(record + 40, bytes - HEADER_BYTES, 8);
    put_number(record + 4, hash_crc32c(0, (struct slice){record + CRC_FROM, bytes - CRC_FROM}), 4);
    journal->record.size = whole_pages(bytes);
}

/* The header of a whole record at the beginning of `bytes`. False: there is none. */
static bool decode_header(struct slice bytes, struct header *out)
{
    if (bytes.size < HEADER_BYTES || memcmp(bytes.data, magic, sizeof magic) != 0) {
        return false;
    }
    *out = (struct header){.op_count = (uint32_t)get_number(bytes.data + 12, 4),
                           .turn = get_number(bytes.data + 16, 8),
                           .number = get_number(bytes.data + 24, 8),
                           .before = get_number(bytes.data + 32, 8),
                           .op_bytes = get_number(bytes.data + 40, 8)};
    if (out->op_bytes > bytes.size - HEADER_BYTES) {
        return false;
    }
    const struct slice checked = {bytes.data + CRC_FROM, HEADER_BYTES - CRC_FROM + out->op_bytes};
    return hash_crc32c(0, checked) == (uint32_t)get_number(bytes.data + 4, 4);
}

/* The operations of a record into `out`, whose slices are those bytes. False: they are none. */
static bool decode_ops(struct slice bytes, uint32_t count, struct epoch *out)
{
    const uint8_t *at = bytes.data;
    const uint8_t *const end = bytes.data + bytes.size;

    if (count > bytes.size / OP_HEADER_BYTES) {
        return false;
    }
    out->ops = calloc((size_t)count + 1, sizeof out->ops[0]);
    check(out->ops != NULL);
    for (uint32_t i = 0; i < count; i++) {
        if (end - at < OP_HEADER_BYTES) {
            return false;
        }
        const struct slice key = {at + OP_HEADER_BYTES, get_number(at + 2, 2)};
        const struct slice value = {key.data + key.size, get_number(at + 4, 4)};
        if (at[0] > OP_DELETE || at[1] >= STORE_TABLE_COUNT || key.size == 0 || key.size > LIMIT_STORE_KEY_BYTES_MAX ||
            key.size + value.size > (size_t)(end - at) - OP_HEADER_BYTES) {
            return false;
        }
        out->ops[out->op_count++] = (struct op){(enum op_kind)at[0], (enum store_table)at[1], key, value};
        at = value.data + value.size;
    }
    return at == end;
}

/* ---- replay --------------------------------------------------------------------------------------------------- */

/* A file in memory, and how far its records go. */
struct scan {
    uint32_t file;
    uint8_t *bytes;
    uint64_t size;
    uint64_t first; /* number of the first record; UINT64_MAX: there is none */
    uint64_t turn;
};

struct replay {
    uint64_t newest; /* what the tables have, then what was handed over */
    journal_take *take;
    void *context;
};

static struct slice rest_of(const struct scan *scan, uint64_t at)
{
    return at < scan->size ? (struct slice){scan->bytes + at, scan->size - at} : SLICE_EMPTY;
}

static enum err_code read_file(const struct journal *journal, uint32_t file, struct scan *out, struct err *err)
{
    const struct file *from = &journal->files[file];
    struct header header;

    *out = (struct scan){.file = file, .size = from->size, .first = UINT64_MAX};
    out->bytes = malloc(from->size + 1);
    check(out->bytes != NULL);
    for (uint64_t at = 0; at < from->size;) {
        const ssize_t got = pread(from->fd, out->bytes + at, from->size - at, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return err_set(err, ERR_SYSTEM, "journal.%u cannot be read: %s", file,
                           got < 0 ? strerror(errno) : "it became shorter");
        }
        at += (uint64_t)got;
    }
    if (out->size >= HEADER_BYTES && memcmp(out->bytes, magic, sizeof magic) == 0 &&
        get_number(out->bytes + 8, 4) > FORMAT) {
        return err_set(err, ERR_NEWER_FORMAT, "journal.%u was written by a newer version of proa; use that", file);
    }
    if (decode_header(rest_of(out, 0), &header)) {
        out->first = header.number;
        out->turn = header.turn;
    }
    return ERR_NONE;
}

/* A torn record is the last: the next is only written when it is on disk. So a newer one behind it means that the
 * disk lost what was promised. */
static enum err_code check_end(const struct scan *scan, uint64_t at, uint64_t newest, struct err *err)
{
    struct header header;

    for (; at < scan->size; at += JOURNAL_PAGE_BYTES) {
        if (decode_header(rest_of(scan, at), &header) && header.turn == scan->turn && header.number > newest) {
            return err_set(err, ERR_CORRUPT,
                           "journal.%u is damaged before byte %" PRIu64 ": epoch %" PRIu64
                           " is there, but not the one after %" PRIu64 "; restore the data folder from a backup",
                           scan->file, at, header.number, newest);
        }
    }
    return ERR_NONE;
}

static enum err_code hand_over(struct replay *replay, const struct scan *scan, uint64_t at, const struct header *header,
                               struct err *err)
{
    struct epoch epoch = {.number = header->number};
    const struct slice ops = {scan->bytes + at + HEADER_BYTES, header->op_bytes};
    const bool is_good = decode_ops(ops, header->op_count, &epoch);

    if (is_good) {
        replay->take(replay->context, &epoch);
        replay->newest = header->number;
    } else {
        (void)err_set(err, ERR_CORRUPT, "epoch %" PRIu64 " of journal.%u cannot be read", header->number, scan->file);
    }
    free(epoch.ops);
    return is_good ? ERR_NONE : ERR_CORRUPT;
}

static enum err_code replay_file(struct replay *replay, const struct scan *scan, struct err *err)
{
    struct header header;
    uint64_t last = 0; /* of this file */
    uint64_t at = 0;

    while (decode_header(rest_of(scan, at), &header) && header.turn == scan->turn && header.number > last) {
        if (header.number > replay->newest) {
            if (header.before != replay->newest) {
                return err_set(err, ERR_CORRUPT,
                               "the journal has no epoch after %" PRIu64 ", but epoch %" PRIu64
                               "; restore the data folder, whole, from a backup",
                               replay->newest, header.number);
            }
            const enum err_code code = hand_over(replay, scan, at, &header, err);
            if (code != ERR_NONE) {
                return code;
            }
        }
        last = header.number;
        at += whole_pages(HEADER_BYTES + header.op_bytes);
    }
    return scan->first == UINT64_MAX ? ERR_NONE : check_end(scan, at, replay->newest, err);
}

enum err_code journal_replay(struct journal *journal, uint64_t after, journal_take *take, void *context,
                             struct err *err)
{
    struct replay replay = {after, take, context};
    struct scan scans[FILES] = {{0}};
    enum err_code code = ERR_NONE;

    for (uint32_t i = 0; i < FILES && code == ERR_NONE; i++) {
        code = read_file(journal, i, &scans[i], err);
    }
    if (code == ERR_NONE) {
        const uint32_t older = scans[0].first <= scans[1].first ? 0 : 1;
        code = replay_file(&replay, &scans[older], err);
        code = code == ERR_NONE ? replay_file(&replay, &scans[1 - older], err) : code;
    }
    for (uint32_t i = 0; i < FILES; i++) {
        free(scans[i].bytes);
    }
    return code;
}

/* ---- append --------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const uint8_t *data, uint64_t size, uint64_t at)
{
    for (uint64_t done = 0; done < size;) {
        const ssize_t wrote = pwrite(fd, data + done, size - done, (off_t)(at + done));
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        done += wrote > 0 ? (uint64_t)wrote : 0;
    }
    return true;
}

/* Writes zeros behind the file for what comes next. If they do not fit, the record itself may all the same. */
static void grow(struct file *file, uint64_t needed)
{
    static const uint8_t zeros[64 << 10];
    const uint64_t size = needed + GROW_BYTES;

    while (file->size < size && write_all(file->fd, zeros, sizeof zeros, file->size)) {
        file->size += sizeof zeros;
    }
}

static enum store_apply fail(const struct epoch *epoch, const char *doing, struct err *err)
{
    const int cause = errno;
    const bool is_full = cause == ENOSPC || cause == EDQUOT;

    if (is_full) {
        (void)err_set(err, ERR_STORE_FULL, "epoch %" PRIu64 " does not fit: the disk is full", epoch->number);
    } else {
        (void)err_set(err, ERR_SYSTEM, "epoch %" PRIu64 ": the journal cannot be %s: %s", epoch->number, doing,
                      strerror(cause));
    }
    return is_full ? STORE_IS_FULL : STORE_FAILED;
}

enum store_apply journal_append(struct journal *journal, const struct epoch *epoch, struct err *err)
{
    struct file *file = &journal->files[journal->current];

    encode(journal, epoch);
    const uint64_t end = journal->used + journal->record.size;
    if (end > file->size) {
        grow(file, end);
    }
    if (!write_all(file->fd, journal->record.data, journal->record.size, journal->used)) {
        return fail(epoch, "written", err);
    }
    if (end > file->size) {
        file->size = end;
    }
    if (journal->is_durable && fdatasync(file->fd) != 0) {
        return fail(epoch, "synced", err);
    }
    journal->used = end;
    journal->newest = epoch->number;
    return STORE_APPLIED;
}

void journal_turn(struct journal *journal, uint64_t newest)
{
    journal->current = 1 - journal->current;
    struct file *file = &journal->files[journal->current];
    check(getrandom(&journal->turn, sizeof journal->turn, 0) == (ssize_t)sizeof journal->turn);
    journal->used = 0;
    journal->newest = newest;
    if (file->size > KEPT_BYTES && ftruncate(file->fd, KEPT_BYTES) == 0) { /* else it stays as long as it is */
        file->size = KEPT_BYTES;
    }
}

uint64_t journal_used(const struct journal *journal)
{
    return journal->used;
}

uint64_t journal_bytes(const struct journal *journal)
{
    return journal->files[0].size + journal->files[1].size;
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

static enum err_code open_file(struct journal *journal, uint32_t number, int folder, bool is_read_only, struct err *err)
{
    struct file *file = &journal->files[number];
    struct stat stat;
    char name[16];

    (void)snprintf(name, sizeof name, "journal.%u", number);
    file->fd = openat(folder, name, (is_read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, FILE_MODE);
    if (file->fd < 0 && is_read_only && errno == ENOENT) {
        return ERR_NONE;
    }
    if (file->fd < 0 || fstat(file->fd, &stat) != 0) {
        return err_set(err, ERR_SYSTEM, "%s cannot be opened: %s", name, strerror(errno));
    }
    if (!S_ISREG(stat.st_mode)) {
        return err_set(err, ERR_SYSTEM, "%s is no file", name);
    }
    file->size = (uint64_t)stat.st_size;
    return ERR_NONE;
}

static enum err_code open_files(struct journal *journal, const struct journal_options *options, struct err *err)
{
    const int folder = open(options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0) {
        return err_set(err, ERR_SYSTEM, "the data folder %s cannot be opened: %s", options->folder, strerror(errno));
    }
    enum err_code code = ERR_NONE;
    for (uint32_t i = 0; i < FILES && code == ERR_NONE; i++) {
        code = open_file(journal, i, folder, options->is_read_only, err);
    }
    if (code == ERR_NONE && !options->is_read_only && fsync(folder) != 0) { /* the names must outlast a power cut */
        code = err_set(err, ERR_SYSTEM, "the data folder %s cannot be synced: %s", options->folder, strerror(errno));
    }
    (void)close(folder);
    return code;
}

enum err_code journal_open(const struct journal_options *options, struct journal **out, struct err *err)
{
    struct journal *journal = calloc(1, sizeof *journal);

    check(journal != NULL);
    journal->is_durable = !options->is_not_durable;
    buf_init(&journal->record, RECORD_BYTES_MAX);
    for (uint32_t i = 0; i < FILES; i++) {
        journal->files[i].fd = -1;
    }
    const enum err_code code = open_files(journal, options, err);
    if (code != ERR_NONE) {
        journal_close(journal);
        return code;
    }
    *out = journal;
    return ERR_NONE;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    for (uint32_t i = 0; i < FILES; i++) {
        if (journal->files[i].fd >= 0) {
            (void)close(journal->files[i].fd); /* what counts was synced */
        }
    }
    buf_done(&journal->record);
    free(journal);
}
