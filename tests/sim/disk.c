/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.c: the image of the store: every row as the epochs must have left it, and where each message is.
 *
 * Built from the epochs alone and compared with the store itself (law 5). Rows are read with the record code;
 * each message's rows are counted, so that the checkers can say where it is after every epoch.
 */
#include <stdlib.h>

#include "check.h"
#include "record.h"
#include "sim.h"

enum { BUCKETS = 4096 };

static struct slice row_key(const struct disk_row *row)
{
    return (struct slice){row->bytes, row->key_bytes};
}

struct slice disk_value(const struct disk_row *row)
{
    return (struct slice){row->bytes + row->key_bytes, row->value_bytes};
}

static struct disk_row **find_place(const struct disk *disk, enum store_table table, struct slice key)
{
    uint64_t hash = (uint64_t)table;

    for (size_t i = 0; i < key.size; i++) {
        hash = (hash ^ key.data[i]) * 0x100000001b3u;
    }
    struct disk_row **place = &disk->buckets[random_mix(hash, 3) % BUCKETS];
    while (*place != NULL && ((*place)->table != table || !slice_equal(row_key(*place), key))) {
        place = &(*place)->next;
    }
    return place;
}

const struct disk_row *disk_find(const struct disk *disk, enum store_table table, struct slice key)
{
    return disk->buckets == NULL ? NULL : *find_place(disk, table, key);
}

void disk_touch(struct sim *sim, uint32_t tag)
{
    struct disk *disk = &sim->disk;
    struct sim_message *message = ledger_at(sim, tag);

    if (message->is_touched) {
        return;
    }
    message->is_touched = true;
    if (disk->touched_count == disk->touched_capacity) {
        disk->touched_capacity = disk->touched_capacity == 0 ? 256 : disk->touched_capacity * 2;
        disk->touched = realloc(disk->touched, disk->touched_capacity * sizeof disk->touched[0]);
        check(disk->touched != NULL);
    }
    disk->touched[disk->touched_count++] = tag;
}

/* ---- what a row means --------------------------------------------------------------------------------- */

static void count_message(struct sim *sim, struct slice value, enum place place, bool is_there)
{
    uint32_t tag = 0;

    if (!ledger_get_message(sim, value, &tag)) {
        sim_fail(sim, LAW_3, "a row holds a value that nobody sent");
        return;
    }
    disk_touch(sim, tag);
    sim->messages[tag].places[place] += is_there ? 1u : UINT32_MAX;
}

static void check_envelope(struct sim *sim, const struct envelope *envelope, struct slice key, enum place place)
{
    uint32_t tag = 0;
    uint64_t due_ms = 0;
    uint64_t number = 0;

    if (!ledger_get_message(sim, envelope->value, &tag)) {
        return; /* already reported */
    }
    const struct sim_message *message = &sim->messages[tag];
    if (message->target != NONE) {
        const struct address target = ledger_address(sim, message->target);
        if (!address_equal(&target, &envelope->target)) {
            sim_fail(sim, LAW_3, "message %u stands under another target", tag);
        }
    }
    if (place == PLACE_MAIL && (!key_read_mail(key, &number) || !ledger_number(sim, number, tag))) {
        sim_fail(sim, LAW_6, "number %llu of message %u was another's", (unsigned long long)number, tag);
    }
    if (place == PLACE_MAIL) {
        sim->messages[tag].number = number;
    }
    if (place == PLACE_MAIL && message->target == NONE) {
        sim_fail(sim, LAW_3, "message %u is in a mailbox that does not exist", tag);
    }
    if (place == PLACE_TIMER &&
        (!key_read_timer(key, &due_ms, &number) || due_ms < message->given_ms + message->delay_ms)) {
        sim_fail(sim, LAW_7, "message %u is due at %llu, before %llu", tag, (unsigned long long)due_ms,
                 (unsigned long long)(message->given_ms + message->delay_ms));
    }
    sim_trace(sim, "  disk: message %u in %s, number %llu", tag, place == PLACE_MAIL ? "mail" : "timer",
              (unsigned long long)number);
}

