/* SPDX-License-Identifier: Apache-2.0
 *
 * test_journal.c: the journal: what is appended is replayed; a torn tail is passed over, and nothing else is; what only
 * looks like a record is none.
 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "hash.h"
#include "journal.h"

enum {
    PAGE = JOURNAL_PAGE_BYTES,
    HEADER = 64,
    FORMAT_AT = 8,
    TURN_AT = 16,
    NEXT_TURN_AT = 24,
    NUMBER_AT = 32,
    OP_BYTES_AT = 48,
    SECTOR = 512,
    SEEN_MAX = 64,
    IMAGE_MAX = 4 << 20,
};

/* A folder, its journal, and what a replay handed over. */
struct bench {
    char folder[256];
    struct journal *journal;
    uint64_t after; /* what the tables have */
    uint64_t seen[SEEN_MAX];
    size_t seen_count;
    struct err err;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    const char *place = getenv("TMPDIR");

    assert_non_null(bench);
    (void)snprintf(bench->folder, sizeof bench->folder, "%s/proa-journal-XXXXXX", place != NULL ? place : "/tmp");
    assert_non_null(mkdtemp(bench->folder));
    *state = bench;
    return 0;
}

static void path_of(const struct bench *bench, uint32_t file, char *path, size_t size)
{
    assert_in_range(snprintf(path, size, "%s/journal.%u", bench->folder, file), 1, size - 1);
}

static void remove_files(const struct bench *bench)
{
    char path[512];

    for (uint32_t file = 0; file < 2; file++) {
        path_of(bench, file, path, sizeof path);
        (void)unlink(path);
        (void)rmdir(path);
    }
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    journal_close(bench->journal);
    remove_files(bench);
    assert_int_equal(rmdir(bench->folder), 0);
    free(bench);
    return 0;
}

/* ---- epochs --------------------------------------------------------------------------------------------------- */

/* The row that tells one epoch's place in history. */
static struct slice epoch_row(char *buffer, size_t size, uint64_t number)
{
    (void)snprintf(buffer, size, "epoch %" PRIu64, number);
    return number == 0 ? SLICE_EMPTY : slice_of(buffer);
}

/* An epoch that knows its number; its value is `bytes` long. */
static struct epoch *make_epoch(uint64_t number, size_t bytes)
{
    struct epoch *epoch = epoch_create(number, bytes + 1000);
    uint8_t *value = calloc(1, bytes + 8);
    char row[32];

    assert_non_null(value);
    memcpy(value, &number, sizeof number);
    for (size_t i = 8; i < bytes; i++) {
        value[i] = (uint8_t)(1 + (i + number) % 250); /* never what stands in a new file */
    }
    epoch_add(epoch, OP_PUT, STORE_META, SLICE("epoch"), epoch_row(row, sizeof row, number));
    epoch_add(epoch, OP_PUT, STORE_STATE, SLICE("number"), (struct slice){value, bytes < 8 ? 8 : bytes});
    epoch_add(epoch, OP_DELETE, STORE_TIMER, SLICE("gone"), SLICE_EMPTY);
    free(value);
    return epoch;
}

static void see(void *context, const struct epoch *epoch)
{
    struct bench *bench = context;

    assert_int_equal(epoch->op_count, 3);
    assert_int_equal(epoch->ops[1].kind, OP_PUT);
    assert_int_equal(epoch->ops[1].table, STORE_STATE);
    assert_true(slice_equal(epoch->ops[1].key, SLICE("number")));
    struct epoch *expected = make_epoch(epoch->number, epoch->ops[1].value.size);
    assert_true(slice_equal(epoch->ops[1].value, expected->ops[1].value));
    epoch_destroy(expected);
    assert_int_equal(epoch->ops[2].kind, OP_DELETE);
    assert_true(bench->seen_count < SEEN_MAX);
    bench->seen[bench->seen_count++] = epoch->number;
}

static enum err_code open_journal(struct bench *bench, bool is_read_only)
{
    const struct journal_options options = {bench->folder, is_read_only, true};

