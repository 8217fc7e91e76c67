/* SPDX-License-Identifier: Apache-2.0
 *
 * A record, little-endian, offsets in bytes: 0 magic, 4 CRC-32C of what follows it, 8 format, 12 count of operations,
 * 16 turn, 24 turn of the other file that comes next, 32 number of the epoch, 40 number of the epoch before it,
 * 48 bytes of operations, 56 mark of the epoch before it, 60 zeros, 64 operations, zeros up to a whole page. An
 * operation: kind (1 byte), table (1), bytes of the key (2), bytes of the value (4), key, value. Later formats keep
 * what stands up to byte 12 and at byte 48 in its place.
 * A record without operations, of the number of the epoch before it, only says that its turn has begun.
 * The mark is a hash of the value that row `epoch` of meta has after that epoch: it tells tables of another history
 * that have come to the same number.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "check.h"
#include "hash.h"

enum {
    FILES = 2,
    FORMAT = 1,
    HEADER_BYTES = 64,
    OP_HEADER_BYTES = 8,
    CRC_FROM = 8,                /* the checksum is over what follows it */
    GROW_BYTES = 1 << 20,        /* a file grows by so many zeros at a time: a sync of new blocks takes longer */
    KEPT_BYTES = 32 << 20,       /* what a turn took beyond that is given back at the file's next turn */
    KEPT_RECORD_BYTES = 4 << 20, /* likewise the memory of a record, at once */
    FILE_MODE = 0640,
};
#define RECORD_BYTES_MAX ((size_t)4 << 30) /* an epoch is far smaller: this only tells a bug */
static const uint8_t magic[4] = {'P', 'R', 'O', 'J'};

struct file {
    int fd; /* -1: there is none */
    uint64_t size;
};

/* Up to which epoch something goes. */
struct place {
    uint64_t number;
    uint32_t mark;
};

struct journal {
    struct file files[FILES];
    uint32_t current;
    uint64_t used;
    struct place newest;     /* in the store: each record names the epoch before it */
    uint64_t turn;           /* the secret of the current turn */
    uint64_t next_turn;      /* and of the one after it */
    bool has_record;         /* the current turn has one on disk */
    bool is_turn_empty;      /* it has begun, and nothing is on disk of it */
    uint32_t replayed_file;  /* where the newest record that was replayed stands */
    uint64_t replayed_at;    /* likewise */
    uint64_t replayed_bytes; /* likewise; 0: there was none */
    bool is_durable;
    struct buf record; /* written, or read */
};

