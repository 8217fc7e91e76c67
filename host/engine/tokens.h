/* SPDX-License-Identifier: Apache-2.0
 *
 * tokens.h: which of a sender's cancellation tokens names a waiting message.
 *
 * The scope of a token is its sender's address. A token is in memory only while it is dirty or a held result
 * needs it; otherwise its row in `token` is the truth.
 */
#pragma once

#include "core.h"

struct instance;

/* What is known of one token of one sender; in memory while it is dirty, read, or needed by a held result. */
struct token {
    struct table_node node;
    struct link dirty; /* in epoch.dirty_tokens */
    struct function_type *type;
    struct slice id; /* of the sender; behind this struct */
    struct slice text;
    bool is_known;
    uint32_t pins;  /* held results and reads that need it */
    uint64_t epoch; /* of its last change */
    uint64_t timer; /* number; 0: no message waits under it */
    uint64_t due_ms;
};

/* The token of a result that `instance` holds, if it is known. Otherwise NULL, and it is read; when it comes the held
 * result is tried again. */
struct token *tokens_need(struct engine *engine, struct instance *instance, struct slice text);
/* The token if it is in memory, known or not; else NULL. */
struct token *tokens_find(struct engine *engine, const struct function_type *type, struct slice id, struct slice text);
/* The message with the number `timer` waits under this token, which is known and under which none waited. */
void tokens_set(struct engine *engine, struct token *token, uint64_t timer, uint64_t due_ms);
/* The timer under this token fired or was cancelled. Nothing if the token names a newer one already. */
void tokens_clear(struct engine *engine, struct function_type *type, struct slice id, struct slice text,
                  uint64_t timer);
/* The row, or its absence, that tokens_need asked for. */
void tokens_rows(struct engine *engine, struct token *token, const struct input_rows *rows);
/* A held result needs it no more; frees it if nothing else does. */
void tokens_unpin(struct engine *engine, struct token *token);
/* The open epoch is being sealed: puts its row into it, or the removal of it. */
void tokens_put(struct engine *engine, struct token *token);
/* The epoch of its last change is on disk; frees it if nothing else needs it. */
void tokens_committed(struct engine *engine, struct token *token);
/* Frees all tokens. */
void tokens_destroy(struct engine *engine);