static void count_mail(struct sim *sim, const struct envelope *envelope, enum place place, bool is_there)
{
    const uint32_t by = is_there ? 1u : UINT32_MAX;
    uint32_t tag = 0;

    if (place != PLACE_MAIL || !ledger_get_message(sim, envelope->value, &tag)) {
        return;
    }
    const struct sim_message *message = &sim->messages[tag];
    const bool is_plain = message->kind != MESSAGE_TIMER && message->delay_ms == 0;
    if (is_plain && message->maker == 0 && message->target != NONE) {
        sim->instances[message->target].client_mail += by;
    }
}

static void count_record(struct sim *sim, const struct outbox_record *record, bool is_there)
{
    uint32_t tag = 0;

    if (!ledger_get_message(sim, record->value, &tag) || !pops_is_record(&sim->messages[tag])) {
        return;
    }
    if (is_there) {
        pops_stored(sim, tag, record->number);
    } else {
        pops_removed(sim, tag);
    }
}

static void read_message_row(struct sim *sim, const struct disk_row *row, bool is_there)
{
    struct envelope envelope;
    struct parked parked;
    struct outbox_record outbox;
    struct err err;
    const struct slice value = disk_value(row);
    enum err_code code = ERR_NONE;

    if (row->table == STORE_PARKED) {
        code = record_get_parked(value, &parked, &err);
        if (code == ERR_NONE) {
            count_message(sim, parked.envelope.value, PLACE_PARKED, is_there);
            sim_trace(sim, "  disk: parked for %.*s", (int)parked.reason.size, (const char *)parked.reason.data);
        }
    } else if (row->table == STORE_OUTBOX) {
        code = record_get_outbox(value, &outbox, &err);
        if (code == ERR_NONE) {
            count_message(sim, outbox.value, PLACE_OUTBOX, is_there);
            count_record(sim, &outbox, is_there);
        }
    } else {
        const enum place place = row->table == STORE_MAIL ? PLACE_MAIL : PLACE_TIMER;
        code = record_get_envelope(value, &envelope, &err);
        if (code == ERR_NONE) {
            count_message(sim, envelope.value, place, is_there);
            count_mail(sim, &envelope, place, is_there);
            sim->disk.tokens += envelope.token.size == 0 ? 0 : is_there ? 1u : UINT32_MAX;
            if (is_there) {
                check_envelope(sim, &envelope, row_key(row), place);
            }
        }
    }
    if (code != ERR_NONE) {
        sim_fail(sim, LAW_5, "a row of %s cannot be read", store_table_name(row->table));
    }
}

static struct type *type_numbered(struct sim *sim, uint32_t number)
{
    for (uint32_t i = 0; i < sim->type_count; i++) {
        if (sim->types[i].number == number) {
            return &sim->types[i];
        }
    }
    return NULL;
}

static uint32_t read_u32(struct slice key)
{
    return (uint32_t)key.data[0] << 24 | (uint32_t)key.data[1] << 16 | (uint32_t)key.data[2] << 8 | key.data[3];
}

/* An instance's rows changed: it is looked at when the whole epoch is in. */
static void touch_instance(struct sim *sim, const struct disk_row *row)
{
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        struct sim_instance *instance = &sim->instances[i];
        struct key prefix;
        if (sim->types[instance->type].number != read_u32(row_key(row)) || instance->is_touched) {
            continue;
        }
        key_instance_prefix(&prefix, sim->types[instance->type].number,
                            (struct slice){instance->id, instance->id_bytes}, &sim->disk.secret);
        instance->is_touched = prefix.size <= row->key_bytes && memcmp(prefix.bytes, row->bytes, prefix.size) == 0;
    }
}