/* The beginning of a record, as read. */
struct header {
    uint32_t crc;
    uint32_t format;
    uint32_t op_count;
    uint64_t turn;
    uint64_t next_turn;
    uint64_t number;
    struct place before;
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

/* Not a CRC-32C: of a value that ends with its own, as that row does, it is always the same. */
static uint32_t mark_of(struct slice epoch_row)
{
    static const struct hash_key key = {{0}};

    return (uint32_t)hash_siphash64(&key, epoch_row);
}

/* The mark after an epoch that came after `mark`. */
static uint32_t mark_after(uint32_t mark, const struct epoch *epoch)
{
    for (uint32_t i = 0; i < epoch->op_count && epoch->ops[i].table == STORE_META; i++) {
        if (slice_equal(epoch->ops[i].key, SLICE("epoch"))) {
            return mark_of(epoch->ops[i].value);
        }
    }
    return mark;
}

static uint32_t record_crc(const uint8_t *record, uint64_t op_bytes)
{
    return hash_crc32c(0, (struct slice){record + CRC_FROM, HEADER_BYTES - CRC_FROM + op_bytes});
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
    put_number(record + 24, journal->next_turn, 8);
    put_number(record + 32, epoch->number, 8);
    put_number(record + 40, journal->newest.number, 8);
    put_number(record + 48, bytes - HEADER_BYTES, 8);
    put_number(record + 56, journal->newest.mark, 4);
    put_number(record + 60, 0, 4);
    put_number(record + 4, record_crc(record, bytes - HEADER_BYTES), 4);
    journal->record.size = whole_pages(bytes);
}

static struct header decode_header(const uint8_t *bytes)
{
    return (struct header){.crc = (uint32_t)get_number(bytes + 4, 4),
                           .format = (uint32_t)get_number(bytes + 8, 4),
                           .op_count = (uint32_t)get_number(bytes + 12, 4),
                           .turn = get_number(bytes + 16, 8),
                           .next_turn = get_number(bytes + 24, 8),
                           .number = get_number(bytes + 32, 8),
                           .before = {get_number(bytes + 40, 8), (uint32_t)get_number(bytes + 56, 4)},
                           .op_bytes = get_number(bytes + 48, 8)};
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

/* One file while it is replayed. */
struct scan {
    struct journal *journal; /* the record that is looked at stands in its buffer */
    uint32_t file;
    bool has_first; /* it begins with a whole record: */
    uint64_t first; /* that one's number */
    uint64_t turn;
    uint64_t next_turn;
};

struct replay {
    struct place newest; /* what the tables have, then what was handed over */
    journal_take *take;
    void *context;
};

static enum err_code read_bytes(const struct scan *scan, uint8_t *out, uint64_t size, uint64_t at, struct err *err)
{
    for (uint64_t done = 0; done < size;) {
        const ssize_t got = pread(scan->journal->files[scan->file].fd, out + done, size - done, (off_t)(at + done));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return err_set(err, ERR_SYSTEM, "journal.%u cannot be read: %s", scan->file,
                           got < 0 ? strerror(errno) : "it became shorter");
        }
        done += got > 0 ? (uint64_t)got : 0;
    }
    return ERR_NONE;
}

/* Reads what may be the header of a record at `at`; whether the record is whole is not known. */
static enum err_code read_header(const struct scan *scan, uint64_t at, struct header *out, bool *out_is_there,
                                 struct err *err)
{
    const uint64_t size = scan->journal->files[scan->file].size;
    uint8_t bytes[HEADER_BYTES];

    *out_is_there = false;
    if (at > size || size - at < HEADER_BYTES) {
        return ERR_NONE;
    }
    const enum err_code code = read_bytes(scan, bytes, sizeof bytes, at, err);
    if (code == ERR_NONE && memcmp(bytes, magic, sizeof magic) == 0) {
        *out = decode_header(bytes);
        *out_is_there = out->op_bytes <= size - at - HEADER_BYTES;
    }
    return code;
}

/* Reads the record at `at` into the journal's buffer, if a whole one stands there. */
static enum err_code read_record(const struct scan *scan, uint64_t at, struct header *out, bool *out_is_there,
                                 struct err *err)
{
    struct buf *record = &scan->journal->record;
    enum err_code code = read_header(scan, at, out, out_is_there, err);

    if (code != ERR_NONE || !*out_is_there) {
        return code;
    }
    const uint64_t size = HEADER_BYTES + out->op_bytes;
    if (size > RECORD_BYTES_MAX) { /* no record is so long */
        *out_is_there = false;
        return ERR_NONE;
    }
    buf_clear(record);
    uint8_t *bytes = buf_reserve(record, size);
    if (bytes == NULL) { /* it may be good: it must not be passed over */
        return err_set(err, ERR_NO_MEMORY, "journal.%u: no memory for a record of %" PRIu64 " bytes", scan->file, size);
    }
    code = read_bytes(scan, bytes, size, at, err);
    *out_is_there = code == ERR_NONE && record_crc(bytes, out->op_bytes) == out->crc;
    if (*out_is_there && out->format > FORMAT) {
        return err_set(err, ERR_NEWER_FORMAT, "journal.%u was written by a newer version of proa; use that",
                       scan->file);
    }
    return code;
}

static enum err_code begin_scan(struct journal *journal, uint32_t file, struct scan *out, struct err *err)
{
    struct header header = {0};

