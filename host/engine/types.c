/* SPDX-License-Identifier: Apache-2.0 */
#include "types.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "calls.h"
#include "epochs.h"
#include "instance.h"
#include "retry.h"

enum {
    TYPE_ARENA_BYTES_MAX = 8 << 20,
    HANDSHAKES_IDLE_MAX = 3, /* handshakes in a row that bring nothing new: the function does not understand us */
};

/* The pace at which a blocked type is tried again. */
static const struct retry_policy type_pace = {
    .first_ms = 1000, .factor_permille = 2000, .max_ms = 30000, .attempts = UINT32_MAX, .then = RETRY_BLOCK};

struct type_name {
    struct slice space;
    struct slice name;
};

static bool has_name(const struct table_node *node, const void *key)
{
    const struct function_type *type = container_of(node, const struct function_type, node);
    const struct type_name *name = key;

    return slice_equal(type->name, name->name) && slice_equal(type->space, name->space);
}

struct function_type *types_find(struct engine *engine, struct slice space, struct slice name)
{
    const struct type_name key = {space, name};
    const uint64_t hash = engine_hash(engine, space, name, SLICE_EMPTY);
    struct table_node *node = table_find(&engine->types, hash, has_name, &key);

    return node == NULL ? NULL : container_of(node, struct function_type, node);
}

static struct function_type *create(struct engine *engine, struct slice space, struct slice name)
{
    const struct function_config *config = registry_function(engine->options.registry, space, name);
    struct function_type *type = calloc(1, sizeof *type);

    check(type != NULL);
    type->arena = arena_create(TYPE_ARENA_BYTES_MAX);
    check(type->arena != NULL);
    type->space = arena_copy(type->arena, space);
    type->name = arena_copy(type->arena, name);
    type->endpoint = config == NULL ? NULL : &engine->endpoints[config->endpoint];
    type->retry.kind = WAKE_TYPE;
    table_insert(&engine->types, &type->node, engine_hash(engine, space, name, SLICE_EMPTY));
    list_push(&engine->types_order, &type->order);
    if (type->endpoint == NULL) {
        type->is_blocked = true; /* its messages wait until the module file names it again */
        engine->blocked_types++;
        engine_note(engine, NOTE_WARN, "type.not_served", types_text(engine, type),
                    "messages wait for this function type, but no endpoint serves it; add it to the module file");
    }
    return type;
}

struct function_type *types_get(struct engine *engine, struct slice space, struct slice name)
{
    struct function_type *type = types_find(engine, space, name);

    if (type == NULL && (engine->types.count < engine->options.types_max || engine->phase == ENGINE_RECOVERING)) {
        type = create(engine, space, name);
    }
    return type;
}

struct slice types_text(struct engine *engine, const struct function_type *type)
{
    uint8_t *text = engine_step_alloc(engine, type->space.size + 1 + type->name.size);

    memcpy(text, type->space.data, type->space.size);
    text[type->space.size] = '/';
    memcpy(text + type->space.size + 1, type->name.data, type->name.size);
    return (struct slice){text, type->space.size + 1 + type->name.size};
}

static void set_number(struct engine *engine, struct function_type *type, uint32_t number)
{
    if (number >= engine->type_capacity) {
        uint32_t capacity = engine->type_capacity == 0 ? 64 : engine->type_capacity;
        while (capacity <= number) {
            capacity *= 2;
        }
        struct function_type **grown = realloc(engine->types_by_number, capacity * sizeof(*grown));
        check(grown != NULL);
        memset(grown + engine->type_capacity, 0, (capacity - engine->type_capacity) * sizeof(*grown));
        engine->types_by_number = grown;
        engine->type_capacity = capacity;
    }
    type->number = number;
    engine->types_by_number[number] = type;
    if (number > engine->type_numbers) {
        engine->type_numbers = number;
    }
}

static void changed(struct engine *engine, struct function_type *type)
{
    if (!link_is_linked(&type->dirty)) {
        list_push(&engine->open->dirty_types, &type->dirty);
    }
    epochs_changed(engine, 256);
}

void types_intern(struct engine *engine, struct function_type *type)
{
    if (type->number == TYPE_NUMBER_NONE) {
        set_number(engine, type, engine->type_numbers + 1);
        changed(engine, type);
    }
}