    journal_close(TAKE(bench->journal));
    return journal_open(&options, &bench->journal, &bench->err);
}

static enum err_code replay(struct bench *bench, bool is_read_only)
{
    char row[32];
    const struct journal_tables tables = {.number = bench->after,
                                          .epoch_row = epoch_row(row, sizeof row, bench->after)};

    bench->seen_count = 0;
    const enum err_code code = open_journal(bench, is_read_only);
    return code != ERR_NONE ? code : journal_replay(bench->journal, &tables, see, bench, &bench->err);
}

/* A replay hands over the epochs from `first` to `last`, and no others. Nothing: last is below first. */
static void assert_replayed(struct bench *bench, uint64_t first, uint64_t last)
{
    if (replay(bench, true) != ERR_NONE) {
        fail_msg("%s", bench->err.text);
    }
    assert_int_equal(bench->seen_count, last + 1 - first);
    for (size_t i = 0; i < bench->seen_count; i++) {
        assert_int_equal(bench->seen[i], first + i);
    }
}

static void assert_refused(struct bench *bench, enum err_code code, const char *text)
{
    assert_int_equal(replay(bench, true), code);
    if (strstr(bench->err.text, text) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", text, bench->err.text);
    }
}

static void append(struct bench *bench, uint64_t number, size_t bytes)
{
    struct epoch *epoch = make_epoch(number, bytes);

    assert_int_equal(journal_append(bench->journal, epoch, &bench->err), STORE_APPLIED);
    epoch_destroy(epoch);
}

static void begin(struct bench *bench)
{
    assert_int_equal(replay(bench, false), ERR_NONE);
    journal_turn(bench->journal);
}

/* ---- images --------------------------------------------------------------------------------------------------- */

struct image {
    uint8_t *bytes;
    size_t size;
};

static struct image load(const struct bench *bench, uint32_t file)
{
    struct image image = {.bytes = malloc(IMAGE_MAX)};
    char path[512];

    assert_non_null(image.bytes);
    path_of(bench, file, path, sizeof path);
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    const ssize_t size = read(fd, image.bytes, IMAGE_MAX);
    assert_in_range(size, 0, IMAGE_MAX - 1);
    image.size = (size_t)size;
    assert_int_equal(close(fd), 0);
    return image;
}

static void save(const struct bench *bench, uint32_t file, const struct image *image)
{
    char path[512];

    path_of(bench, file, path, sizeof path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, image->size), image->size);
    assert_int_equal(close(fd), 0);
}

/* Changes one byte of a file as `image` has it. */
static void poke(const struct bench *bench, uint32_t file, struct image *image, size_t at, uint8_t flip)
{
    char path[512];

    image->bytes[at] ^= flip;
    path_of(bench, file, path, sizeof path);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, image->bytes + at, 1, (off_t)at), 1);
    assert_int_equal(close(fd), 0);
}

static uint64_t number_at(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;

    memcpy(&number, at, bytes);
    return number;
}

/* Bytes of the record that count: all but the zeros behind it. */
static size_t content_of(const uint8_t *record)
{
    return HEADER + number_at(record + OP_BYTES_AT, 8);
}

static void seal(uint8_t *record)
{
    const uint32_t crc = hash_crc32c(0, (struct slice){record + 8, content_of(record) - 8});

    memcpy(record + 4, &crc, sizeof crc);
}

/* Three records of 1, 2 and 3 pages in file 0. */
static struct image three_records(struct bench *bench)
{
    begin(bench);
    append(bench, 1, 100);
    append(bench, 2, PAGE);
    append(bench, 3, 2 * PAGE + 777);
    assert_int_equal(journal_used(bench->journal), 6 * PAGE);
    struct image image = load(bench, 0);
    image.size = 8 * PAGE;
    return image;
}

/* ---- tests ---------------------------------------------------------------------------------------------------- */

