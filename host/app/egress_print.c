/* SPDX-License-Identifier: Apache-2.0 */
#include "egress_print.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "check.h"
#include "json.h"
#include "keys.h"
#include "record.h"
#include "store_journal.h"
#include "store_lmdb.h"
#include "wire.h"

enum {
    PAGE_ROWS_MAX = 256,
    PAGE_ARENA_BYTES = 256 << 20, /* one row may be as large as an answer of a function */
    LINE_BYTES_MAX = 512 << 20,   /* escapes and base64 make it longer than its record */
    NAMES_BYTES_MAX = 200,        /* of known names in a message */
};

/* One page of rows, and where the next one begins. */
struct pager {
    struct store *store;
    enum store_table table;
    struct key from;
    struct arena *arena; /* of the page */
    struct input_rows rows;
    bool is_over;
};

static void pager_begin(struct pager *pager, struct store *store, enum store_table table, const struct key *from)
{
    *pager = (struct pager){.store = store, .table = table, .from = *from};
}

static void pager_done(struct pager *pager)
{
    arena_destroy(pager->arena);
}

/* Reads the next page. The rows live until the call after it. */
static enum err_code pager_next(struct pager *pager, struct err *err)
{
    const struct read_range range = {.kind = RANGE_FROM, .table = pager->table, .key = key_slice(&pager->from)};
    const struct effect_read read = {
        .ranges = &range, .range_count = 1, .rows_max = PAGE_ROWS_MAX, .bytes_max = LIMIT_READ_BYTES_MAX};

    arena_destroy(pager->arena);
    pager->arena = arena_create(PAGE_ARENA_BYTES);
    if (pager->arena == NULL) {
        return err_set(err, ERR_NO_MEMORY, "memory is out");
    }
    if (store_read(pager->store, &read, pager->arena, &pager->rows, err) != ERR_NONE) {
        return err->code;
    }
    pager->is_over = !pager->rows.is_cut || pager->rows.row_count == 0;
    if (!pager->is_over) {
        /* The least key after the last one. Keys here are far shorter than the longest. */
        const struct slice last = pager->rows.rows[pager->rows.row_count - 1].key;
        check(last.size < sizeof pager->from.bytes);
        memcpy(pager->from.bytes, last.data, last.size);
        pager->from.bytes[last.size] = 0;
        pager->from.size = (uint16_t)(last.size + 1);
    }
    return ERR_NONE;
}

/* ---- finding the egress --------------------------------------------------------------------------------- */

struct search {
    struct slice space;
    struct slice name;
    struct buf known; /* names seen, for a message */
    uint32_t number;
    bool is_found;
    bool is_over; /* past the rows of egresses */
};

static enum err_code search_page(struct search *search, const struct input_rows *rows, struct err *err)
{
    for (uint32_t i = 0; i < rows->row_count && !search->is_found; i++) {
        struct slice space;
        struct slice name;
        uint32_t number = 0;
        if (!key_read_meta_number(rows->rows[i].key, "egress/", &number)) {
            search->is_over = true;
            return ERR_NONE;
        }
        if (record_get_egress(rows->rows[i].value, &space, &name, err) != ERR_NONE) {
            return err_wrap(err, "reading the names of egresses");
        }
        buf_appendf(&search->known, "%s%.*s/%.*s", search->known.size == 0 ? "" : ", ", (int)space.size, space.data,
                    (int)name.size, name.data);
        if (slice_equal(space, search->space) && slice_equal(name, search->name)) {
            search->is_found = true;
            search->number = number;
        }
    }
    return ERR_NONE;
}

static enum err_code find_egress(struct store *store, const char *text, uint32_t *out_number, struct err *err)
{
    struct search search = {0};
    struct pager pager;
    struct key from;
    enum err_code code = ERR_NONE;

    if (!address_split_type(slice_of(text), &search.space, &search.name)) {
        return err_set(err, ERR_CONFIG, "'%.80s' does not name an egress; write namespace/name", text);
    }
    buf_init(&search.known, 64 << 10); /* what does not fit is not shown either */
    key_meta_egress(&from, 0);
    pager_begin(&pager, store, STORE_META, &from);
    while (code == ERR_NONE && !search.is_found && !search.is_over && !pager.is_over) {
        code = pager_next(&pager, err);
        if (code == ERR_NONE) {
            code = search_page(&search, &pager.rows, err);
        }
    }
    if (code == ERR_NONE && !search.is_found && search.known.size == 0) {
        code = err_set(err, ERR_NOT_FOUND, "no egress %.80s has ever been sent to, nor has any other", text);
    } else if (code == ERR_NONE && !search.is_found) {
        const int size = search.known.size < NAMES_BYTES_MAX ? (int)search.known.size : NAMES_BYTES_MAX;
        code = err_set(err, ERR_NOT_FOUND, "no egress %.80s has ever been sent to; known are: %.*s%s", text, size,
                       search.known.data, search.known.size > NAMES_BYTES_MAX ? "…" : "");
    }
    pager_done(&pager);
    buf_done(&search.known);
    *out_number = search.number;
    return code;
}

/* ---- one record ----------------------------------------------------------------------------------------- */

static void put_time(uint64_t time_ms, struct buf *line)
{
    const time_t seconds = (time_t)(time_ms / 1000);
    char text[40];
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        buf_append_text(line, "null"); /* beyond what a calendar has */
        return;
    }
    buf_appendf(line, "\"%s.%03uZ\"", text, (unsigned)(time_ms % 1000));
}

