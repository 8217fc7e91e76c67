/* SPDX-License-Identifier: Apache-2.0 */
#include "store_lmdb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <lmdb.h>

#include "check.h"
#include "folder.h"
#include "keys.h"
#include "record.h"
#include "store_internal.h"

enum {
    READERS_MAX = 126,        /* snapshots open at a time; LMDB's own default, which fills two pages */
    LOCK_FILE_BYTES = 8192,   /* what LMDB needs for as many */
    TABLES_MAX = 32,          /* of this version and of those to come */
    FILE_MODE = 0640,         /* of what LMDB makes */
    RESERVE_BYTES = 32 << 20, /* room kept for what is inside: two epochs of the usual largest size */
    RESERVE_DISK_PART = 8,    /* on a small disk this part of it */
    PAGE_BYTES = 4096,        /* about what an operation takes beyond its key and value */
    PROBE_BYTES = 64 << 20,   /* the most that is written to tell a full disk from a broken one */
};

struct store_lmdb {
    struct store store;
    struct folder *folder;
    MDB_env *env;
    MDB_dbi tables[STORE_TABLE_COUNT];
    bool is_read_only;
    atomic_bool is_reserve_spent; /* the disk was full: until there is room in the file itself, nothing new may come */
};

static struct store_lmdb *lmdb_of(struct store *store)
{
    return (struct store_lmdb *)(void *)store;
}

static MDB_val val_of(struct slice slice)
{
    /* LMDB reads through mv_data and never writes. */
    return (MDB_val){.mv_size = slice.size, .mv_data = (void *)(uintptr_t)slice.data};
}

static struct slice slice_of_val(MDB_val val)
{
    return (struct slice){val.mv_data, val.mv_size};
}

static enum err_code fail(struct err *err, const char *doing, int cause)
{
    const bool is_content = cause == MDB_CORRUPTED || cause == MDB_PAGE_NOTFOUND || cause == MDB_INVALID ||
                            cause == MDB_VERSION_MISMATCH || cause == MDB_INCOMPATIBLE;

    return err_set(err, is_content ? ERR_CORRUPT : ERR_SYSTEM, "%s: %s", doing, mdb_strerror(cause));
}

/* ---- apply ---------------------------------------------------------------------------------------------------- */

static int put_row(MDB_cursor *cursor, const struct op *op, unsigned flags)
{
    MDB_val key = val_of(op->key);
    MDB_val value = val_of(op->value);

    return mdb_cursor_put(cursor, &key, &value, flags);
}

static int delete_row(MDB_cursor *cursor, const struct op *op)
{
    MDB_val key = val_of(op->key);
    const int found = mdb_cursor_get(cursor, &key, NULL, MDB_SET);

    if (found == MDB_NOTFOUND) {
        return MDB_SUCCESS;
    }
    return found != MDB_SUCCESS ? found : mdb_cursor_del(cursor, 0);
}

static int apply_op(MDB_cursor *cursor, const struct op *op)
{
    switch (op->kind) {
    case OP_PUT:
        return put_row(cursor, op, 0);
    case OP_APPEND:
        return put_row(cursor, op, MDB_APPEND);
    case OP_DELETE:
        return delete_row(cursor, op);
    }
    return EINVAL;
}

/* One cursor a table walks forward with the sorted operations, so a neighbour's page is found at once. */
static int apply_ops(struct store_lmdb *store, MDB_txn *txn, const struct epoch *epoch, struct err *err)
{
    MDB_cursor *cursor = NULL;
    int failed = MDB_SUCCESS;

    for (uint32_t i = 0; i < epoch->op_count && failed == MDB_SUCCESS; i++) {
        const struct op *op = &epoch->ops[i];
        if (i == 0 || op->table != epoch->ops[i - 1].table) {
            mdb_cursor_close(cursor);
            cursor = NULL;
            failed = mdb_cursor_open(txn, store->tables[op->table], &cursor);
        }
        if (failed == MDB_SUCCESS) {
            failed = apply_op(cursor, op);
        }
        if (failed != MDB_SUCCESS) {
            (void)err_set(err, ERR_SYSTEM, "table %s, %zu bytes of key, %zu of value: %s%s",
                          store_table_name(op->table), op->key.size, op->value.size, mdb_strerror(failed),
                          failed == MDB_KEYEXIST ? " (appended out of order)" : "");
        }
    }
    mdb_cursor_close(cursor);
    return failed;
}

