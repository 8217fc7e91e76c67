/* SPDX-License-Identifier: Apache-2.0 */
#include "instance.h"

#include <stdlib.h>

#include "calls.h"
#include "epochs.h"
#include "expiry.h"
#include "mailbox.h"
#include "reads.h"
#include "timers.h"
#include "types.h"

enum { EVICTIONS_PER_STEP = 64, VALUES_READ_BYTES = 1 << 20 };

struct instance_name {
    const struct function_type *type;
    struct slice id;
};

static bool has_name(const struct table_node *node, const void *key)
{
    const struct instance *instance = container_of(node, const struct instance, node);
    const struct instance_name *name = key;

    return instance->type == name->type && slice_equal(instance->id, name->id);
}

struct instance *instance_get(struct engine *engine, struct function_type *type, struct slice id)
{
    const struct instance_name key = {type, id};
    const uint64_t hash = engine_hash(engine, type->name, type->space, id);
    struct table_node *node = table_find(&engine->instances, hash, has_name, &key);

    if (node != NULL) {
        struct instance *found = container_of(node, struct instance, node);
        list_remove(&engine->instances_lru, &found->lru);
        list_push(&engine->instances_lru, &found->lru);
        return found;
    }
    struct instance *instance = calloc(1, sizeof *instance + id.size);
    check(instance != NULL);
    memcpy(instance + 1, id.data, id.size);
    instance->id = (struct slice){(const uint8_t *)(instance + 1), id.size};
    instance->type = type;
    instance->wake.kind = WAKE_INSTANCE;
    instance->bytes = sizeof *instance + id.size;
    engine->memory_bytes += instance->bytes;
    table_insert(&engine->instances, &instance->node, hash);
    list_push(&engine->instances_lru, &instance->lru);
    return instance;
}

struct address instance_address(const struct instance *instance)
{
    return (struct address){instance->type->space, instance->type->name, instance->id};
}

struct slice instance_text(struct engine *engine, const struct instance *instance)
{
    const struct address address = instance_address(instance);

    buf_clear(&engine->scratch_text);
    address_print(&address, &engine->scratch_text);
    return arena_copy(engine->step_arena, buf_slice(&engine->scratch_text));
}

void instance_changed(struct engine *engine, struct instance *instance)
{
    if (!link_is_linked(&instance->dirty)) {
        list_push(&engine->open->dirty_instances, &instance->dirty);
        epochs_changed(engine, 64 + instance->bytes);
    }
    instance->changed_epoch = engine->open->number;
    if (instance->created_ms == 0) {
        instance->created_ms = engine->now_ms;
    }
}

void instance_touch(struct engine *engine, struct instance *instance)
{
    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        if (instance->values[i].data != NULL && instance->type->specs[i].mode == EXPIRY_AFTER_INVOKE) {
            instance->touched_ms = engine->now_ms;
            instance_changed(engine, instance);
            return;
        }
    }
}

/* ---- values -------------------------------------------------------------------------------------------- */

static struct value *value_at(struct instance *instance, uint32_t spec)
{
    if (spec >= instance->value_capacity) {
        const uint32_t capacity = instance->type->spec_count;
        struct value *grown = realloc(instance->values, capacity * sizeof(*grown));
        check(spec < capacity && grown != NULL);
        memset(grown + instance->value_capacity, 0, (capacity - instance->value_capacity) * sizeof(*grown));
        instance->values = grown;
        instance->value_capacity = capacity;
    }
    return &instance->values[spec];
}

static void set_bytes(struct engine *engine, struct instance *instance, struct value *value, struct slice bytes)
{
    instance->bytes += bytes.size;
    instance->bytes -= value->size;
    engine->memory_bytes += bytes.size;
    engine->memory_bytes -= value->size;
    if (bytes.data == NULL) {
        free(value->data);
        value->data = NULL;
        value->size = 0;
        return;
    }
    if (value->data == NULL || value->size != bytes.size) {
        uint8_t *data = realloc(value->data, bytes.size + 1); /* an empty value is a value too */
        check(data != NULL);
        value->data = data;
    }
    memcpy(value->data, bytes.data, bytes.size);
    value->size = bytes.size;
}