static void put_sender(const struct address *sender, struct buf *line)
{
    struct buf text;

    buf_init(&text, 64 << 10); /* an address is far shorter */
    buf_append_slice(&text, sender->space);
    buf_append_u8(&text, '/');
    buf_append_slice(&text, sender->name);
    buf_append_u8(&text, '/');
    buf_append_slice(&text, sender->id);
    json_put_string(line, buf_slice(&text));
    buf_done(&text);
}

static void put_base64(struct slice bytes, struct buf *line)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes.size; at += 3) {
        const size_t left = bytes.size - at;
        uint32_t bits = (uint32_t)bytes.data[at] << 16;
        bits |= left > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)bytes.data[at + 2] : 0;
        const char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
                               left > 2 ? digits[bits & 63] : '='};
        buf_append(line, group, sizeof group);
    }
}

/* JSON of a client may hold line breaks between its tokens; within strings they are escaped. */
static void join_lines(struct buf *line, size_t from)
{
    for (size_t i = from; i < line->size; i++) {
        if (line->data[i] == '\n' || line->data[i] == '\r') {
            line->data[i] = ' ';
        }
    }
}

static void put_value(struct slice bytes, struct buf *line)
{
    struct typed_value value;
    struct slice typename_;
    struct err err; /* not told: the bytes are shown instead */
    enum json_form form = JSON_NOTHING;
    const size_t before = line->size;

    if (wire_get_typed_value(bytes, &value, &err) != ERR_NONE) {
        buf_append_text(line, "null,\"typed_value_base64\":\""); /* not ours to judge: shown as it is stored */
        put_base64(bytes, line);
        buf_append_u8(line, '"');
        return;
    }
    json_put_string(line, value.typename_);
    buf_append_text(line, ",\"value\":");
    const size_t at = line->size;
    if (json_put_value(bytes, line, &form, &typename_, &err) == ERR_NONE && form == JSON_TEXT) {
        join_lines(line, at);
        return;
    }
    line->size = at;
    if (form == JSON_NOTHING && !value.has_value) {
        buf_append_text(line, "null");
        return;
    }
    line->size = before;
    json_put_string(line, value.typename_);
    buf_append_text(line, ",\"base64\":\"");
    put_base64(value.value, line);
    buf_append_u8(line, '"');
}

static enum err_code print_record(const struct row *row, struct buf *line, FILE *out, struct err *err)
{
    struct outbox_record record;

    if (record_get_outbox(row->value, &record, err) != ERR_NONE) {
        return err_wrap(err, "reading the outbox");
    }
    buf_clear(line);
    buf_appendf(line, "{\"number\":%" PRIu64 ",\"time\":", record.number);
    put_time(record.time_ms, line);
    buf_append_text(line, ",\"sender\":");
    put_sender(&record.sender, line);
    buf_append_text(line, ",\"type\":");
    put_value(record.value, line);
    buf_append_text(line, "}\n");
    if (line->overflow) {
        return err_set(err, ERR_NO_MEMORY, "record %" PRIu64 " does not fit in memory", record.number);
    }
    if (fwrite(line->data, 1, line->size, out) != line->size) {
        return err_set(err, ERR_SYSTEM, "the output cannot be written: %s", strerror(errno));
    }
    return ERR_NONE;
}

static enum err_code print_records(struct store *store, uint32_t egress, FILE *out, struct err *err)
{
    enum err_code code = ERR_NONE;
    bool is_over = false;
    struct pager pager;
    struct key from;
    struct buf line;

    buf_init(&line, LINE_BYTES_MAX);
    key_outbox(&from, egress, 0);
    pager_begin(&pager, store, STORE_OUTBOX, &from);
    while (code == ERR_NONE && !is_over && !pager.is_over) {
        code = pager_next(&pager, err);
        for (uint32_t i = 0; code == ERR_NONE && !is_over && i < pager.rows.row_count; i++) {
            uint32_t found = 0;
            uint64_t number = 0;
            is_over = !key_read_outbox(pager.rows.rows[i].key, &found, &number) || found != egress;
            if (!is_over) {
                code = print_record(&pager.rows.rows[i], &line, out, err);
            }
        }
    }
    pager_done(&pager);
    buf_done(&line);
    if (code == ERR_NONE && fflush(out) != 0) {
        return err_set(err, ERR_SYSTEM, "the output cannot be written: %s", strerror(errno));
    }
    return code;
}

enum err_code egress_print_store(struct store *store, const char *name, FILE *out, struct err *err)
{
    uint32_t number = 0;

    if (find_egress(store, name, &number, err) != ERR_NONE) {
        return err->code;
    }
    return print_records(store, number, out, err);
}

enum err_code egress_print(const char *folder, const char *name, FILE *out, struct err *err)
{
    const struct store_lmdb_options tables = {.folder = folder, .is_read_only = true};
    struct store_journal_options journal = {.folder = folder, .is_read_only = true};
    struct store *store = NULL;
    struct stat found;

    if (stat(folder, &found) != 0 && errno == ENOENT) {
        return err_set(err, ERR_NOT_FOUND, "there is no data folder %.200s", folder);
    }
    if (store_lmdb_open(&tables, &journal.below, err) != ERR_NONE ||
        store_journal_open(&journal, &store, err) != ERR_NONE) {
        return err->code;
    }
    const enum err_code code = egress_print_store(store, name, out, err);
    store_close(store);
    return code;
}