static enum err_code read_epoch(struct store_lmdb *store, MDB_txn *txn, uint64_t *out, struct err *err)
{
    struct key name;
    MDB_val value = {0, NULL};

    key_meta(&name, "epoch");
    MDB_val key = val_of(key_slice(&name));
    const int failed = mdb_get(txn, store->tables[STORE_META], &key, &value);
    if (failed != MDB_SUCCESS && failed != MDB_NOTFOUND) {
        return fail(err, "row epoch of meta cannot be read", failed);
    }
    return store_epoch_number(failed == MDB_NOTFOUND ? SLICE_EMPTY : slice_of_val(value), out, err);
}

/* LMDB says EIO when the disk took a part of its pages and no more: then there is no room for all of them, but there
 * may be for many, because file systems allot blocks in large pieces. */
static bool is_disk_full(struct store_lmdb *store, const struct epoch *epoch)
{
    uint64_t bytes = FOLDER_BALLAST_BYTES;

    for (uint32_t i = 0; i < epoch->op_count && bytes < PROBE_BYTES; i++) {
        bytes += PAGE_BYTES + epoch->ops[i].key.size + epoch->ops[i].value.size;
    }
    return folder_is_full(store->folder, bytes < PROBE_BYTES ? (uint32_t)bytes : PROBE_BYTES);
}

/* Full, or worse. */
static enum store_apply judge(struct store_lmdb *store, const struct epoch *epoch, int cause, struct err *err)
{
    const bool is_full =
        cause == ENOSPC || cause == EDQUOT || cause == MDB_MAP_FULL || (cause == EIO && is_disk_full(store, epoch));

    if (!is_full) {
        (void)err_wrap(err, "epoch %" PRIu64 " cannot be stored", epoch->number);
        return STORE_FAILED;
    }
    if (cause != MDB_MAP_FULL) {
        store->is_reserve_spent = true;
        folder_release_ballast(store->folder);
    }
    (void)err_set(err, ERR_STORE_FULL, "epoch %" PRIu64 " does not fit: %s", epoch->number,
                  cause == MDB_MAP_FULL ? "the store's map is full" : "the disk is full");
    return STORE_IS_FULL;
}

static enum store_apply apply(struct store *base, const struct epoch *epoch, struct err *err)
{
    struct store_lmdb *store = lmdb_of(base);
    MDB_txn *txn = NULL;
    uint64_t newest = 0;

    check(!store->is_read_only);
    store_check_sorted(epoch);
    int failed = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (failed != MDB_SUCCESS) {
        (void)fail(err, "no write transaction", failed);
        return judge(store, epoch, failed, err);
    }
    if (read_epoch(store, txn, &newest, err) != ERR_NONE) {
        mdb_txn_abort(txn);
        return STORE_FAILED;
    }
    if (epoch->number <= newest) {
        mdb_txn_abort(txn);
        (void)err_set(err, ERR_SYSTEM, "epoch %" PRIu64 " comes after epoch %" PRIu64 ", which is stored already",
                      epoch->number, newest);
        return STORE_FAILED;
    }
    failed = apply_ops(store, txn, epoch, err);
    if (failed != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return judge(store, epoch, failed, err);
    }
    failed = mdb_txn_commit(txn); /* frees the transaction whatever it says */
    if (failed != MDB_SUCCESS) {
        (void)fail(err, "commit", failed);
        return judge(store, epoch, failed, err);
    }
    folder_keep_ballast(store->folder);
    return STORE_APPLIED;
}

/* ---- read ----------------------------------------------------------------------------------------------------- */

/* A range being walked; the cursor stays open while the next range is of the same table. */
struct walk {
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct store_rows rows;
};

/* One key, without a cursor. Returns 0 to go on, else an LMDB error; ERR of the rows is in *err. */
static int read_key(struct store_lmdb *store, struct walk *walk, uint32_t range_index, enum store_rows_add *added,
                    struct err *err)
{
    const struct read_range *range = &walk->rows.read->ranges[range_index];
    MDB_val key = val_of(range->key);
    MDB_val value;