    *out = (struct scan){.journal = journal, .file = file};
    const enum err_code code = read_record(out, 0, &header, &out->has_first, err);
    out->first = header.number;
    out->turn = header.turn;
    out->next_turn = header.next_turn;
    return code;
}

/* What is behind the last record of a turn must be no record of that turn: a torn record is the last, because the
 * next is only written when it is on disk. So a newer one there means that the disk lost what was promised. Nothing
 * but the turn's secret tells such a record from a value that looks like one, so it is looked at before all else. */
static enum err_code check_end(const struct scan *scan, uint64_t at, const struct replay *replay, struct err *err)
{
    for (; at < scan->journal->files[scan->file].size; at += JOURNAL_PAGE_BYTES) {
        struct header header;
        bool is_there = false;
        enum err_code code = read_header(scan, at, &header, &is_there, err);
        if (code == ERR_NONE && is_there && header.turn == scan->turn && header.number > replay->newest.number) {
            code = read_record(scan, at, &header, &is_there, err);
            if (code == ERR_NONE && is_there) {
                return err_set(err, ERR_CORRUPT,
                               "journal.%u is damaged before byte %" PRIu64 ": epoch %" PRIu64
                               " is there, but not the one after %" PRIu64 "; restore the data folder from a backup",
                               scan->file, at, header.number, replay->newest.number);
            }
        }
        if (code != ERR_NONE) {
            return code;
        }
    }
    return ERR_NONE;
}

/* A newer record must go on where the store is: by number, and in the same history. */
static enum err_code check_place(const struct replay *replay, const struct header *header, struct err *err)
{
    if (header->before.number != replay->newest.number) {
        return err_set(err, ERR_CORRUPT,
                       "the journal has no epoch after %" PRIu64 ", but epoch %" PRIu64
                       "; restore the data folder, whole, from a backup",
                       replay->newest.number, header->number);
    }
    if (header->before.mark != replay->newest.mark) {
        return err_set(err, ERR_CORRUPT,
                       "the journal's epoch %" PRIu64 " belongs to another epoch %" PRIu64
                       " than the store has; restore the data folder, whole, from a backup",
                       header->number, replay->newest.number);
    }
    return ERR_NONE;
}

/* Hands over the record that was read. */
static enum err_code hand_over(struct replay *replay, const struct scan *scan, uint64_t at, const struct header *header,
                               struct err *err)
{
    struct journal *journal = scan->journal;
    struct epoch epoch = {.number = header->number};
    const struct slice ops = {journal->record.data + HEADER_BYTES, header->op_bytes};
    const bool is_good = decode_ops(ops, header->op_count, &epoch);

    if (is_good) {
        replay->take(replay->context, &epoch);
        replay->newest = (struct place){header->number, mark_after(replay->newest.mark, &epoch)};
        journal->replayed_file = scan->file;
        journal->replayed_at = at;
        journal->replayed_bytes = HEADER_BYTES + header->op_bytes;
    } else {
        (void)err_set(err, ERR_CORRUPT, "epoch %" PRIu64 " of journal.%u cannot be read", header->number, scan->file);
    }
    free(epoch.ops);
    return is_good ? ERR_NONE : ERR_CORRUPT;
}

static enum err_code replay_file(struct replay *replay, const struct scan *scan, struct err *err)
{
    uint64_t at = 0;

