/* SPDX-License-Identifier: Apache-2.0
 *
 * store_power_cuts.c: the store with a journal on a disk that loses its power: before any write and any sync, of the
 * journal and of LMDB, on any thread. What the next start finds is some epoch, whole, and none before what anybody was
 * told. Some syncs fail, too.
 */
#include "disk.h"
#include "journal_bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

enum { LIVES = 120, BIRTH = 6, CUTS_MAX = 10, LIFE_EPOCHS = 60, ROWS = 6, MAIL = 3, EPOCHS_MAX = BIRTH * LIFE_EPOCHS };

/* A folder as it was found, and what a start on it must find. */
struct cut {
    char folder[256];
    uint64_t told;
    uint64_t handed;
};

struct power {
    struct fixture fixture;
    char durable[256];
    _Atomic(struct store *) store; /* NULL while it is opened and closed */
    _Atomic uint64_t told;         /* the newest epoch that anybody can know of */
    _Atomic uint64_t handed;       /* the newest epoch that was handed over */
    struct cut cuts[CUTS_MAX];     /* the disk's, and guarded by it, while it watches */
    uint32_t cut_count;
    uint64_t random; /* likewise */
    bool is_bad;     /* syncs fail */
    uint32_t life;
    uint32_t life_of[EPOCHS_MAX + 1]; /* by epoch: that it was committed in */
};

static const struct how often = {.is_durable = true, .checkpoint_bytes = 4 * BENCH_PAGE, .checkpoint_ms = UINT32_MAX};

/* ---- epochs --------------------------------------------------------------------------------------------------- */

/* The value that row `row` gets in epoch `number` of life `life`: no two are alike, and some take several pages. */
static struct slice value_of(uint8_t *bytes, uint64_t number, uint32_t life, uint32_t row)
{
    const size_t size = 12 + ((number * 7 + row * 3 + life) % 11 == 0 ? 9000 : (number + row) % 40);

    memset(bytes, (int)(number * 31 + life + row), size);
    memcpy(bytes, &number, 8);
    memcpy(bytes + 8, &life, 4);
    return (struct slice){bytes, size};
}

/* The newest epoch up to `number` that wrote row `row`. */
static uint64_t newest_of(uint64_t number, uint32_t row)
{
    while (number > 0 && number % 3 != row % 3) {
        number--;
    }
    return number;
}

static void fill_epoch(struct fixture *fixture, uint64_t number, uint32_t life)
{
    uint8_t bytes[10000];
    char key[32];

    for (uint32_t row = 0; row < ROWS; row++) {
        if (newest_of(number, row) == number) {
            (void)snprintf(key, sizeof key, "%02u", row);
            fixture_put_slice(fixture, OP_PUT, row % 2 == 0 ? STORE_INSTANCE : STORE_STATE, slice_of(key),
                              value_of(bytes, number, life, row));
        }
    }
    (void)snprintf(key, sizeof key, "%08" PRIu64, number);
    fixture_put_slice(fixture, OP_APPEND, STORE_MAIL, slice_of(key), value_of(bytes, number, life, 0));
    if (number > MAIL) {
        (void)snprintf(key, sizeof key, "%08" PRIu64, number - MAIL);
        fixture_delete(fixture, STORE_MAIL, key);
    }
}

static bool is_row(const struct power *power, const struct row *row, uint64_t number, uint32_t place)
{
    uint8_t bytes[10000];

    return slice_equal(row->value, value_of(bytes, number, power->life_of[number], place));
}

/* Everything is as epoch `number` left it. */
static bool is_whole(const struct power *power, struct fixture *fixture, uint64_t number)
{
    static const struct read_range ranges[] = {{RANGE_FROM, STORE_INSTANCE, {NULL, 0}},
                                               {RANGE_FROM, STORE_STATE, {NULL, 0}},
                                               {RANGE_FROM, STORE_MAIL, {NULL, 0}}};
    uint32_t at = 0;

    fixture_read(fixture, ranges, 3, 1000, 10000000);
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t row = i < ROWS / 2 ? 2 * i : 2 * (i - ROWS / 2) + 1;
        const uint64_t newest = newest_of(number, row);
        if (newest > 0 && (at == fixture->rows.row_count || !is_row(power, &fixture->rows.rows[at++], newest, row))) {
            return false;
        }
    }
    for (uint64_t mail = number > MAIL ? number - MAIL + 1 : 1; mail <= number; mail++) {
        if (at == fixture->rows.row_count || !is_row(power, &fixture->rows.rows[at++], mail, 0)) {
            return false;
        }
    }
    return at == fixture->rows.row_count && fixture->rows.epoch == number;
}