void instance_set_value(struct engine *engine, struct instance *instance, uint32_t spec, struct slice bytes)
{
    struct value *value = value_at(instance, spec);
    const struct slice some = bytes.data == NULL ? SLICE("") : bytes;

    set_bytes(engine, instance, value, some);
    value->written_ms = engine->now_ms;
    value->is_dirty = true;
    epochs_changed(engine, bytes.size);
    instance_changed(engine, instance);
}

void instance_clear_value(struct engine *engine, struct instance *instance, uint32_t spec)
{
    struct value *value = value_at(instance, spec);

    if (value->data != NULL) {
        set_bytes(engine, instance, value, SLICE_EMPTY);
        value->is_dirty = true;
        instance_changed(engine, instance);
    }
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static bool is_large(const struct value *value)
{
    return value->data != NULL && value->size > LIMIT_STATE_INLINE_BYTES_MAX;
}

static void put_large_values(struct engine *engine, struct instance *instance)
{
    const struct hash_key *secret = &engine->store.secret;
    struct key key;

    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        struct value *value = &instance->values[i];
        if (!value->is_dirty) {
            continue;
        }
        value->is_dirty = false;
        if (!is_large(value) && !value->is_large_on_disk) {
            continue;
        }
        key_state(&key, instance->type->number, instance->id, i + 1, secret);
        if (is_large(value)) {
            buf_clear(&engine->scratch);
            record_put_state(&engine->scratch, (struct slice){value->data, value->size});
            epochs_put(engine, STORE_STATE, &key, &engine->scratch);
        } else {
            epochs_delete(engine, STORE_STATE, &key);
        }
        value->is_large_on_disk = is_large(value);
    }
}

static uint32_t count_values(const struct instance *instance)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        count += instance->values[i].data != NULL;
    }
    return count;
}

static void put_record(struct engine *engine, struct instance *instance, uint32_t count, const struct key *key)
{
    const struct instance_record record = {.created_ms = instance->created_ms,
                                           .touched_ms = instance->touched_ms,
                                           .armed_ms = instance->armed_ms,
                                           .id = instance->id,
                                           .state_count = count};

    buf_clear(&engine->scratch);
    const size_t start = record_begin_instance(&engine->scratch, &record);
    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        const struct value *value = &instance->values[i];
        if (value->data != NULL) {
            const struct state_value state = {.state = i + 1,
                                              .is_large = is_large(value),
                                              .written_ms = value->written_ms,
                                              .value = is_large(value) ? SLICE_EMPTY
                                                                       : (struct slice){value->data, value->size}};
            record_add_state(&engine->scratch, &state);
        }
    }
    record_end_instance(&engine->scratch, start);
    epochs_put(engine, STORE_INSTANCE, key, &engine->scratch);
}

static void put_expiry(struct engine *engine, struct instance *instance)
{
    const struct hash_key *secret = &engine->store.secret;
    struct key key;

    if (instance->armed_ms == instance->armed_disk_ms) {
        return;
    }
    if (instance->armed_disk_ms != 0) {
        key_expiry(&key, instance->armed_disk_ms, instance->type->number, instance->id, secret);
        epochs_delete(engine, STORE_EXPIRY, &key);
    }
    if (instance->armed_ms != 0) {
        key_expiry(&key, instance->armed_ms, instance->type->number, instance->id, secret);
        buf_clear(&engine->scratch);
        record_put_expiry(&engine->scratch, instance->id);
        epochs_put(engine, STORE_EXPIRY, &key, &engine->scratch);
    }
    instance->armed_disk_ms = instance->armed_ms;
}