    for (;;) {
        struct header header;
        bool is_there = false;
        enum err_code code = read_record(scan, at, &header, &is_there, err);
        if (code == ERR_NONE && (!is_there || header.turn != scan->turn)) {
            return check_end(scan, at, replay, err);
        }
        if (code == ERR_NONE && header.number > replay->newest.number) {
            code = check_place(replay, &header, err);
            code = code == ERR_NONE ? hand_over(replay, scan, at, &header, err) : code;
        }
        if (code != ERR_NONE) {
            return code;
        }
        at += whole_pages(HEADER_BYTES + header.op_bytes);
    }
}

/* A file that begins with no whole record comes last: its turn had only begun. */
static bool is_before(const struct scan *a, const struct scan *b)
{
    if (!a->has_first || !b->has_first) {
        return a->has_first;
    }
    return a->first != b->first ? a->first < b->first : a->next_turn == b->turn;
}

static enum err_code replay_files(struct replay *replay, struct scan *older, struct scan *newer, struct err *err)
{
    if (!older->has_first) {
        return ERR_NONE; /* neither file has been written to, or nothing tells what was */
    }
    if (!newer->has_first) {
        newer->turn = older->next_turn; /* so that rot in its first record is no empty file */
    }
    const enum err_code code = replay_file(replay, older, err);
    return code == ERR_NONE ? replay_file(replay, newer, err) : code;
}

/* Files that were lost, or copied from elsewhere, may have nothing that is newer than the tables: but one of them has
 * the turn that the tables know of, or the next. */
static enum err_code check_turns(const struct scan *scans, const struct journal_record *turns, struct err *err)
{
    bool is_there = turns->turn == 0;

    for (uint32_t i = 0; i < FILES; i++) {
        is_there =
            is_there || (scans[i].has_first && (scans[i].turn == turns->turn || scans[i].turn == turns->next_turn));
    }
    if (!is_there) {
        return err_set(err, ERR_CORRUPT,
                       "journal.0 and journal.1 are not those that the store was left with; restore the data folder, "
                       "whole, from a backup");
    }
    return ERR_NONE;
}

enum err_code journal_replay(struct journal *journal, const struct journal_tables *tables, journal_take *take,
                             void *context, struct err *err)
{
    struct replay replay = {.take = take, .context = context};
    struct scan scans[FILES];
    enum err_code code = ERR_NONE;

    replay.newest = (struct place){tables->number, mark_of(tables->epoch_row)};
    for (uint32_t i = 0; i < FILES && code == ERR_NONE; i++) {
        code = begin_scan(journal, i, &scans[i], err);
    }
    if (code == ERR_NONE) {
        const uint32_t older = is_before(&scans[0], &scans[1]) ? 0 : 1;
        const struct scan *newest = scans[1 - older].has_first ? &scans[1 - older] : &scans[older];
        code = replay_files(&replay, &scans[older], &scans[1 - older], err);
        code = code == ERR_NONE ? check_turns(scans, &tables->turns, err) : code;
        journal->current = newest->file;
        /* If it only says that the turn has begun, that may be in memory alone: journal_confirm knows the other kind.
         */
        journal->has_record = journal->replayed_bytes > 0 && journal->replayed_file == newest->file;
        journal->turn = newest->turn;
        journal->next_turn = newest->has_first ? newest->next_turn : journal->next_turn;
    }
    journal->newest = replay.newest;
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

static enum store_apply append(struct journal *journal, const struct epoch *epoch, struct err *err)
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
    journal->has_record = true;
    journal->is_turn_empty = false;
    journal->newest = (struct place){epoch->number, mark_after(journal->newest.mark, epoch)};
    return STORE_APPLIED;
}

enum store_apply journal_append(struct journal *journal, const struct epoch *epoch, struct err *err)
{
    const enum store_apply applied = append(journal, epoch, err);

    if (journal->record.capacity > KEPT_RECORD_BYTES) {
        buf_done(&journal->record);
        buf_init(&journal->record, RECORD_BYTES_MAX);
    }
    return applied;
}

enum store_apply journal_mark(struct journal *journal, struct journal_record *out, struct err *err)
{
    const struct epoch nothing = {.number = journal->newest.number};
    const enum store_apply applied = journal->has_record ? STORE_APPLIED : journal_append(journal, &nothing, err);

    if (applied == STORE_APPLIED) {
        *out = (struct journal_record){journal->turn, journal->next_turn};
    }
    return applied;
}

/* The record is written as it was read, so an interrupted write changes nothing. */
enum err_code journal_confirm(struct journal *journal, struct err *err)
{
    const struct scan scan = {.journal = journal, .file = journal->replayed_file};
    const uint64_t size = journal->replayed_bytes;