/* ---- cuts ----------------------------------------------------------------------------------------------------- */

static uint32_t draw(struct power *power, uint32_t bound)
{
    power->random = power->random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(power->random >> 33) % bound;
}

/* A cut now and then. What is told now can be told before the power is gone. */
static int on_moment(void *context, const char *synced)
{
    struct power *power = context;
    struct store *store = atomic_load(&power->store);
    const uint64_t readable = store == NULL ? 0 : store_epoch(store);

    if (readable > atomic_load(&power->told)) {
        atomic_store(&power->told, readable);
    }
    if (draw(power, 40) == 0 && power->cut_count < CUTS_MAX) {
        struct cut *cut = &power->cuts[power->cut_count++];
        folder_make(cut->folder, sizeof cut->folder);
        cut->told = atomic_load(&power->told);
        cut->handed = atomic_load(&power->handed);
        disk_cut(cut->folder, power->random | 1);
        folder_copy_file(power->fixture.folder, cut->folder, "lock"); /* a tool wants to see one */
    }
    if (synced == NULL || !power->is_bad || draw(power, 12) != 0) {
        return 0;
    }
    return store != NULL && draw(power, 4) == 0 ? EIO : ENOSPC;
}

/* Opens what is left and looks at it. Returns the epoch it has come to. */
static uint64_t check_cut(const struct power *power, const struct cut *cut)
{
    struct fixture fixture = {0};
    struct how how = bench_rarely;

    for (int starts = 0; starts < 2; starts++) {
        how.is_read_only = starts == 0 && cut->told > 0;
        if (bench_try_open(&fixture, cut->folder, &how) != ERR_NONE) {
            fail_msg("life %u, told %" PRIu64 ": %s", power->life, cut->told, fixture.err.text);
        }
        fixture.number = store_epoch(fixture.store);
        if (fixture.number < cut->told || fixture.number > cut->handed) {
            fail_msg("life %u: epoch %" PRIu64 " is there, %" PRIu64 " was told, %" PRIu64 " handed over", power->life,
                     fixture.number, cut->told, cut->handed);
        }
        if (!is_whole(power, &fixture, fixture.number)) {
            fail_msg("life %u: epoch %" PRIu64 " is not as it was", power->life, fixture.number);
        }
        if (starts == 0) {
            bench_close(&fixture);
        }
    }
    bench_close(&fixture);
    arena_destroy(fixture.arena);
    return fixture.number;
}

/* ---- lives ---------------------------------------------------------------------------------------------------- */

/* False: that is the end of this life. */
static bool commit(struct power *power)
{
    struct fixture *fixture = &power->fixture;
    const uint64_t number = fixture->number + 1;

    power->life_of[number] = power->life;
    atomic_store(&power->handed, number);
    fill_epoch(fixture, number, power->life);
    enum store_apply applied = fixture_apply(fixture);
    while (applied == STORE_IS_FULL) {
        applied = store_apply(fixture->store, fixture->epoch, &fixture->err);
    }
    if (fixture->epoch != NULL) {
        fixture_drop(fixture);
    }
    if (applied == STORE_APPLIED) {
        atomic_store(&power->told, number);
    }
    return applied == STORE_APPLIED;
}

static void open_in_the_end(struct power *power)
{
    struct fixture *fixture = &power->fixture;
    enum err_code code = ERR_SYSTEM;

    for (uint32_t tries = 0; tries < 20 && code == ERR_SYSTEM; tries++) {
        code = bench_try_open(fixture, fixture->folder, &often);
    }
    if (code != ERR_NONE) {
        fail_msg("life %u: %s", power->life, fixture->err.text);
    }
    fixture->number = store_epoch(fixture->store);
    assert_true(fixture->number >= atomic_load(&power->told) && fixture->number <= atomic_load(&power->handed));
    assert_true(is_whole(power, fixture, fixture->number));
    atomic_store(&power->store, fixture->store);
}

/* One life, from its start on; it begins in a folder that came through a cut itself. A host that gave up is started
 * again, and finds what is in memory. */