void instance_put(struct engine *engine, struct instance *instance)
{
    const struct hash_key *secret = &engine->store.secret;
    const uint32_t count = count_values(instance);
    struct key key;

    check(instance->type->number != TYPE_NUMBER_NONE);
    put_large_values(engine, instance);
    key_instance(&key, instance->type->number, instance->id, secret);
    if (count > 0) {
        put_record(engine, instance, count, &key);
        instance->is_on_disk = true;
    } else {
        instance->armed_ms = 0; /* nothing left that could expire */
        instance->created_ms = 0;
        instance->touched_ms = 0;
        if (instance->is_on_disk) {
            epochs_delete(engine, STORE_INSTANCE, &key);
            instance->is_on_disk = false;
        }
    }
    put_expiry(engine, instance);
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static bool load_record(struct engine *engine, struct instance *instance, struct slice bytes, struct err *err)
{
    struct instance_record record;
    struct record_cursor cursor;

    if (record_get_instance(bytes, &record, &cursor, err) != ERR_NONE) {
        return false;
    }
    if (!slice_equal(record.id, instance->id)) {
        (void)err_set(err, ERR_CORRUPT, "the record holds another id");
        return false;
    }
    instance->created_ms = record.created_ms;
    instance->touched_ms = record.touched_ms;
    instance->armed_ms = record.armed_ms;
    instance->armed_disk_ms = record.armed_ms;
    instance->is_on_disk = true;
    for (uint32_t i = 0; i < record.state_count; i++) {
        struct state_value state;
        if (record_next_state(&cursor, &state, err) != ERR_NONE) {
            return false;
        }
        if (state.state == 0 || state.state > instance->type->spec_count) {
            (void)err_set(err, ERR_CORRUPT, "the record holds a state value its function type never declared");
            return false;
        }
        struct value *value = value_at(instance, state.state - 1);
        value->written_ms = state.written_ms;
        value->is_large_on_disk = state.is_large;
        if (!state.is_large) {
            set_bytes(engine, instance, value, state.value.data == NULL ? SLICE("") : state.value);
        }
    }
    return true;
}

static bool load_large(struct engine *engine, struct instance *instance, const struct row *row, struct err *err)
{
    uint32_t state = 0;
    struct slice bytes;

    if (!key_read_state(row->key, &state) || state == 0 || state > instance->value_capacity ||
        !instance->values[state - 1].is_large_on_disk) {
        (void)err_set(err, ERR_CORRUPT, "a large state value stands alone, without its instance");
        return false;
    }
    if (record_get_state(row->value, &bytes, err) != ERR_NONE) {
        return false;
    }
    set_bytes(engine, instance, &instance->values[state - 1], bytes);
    return true;
}

static bool load_row(struct engine *engine, struct instance *instance, const struct row *row, bool is_record,
                     struct err *err)
{
    return is_record ? load_record(engine, instance, row->value, err) : load_large(engine, instance, row, err);
}

static void corrupt(struct engine *engine, struct instance *instance, const char *text)
{
    engine_note(engine, NOTE_ERROR, "instance.corrupt", instance_text(engine, instance), "%s", text);
    instance_set_blocked(engine, instance, BLOCKED_CORRUPT); /* its messages wait; nothing of it is touched */
    types_try_another(engine, instance->type);
}

static bool is_missing(const struct value *value)
{
    return value->is_large_on_disk && value->data == NULL;
}

/* Reads the large values that did not fit into the answers so far; false if none is missing. */
static bool read_missing(struct engine *engine, struct instance *instance)
{
    const struct hash_key *secret = &engine->store.secret;
    uint32_t count = 0;

    for (uint32_t i = 0; i < instance->value_capacity && count < LIMIT_READ_RANGES_MAX; i++) {
        count += is_missing(&instance->values[i]);
    }
    if (count == 0) {
        return false;
    }
    struct read *read = reads_create(engine, READ_VALUES, instance, count);
    count = 0;
    for (uint32_t i = 0; i < instance->value_capacity && count < read->range_count; i++) {
        if (is_missing(&instance->values[i])) {
            key_state(&read->keys[count], instance->type->number, instance->id, i + 1, secret);
            read->ranges[count++] = (struct read_range){.kind = RANGE_KEY, .table = STORE_STATE};
        }
    }
    read->bytes_max = VALUES_READ_BYTES;
    instance->read = read;
    reads_start(engine, read);
    return true;
}

void instance_load_rows(struct engine *engine, struct instance *instance, const struct input_rows *rows, bool is_first)
{
    struct err err;

    check(!instance->is_loaded && instance->phase == INSTANCE_LOADING);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        const struct row *row = &rows->rows[i];
        if (!load_row(engine, instance, row, is_first && row->range == 0, &err)) {
            instance->phase = INSTANCE_IDLE;
            corrupt(engine, instance, err.text);
            return;
        }
    }
    if (!is_first && rows->row_count == 0) {
        instance->phase = INSTANCE_IDLE;
        corrupt(engine, instance, "a large state value is missing");
        return;
    }
    if (read_missing(engine, instance)) {
        return;
    }
    instance->phase = INSTANCE_IDLE;
    instance->is_loaded = true;
    if (instance->expiry_due != 0) {
        expiry_judge(engine, instance);
    }
    calls_reschedule(engine, instance); /* its turn had come */
}

