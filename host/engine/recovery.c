/* SPDX-License-Identifier: Apache-2.0 */
#include "recovery.h"

#include "calls.h"
#include "epochs.h"
#include "instance.h"
#include "invocations.h"
#include "mailbox.h"
#include "outbox.h"
#include "reads.h"
#include "timers.h"
#include "types.h"

enum { CLOCK_AHEAD_MS_MAX = 3600000 };

static const enum store_table scan_order[] = {STORE_META,       STORE_MAIL,   STORE_TIMER,
                                              STORE_INVOCATION, STORE_OUTBOX, STORE_PARKED};
enum { SCAN_COUNT = sizeof scan_order / sizeof scan_order[0] };

static void scan(struct engine *engine, struct slice after)
{
    struct read *read = reads_create(engine, READ_SCAN, NULL, 1);
    struct key *key = &read->keys[0];

    check(after.size < sizeof key->bytes);
    if (after.size > 0) {
        memcpy(key->bytes, after.data, after.size);
    }
    key->bytes[after.size] = 0; /* the least key greater than `after` */
    key->size = (uint16_t)(after.size + 1);
    read->ranges[0] = (struct read_range){.kind = RANGE_FROM, .table = scan_order[engine->scan]};
    read->rows_max = engine->options.scan_rows_max;
    read->bytes_max = LIMIT_READ_BYTES_MAX;
    reads_start(engine, read);
}