    if (range->key.size == 0 || range->key.size > LIMIT_STORE_KEY_BYTES_MAX) {
        return MDB_SUCCESS; /* no row has such a key */
    }
    const int found = mdb_get(walk->txn, store->tables[range->table], &key, &value);
    if (found == MDB_SUCCESS) {
        *added = store_rows_add(&walk->rows, range_index, range->key, slice_of_val(value), err);
    }
    return found == MDB_NOTFOUND ? MDB_SUCCESS : found;
}

static int read_on(struct store_lmdb *store, struct walk *walk, uint32_t range_index, enum store_rows_add *added,
                   struct err *err)
{
    const struct read_range *range = &walk->rows.read->ranges[range_index];
    MDB_val key = val_of(range->key);
    MDB_val value;

    if (walk->cursor == NULL || mdb_cursor_dbi(walk->cursor) != store->tables[range->table]) {
        mdb_cursor_close(walk->cursor);
        walk->cursor = NULL;
        const int failed = mdb_cursor_open(walk->txn, store->tables[range->table], &walk->cursor);
        if (failed != MDB_SUCCESS) {
            return failed;
        }
    }
    int found = mdb_cursor_get(walk->cursor, &key, &value, range->key.size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    while (found == MDB_SUCCESS && *added == STORE_ROWS_ADDED) {
        const struct slice row_key = slice_of_val(key);
        if (range->kind == RANGE_PREFIX && !store_has_prefix(row_key, range->key)) {
            break;
        }
        *added = store_rows_add(&walk->rows, range_index, row_key, slice_of_val(value), err);
        if (*added == STORE_ROWS_ADDED) {
            found = mdb_cursor_get(walk->cursor, &key, &value, MDB_NEXT);
        }
    }
    return found == MDB_NOTFOUND ? MDB_SUCCESS : found;
}

static enum err_code read_ranges(struct store_lmdb *store, struct walk *walk, struct err *err)
{
    const struct effect_read *read = walk->rows.read;
    enum store_rows_add added = STORE_ROWS_ADDED;
    int failed = MDB_SUCCESS;

    for (uint32_t i = 0; i < read->range_count && added == STORE_ROWS_ADDED && failed == MDB_SUCCESS; i++) {
        const bool is_key = read->ranges[i].kind == RANGE_KEY;
        failed = is_key ? read_key(store, walk, i, &added, err) : read_on(store, walk, i, &added, err);
    }
    mdb_cursor_close(walk->cursor); /* a cursor of a read transaction outlives it otherwise */
    walk->cursor = NULL;
    if (failed != MDB_SUCCESS) {
        return fail(err, "the store cannot be read", failed);
    }
    return added == STORE_ROWS_NO_MEMORY ? err->code : ERR_NONE;
}

static enum err_code read_rows(struct store *base, const struct effect_read *read, struct arena *arena,
                               struct input_rows *out, struct err *err)
{
    struct store_lmdb *store = lmdb_of(base);
    struct walk walk = {0};
    uint64_t newest = 0;
    const int failed = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &walk.txn);

    if (failed != MDB_SUCCESS) {
        return fail(err, "no snapshot of the store", failed);
    }
    store_rows_begin(&walk.rows, read, arena);
    enum err_code code = read_epoch(store, walk.txn, &newest, err);
    if (code == ERR_NONE) {
        code = read_ranges(store, &walk, err);
    }
    mdb_txn_abort(walk.txn);
    if (code == ERR_NONE) {
        store_rows_end(&walk.rows, newest, out);
    }
    return code;
}

/* ---- figures -------------------------------------------------------------------------------------------------- */

static uint64_t epoch_now(struct store *base)
{
    struct store_lmdb *store = lmdb_of(base);
    struct err err;
    MDB_txn *txn = NULL;
    uint64_t newest = 0;

    /* The row was read when the store was opened, and by each epoch since: what fails here fails there. */
    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) == MDB_SUCCESS) {
        if (read_epoch(store, txn, &newest, &err) != ERR_NONE) {
            newest = 0;
        }
        mdb_txn_abort(txn);
    }
    return newest;
}

/* Pages in use are those of the trees: each tree knows its own number, whereas to count the free pages of the
 * file would mean to read the whole list of them. Two meta pages come on top. */
