/* SPDX-License-Identifier: Apache-2.0 */
#include "epochs.h"

#include <stdlib.h>

#include "calls.h"
#include "instance.h"
#include "invocations.h"
#include "mailbox.h"
#include "pops.h"
#include "recovery.h"
#include "timers.h"
#include "tokens.h"
#include "types.h"

enum {
    EPOCH_ARENA_BYTES_MAX = 1 << 30,
    LOOK_MS = 1000,         /* an idle store that is short of room gets an empty epoch so often */
    SHORT_QUIET_MS = 60000, /* one that is now short, now not, is told of once */
};

static struct change_set *change_set_create(uint64_t number)
{
    struct change_set *set = calloc(1, sizeof *set);

    check(set != NULL);
    set->number = number;
    set->epoch = epoch_create(number, EPOCH_ARENA_BYTES_MAX);
    set->expiry_ms = UINT64_MAX;
    set->promises_end = &set->promises;
    set->arena = arena_create(SIZE_MAX / 2);
    check(set->arena != NULL);
    return set;
}

static void change_set_destroy(struct change_set *set)
{
    if (set != NULL) {
        epoch_destroy(set->epoch);
        arena_destroy(set->arena);
        free(set);
    }
}

void epochs_free_released(struct engine *engine)
{
    while (engine->released != NULL) {
        struct change_set *next = engine->released->next;
        change_set_destroy(engine->released);
        engine->released = next;
    }
}

void epochs_start(struct engine *engine, uint64_t committed)
{
    engine->committed = committed;
    engine->open = change_set_create(committed + 1);
}

void epochs_destroy(struct engine *engine)
{
    change_set_destroy(engine->open);
    change_set_destroy(engine->sealed);
    epochs_free_released(engine);
}

void epochs_changed(struct engine *engine, size_t bytes)
{
    engine->open->bytes += bytes;
    if (engine->open->opened_ms == 0) {
        engine->open->opened_ms = engine->now_ms;
    }
}

void epochs_delete(struct engine *engine, enum store_table table, const struct key *key)
{
    epoch_add(engine->open->epoch, OP_DELETE, table, key_slice(key), SLICE_EMPTY);
    epochs_changed(engine, key->size);
}

void epochs_put(struct engine *engine, enum store_table table, const struct key *key, const struct buf *value)
{
    check(!value->overflow);
    epoch_add(engine->open->epoch, OP_PUT, table, key_slice(key), buf_slice(value));
    epochs_changed(engine, (size_t)key->size + value->size);
}

void epochs_promise(struct engine *engine, const struct effect_answer *answer)
{
    struct change_set *open = engine->open;
    struct promise *promise = arena_alloc(open->arena, sizeof *promise);

    check(promise != NULL);
    promise->answer = *answer;
    promise->answer.value = arena_copy(open->arena, answer->value);
    promise->answer.text = arena_copy(open->arena, answer->text);
    promise->answer.function_code = arena_copy(open->arena, answer->function_code);
    *open->promises_end = promise;
    open->promises_end = &promise->next;
    open->promise_count++;
    open->bytes += answer->value.size; /* no change: an epoch of promises alone needs no commit */
}

static bool has_changes(const struct change_set *set)
{
    return set->epoch->op_count > 0 || set->dirty_instances.count > 0 || set->dirty_types.count > 0 ||
           set->dirty_tokens.count > 0 || set->fresh_messages.count > 0 || set->fresh_timers.count > 0 ||
           set->fresh_invocations.count > 0 || set->ceiling != 0;
}

bool epochs_is_full(const struct engine *engine)
{
    return engine->open->bytes >= engine->options.commit_bytes;
}