static void live(struct power *power)
{
    struct fixture *fixture = &power->fixture;

    power->cut_count = 0;
    disk_watch(fixture->folder, power->durable, on_moment, power);
    power->is_bad = power->life % 7 == 1;
    open_in_the_end(power);
    for (uint32_t i = bench_random(LIFE_EPOCHS); i > 0; i--) {
        if (!commit(power)) {
            atomic_store(&power->store, NULL);
            bench_close(fixture);
            open_in_the_end(power);
        }
        if (bench_random(10) == 0) {
            store_journal_settle(fixture->store);
        }
    }
    atomic_store(&power->store, NULL);
    bench_close(fixture);
    disk_unwatch();
}

/* Looks at all cuts of a life and goes on from one of them; if there was none, from its clean end. */
static void die(struct power *power)
{
    struct fixture *fixture = &power->fixture;
    uint64_t number = fixture->number;

    for (uint32_t i = 0; i < power->cut_count; i++) {
        const bool is_last = i + 1 == power->cut_count;
        char copy[256];
        folder_make(copy, sizeof copy);
        if (is_last) {
            folder_copy(power->cuts[i].folder, copy); /* as it was before the start that looks at it */
        }
        number = check_cut(power, &power->cuts[i]);
        if (is_last) {
            folder_remove(fixture->folder);
            (void)snprintf(fixture->folder, sizeof fixture->folder, "%s", copy);
        } else {
            folder_remove(copy);
        }
        folder_remove(power->cuts[i].folder);
    }
    atomic_store(&power->told, number);
    atomic_store(&power->handed, number);
}

/* A folder of a version without a journal; LMDB's own birth is its own. */
static void be_born(struct power *power)
{
    struct fixture *fixture = &power->fixture;

    if (fixture->folder[0] != '\0') {
        folder_remove(fixture->folder);
    }
    folder_make(fixture->folder, sizeof fixture->folder);
    const struct store_lmdb_options tables = {.map_bytes = BENCH_MAP_BYTES, .folder = fixture->folder};
    assert_int_equal(store_lmdb_open(&tables, &fixture->store, &fixture->err), ERR_NONE);
    bench_close(fixture);
    atomic_store(&power->told, 0);
    atomic_store(&power->handed, 0);
}

static void test_power_cuts(void **state)
{
    static struct power power;
    uint32_t cuts = 0;

    (void)state;
    bench_seed(0x9e3779b97f4a7c15U);
    folder_make(power.durable, sizeof power.durable);
    for (power.life = 0; power.life < LIVES; power.life++) {
        if (power.life % BIRTH == 0) {
            be_born(&power);
        }
        live(&power);
        die(&power);
        cuts += power.cut_count;
    }
    assert_true(cuts > LIVES);
    folder_remove(power.durable);
    folder_remove(power.fixture.folder);
    arena_destroy(power.fixture.arena);
}

/* ---- a start that does not fit --------------------------------------------------------------------------------- */

/* What the syncs of the journal and of the tables fail with. */
struct faults {
    int journal;
    int tables;
};

static int on_faulty_moment(void *context, const char *synced)
{
    const struct faults *faults = context;

    if (synced == NULL) {
        return 0;
    }
    return strcmp(synced, "data.mdb") == 0 ? faults->tables : faults->journal;
}

/* An epoch whose sync failed stands in memory, and there a start finds it. If it does not fit into the tables, it is
 * readable all the same, so the journal must have it on disk by then. */
static void test_what_was_read_from_memory(void **state)
{
    static struct power power;
    struct fixture *fixture = &power.fixture;
    struct faults faults = {0, 0};
    struct how how = bench_rarely;

    (void)state;
    how.is_durable = true;
    folder_make(power.durable, sizeof power.durable);
    be_born(&power);
    disk_watch(fixture->folder, power.durable, on_faulty_moment, &faults);
    bench_open(fixture, fixture->folder, &how);
    assert_true(commit(&power));
    faults.journal = EIO;
    assert_false(commit(&power));
    bench_close(fixture);
    faults = (struct faults){0, ENOSPC};
    bench_open(fixture, fixture->folder, &how);
    assert_int_equal(store_epoch(fixture->store), 2);
    for (uint64_t random = 1; random <= 20; random++) {
        struct cut cut = {.told = 2, .handed = 2};
        folder_make(cut.folder, sizeof cut.folder);
        disk_cut(cut.folder, random * 0x9e3779b97f4a7c15U);
        folder_copy_file(fixture->folder, cut.folder, "lock");
        assert_int_equal(check_cut(&power, &cut), 2);
        folder_remove(cut.folder);
    }
    bench_close(fixture);
    disk_unwatch();
    folder_remove(power.durable);
    folder_remove(fixture->folder);
    arena_destroy(fixture->arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_what_was_read_from_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