static void the_bytes_are_as_documented(void **state)
{
    struct bench *bench = *state;
    struct epoch *epoch = epoch_create(0x0102030405060708, 10000);

    begin(bench);
    epoch_add(epoch, OP_PUT, STORE_META, SLICE("epoch"), SLICE("E"));
    epoch_add(epoch, OP_APPEND, STORE_MAIL, SLICE("k"), SLICE("value"));
    epoch_add(epoch, OP_DELETE, STORE_PARKED, SLICE("p"), SLICE_EMPTY);
    assert_int_equal(journal_append(bench->journal, epoch, &bench->err), STORE_APPLIED);
    struct image image = load(bench, 0);
    const uint64_t turn = number_at(image.bytes + TURN_AT, 8);
    const uint64_t next_turn = number_at(image.bytes + NEXT_TURN_AT, 8);
    assert_true(turn != 0 && next_turn != 0 && turn != next_turn);
    assert_int_equal(hash_crc32c(0, (struct slice){image.bytes + 8, HEADER + 37 - 8}), number_at(image.bytes + 4, 4));
    memset(image.bytes + 4, 0, 4);
    memset(image.bytes + TURN_AT, 0, 16);
    static const uint8_t expected[] = "PROJ\0\0\0\0\1\0\0\0\3\0\0\0"
                                      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                      "\x08\7\6\5\4\3\2\1\0\0\0\0\0\0\0\0"
                                      "\x25\0\0\0\0\0\0\0\x50\x49\xd7\x47\0\0\0\0"
                                      "\0\0\5\0\1\0\0\0epochE"
                                      "\1\3\1\0\5\0\0\0kvalue"
                                      "\2\x09\1\0\0\0\0\0p";
    assert_memory_equal(image.bytes, expected, sizeof expected - 1);
    for (size_t i = sizeof expected - 1; i < PAGE; i++) {
        assert_int_equal(image.bytes[i], 0);
    }
    epoch->number++;
    assert_int_equal(journal_append(bench->journal, epoch, &bench->err), STORE_APPLIED);
    struct image second = load(bench, 0);
    assert_int_equal(number_at(second.bytes + PAGE + TURN_AT, 8), turn);
    assert_int_equal(number_at(second.bytes + PAGE + 40, 8), 0x0102030405060708);
    static const struct hash_key zeros = {{0}};
    assert_int_equal(number_at(second.bytes + PAGE + 56, 4), (uint32_t)hash_siphash64(&zeros, SLICE("E")));
    epoch->number++;
    append(bench, epoch->number++, 3 * PAGE);
    assert_int_equal(journal_append(bench->journal, epoch, &bench->err), STORE_APPLIED);
    struct image third = load(bench, 0);
    for (size_t i = 6 * PAGE + HEADER + 37; i < 7 * (size_t)PAGE; i++) {
        assert_int_equal(third.bytes[i], 0); /* nothing of the longer record before it */
    }
    epoch_destroy(epoch);
    free(image.bytes);
    free(second.bytes);
    free(third.bytes);
}

static void what_is_appended_is_replayed(void **state)
{
    struct bench *bench = *state;
    uint64_t number = 0;

    assert_replayed(bench, 1, 0);
    for (uint64_t start = 0; start < 7; start++) {
        const uint64_t stored = number; /* the tables took all before this start */
        bench->after = stored;
        begin(bench);
        for (uint64_t i = 0; i < 1 + start * 5 % 7; i++) {
            number++;
            append(bench, number, 100 + 2500 * (number % 4));
        }
        if (start % 2 == 0) {
            journal_turn(bench->journal);
            number += 2;
            append(bench, number - 1, 100);
            append(bench, number, 9000);
        }
        for (bench->after = stored; bench->after <= number + 2; bench->after++) {
            assert_replayed(bench, bench->after + 1, bench->after > number ? bench->after : number);
        }
    }
}