bool epochs_must_wait(const struct engine *engine)
{
    return epochs_is_full(engine) && has_changes(engine->open);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

bool epochs_has_numbers(struct engine *engine, uint64_t count)
{
    const uint64_t left = engine->number_ceiling - engine->number_next + 1;

    if (left >= count) {
        return true;
    }
    if (engine->number_wanted < count) {
        engine->number_wanted = count;
    }
    return false;
}

uint64_t epochs_take_number(struct engine *engine)
{
    check(engine->number_next <= engine->number_ceiling);
    return engine->number_next++;
}

/* Raises the ceiling with this epoch when half of the block is used, or somebody waits for more. */
static void raise_ceiling(struct engine *engine)
{
    const uint64_t left = engine->number_ceiling - engine->number_next + 1;
    const uint64_t block = engine->options.number_block;

    if ((left > block / 2 && engine->number_wanted <= left) || engine->sealed != NULL) {
        return;
    }
    engine->open->ceiling = engine->number_ceiling + block + engine->number_wanted;
}

/* ---- sealing ------------------------------------------------------------------------------------------- */

static void put_dirty(struct engine *engine)
{
    struct change_set *open = engine->open;
    struct link *link = NULL;

    while ((link = list_pop(&open->dirty_types)) != NULL) {
        types_put(engine, container_of(link, struct function_type, dirty));
    }
    while ((link = list_pop(&open->dirty_instances)) != NULL) {
        instance_put(engine, container_of(link, struct instance, dirty));
    }
    while ((link = list_pop(&open->fresh_messages)) != NULL) {
        mailbox_put(engine, container_of(link, struct body, fresh));
    }
    while ((link = list_pop(&open->fresh_timers)) != NULL) {
        timers_put(engine, container_of(link, struct timer_body, fresh));
    }
    while ((link = list_pop(&open->fresh_invocations)) != NULL) {
        invocations_put(engine, container_of(link, struct invocation, fresh));
    }
    for (link = list_first(&open->dirty_tokens); link != NULL; link = list_next(&open->dirty_tokens, link)) {
        tokens_put(engine, container_of(link, struct token, dirty)); /* they stay in the list until it is on disk */
    }
}

static void put_epoch_row(struct engine *engine)
{
    struct key key;
    const struct change_set *open = engine->open;
    const struct epoch_record record = {.number = open->number,
                                        .time_ms = engine->now_ms,
                                        .ceiling = open->ceiling == 0 ? engine->number_ceiling : open->ceiling};

    buf_clear(&engine->scratch);
    record_put_epoch(&engine->scratch, &record);
    key_meta(&key, "epoch");
    epochs_put(engine, STORE_META, &key, &engine->scratch);
}

static void seal(struct engine *engine)
{
    check(engine->sealed == NULL);
    put_dirty(engine);
    put_epoch_row(engine);
    metric_add(engine, METRIC_EPOCH_OPS, engine->open->epoch->op_count);
    engine->number_wanted = 0; /* this epoch raises the ceiling for all who waited */
    engine->sealed = engine->open;
    engine->open = change_set_create(engine->sealed->number + 1);
    engine_effect(engine, EFFECT_COMMIT)->epoch = engine->sealed->epoch;
}

/* Turns the promises of a set into effects; the set, and so their texts, live until the next step. */
static void release(struct engine *engine, struct change_set *set)
{
    set->next = engine->released;
    engine->released = set;
    for (const struct promise *promise = set->promises; promise != NULL; promise = promise->next) {
        engine_effect(engine, EFFECT_ANSWER)->answer = promise->answer;
    }
    set->promises = NULL;
    set->promises_end = &set->promises;
    set->promise_count = 0;
}

/* Promises of an epoch without changes were derived from older epochs, and need not wait for a commit of their own. */
static void release_empty(struct engine *engine)
{
    struct change_set *open = engine->open;

    if (engine->sealed != NULL) {
        return; /* they wait for the sealed one: see epochs_committed */
    }
    engine->open = change_set_create(open->number);
    release(engine, open);
}

static bool is_due(const struct engine *engine)
{
    const struct change_set *open = engine->open;

    return open->promise_count > 0 || engine->syncing.count > 0 || engine->pops_syncing.count > 0 ||
           engine->phase != ENGINE_READY || engine->number_wanted > 0 || open->bytes >= engine->options.commit_bytes ||
           engine->now_ms >= open->opened_ms + engine->options.commit_interval_ms;
}

static void stop_if_done(struct engine *engine)
{
    if (engine->phase == ENGINE_STOPPING && engine->sealed == NULL &&
        (engine->open == NULL || (!has_changes(engine->open) && engine->open->promise_count == 0))) {
        engine->phase = ENGINE_STOPPED;
    }
}

bool epochs_is_short(const struct engine *engine)
{
    return engine->is_store_full || engine->figures.is_short ||
           engine->figures.bytes_used > engine->options.store_bytes_soft_max;
}

static void note_short(struct engine *engine)
{
    if (!epochs_is_short(engine)) {
        return;
    }
    if (engine->short_ms == 0 || engine->now_ms - engine->short_ms > SHORT_QUIET_MS) {
        engine_note(engine, NOTE_WARN, "store.short", SLICE_EMPTY,
                    "new messages are refused with 507: the disk is full, or the store has over --store-bytes-max; "
                    "make room, or raise that");
    }
    engine->short_ms = engine->now_ms;
}

/* When a store that is short of room is to be looked at again: figures come only with a commit. */
static uint64_t look_ms(const struct engine *engine)
{
    return epochs_is_short(engine) && engine->sealed == NULL && engine->phase == ENGINE_READY
               ? engine->figures_ms + LOOK_MS
               : UINT64_MAX;
}

void epochs_seal_if_due(struct engine *engine)
{
    if (engine->open == NULL || engine->phase == ENGINE_RECOVERING) {
        stop_if_done(engine);
        return;
    }
    if (engine->phase >= ENGINE_RAISING) {
        raise_ceiling(engine);
    }
    if (!has_changes(engine->open)) {
        if (engine->open->promise_count > 0) {
            release_empty(engine);
        } else {
            engine->open->opened_ms = 0; /* what changed was undone within the epoch: nothing to write */
            engine->open->bytes = 0;
            if (engine->now_ms >= look_ms(engine)) {
                seal(engine);
            }
        }
    } else if (engine->sealed == NULL && is_due(engine)) {
        seal(engine);
    }
    stop_if_done(engine);
}

uint64_t epochs_wake_ms(const struct engine *engine)
{
    if (engine->open == NULL || engine->sealed != NULL || engine->open->opened_ms == 0 ||
        engine->phase == ENGINE_RECOVERING) { /* nothing is sealed before all is read */
        return UINT64_MAX;
    }
    return engine->open->opened_ms + engine->options.commit_interval_ms;
}

void epochs_committed(struct engine *engine, const struct input_committed *input)
{
    struct change_set *sealed = engine->sealed;

    if (sealed == NULL || input->epoch != sealed->number) {
        return; /* of an engine before this one */
    }
    engine->is_store_full = input->is_full;
    engine->figures = input->figures;
    engine->figures_ms = engine->now_ms;
    note_short(engine);
    if (input->is_full) {
        return; /* the committer keeps trying */
    }
    engine->committed = sealed->number;
    if (sealed->ceiling != 0) {
        engine->number_ceiling = sealed->ceiling;
    }
    metric_add(engine, METRIC_EPOCHS, 1);
    metrics_observe_us(engine->options.metrics, METRIC_COMMIT_SECONDS, input->duration_us);
    for (struct link *link = list_pop(&sealed->dirty_tokens); link != NULL; link = list_pop(&sealed->dirty_tokens)) {
        tokens_committed(engine, container_of(link, struct token, dirty));
    }
    engine->sealed = NULL;
    release(engine, sealed);
    if (engine->phase == ENGINE_RAISING) {
        recovery_committed(engine);
    }
    calls_release_syncing(engine);
    pops_committed(engine);
}