static uint64_t pages_used(struct store_lmdb *store, MDB_txn *txn, uint64_t *page_bytes)
{
    enum { FREE_LIST = 0, NAMES = 1 }; /* LMDB's own two trees have the first numbers */
    uint64_t pages = 2;
    MDB_stat stat;

    for (uint32_t i = 0; i < STORE_TABLE_COUNT + 2; i++) {
        const MDB_dbi tree = i < STORE_TABLE_COUNT ? store->tables[i] : i == STORE_TABLE_COUNT ? FREE_LIST : NAMES;
        if (mdb_stat(txn, tree, &stat) == MDB_SUCCESS) {
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
            *page_bytes = stat.ms_psize;
        }
    }
    return pages;
}

/* The file never shrinks, so after a while the room is inside it: pages that were used and are free. A quota does
 * not show in the disk's room; there only a write that failed tells. */
static bool is_short(struct store_lmdb *store, const struct store_figures *figures)
{
    const uint64_t inside = figures->bytes_file > figures->bytes_used ? figures->bytes_file - figures->bytes_used : 0;
    uint64_t disk_free = 0;
    uint64_t disk_bytes = 0;

    folder_room(store->folder, &disk_free, &disk_bytes);
    if (disk_bytes == 0) {
        return store->is_reserve_spent;
    }
    const uint64_t part = disk_bytes / RESERVE_DISK_PART;
    const uint64_t reserve = part < RESERVE_BYTES ? part : RESERVE_BYTES;
    if (inside >= reserve || disk_free >= 2 * reserve) {
        store->is_reserve_spent = false;
    }
    return store->is_reserve_spent || inside + disk_free < reserve;
}

static struct store_figures figures(struct store *base)
{
    struct store_lmdb *store = lmdb_of(base);
    struct store_figures figures = {0};
    struct stat stat;
    MDB_txn *txn = NULL;
    uint64_t page_bytes = 0;
    int fd = -1;

    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) == MDB_SUCCESS) {
        figures.bytes_used = pages_used(store, txn, &page_bytes) * page_bytes;
        mdb_txn_abort(txn);
    }
    if (mdb_env_get_fd(store->env, &fd) == MDB_SUCCESS && fstat(fd, &stat) == 0) {
        figures.bytes_file = (uint64_t)stat.st_size;
    }
    figures.is_short = is_short(store, &figures);
    return figures;
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

static void close_store(struct store *base)
{
    struct store_lmdb *store = lmdb_of(base);

    if (store->env != NULL) {
        mdb_env_close(store->env);
    }
    folder_close(store->folder); /* last: it holds the lock */
    free(store);
}

static enum err_code open_env(struct store_lmdb *store, const struct store_lmdb_options *options, struct err *err)
{
    const uint64_t map_bytes = options->map_bytes == 0 ? STORE_LMDB_MAP_BYTES : options->map_bytes;
    /* A tool takes no part in LMDB's own locks: the folder's keeps hosts away, and its disk may be read-only.
     * Without read-ahead: rows are asked for here and there, and a page fault should bring one page. */
    const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (options->is_read_only ? MDB_RDONLY | MDB_NOLOCK : 0) |
                           (options->is_not_durable ? MDB_NOSYNC : 0);
    int dead = 0;
    int failed = mdb_env_create(&store->env);

    if (failed != MDB_SUCCESS) {
        store->env = NULL;
        return fail(err, "no LMDB environment", failed);
    }
    if ((failed = mdb_env_set_mapsize(store->env, map_bytes)) == MDB_SUCCESS &&
        (failed = mdb_env_set_maxreaders(store->env, READERS_MAX)) == MDB_SUCCESS &&
        (failed = mdb_env_set_maxdbs(store->env, TABLES_MAX)) == MDB_SUCCESS &&
        (failed = mdb_env_open(store->env, options->folder, flags, FILE_MODE)) == MDB_SUCCESS) {
        /* Snapshots of a process that was killed would hold their pages for ever. */
        failed = options->is_read_only ? MDB_SUCCESS : mdb_reader_check(store->env, &dead);
    }
    if (failed == ENOMEM) {
        return err_set(err, ERR_SYSTEM, "%s: %" PRIu64 " bytes of address space cannot be mapped; set a smaller map",
                       options->folder, map_bytes);
    }
    if (failed == ENOENT && options->is_read_only) {
        return err_set(err, ERR_SYSTEM, "the data folder %s holds no store", options->folder);
    }
    if (failed != MDB_SUCCESS) {
        return fail(err, options->folder, failed);
    }
    check(mdb_env_get_maxkeysize(store->env) >= LIMIT_STORE_KEY_BYTES_MAX);
    return ERR_NONE;
}