static void read_type(struct sim *sim, uint32_t number, struct slice value)
{
    struct type_record record;
    struct record_cursor cursor;
    struct err err;

    if (record_get_type(value, &record, &cursor, &err) != ERR_NONE) {
        sim_fail(sim, LAW_5, "a type's row cannot be read");
        return;
    }
    for (uint32_t i = 0; i < sim->type_count; i++) {
        struct type *type = &sim->types[i];
        if (!slice_equal(record.space, slice_of(type->space)) || !slice_equal(record.name, slice_of(type->name))) {
            continue;
        }
        if (type->number != NONE && type->number != number) {
            sim_fail(sim, LAW_5, "a type has two numbers");
        }
        type->number = number;
        for (uint32_t spec = 0; spec < record.spec_count; spec++) {
            struct spec_record at;
            if (record_next_spec(&cursor, &at, &err) != ERR_NONE) {
                sim_fail(sim, LAW_5, "a type's specs cannot be read");
                return;
            }
            for (uint32_t state = 0; state < STATES_MAX; state++) {
                if (slice_equal(at.spec.name, slice_of(state_name(state)))) {
                    type->states[state] = at.state;
                }
            }
        }
    }
}

static void read_meta(struct sim *sim, const struct disk_row *row)
{
    struct epoch_record epoch;
    struct store_record store;
    struct err err;
    uint32_t number = 0;
    const struct slice key = row_key(row);

    if (slice_equal(key, SLICE("epoch"))) {
        if (record_get_epoch(disk_value(row), &epoch, &err) != ERR_NONE) {
            sim_fail(sim, LAW_5, "the epoch's row cannot be read");
            return;
        }
        if (epoch.ceiling < sim->disk.ceiling || epoch.time_ms < sim->disk.time_ms) {
            sim_fail(sim, LAW_5, "ceiling or time of the store went back");
        }
        sim->disk.ceiling = epoch.ceiling;
        sim->disk.time_ms = epoch.time_ms;
    } else if (slice_equal(key, SLICE("store"))) {
        if (record_get_store(disk_value(row), &store, &err) != ERR_NONE) {
            sim_fail(sim, LAW_5, "the store's row cannot be read");
            return;
        }
        sim->disk.secret = store.secret;
        sim->disk.has_secret = true;
    } else if (key_read_meta_number(key, "type/", &number)) {
        read_type(sim, number, disk_value(row));
    }
}

/* What an instance's row says of rows in other tables. */
static void count_instance(struct sim *sim, const struct disk_row *row, bool is_there)
{
    const uint32_t by = is_there ? 1u : UINT32_MAX;
    struct instance_record record;
    struct record_cursor cursor;
    struct state_value value;
    struct err err;

    if (record_get_instance(disk_value(row), &record, &cursor, &err) != ERR_NONE) {
        sim_fail(sim, LAW_5, "a row of instance cannot be read");
        return;
    }
    sim->disk.armed += record.armed_ms == 0 ? 0 : by;
    for (uint32_t i = 0; i < record.state_count && record_next_state(&cursor, &value, &err) == ERR_NONE; i++) {
        sim->disk.large += value.is_large ? by : 0;
    }
}

static void account(struct sim *sim, const struct disk_row *row, bool is_there)
{
    switch (row->table) {
    case STORE_MAIL:
    case STORE_TIMER:
    case STORE_PARKED:
    case STORE_OUTBOX:
        read_message_row(sim, row, is_there);
        break;
    case STORE_INSTANCE:
    case STORE_STATE:
        if (row->key_bytes < 4 || type_numbered(sim, read_u32(row_key(row))) == NULL) {
            sim_fail(sim, LAW_5, "a row of %s has an unknown type", store_table_name(row->table));
            break;
        }
        touch_instance(sim, row);
        if (row->table == STORE_INSTANCE) {
            count_instance(sim, row, is_there);
        }
        break;
    case STORE_META:
        if (is_there) {
            read_meta(sim, row);
        }
        break;
    case STORE_TOKEN:
    case STORE_INVOCATION:
    case STORE_EXPIRY:
    case STORE_TABLE_COUNT:
        break;
    }
}