/* An interrupted write leaves the file cut anywhere, or bytes of the record as they were before. */
static void a_torn_tail_is_passed_over(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);
    const size_t at = (size_t)3 * PAGE;
    const size_t content = content_of(image.bytes + at);

    image.size = at + content;
    save(bench, 0, &image);
    assert_replayed(bench, 1, 3);
    for (size_t i = 0; i < content; i++) {
        poke(bench, 0, &image, at + i, 0x40);
        assert_replayed(bench, 1, 2);
        poke(bench, 0, &image, at + i, 0x40);
    }
    char path[512];
    path_of(bench, 0, path, sizeof path);
    for (size_t size = at + content; size-- > at;) {
        assert_int_equal(truncate(path, (off_t)size), 0);
        assert_replayed(bench, 1, 2);
    }
    image.size = 8 * PAGE;
    for (uint32_t missing = 1; missing < 1U << 18; missing += 1 + missing / 37) { /* one bit a sector */
        struct image torn = {malloc(image.size), image.size};
        assert_non_null(torn.bytes);
        memcpy(torn.bytes, image.bytes, image.size);
        for (size_t sector = 0; sector * SECTOR < content; sector++) {
            if ((missing >> sector & 1) != 0) {
                memset(torn.bytes + at + sector * SECTOR, 0, SECTOR);
            }
        }
        save(bench, 0, &torn);
        const bool is_whole = memcmp(torn.bytes, image.bytes, at + content) == 0;
        assert_replayed(bench, 1, is_whole ? 3 : 2);
        free(torn.bytes);
    }
    free(image.bytes);
}

/* What comes after a torn tail is written over it. */
static void it_goes_on_after_a_torn_tail(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);

    image.bytes[5 * PAGE] ^= 1;
    save(bench, 0, &image);
    begin(bench);
    append(bench, 3, 50);
    append(bench, 4, 3 * PAGE);
    assert_replayed(bench, 1, 4);
    free(image.bytes);
}

/* Damage before the end is no torn tail, wherever it is: what was promised is missing. */
static void rot_is_refused(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);

    for (size_t i = PAGE; i < PAGE + content_of(image.bytes + PAGE); i++) {
        poke(bench, 0, &image, i, 1);
        assert_refused(bench, ERR_CORRUPT, "restore the data folder from a backup");
        bench->after = 3; /* rot in what the tables have is none */
        assert_replayed(bench, 4, 3);
        bench->after = 0;
        poke(bench, 0, &image, i, 1);
    }
    free(image.bytes);
}

static void rot_in_the_first_record_of_a_turn_is_refused(void **state)
{
    struct bench *bench = *state;
    struct image older = three_records(bench);

    bench->after = 3;
    for (int starts = 0; starts < 2; starts++) {
        if (starts > 0) {
            begin(bench); /* the secret of this turn stands in the file of the one before the start */
        } else {
            journal_turn(bench->journal);
        }
        append(bench, 4, 100);
        append(bench, 5, 100);
        struct image image = load(bench, 1);
        for (size_t i = 0; i < content_of(image.bytes); i++) {
            poke(bench, 1, &image, i, 1);
            assert_refused(bench, ERR_CORRUPT, "journal.1 is damaged before byte 4096");
            poke(bench, 1, &image, i, 1);
        }
        free(image.bytes);
        const struct image empty = {older.bytes, 0};
        save(bench, 1, &empty);
    }
    free(older.bytes);
}

static void a_gap_is_refused(void **state)
{
    struct bench *bench = *state;
    struct image first = three_records(bench);

    journal_turn(bench->journal);
    append(bench, 4, 10);
    journal_turn(bench->journal);
    append(bench, 5, 10);
    append(bench, 6, 10);
    bench->after = 3;
    assert_replayed(bench, 4, 6);
    bench->after = 2; /* tables of an older backup */
    assert_refused(bench, ERR_CORRUPT, "no epoch after 2, but epoch 4; restore the data folder, whole, from a backup");
    bench->after = 5;
    assert_replayed(bench, 6, 6);
    struct image image = load(bench, 0);
    save(bench, 0, &first); /* one file of an older backup */
    bench->after = 0;
    assert_replayed(bench, 1, 4);
    save(bench, 0, &image);
    image.size = 0; /* the older file has lost what the tables do not have */
    save(bench, 1, &image);
    bench->after = 3;
    assert_refused(bench, ERR_CORRUPT, "no epoch after 3, but epoch 5");
    free(first.bytes);
    free(image.bytes);
}

