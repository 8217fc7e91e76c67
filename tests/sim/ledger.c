/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger.c: what could happen: every message, every answer of a function, every instance, and their bytes.
 *
 * A value's bytes follow from the ledger alone, so a message or a state value that was mixed up, cut or
 * changed on its way is found wherever it shows.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "sim.h"

enum { NUMBER_SLOTS = 1 << 17, ENTRY_BYTES = 8, ALL_EXPIRE_MS = 3000 * 1000 };

static const char message_mark[] = "SIM1";

uint64_t random_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t random_next(struct random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    return random_mix(random->state, 1);
}

uint32_t random_below(struct random *random, uint32_t bound)
{
    return bound == 0 ? 0 : (uint32_t)(random_next(random) % bound);
}

uint32_t random_between(struct random *random, uint32_t low, uint32_t high)
{
    return low + random_below(random, high - low + 1);
}

bool random_chance(struct random *random, uint32_t permille)
{
    return random_below(random, 1000) < permille;
}

struct sim_message *ledger_at(struct sim *sim, uint32_t tag)
{
    check(tag > 0 && tag <= sim->message_count);
    return &sim->messages[tag];
}

uint32_t ledger_message(struct sim *sim, enum message_kind kind)
{
    if (sim->message_count + 1 >= MESSAGES_MAX) {
        return 0;
    }
    const uint32_t tag = ++sim->message_count;
    struct sim_message *message = &sim->messages[tag];

    *message = (struct sim_message){.kind = kind, .source = NONE, .target = NONE};
    for (size_t i = 0; i < INVOCATION_BYTES; i++) {
        message->invocation.bytes[i] = (uint8_t)random_mix(sim->options.seed + tag, i);
    }
    return tag;
}

uint32_t ledger_outcome(struct sim *sim, const struct sim_call *call)
{
    if (sim->outcome_count + 1 >= sim->outcome_capacity) {
        sim->outcome_capacity = sim->outcome_capacity == 0 ? 1024 : sim->outcome_capacity * 2;
        sim->outcomes = realloc(sim->outcomes, sim->outcome_capacity * sizeof sim->outcomes[0]);
        check(sim->outcomes != NULL);
    }
    const uint32_t id = ++sim->outcome_count;
    struct outcome *outcome = &sim->outcomes[id];

    *outcome = (struct outcome){.instance = call->instance, .call = call->number, .life = call->life};
    outcome->tags = call->tags; /* the call lives as long as the simulation */
    outcome->numbers = call->numbers;
    outcome->tag_count = call->count;
    outcome->handled_count = call->count;
    return id;
}

/* ---- bytes -------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *buf, size_t value)
{
    while (value >= 0x80) {
        buf_append_u8(buf, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_append_u8(buf, (uint8_t)value);
}

static void put_u32(struct buf *buf, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};

    buf_append(buf, bytes, sizeof bytes);
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* TypedValue{typename=1, has_value=2, value=3} up to the bytes of its value. */
static void begin_typed_value(struct buf *buf, const char *typename_, size_t value_bytes)
{
    buf_append_u8(buf, 0x0a);
    put_varint(buf, strlen(typename_));
    buf_append_text(buf, typename_);
    buf_append_u8(buf, 0x10);
    buf_append_u8(buf, 0x01);
    if (value_bytes > 0) {
        buf_append_u8(buf, 0x1a);
        put_varint(buf, value_bytes);
    }
}

static void put_padding(struct buf *buf, uint64_t seed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_append_u8(buf, (uint8_t)('a' + (seed + i) % 26));
    }
}

void ledger_put_message(const struct sim *sim, uint32_t tag, struct buf *buf)
{
    const struct sim_message *message = &sim->messages[tag];

    begin_typed_value(buf, "sim/message", 8 + (size_t)message->padding);
    buf_append(buf, message_mark, 4);
    put_u32(buf, tag);
    put_padding(buf, tag, message->padding);
}

static const uint8_t *find_mark(struct slice value)
{
    for (size_t i = 0; i + 8 <= value.size; i++) {
        if (memcmp(value.data + i, message_mark, 4) == 0) {
            return value.data + i;
        }
    }
    return NULL;
}

