/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"

#include <stdlib.h>

#include "apply.h"
#include "epochs.h"
#include "instance.h"
#include "reads.h"
#include "types.h"

struct token_name {
    const struct function_type *type;
    struct slice id;
    struct slice text;
};

static bool has_name(const struct table_node *node, const void *key)
{
    const struct token *token = container_of(node, const struct token, node);
    const struct token_name *name = key;

    return token->type == name->type && slice_equal(token->text, name->text) && slice_equal(token->id, name->id);
}

/* The type's name is in the hash through its address in the table of types: a number that does not change. */
static uint64_t token_hash(const struct engine *engine, const struct function_type *type, struct slice id,
                           struct slice text)
{
    return engine_hash(engine, id, text, type->name);
}

struct token *tokens_find(struct engine *engine, const struct function_type *type, struct slice id, struct slice text)
{
    const struct token_name key = {type, id, text};
    struct table_node *node = table_find(&engine->tokens, token_hash(engine, type, id, text), has_name, &key);

    return node == NULL ? NULL : container_of(node, struct token, node);
}

static struct token *create(struct engine *engine, struct function_type *type, struct slice id, struct slice text)
{
    struct token *token = calloc(1, sizeof *token + id.size + text.size);

    check(token != NULL);
    uint8_t *at = (uint8_t *)(token + 1);
    token->type = type;
    token->id = slice_pack(&at, id);
    token->text = slice_pack(&at, text);
    table_insert(&engine->tokens, &token->node, token_hash(engine, type, id, text));
    return token;
}

static void free_if_unused(struct engine *engine, struct token *token)
{
    if (token->pins == 0 && !link_is_linked(&token->dirty)) {
        table_remove(&engine->tokens, &token->node);
        free(token);
    }
}

struct token *tokens_need(struct engine *engine, struct instance *instance, struct slice text)
{
    struct token *token = tokens_find(engine, instance->type, instance->id, text);
    const struct hash_key *secret = &engine->store.secret;

    if (token != NULL) {
        return token->is_known ? token : NULL; /* its read is under way, asked for by this same result */
    }
    token = create(engine, instance->type, instance->id, text);
    token->pins = 1; /* the read; see tokens_rows */
    struct read *read = reads_create(engine, READ_TOKEN, token, 1);
    key_token(&read->keys[0], instance->type->number, instance->id, text, secret);
    read->ranges[0] = (struct read_range){.kind = RANGE_KEY, .table = STORE_TOKEN};
    instance->held_reads++;
    reads_start(engine, read);
    return NULL;
}

void tokens_rows(struct engine *engine, struct token *token, const struct input_rows *rows)
{
    struct instance *instance = instance_get(engine, token->type, token->id);
    struct err err;

    if (!token->is_known) { /* what happened meanwhile is newer than the row */
        struct token_record record;
        token->is_known = true;
        if (rows->row_count > 0 && record_get_token(rows->rows[0].value, &record, &err) == ERR_NONE &&
            slice_equal(record.token, token->text)) {
            token->timer = record.number;
            token->due_ms = record.due_ms;
        }
    }
    check(instance->phase == INSTANCE_HELD && instance->held_reads > 0);
    instance->held_reads--; /* the pin passes from the read to the held result */
    if (instance->held_reads == 0) {
        apply_retry_held(engine, instance);
    }
}

void tokens_unpin(struct engine *engine, struct token *token)
{
    if (token->pins > 0) {
        token->pins--;
    }
    free_if_unused(engine, token);
}

static void mark_dirty(struct engine *engine, struct token *token)
{
    if (link_is_linked(&token->dirty)) {
        if (token->epoch == engine->open->number) {
            return;
        }
        list_remove(&engine->sealed->dirty_tokens, &token->dirty); /* the newer change keeps it in memory */
    }
    token->epoch = engine->open->number;
    list_push(&engine->open->dirty_tokens, &token->dirty);
    epochs_changed(engine, 64 + token->text.size);
}

void tokens_set(struct engine *engine, struct token *token, uint64_t timer, uint64_t due_ms)
{
    check(token->is_known && token->timer == 0);
    token->timer = timer;
    token->due_ms = due_ms;
    mark_dirty(engine, token);
}

void tokens_clear(struct engine *engine, struct function_type *type, struct slice id, struct slice text, uint64_t timer)
{
    struct token *token = tokens_find(engine, type, id, text);

    if (token == NULL) {
        token = create(engine, type, id, text);
    } else if (token->is_known && token->timer != timer) {
        return; /* it names a newer message already */
    }
    token->is_known = true;
    token->timer = 0;
    mark_dirty(engine, token);
}

void tokens_put(struct engine *engine, struct token *token)
{
    const struct hash_key *secret = &engine->store.secret;
    struct key key;

    key_token(&key, token->type->number, token->id, token->text, secret);
    if (token->timer == 0) {
        epochs_delete(engine, STORE_TOKEN, &key);
        return;
    }
    const struct token_record record = {.token = token->text, .due_ms = token->due_ms, .number = token->timer};
    buf_clear(&engine->scratch);
    record_put_token(&engine->scratch, &record);
    epochs_put(engine, STORE_TOKEN, &key, &engine->scratch);
}

void tokens_committed(struct engine *engine, struct token *token)
{
    free_if_unused(engine, token);
}

void tokens_destroy(struct engine *engine)
{
    for (struct table_node *node = table_any(&engine->tokens); node != NULL; node = table_any(&engine->tokens)) {
        table_remove(&engine->tokens, node);
        free(container_of(node, struct token, node));
    }
    table_done(&engine->tokens);
}