/* ---- epochs ------------------------------------------------------------------------------------------- */

static void apply_op(struct sim *sim, const struct op *op)
{
    struct disk *disk = &sim->disk;
    struct disk_row **place = find_place(disk, op->table, op->key);
    struct disk_row *old = *place;

    if (old != NULL) {
        if (op->kind == OP_APPEND) {
            sim_fail(sim, LAW_5, "a key is appended twice to %s", store_table_name(op->table));
        }
        *place = old->next;
        disk->counts[op->table]--;
        account(sim, old, false);
        free(old);
    }
    if (op->kind == OP_DELETE) {
        return;
    }
    struct disk_row *row = malloc(sizeof *row + op->key.size + op->value.size);
    check(row != NULL);
    row->table = op->table;
    row->key_bytes = (uint32_t)op->key.size;
    row->value_bytes = (uint32_t)op->value.size;
    memcpy(row->bytes, op->key.data, op->key.size);
    if (op->value.size > 0) {
        memcpy(row->bytes + op->key.size, op->value.data, op->value.size);
    }
    row->next = *place;
    *place = row;
    disk->counts[op->table]++;
    account(sim, row, true);
}

void disk_apply(struct sim *sim, const struct epoch *epoch, uint64_t sealed_ms)
{
    struct disk *disk = &sim->disk;

    if (disk->buckets == NULL) {
        disk->buckets = calloc(BUCKETS, sizeof disk->buckets[0]);
        check(disk->buckets != NULL);
    }
    if (epoch->number != disk->epoch + 1) {
        sim_fail(sim, LAW_5, "epoch %llu follows %llu on disk", (unsigned long long)epoch->number,
                 (unsigned long long)disk->epoch);
    }
    sim_trace(sim, "disk: epoch %llu, %u operations", (unsigned long long)epoch->number, epoch->op_count);
    disk->epoch = epoch->number;
    for (uint32_t i = 0; i < epoch->op_count; i++) {
        apply_op(sim, &epoch->ops[i]);
    }
    check_epoch(sim, sealed_ms);
    if (epoch->number % 16 == 0) {
        disk_compare(sim);
    }
}

void disk_done(struct disk *disk)
{
    for (uint32_t i = 0; disk->buckets != NULL && i < BUCKETS; i++) {
        struct disk_row *next = NULL;
        for (struct disk_row *row = disk->buckets[i]; row != NULL; row = next) {
            next = row->next;
            free(row);
        }
    }
    free(disk->buckets);
    free(disk->touched);
}

/* ---- the store itself --------------------------------------------------------------------------------- */

struct compare {
    struct sim *sim;
    enum store_table table;
    uint32_t count;
};

static void compare_row(void *context, struct slice key, struct slice value)
{
    struct compare *compare = context;
    const struct disk_row *row = disk_find(&compare->sim->disk, compare->table, key);

    compare->count++;
    if (row == NULL || !slice_equal(disk_value(row), value)) {
        sim_fail(compare->sim, LAW_5, "a row of %s differs from what the epochs made of it",
                 store_table_name(compare->table));
    }
}

void disk_compare(struct sim *sim)
{
    for (uint32_t table = 0; table < STORE_TABLE_COUNT; table++) {
        struct compare compare = {.sim = sim, .table = (enum store_table)table};
        store_memory_each(sim->store, compare.table, compare_row, &compare);
        if (compare.count != sim->disk.counts[table]) {
            sim_fail(sim, LAW_5, "%s has %u rows, the epochs made %u", store_table_name(compare.table), compare.count,
                     sim->disk.counts[table]);
        }
    }
    if (store_epoch(sim->store) != sim->disk.epoch) {
        sim_fail(sim, LAW_5, "the store says epoch %llu, applied was %llu", (unsigned long long)store_epoch(sim->store),
                 (unsigned long long)sim->disk.epoch);
    }
}