void recovery_start(struct engine *engine)
{
    check(engine->phase == ENGINE_NEW || engine->phase == ENGINE_STOPPING);
    if (engine->phase == ENGINE_NEW) {
        engine->phase = ENGINE_RECOVERING;
        scan(engine, SLICE_EMPTY);
    }
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static enum err_code load_egress(struct engine *engine, uint32_t number, struct slice value, struct err *err)
{
    struct slice space;
    struct slice name;

    if (record_get_egress(value, &space, &name, err) != ERR_NONE) {
        return err->code;
    }
    outbox_load_egress(engine, number, space, name);
    return ERR_NONE;
}

static enum err_code load_epoch(struct engine *engine, struct slice value, struct err *err)
{
    struct epoch_record record;

    if (record_get_epoch(value, &record, err) != ERR_NONE) {
        return err->code;
    }
    if (record.time_ms > engine->options.wall_ms + CLOCK_AHEAD_MS_MAX && !engine->options.allow_clock_ahead) {
        return err_set(err, ERR_CLOCK,
                       "the store's time lies %llu s ahead of this machine's clock; set the clock right, or start with "
                       "--allow-clock-ahead to go on from the store's time",
                       (unsigned long long)(record.time_ms - engine->options.wall_ms) / 1000);
    }
    if (record.time_ms > engine->now_ms) {
        engine->now_ms = record.time_ms;
    }
    engine->number_ceiling = record.ceiling;
    engine->committed = record.number;
    return ERR_NONE;
}

static enum err_code load_meta(struct engine *engine, const struct row *row, struct err *err)
{
    uint32_t number = 0;

    if (slice_equal(row->key, SLICE("store"))) {
        engine->has_store = true;
        return record_get_store(row->value, &engine->store, err);
    }
    if (slice_equal(row->key, SLICE("epoch"))) {
        return load_epoch(engine, row->value, err);
    }
    if (slice_equal(row->key, SLICE("journal"))) {
        return ERR_NONE; /* the store's own */
    }
    if (key_read_meta_number(row->key, "type/", &number)) {
        return types_load(engine, number, row->value, err) ? ERR_NONE : err->code;
    }
    if (key_read_meta_number(row->key, "egress/", &number)) {
        return load_egress(engine, number, row->value, err);
    }
    return err_set(err, ERR_NEWER_FORMAT, "the store's table meta has a row this version does not know");
}

static enum err_code load_mail(struct engine *engine, const struct row *row, struct err *err)
{
    struct envelope envelope;

    if (record_get_envelope(row->value, &envelope, err) != ERR_NONE) {
        return err->code;
    }
    struct function_type *type = types_get(engine, envelope.target.space, envelope.target.name);
    mailbox_push_recovered(engine, instance_get(engine, type, envelope.target.id), &envelope);
    return ERR_NONE;
}

static enum err_code load_timer(struct engine *engine, const struct row *row, struct err *err)
{
    struct envelope envelope;
    uint64_t due_ms = 0;
    uint64_t number = 0;

    if (!key_read_timer(row->key, &due_ms, &number)) {
        return err_set(err, ERR_CORRUPT, "a key of table timer has the wrong shape");
    }
    if (record_get_envelope(row->value, &envelope, err) != ERR_NONE) {
        return err->code;
    }
    if (!address_is_reply(&envelope.target)) {
        (void)types_get(engine, envelope.target.space,
                        envelope.target.name); /* made now, so that it is there when it fires */
    }
    timers_add_recovered(engine, &envelope, due_ms);
    return ERR_NONE;
}

static enum err_code load_invocation(struct engine *engine, const struct row *row, struct err *err)
{
    struct invocation_id id;
    struct invocation_record record;

    if (!key_read_invocation(row->key, &id)) {
        return err_set(err, ERR_CORRUPT, "a key of table invocation has the wrong shape");
    }
    if (record_get_invocation(row->value, &record, err) != ERR_NONE) {
        return err->code;
    }
    invocations_load(engine, &id, &record);
    return ERR_NONE;
}

static enum err_code load_outbox(struct engine *engine, const struct row *row, struct err *err)
{
    uint32_t number = 0;
    uint64_t record = 0;

    if (!key_read_outbox(row->key, &number, &record)) {
        return err_set(err, ERR_CORRUPT, "a key of table outbox has the wrong shape");
    }
    outbox_load_record(engine, number, row->value.size);
    return ERR_NONE;
}

static enum err_code load_row(struct engine *engine, const struct row *row, struct err *err)
{
    switch (scan_order[engine->scan]) {
    case STORE_META:
        return load_meta(engine, row, err);
    case STORE_MAIL:
        return load_mail(engine, row, err);
    case STORE_TIMER:
        return load_timer(engine, row, err);
    case STORE_INVOCATION:
        return load_invocation(engine, row, err);
    case STORE_OUTBOX:
        return load_outbox(engine, row, err);
    case STORE_PARKED:
        engine->parked_count++;
        return ERR_NONE;
    case STORE_INSTANCE:
    case STORE_STATE:
    case STORE_TOKEN:
    case STORE_EXPIRY:
    case STORE_TABLE_COUNT:
        break;
    }
    check(false);
    return ERR_CORRUPT;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* meta is read: from here on epochs may be written. */
static void begin_epochs(struct engine *engine)
{
    static const char digits[] = "0123456789abcdef";

    engine->number_next = engine->number_ceiling + 1;
    epochs_start(engine, engine->committed);
    if (!engine->has_store) {
        struct key key;
        engine->store.created_ms = engine->now_ms;
        buf_clear(&engine->scratch);
        record_put_store(&engine->scratch, &engine->store);
        key_meta(&key, "store");
        epochs_put(engine, STORE_META, &key, &engine->scratch);
    }
    outbox_intern(engine);
    for (size_t i = 0; i < 16; i++) {
        engine->store_id_hex[2 * i] = digits[engine->store.store_id[i] >> 4];
        engine->store_id_hex[2 * i + 1] = digits[engine->store.store_id[i] & 0x0F];
    }
}

void recovery_rows(struct engine *engine, const struct input_rows *rows)
{
    struct err err;

    if (engine->phase != ENGINE_RECOVERING) {
        return; /* stopping: nothing was taken up, nothing is to be finished */
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (load_row(engine, &rows->rows[i], &err) != ERR_NONE) {
            (void)err_wrap(&err, "recovering table %s", store_table_name(scan_order[engine->scan]));
            engine_fatal(engine, &err);
            return;
        }
    }
    if (rows->is_cut && rows->row_count > 0) {
        scan(engine, rows->rows[rows->row_count - 1].key);
        return;
    }
    if (scan_order[engine->scan] == STORE_META) {
        begin_epochs(engine);
    }
    engine->scan++;
    if (engine->scan < SCAN_COUNT) {
        scan(engine, SLICE_EMPTY);
        return;
    }
    engine->phase = ENGINE_RAISING;
    engine_note(engine, NOTE_INFO, "store.recovered", SLICE_EMPTY,
                "%llu messages, %zu delayed messages, %zu pending asks, %llu parked messages",
                (unsigned long long)engine->mail_count, engine->timers.count, engine->invocations.count,
                (unsigned long long)engine->parked_count);
}

void recovery_committed(struct engine *engine)
{
    struct link *next = NULL;

    engine->phase = ENGINE_READY;
    engine->expiry_next_ms = 0; /* what became due meanwhile */
    for (struct link *link = list_first(&engine->instances_lru); link != NULL; link = next) {
        next = list_next(&engine->instances_lru, link);
        calls_schedule(engine, container_of(link, struct instance, lru));
    }
}