/* A host without this journal went on from the same epoch, say, and came to the same number. */
static void tables_of_another_history_are_refused(void **state)
{
    struct bench *bench = *state;
    const struct journal_tables tables = {.number = 2, .epoch_row = SLICE("epoch 2, but another")};
    struct image image = three_records(bench);

    assert_int_equal(open_journal(bench, true), ERR_NONE);
    assert_int_equal(journal_replay(bench->journal, &tables, see, bench, &bench->err), ERR_CORRUPT);
    assert_non_null(strstr(bench->err.text, "epoch 3 belongs to another epoch 2 than the store has"));
    assert_int_equal(bench->seen_count, 0);
    free(image.bytes);
}

/* An epoch that did not fit at the very last, at its sync, was written to the other file again. */
static void an_epoch_may_stand_twice(void **state)
{
    struct bench *bench = *state;
    const uint64_t next_turn = 777;

    begin(bench);
    append(bench, 1, 10);
    struct image image = load(bench, 0);
    memcpy(image.bytes + TURN_AT, image.bytes + NEXT_TURN_AT, 8);
    memcpy(image.bytes + NEXT_TURN_AT, &next_turn, 8);
    seal(image.bytes);
    save(bench, 1, &image);
    assert_replayed(bench, 1, 1);
    bench->after = 1;
    begin(bench); /* it is the second one that is gone on from */
    append(bench, 2, 10);
    bench->after = 0;
    assert_replayed(bench, 1, 2);
    struct image newer = load(bench, 0);
    assert_int_equal(number_at(newer.bytes + TURN_AT, 8), next_turn);
    free(image.bytes);
    free(newer.bytes);
}

/* A stranger's value may hold whole records, and stand at the start of any page: of a torn record, of an old turn. */
static void what_looks_like_a_record_is_none(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);
    const size_t at = (size_t)3 * PAGE;
    const uint64_t secret = number_at(image.bytes + TURN_AT, 8);
    const uint64_t turn = secret + 1;

    for (size_t place = at; place < image.size; place += PAGE) {
        const uint64_t number = 3 + (place - at) / PAGE;
        memcpy(image.bytes + place, image.bytes, PAGE);
        memcpy(image.bytes + place + NUMBER_AT, &number, sizeof number);
        memcpy(image.bytes + place + TURN_AT, &turn, sizeof turn);
        seal(image.bytes + place);
    }
    save(bench, 0, &image);
    assert_replayed(bench, 1, 2);
    poke(bench, 0, &image, at, 1);
    assert_replayed(bench, 1, 2);
    /* It is the secret that makes the difference. */
    memcpy(image.bytes + at + PAGE + TURN_AT, &secret, sizeof secret);
    seal(image.bytes + at + PAGE);
    save(bench, 0, &image);
    assert_refused(bench, ERR_CORRUPT, "journal.0 is damaged");
    free(image.bytes);
}

/* Likewise where a whole turn is torn at its first record: no secret, no record. */
static void what_looks_like_a_turn_is_none(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);
    const uint64_t turn = 1;

    for (size_t place = PAGE; place < image.size; place += PAGE) {
        const uint64_t number = 100 + place / PAGE;
        memcpy(image.bytes + place, image.bytes, PAGE);
        memcpy(image.bytes + place + NUMBER_AT, &number, sizeof number);
        memcpy(image.bytes + place + TURN_AT, &turn, sizeof turn);
        seal(image.bytes + place);
    }
    image.bytes[0] ^= 1;
    save(bench, 0, &image);
    save(bench, 1, &image);
    assert_replayed(bench, 1, 0);
    free(image.bytes);
}