void types_put(struct engine *engine, struct function_type *type)
{
    struct key key;
    const struct type_record record = {.space = type->space, .name = type->name, .spec_count = type->spec_count};

    buf_clear(&engine->scratch);
    const size_t start = record_begin_type(&engine->scratch, &record);
    for (uint32_t i = 0; i < type->spec_count; i++) {
        const struct spec_record spec = {.state = i + 1, .spec = type->specs[i]};
        record_add_spec(&engine->scratch, &spec);
    }
    record_end_type(&engine->scratch, start);
    key_meta_type(&key, type->number);
    epochs_put(engine, STORE_META, &key, &engine->scratch);
}

int32_t types_spec(const struct function_type *type, struct slice name)
{
    for (uint32_t i = 0; i < type->spec_count; i++) {
        if (slice_equal(type->specs[i].name, name)) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* False if the type has no room for one more. */
static bool add_spec(struct function_type *type, const struct state_spec *spec)
{
    if (type->spec_count >= LIMIT_STATES_PER_TYPE_MAX) {
        return false;
    }
    struct state_spec *grown = realloc(type->specs, (type->spec_count + 1) * sizeof(*grown));
    check(grown != NULL);
    type->specs = grown;
    struct state_spec *copy = &grown[type->spec_count];
    *copy = *spec;
    copy->name = arena_copy(type->arena, spec->name);
    copy->typename_ = arena_copy(type->arena, spec->typename_);
    if (copy->name.data == NULL || (spec->typename_.size > 0 && copy->typename_.data == NULL)) {
        return false;
    }
    type->spec_count++;
    return true;
}

bool types_load(struct engine *engine, uint32_t number, struct slice bytes, struct err *err)
{
    struct type_record record;
    struct record_cursor cursor;

    if (record_get_type(bytes, &record, &cursor, err) != ERR_NONE) {
        return false;
    }
    struct function_type *type = types_find(engine, record.space, record.name);
    if (type == NULL) {
        type = create(engine, record.space, record.name);
    }
    if (number == TYPE_NUMBER_NONE || number > LIMIT_TYPES_MAX || type->number != TYPE_NUMBER_NONE) {
        (void)err_set(err, ERR_CORRUPT, "a function type stands in the store twice or under number %u", number);
        return false;
    }
    set_number(engine, type, number);
    for (uint32_t i = 0; i < record.spec_count; i++) {
        struct spec_record spec;
        if (record_next_spec(&cursor, &spec, err) != ERR_NONE) {
            return false;
        }
        if (spec.state != type->spec_count + 1 || !add_spec(type, &spec.spec)) {
            (void)err_set(err, ERR_CORRUPT, "the state values of a function type are not in order");
            return false;
        }
    }
    return true;
}

/* False, and the type is blocked, if a declared value does not fit the ones registered or declared beside it. */
static bool check_spec(struct engine *engine, struct function_type *type, const struct result *result, uint32_t index,
                       uint64_t call)
{
    const struct state_spec *spec = &result->missing[index];
    const int32_t known = types_spec(type, spec->name);
    struct slice other = known < 0 ? spec->typename_ : type->specs[known].typename_;

    for (uint32_t i = 0; i < index && slice_equal(other, spec->typename_); i++) {
        if (slice_equal(result->missing[i].name, spec->name)) {
            other = result->missing[i].typename_;
        }
    }
    if (slice_equal(other, spec->typename_)) {
        return true; /* a changed expiry of a known name stays as first declared (R24) */
    }
    types_block(engine, type, call, "state value \"%.*s\" was declared as %.*s, now as %.*s; give the value a new name",
                (int)spec->name.size, (const char *)spec->name.data, (int)other.size, (const char *)other.data,
                (int)spec->typename_.size, (const char *)spec->typename_.data);
    return false;
}

/* Looks at all of it before any of it is registered: what is refused leaves nothing behind. */
static bool check_handshake(struct engine *engine, struct function_type *type, const struct result *result,
                            uint64_t call)
{
    uint32_t new_count = 0;

    for (uint32_t i = 0; i < result->missing_count; i++) {
        if (!check_spec(engine, type, result, i, call)) {
            return false;
        }
        new_count += types_spec(type, result->missing[i].name) < 0;
    }
    if (new_count > 0 && new_count + type->spec_count > LIMIT_STATES_PER_TYPE_MAX) {
        types_block(engine, type, call, "it declares more state values than the %d a function type may have",
                    LIMIT_STATES_PER_TYPE_MAX);
        return false;
    }
    return true;
}

bool types_handshake(struct engine *engine, struct function_type *type, const struct result *result, uint64_t call)
{
    const uint32_t count_before = type->spec_count;

    metric_add(engine, METRIC_HANDSHAKES, 1);
    if (!check_handshake(engine, type, result, call)) {
        return false;
    }
    for (uint32_t i = 0; i < result->missing_count; i++) {
        if (types_spec(type, result->missing[i].name) < 0) {
            check(add_spec(type, &result->missing[i]));
        }
    }
    if (type->spec_count > count_before) {
        type->handshakes_idle = 0;
        type->specs_call = engine->call_number;
        types_intern(engine, type);
        changed(engine, type);
        return true;
    }
    if (call <= type->specs_call) {
        return true; /* it left before the newest values were registered */
    }
    if (++type->handshakes_idle >= HANDSHAKES_IDLE_MAX) {
        types_block(engine, type, call, "it asks for state values it was given, again and again; is its SDK broken?");
        return false;
    }
    return true;
}

void types_block(struct engine *engine, struct function_type *type, uint64_t call, const char *format, ...)
{
    char text[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;

    if (type->is_blocked && call <= type->blocked_call) {
        return; /* one of many that were under way together: the pace is that of the retries */
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* a cut text is still a sentence begun */
    va_end(arguments);
    if (!type->is_blocked) { /* said once, however often it is tried again */
        type->is_blocked = true;
        engine->blocked_types++;
        engine_note(engine, NOTE_ERROR, "type.blocked", types_text(engine, type), "%s", text);
    }
    type->is_open = false;
    type->blocked_call = engine->call_number;
    type->blocked_times++;
    const uint64_t delay_ms = retry_delay_ms(&type_pace, type->blocked_times, engine_random(engine, UINT64_MAX));
    engine_wake_at(engine, &type->retry, engine->now_ms + delay_ms);
}

static void release_pending(struct engine *engine, struct function_type *type, size_t most)
{
    for (; most > 0 && type->pending.count > 0; most--) {
        struct instance *instance = container_of(list_pop(&type->pending), struct instance, queue);
        instance->phase = INSTANCE_IDLE;
        calls_schedule(engine, instance);
    }
}

void types_open(struct engine *engine, struct function_type *type)
{
    if (!type->is_open) {
        type->is_open = true;
        release_pending(engine, type, SIZE_MAX);
    }
}

bool types_is_passable(const struct function_type *type)
{
    return type->is_open || (type->calls == 0 && type->retry.node.place == 0 && type->endpoint != NULL);
}

void types_answered(struct engine *engine, struct function_type *type, uint64_t call)
{
    types_intern(engine, type);
    type->handshakes_idle = 0;
    if (type->is_blocked && call > type->blocked_call) {
        type->is_blocked = false;
        type->blocked_times = 0;
        engine->blocked_types--;
        engine_wake_clear(engine, &type->retry);
        engine_note(engine, NOTE_INFO, "type.unblocked", types_text(engine, type), "it answers again");
    }
    if (!type->is_blocked) {
        types_open(engine, type);
    }
}

void types_retry(struct engine *engine, struct function_type *type)
{
    release_pending(engine, type, 1);
}

void types_try_another(struct engine *engine, struct function_type *type)
{
    if (types_is_passable(type)) {
        release_pending(engine, type, 1);
    }
}

void types_destroy(struct engine *engine)
{
    for (struct link *link = list_pop(&engine->types_order); link != NULL; link = list_pop(&engine->types_order)) {
        struct function_type *type = container_of(link, struct function_type, order);
        arena_destroy(type->arena);
        free(type->specs);
        free(type);
    }
    table_done(&engine->types);
    free(engine->types_by_number);
}