/* ---- blocks, eviction ---------------------------------------------------------------------------------- */

void instance_set_blocked(struct engine *engine, struct instance *instance, enum blocked blocked)
{
    static const char *const reasons[] = {
        [BLOCKED_FULL] =
            "there is no room for what its results add (messages, delayed messages, the store, or the queue "
            "of an egress); it is tried again",
        [BLOCKED_PARKED_FULL] = "a message is to be parked, but no more may be; raise --parked-max",
        [BLOCKED_ATTEMPTS] =
            "its first message failed as often as the retry policy allows; it is tried on at the longest delay",
        [BLOCKED_TOO_LARGE] = "its endpoint answers 413 to its first message; raise the endpoint's body limit",
        [BLOCKED_CORRUPT] = "its rows in the store cannot be read",
    };

    if (instance->blocked == blocked) {
        return;
    }
    engine->blocked_instances -= instance->blocked != BLOCKED_NOT;
    engine->blocked_instances += blocked != BLOCKED_NOT;
    instance->blocked = blocked;
    if (blocked == BLOCKED_NOT) {
        engine_note(engine, NOTE_INFO, "instance.unblocked", instance_text(engine, instance), "it moves on");
    } else {
        engine_note(engine, NOTE_WARN, "instance.blocked", instance_text(engine, instance), "%s", reasons[blocked]);
    }
}

void instance_free(struct engine *engine, struct instance *instance)
{
    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        free(instance->values[i].data);
    }
    free(instance->values);
    engine->memory_bytes -= instance->bytes;
    table_remove(&engine->instances, &instance->node);
    list_remove(&engine->instances_lru, &instance->lru);
    free(instance);
}

/* The values of a clean instance that waits are read again when its turn comes. */
static void unload(struct engine *engine, struct instance *instance)
{
    if (instance->phase != INSTANCE_READY && instance->phase != INSTANCE_PENDING &&
        instance->phase != INSTANCE_BACKOFF) {
        return;
    }
    mailbox_settle_all(engine, instance);
    mailbox_chill_all(engine, instance);
    if (!instance->is_on_disk || instance->changed_epoch > engine->committed || link_is_linked(&instance->dirty)) {
        return;
    }
    for (uint32_t i = 0; i < instance->value_capacity; i++) {
        set_bytes(engine, instance, &instance->values[i], SLICE_EMPTY);
    }
    instance->is_loaded = false;
}

static bool is_evictable(const struct engine *engine, const struct instance *instance)
{
    return instance->phase == INSTANCE_IDLE && instance->mailbox.count == 0 && instance->read == NULL &&
           instance->changed_epoch <= engine->committed && !link_is_linked(&instance->dirty) &&
           instance->blocked == BLOCKED_NOT && instance->expiry_due == 0;
}

void instances_evict(struct engine *engine)
{
    const size_t count = engine->instances_lru.count;

    if (engine->memory_bytes <= engine->options.memory_bytes || engine->phase != ENGINE_READY) {
        return;
    }
    timers_chill(engine);
    for (size_t i = 0; i < EVICTIONS_PER_STEP && i < count; i++) {
        if (engine->memory_bytes <= engine->options.memory_bytes) {
            return;
        }
        struct instance *instance = container_of(list_first(&engine->instances_lru), struct instance, lru);
        if (is_evictable(engine, instance)) {
            instance_free(engine, instance);
            continue;
        }
        unload(engine, instance);
        list_remove(&engine->instances_lru, &instance->lru);
        list_push(&engine->instances_lru, &instance->lru);
    }
}

void instances_destroy(struct engine *engine)
{
    for (struct link *link = list_first(&engine->instances_lru); link != NULL;
         link = list_first(&engine->instances_lru)) {
        struct instance *instance = container_of(link, struct instance, lru);
        mailbox_destroy(engine, instance);
        result_destroy(instance->held);
        instance_free(engine, instance);
    }
    table_done(&engine->instances);
}