bool ledger_get_message(const struct sim *sim, struct slice value, uint32_t *out_tag)
{
    const uint8_t *mark = find_mark(value);
    struct buf buf;

    if (mark == NULL) {
        return false;
    }
    const uint32_t tag = get_u32(mark + 4);
    if (tag == 0 || tag > sim->message_count) {
        return false;
    }
    buf_init(&buf, 1 << 20);
    ledger_put_message(sim, tag, &buf);
    const bool is_equal = slice_equal(buf_slice(&buf), value);
    buf_done(&buf);
    *out_tag = tag;
    return is_equal;
}

void ledger_put_log(struct buf *buf, const struct entry *log, uint32_t count)
{
    begin_typed_value(buf, state_typename(0), (size_t)count * ENTRY_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        put_u32(buf, log[i].tag);
        put_u32(buf, log[i].outcome);
    }
}

bool ledger_get_log(struct slice value, struct slice *out_entries)
{
    struct buf buf;

    *out_entries = SLICE_EMPTY;
    if (value.size == 0) {
        return true;
    }
    buf_init(&buf, 256);
    begin_typed_value(&buf, state_typename(0), 0);
    const size_t head = buf.size;
    bool is_log = value.size >= head && memcmp(value.data, buf.data, head) == 0;
    buf_done(&buf);
    if (!is_log || value.size == head) {
        return is_log;
    }
    size_t at = head + 1;
    size_t bytes = 0;
    for (unsigned shift = 0; at < value.size && shift < 28; shift += 7) {
        bytes |= (size_t)(value.data[at] & 0x7f) << shift;
        if ((value.data[at++] & 0x80) == 0) {
            break;
        }
    }
    *out_entries = (struct slice){value.data + at, value.size - at};
    return value.data[head] == 0x1a && bytes == value.size - at && bytes % ENTRY_BYTES == 0;
}

struct entry ledger_log_entry(struct slice entries, uint32_t index)
{
    const uint8_t *at = entries.data + (size_t)index * ENTRY_BYTES;

    return (struct entry){.tag = get_u32(at), .outcome = get_u32(at + 4)};
}

void ledger_put_state(struct buf *buf, uint32_t outcome, uint32_t state, uint32_t padding)
{
    if (padding == NONE) {
        begin_typed_value(buf, state_typename(state), 0);
        return;
    }
    begin_typed_value(buf, state_typename(state), 8 + (size_t)padding);
    put_u32(buf, outcome);
    put_u32(buf, state);
    put_padding(buf, outcome + state, padding);
}

const char *state_name(uint32_t state)
{
    static const char *const names[STATES_MAX] = {"log", "small", "write_ttl", "large", "call_ttl"};

    return names[state];
}

const char *state_typename(uint32_t state)
{
    static const char *const names[STATES_MAX] = {"sim/log", "sim/blob", "sim/blob", "sim/blob2", "sim/blob"};

    return names[state];
}

enum expiry_mode state_expiry(const struct sim *sim, uint32_t state, int64_t *out_expire_ms)
{
    const int64_t others_ms = sim->all_expires ? ALL_EXPIRE_MS : 0;

    *out_expire_ms = state == 2 ? 20000 : state == 4 ? 60000 : others_ms;
    return state == 2 ? EXPIRY_AFTER_WRITE : state == 4 || sim->all_expires ? EXPIRY_AFTER_INVOKE : EXPIRY_NONE;
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

struct address ledger_address(const struct sim *sim, uint32_t instance)
{
    const struct sim_instance *at = &sim->instances[instance];
    const struct type *type = &sim->types[at->type];

    return (struct address){slice_of(type->space), slice_of(type->name), {at->id, at->id_bytes}};
}

uint32_t ledger_instance(const struct sim *sim, const struct address *address)
{
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        const struct address other = ledger_address(sim, i);
        if (address_equal(&other, address)) {
            return i;
        }
    }
    return NONE;
}