/* What stands in meta must be readable, of a format this version knows. */
static enum err_code check_meta(struct store_lmdb *store, MDB_txn *txn, struct err *err)
{
    struct store_record record;
    uint64_t newest = 0;
    struct key name;
    MDB_val value;

    key_meta(&name, "store");
    MDB_val key = val_of(key_slice(&name));
    const int found = mdb_get(txn, store->tables[STORE_META], &key, &value);
    if (found != MDB_SUCCESS && found != MDB_NOTFOUND) {
        return fail(err, "row store of meta cannot be read", found);
    }
    if (found == MDB_SUCCESS && record_get_store(slice_of_val(value), &record, err) != ERR_NONE) {
        return err_wrap(err, "row store of meta");
    }
    return read_epoch(store, txn, &newest, err);
}

static enum err_code open_tables(struct store_lmdb *store, struct err *err)
{
    MDB_txn *txn = NULL;
    int failed = mdb_txn_begin(store->env, NULL, store->is_read_only ? MDB_RDONLY : 0, &txn);

    if (failed != MDB_SUCCESS) {
        return fail(err, "no first transaction", failed);
    }
    for (uint32_t i = 0; i < STORE_TABLE_COUNT && failed == MDB_SUCCESS; i++) {
        const unsigned flags = store->is_read_only ? 0 : MDB_CREATE;
        failed = mdb_dbi_open(txn, store_table_name((enum store_table)i), flags, &store->tables[i]);
    }
    const enum err_code code =
        failed != MDB_SUCCESS ? fail(err, "its tables cannot be opened", failed) : check_meta(store, txn, err);
    if (code != ERR_NONE) {
        mdb_txn_abort(txn);
        return code;
    }
    failed = mdb_txn_commit(txn); /* of a store that has its tables this writes nothing */
    return failed != MDB_SUCCESS ? fail(err, "its tables cannot be made", failed) : ERR_NONE;
}

/* LMDB maps its lock file and writes through the map: a disk without room for it would be a signal. And a data
 * file of which only a part could be written at birth would be taken for a rotten one ever after. */
static enum err_code make_room(struct store_lmdb *store, const struct store_lmdb_options *options, struct err *err)
{
    if (!folder_has(store->folder, "data.mdb") && folder_is_full(store->folder, FOLDER_BALLAST_BYTES)) {
        return err_set(err, ERR_SYSTEM,
                       "no store can be made in %s: the disk is full; make room, or choose another --data",
                       options->folder);
    }
    return folder_reserve(store->folder, "lock.mdb", LOCK_FILE_BYTES, err);
}

static enum err_code open_store(struct store_lmdb *store, const struct store_lmdb_options *options, struct err *err)
{
    enum err_code code = folder_open(options->folder, options->is_read_only, &store->folder, err);

    if (code != ERR_NONE) {
        return code;
    }
    if (!options->is_read_only) {
        code = make_room(store, options, err);
    }
    if (code == ERR_NONE) {
        code = open_env(store, options, err);
    }
    if (code == ERR_NONE) {
        code = open_tables(store, err);
        code = code == ERR_NONE ? code : err_wrap(err, "the store in %s", options->folder);
    }
    if (code == ERR_NONE && !options->is_read_only) {
        code = folder_sync(store->folder, err);
    }
    return code;
}

enum err_code store_lmdb_open(const struct store_lmdb_options *options, struct store **out, struct err *err)
{
    static const struct store_vtable vtable = {apply, figures, epoch_now, read_rows, close_store};
    struct store_lmdb *store = calloc(1, sizeof *store);

    check(store != NULL);
    store->store.vtable = &vtable;
    store->is_read_only = options->is_read_only;
    const enum err_code code = open_store(store, options, err);
    if (code != ERR_NONE) {
        close_store(&store->store);
        return code;
    }
    *out = &store->store;
    return ERR_NONE;
}