    buf_clear(&journal->record);
    uint8_t *bytes = buf_reserve(&journal->record, size + 1);
    check(bytes != NULL);
    const enum err_code code = read_bytes(&scan, bytes, size, journal->replayed_at, err);
    if (code != ERR_NONE || size == 0) {
        return code;
    }
    const int fd = journal->files[journal->replayed_file].fd;
    if (!write_all(fd, bytes, size, journal->replayed_at) || (journal->is_durable && fdatasync(fd) != 0)) {
        return err_set(err, ERR_SYSTEM, "the newest epoch of journal.%u cannot be written again: %s",
                       journal->replayed_file, strerror(errno));
    }
    return ERR_NONE;
}

static uint64_t secret(void)
{
    uint64_t bytes = 0;

    check(getrandom(&bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    return bytes;
}

bool journal_may_turn(const struct journal *journal)
{
    return !journal->is_turn_empty;
}

void journal_turn(struct journal *journal)
{
    check(journal_may_turn(journal));
    journal->current = 1 - journal->current;
    struct file *file = &journal->files[journal->current];
    journal->turn = journal->next_turn;
    journal->next_turn = secret();
    journal->used = 0;
    journal->has_record = false;
    journal->is_turn_empty = true;
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

uint64_t journal_disk_free(const struct journal *journal)
{
    struct statvfs disk;
    const bool is_known = fstatvfs(journal->files[0].fd, &disk) == 0 && disk.f_blocks > 0;

    return is_known ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX / 2;
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

static enum err_code open_file(struct journal *journal, uint32_t number, int folder, bool is_read_only, struct err *err)
{
    struct file *file = &journal->files[number];
    struct stat stat;
    char name[16];

    (void)snprintf(name, sizeof name, "journal.%u", number);
    /* To open a pipe, in its place, would wait for ever. */
    file->fd = openat(folder, name, (is_read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC | O_NONBLOCK, FILE_MODE);
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

/* Both are made before the first is written to, so one that is alone, and not empty, has lost the other. */
static enum err_code check_pair(int folder, struct err *err)
{
    struct stat stats[FILES];
    bool is_there[FILES];

    for (uint32_t i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "journal.%u", i);
        is_there[i] = fstatat(folder, name, &stats[i], 0) == 0;
    }
    const uint32_t there = is_there[0] ? 0 : 1;
    if (is_there[0] != is_there[1] && S_ISREG(stats[there].st_mode) && stats[there].st_size > 0) {
        return err_set(err, ERR_CORRUPT, "journal.%u is missing; restore the data folder, whole, from a backup",
                       1 - there);
    }
    return ERR_NONE;
}

static enum err_code open_files(struct journal *journal, const struct journal_options *options, struct err *err)
{
    const int folder = open(options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0) {
        return err_set(err, ERR_SYSTEM, "the data folder %s cannot be opened: %s", options->folder, strerror(errno));
    }
    enum err_code code = check_pair(folder, err);
    for (uint32_t i = 0; i < FILES && code == ERR_NONE; i++) {
        code = open_file(journal, i, folder, options->is_read_only, err);
    }
    if (code == ERR_NONE && !options->is_read_only && fsync(folder) != 0) { /* the names must outlast a power cut */
        code = err_set(err, ERR_SYSTEM, "the data folder %s cannot be synced: %s", options->folder, strerror(errno));
    }
    for (uint32_t i = 0; i < FILES && code == ERR_NONE && !options->is_read_only; i++) {
        grow(&journal->files[i], 0); /* room of its own for the day the disk is full */
    }
    (void)close(folder);
    return code;
}

enum err_code journal_open(const struct journal_options *options, struct journal **out, struct err *err)
{
    struct journal *journal = calloc(1, sizeof *journal);

    check(journal != NULL);
    journal->is_durable = !options->is_not_durable;
    journal->next_turn = secret();
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