/* With the turn's secret and a good checksum, as only a host can have written it: still nothing is believed. */
static void operations_that_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t byte;
    } wrong[] = {
        {12, 2},           /* fewer operations than there are bytes */
        {12, 4},           /* more */
        {15, 0xff},        /* far more */
        {HEADER, 3},       /* a kind */
        {HEADER + 1, 10},  /* a table */
        {HEADER + 2, 0},   /* no key */
        {HEADER + 2, 200}, /* a key beyond the end */
        {HEADER + 3, 2},   /* a key that is too long */
        {HEADER + 7, 0xff} /* a value beyond the end */
    };
    struct bench *bench = *state;
    struct image image = three_records(bench);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const uint8_t before = image.bytes[wrong[i].at];
        image.bytes[wrong[i].at] = wrong[i].byte;
        seal(image.bytes);
        save(bench, 0, &image);
        assert_refused(bench, ERR_CORRUPT, "epoch 1 of journal.0 cannot be read");
        image.bytes[wrong[i].at] = before;
    }
    free(image.bytes);
}

static void a_newer_format_is_refused(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);

    for (size_t place = 0; place <= 3 * (size_t)PAGE; place += 3 * (size_t)PAGE) {
        image.bytes[place + FORMAT_AT] = 2;
        save(bench, 0, &image);
        assert_replayed(bench, 1, place == 0 ? 0 : 2); /* torn, for all one can tell */
        const uint32_t crc = (uint32_t)number_at(image.bytes + place + 4, 4);
        seal(image.bytes + place);
        save(bench, 0, &image);
        assert_refused(bench, ERR_NEWER_FORMAT, "journal.0 was written by a newer version of proa; use that");
        image.bytes[place + FORMAT_AT] = 1;
        memcpy(image.bytes + place + 4, &crc, sizeof crc);
    }
    free(image.bytes);
}

static uint64_t bytes_of(const struct bench *bench, uint32_t file)
{
    struct stat stat_of;
    char path[512];

    path_of(bench, file, path, sizeof path);
    assert_int_equal(stat(path, &stat_of), 0);
    return (uint64_t)stat_of.st_size;
}

static void files_grow_and_give_back(void **state)
{
    struct bench *bench = *state;

    begin(bench);
    for (uint32_t file = 0; file < 2; file++) {
        assert_int_equal(bytes_of(bench, file), 1 << 20); /* room for the day the disk is full */
    }
    append(bench, 1, 36 << 20);
    assert_int_equal(journal_used(bench->journal), (36 << 20) + PAGE);
    assert_int_equal(journal_bytes(bench->journal), bytes_of(bench, 0) + bytes_of(bench, 1));
    assert_in_range(bytes_of(bench, 0), 37 << 20, 38 << 20);
    journal_turn(bench->journal);
    assert_int_equal(journal_used(bench->journal), 0);
    append(bench, 2, 10);
    assert_in_range(bytes_of(bench, 0), 36 << 20, 38 << 20); /* not before its turn */
    assert_replayed(bench, 1, 2);
    bench->after = 2;
    begin(bench);
    assert_int_equal(bytes_of(bench, 0), 32 << 20);
    append(bench, 3, 10);
    assert_int_equal(journal_bytes(bench->journal), (32 << 20) + (1 << 20));
    bench->after = 1;
    assert_replayed(bench, 2, 3);
}

