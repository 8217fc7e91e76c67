/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h: memory that is freed whole, with a budget.
 *
 * Why: what one answer, one read or one epoch brings lives and dies together. Allocation beyond the budget
 * or out of memory returns NULL, so sizes chosen by clients and functions end as errors.
 * Thread: one at a time; an arena may be handed from thread to thread with what lives in it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

struct arena;

/* An empty arena that will hold at most `bytes_max` bytes. NULL only if memory is out. */
struct arena *arena_create(size_t bytes_max);
void arena_destroy(struct arena *arena); /* accepts NULL */
/* Forgets everything handed out; keeps the largest piece of memory for what comes next. */
void arena_reset(struct arena *arena);
/* Zeroed memory for any type, or NULL beyond the budget. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy in the arena; data is NULL on failure unless size is 0. */
struct slice arena_copy(struct arena *arena, struct slice slice);
/* Bytes handed out so far. */
size_t arena_bytes(const struct arena *arena);