void ledger_reply_address(const struct sim *sim, uint32_t ask, struct address *out, char hex[INVOCATION_HEX_BYTES + 1])
{
    invocation_print(&sim->messages[ask].invocation, hex);
    *out = (struct address){SLICE("proa"), SLICE("reply"), {(const uint8_t *)hex, INVOCATION_HEX_BYTES}};
}

const struct endpoint_config *ledger_endpoint(const struct sim *sim, uint32_t instance)
{
    return &sim->registry->endpoints[sim->types[sim->instances[instance].type].endpoint];
}

bool ledger_is_missing(const struct sim *sim, uint32_t instance)
{
    return instance != NONE && sim->missing != NONE && sim->instances[instance].type == sim->missing;
}

/* ---- numbers and logs --------------------------------------------------------------------------------- */

bool ledger_number(struct sim *sim, uint64_t number, uint32_t tag)
{
    if (sim->number_keys == NULL) {
        sim->number_keys = calloc(NUMBER_SLOTS, sizeof sim->number_keys[0]);
        sim->number_tags = calloc(NUMBER_SLOTS, sizeof sim->number_tags[0]);
        check(sim->number_keys != NULL && sim->number_tags != NULL);
    }
    uint64_t slot = random_mix(number, 0) % NUMBER_SLOTS;
    for (uint32_t i = 0; i < NUMBER_SLOTS / 2; i++, slot = (slot + 1) % NUMBER_SLOTS) {
        if (sim->number_tags[slot] == 0) {
            sim->number_keys[slot] = number;
            sim->number_tags[slot] = tag;
            return true;
        }
        if (sim->number_keys[slot] == number) {
            return sim->number_tags[slot] == tag;
        }
    }
    return true;
}

static void apply_changes(struct sim *sim, struct sim_value *values, uint32_t id)
{
    const struct outcome *outcome = &sim->outcomes[id];

    for (uint32_t i = 0; i < outcome->change_count; i++) {
        const struct change *change = &outcome->changes[i];
        values[change->state] = (struct sim_value){.is_set = !change->is_delete,
                                                   .outcome = id,
                                                   .padding = change->padding,
                                                   .written_ms_min = outcome->given_ms,
                                                   .written_ms_max = sim_engine_ms(sim)};
    }
}

/* The engine must show this outcome from now on. */
void ledger_append(struct sim *sim, uint32_t index, uint32_t id)
{
    struct sim_instance *instance = &sim->instances[index];
    const struct outcome *outcome = &sim->outcomes[id];

    for (uint32_t i = 0; i < outcome->handled_count; i++) {
        if (instance->live_count == instance->log_capacity) {
            instance->log_capacity = instance->log_capacity == 0 ? 64 : instance->log_capacity * 2;
            instance->log = realloc(instance->log, instance->log_capacity * sizeof instance->log[0]);
            check(instance->log != NULL);
        }
        instance->log[instance->live_count++] =
            (struct entry){.tag = outcome->tags[i], .outcome = id, .number = outcome->numbers[i]};
        sim->messages[outcome->tags[i]].live++;
    }
    apply_changes(sim, instance->live, id);
    instance->touched_ms_max = sim_engine_ms(sim);
    if (instance->pending == id) {
        instance->pending = 0;
    }
}

void ledger_crash(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->instance_count; i++) {
        struct sim_instance *instance = &sim->instances[i];
        while (instance->live_count > instance->disk_count) {
            sim->messages[instance->log[--instance->live_count].tag].live--;
        }
        memcpy(instance->live, instance->disk, sizeof instance->live);
        instance->live_base = instance->disk_base;
        instance->pending = 0;
        instance->call = 0;
    }
}

/* The store holds the log up to `count` entries. */
void ledger_disk(struct sim *sim, uint32_t index, uint32_t count)
{
    struct sim_instance *instance = &sim->instances[index];
    uint32_t last = 0;

    check(count <= instance->live_count);
    for (uint32_t i = instance->disk_count; i < count; i++) {
        if (instance->log[i].outcome != last) {
            last = instance->log[i].outcome;
            apply_changes(sim, instance->disk, last);
        }
    }
    instance->disk_count = count;
}