/* Where the disk has no zeros left for what comes next, it may still have room for the record itself. */
static void a_record_fits_where_zeros_do_not(void **state)
{
    struct bench *bench = *state;
    struct rlimit limit;

    begin(bench);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {.rlim_cur = (1 << 20) + PAGE, .rlim_max = limit.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    append(bench, 1, 1 << 20);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(journal_used(bench->journal), (1 << 20) + PAGE);
    append(bench, 2, 10);
    assert_replayed(bench, 1, 2);
}

/* A record that memory is too short for is none that is torn. */
static void a_replay_without_memory_loses_nothing(void **state)
{
    enum { BYTES = 64 << 20, ROOM = 24 << 20, LOST = 76, UNTESTED = 77 };
    struct bench *bench = *state;

    begin(bench);
    append(bench, 1, BYTES);
    journal_close(TAKE(bench->journal));
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        FILE *sizes = fopen("/proc/self/statm", "r");
        unsigned long pages = 0;
        if (sizes == NULL || fscanf(sizes, "%lu", &pages) != 1) {
            _exit(UNTESTED);
        }
        const struct rlimit small = {pages * PAGE + ROOM, RLIM_INFINITY};
        const struct rlimit no_core = {0, 0};
        if (setrlimit(RLIMIT_AS, &small) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0) {
            _exit(UNTESTED);
        }
        _exit(replay(bench, true) == ERR_NONE ? LOST : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    /* With a sanitizer it ends as that wants. */
    assert_false(WIFEXITED(status) && (WEXITSTATUS(status) == LOST || WEXITSTATUS(status) == UNTESTED));
    assert_replayed(bench, 1, 1);
}

/* A file may have become longer, by a backup that fills up blocks, say, or by someone's mistake. */
static void a_longer_file_is_as_good(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);
    char path[512];

    path_of(bench, 0, path, sizeof path);
    assert_int_equal(truncate(path, (64 << 20) + 1), 0);
    assert_replayed(bench, 1, 3);
    bench->after = 3;
    begin(bench);
    append(bench, 4, 10);
    assert_replayed(bench, 4, 4);
    free(image.bytes);
}

static void what_was_replayed_is_made_sure(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);

    assert_int_equal(replay(bench, false), ERR_NONE);
    /* Only in memory, as it were: */
    char path[512];
    path_of(bench, 0, path, sizeof path);
    assert_int_equal(journal_confirm(bench->journal, &bench->err), ERR_NONE);
    assert_replayed(bench, 1, 3);
    assert_int_equal(replay(bench, false), ERR_NONE);
    assert_int_equal(truncate(path, PAGE), 0);
    assert_int_equal(journal_confirm(bench->journal, &bench->err), ERR_SYSTEM); /* it is looked at again */
    bench->after = 3;
    save(bench, 0, &image);
    assert_int_equal(replay(bench, false), ERR_NONE);
    assert_int_equal(journal_confirm(bench->journal, &bench->err), ERR_NONE); /* nothing was replayed */
    free(image.bytes);
}

/* The tables are told of a turn and the next: a start finds one of them, whatever became of an append. */
static void a_turn_without_a_record_keeps_the_other_file(void **state)
{
    struct bench *bench = *state;
    struct journal_record told;
    struct journal_record later;

    begin(bench);
    append(bench, 1, 10);
    assert_int_equal(journal_mark(bench->journal, &told, &bench->err), STORE_APPLIED);
    assert_true(journal_may_turn(bench->journal));
    journal_turn(bench->journal);
    assert_false(journal_may_turn(bench->journal));
    append(bench, 2, 10);
    assert_int_equal(journal_mark(bench->journal, &later, &bench->err), STORE_APPLIED);
    assert_true(later.turn == told.next_turn);
    journal_turn(bench->journal);
    const uint64_t used = journal_used(bench->journal);
    assert_int_equal(journal_mark(bench->journal, &told, &bench->err), STORE_APPLIED);
    assert_true(told.turn == later.next_turn);
    assert_int_equal(journal_used(bench->journal), used + PAGE); /* it has a record now */
    assert_true(journal_may_turn(bench->journal));
    assert_int_equal(journal_mark(bench->journal, &later, &bench->err), STORE_APPLIED);
    assert_true(told.turn == later.turn && journal_used(bench->journal) == used + PAGE);
    bench->after = 1;
    assert_replayed(bench, 2, 2);
}

static void files_that_are_none_are_refused(void **state)
{
    struct bench *bench = *state;
    char path[512];

    for (uint32_t file = 0; file < 2; file++) {
        path_of(bench, file, path, sizeof path);
        for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
            assert_int_equal(mkdir(path, 0700), 0);
            assert_int_equal(open_journal(bench, is_read_only != 0), ERR_SYSTEM);
            assert_non_null(strstr(bench->err.text, file == 0 ? "journal.0 " : "journal.1 "));
            assert_int_equal(rmdir(path), 0);
            assert_int_equal(mkfifo(path, 0600), 0);
            assert_int_equal(open_journal(bench, is_read_only != 0), ERR_SYSTEM);
            assert_non_null(strstr(bench->err.text, "is no file"));
            remove_files(bench);
        }
    }
}

static void files_without_permission_are_refused(void **state)
{
    struct bench *bench = *state;
    struct image image = three_records(bench);
    char path[512];

    journal_close(TAKE(bench->journal));
    assert_int_equal(chmod(bench->folder, 0755), 0);
    path_of(bench, 1, path, sizeof path);
    const uid_t user = geteuid();
    if (user == 0) {
        assert_int_equal(chmod(path, 0644), 0);
        path_of(bench, 0, path, sizeof path);
        assert_int_equal(chmod(path, 0644), 0);
        assert_int_equal(seteuid(65534), 0); /* permissions do not bind root */
    } else {
        assert_int_equal(chmod(path, 0400), 0);
    }
    assert_int_equal(open_journal(bench, false), ERR_SYSTEM);
    assert_non_null(strstr(bench->err.text, "cannot be opened: Permission denied"));
    assert_replayed(bench, 1, 3); /* to read is enough for a tool */
    assert_int_equal(seteuid(user), 0);
    free(image.bytes);
}

static void missing_files_are_made_or_missed(void **state)
{
    struct bench *bench = *state;
    char path[512];

    assert_int_equal(open_journal(bench, true), ERR_NONE); /* a store of a version before: there is no journal */
    journal_close(TAKE(bench->journal));
    assert_int_equal(rmdir(bench->folder), 0); /* a tool has left nothing behind */
    assert_int_equal(open_journal(bench, true), ERR_SYSTEM);
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    const struct image empty = {(uint8_t[]){0}, 0};
    save(bench, 0, &empty); /* whoever made it was killed then */
    struct image image = three_records(bench);
    for (uint32_t file = 0; file < 2; file++) {
        struct image kept = load(bench, file);
        path_of(bench, file, path, sizeof path);
        assert_int_equal(unlink(path), 0);
        for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
            assert_int_equal(open_journal(bench, is_read_only != 0), ERR_CORRUPT);
            (void)snprintf(path, sizeof path, "journal.%u is missing; restore", file);
            assert_non_null(strstr(bench->err.text, path));
        }
        save(bench, file, &kept);
        free(kept.bytes);
    }
    assert_replayed(bench, 1, 3);
    free(image.bytes);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(the_bytes_are_as_documented),
        JOURNAL_TEST(what_is_appended_is_replayed),
        JOURNAL_TEST(a_torn_tail_is_passed_over),
        JOURNAL_TEST(it_goes_on_after_a_torn_tail),
        JOURNAL_TEST(rot_is_refused),
        JOURNAL_TEST(rot_in_the_first_record_of_a_turn_is_refused),
        JOURNAL_TEST(a_gap_is_refused),
        JOURNAL_TEST(tables_of_another_history_are_refused),
        JOURNAL_TEST(an_epoch_may_stand_twice),
        JOURNAL_TEST(what_looks_like_a_record_is_none),
        JOURNAL_TEST(what_looks_like_a_turn_is_none),
        JOURNAL_TEST(operations_that_cannot_be_are_refused),
        JOURNAL_TEST(a_newer_format_is_refused),
        JOURNAL_TEST(files_grow_and_give_back),
        JOURNAL_TEST(a_record_fits_where_zeros_do_not),
        JOURNAL_TEST(a_replay_without_memory_loses_nothing),
        JOURNAL_TEST(a_longer_file_is_as_good),
        JOURNAL_TEST(what_was_replayed_is_made_sure),
        JOURNAL_TEST(a_turn_without_a_record_keeps_the_other_file),
        JOURNAL_TEST(files_that_are_none_are_refused),
        JOURNAL_TEST(files_without_permission_are_refused),
        JOURNAL_TEST(missing_files_are_made_or_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
