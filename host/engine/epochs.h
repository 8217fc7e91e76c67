/* SPDX-License-Identifier: Apache-2.0
 *
 * epochs.h: the open epoch collects, the sealed one is being committed, promises wait for theirs.
 *
 * What changes is only marked while an epoch is open and turned into rows when it is sealed: an instance
 * hit a thousand times is written once, and a message that came and went within one epoch never is.
 * Laws 3, 4 and 5 rest on this.
 */
#pragma once

#include "core.h"

/* An answer that waits for its epoch; in the arena of its set, texts too. */
struct promise {
    struct promise *next;
    struct effect_answer answer;
};

/* An epoch of the engine: what changed, not yet as bytes but for what needs no second look. */
struct change_set {
    struct change_set *next; /* in engine.released */
    uint64_t number;
    uint64_t opened_ms;            /* first change; 0: none yet */
    struct epoch *epoch;           /* deletes, parked and outbox rows; the rest is added when it is sealed */
    size_t bytes;                  /* estimate of what it will hold, promises included */
    struct list dirty_instances;   /* instance.dirty */
    struct list dirty_types;       /* function_type.dirty */
    struct list dirty_tokens;      /* token.dirty */
    struct list fresh_messages;    /* body.fresh */
    struct list fresh_timers;      /* timer_body.fresh */
    struct list fresh_invocations; /* invocation.fresh */
    struct promise *promises;      /* in order */
    struct promise **promises_end;
    uint32_t promise_count;
    struct arena *arena; /* promises and their texts */
    uint64_t ceiling;    /* raised by this epoch; 0: not */
    uint64_t expiry_ms;  /* earliest expiry row it arms; UINT64_MAX: none */
};

/* Opens the first epoch, behind the newest one on disk; 0: there is none. */
void epochs_start(struct engine *engine, uint64_t committed);
/* Frees all epochs, whatever waits in them. */
void epochs_destroy(struct engine *engine);
/* Frees the epochs whose promises were effects of the step before; at the beginning of a step. */
void epochs_free_released(struct engine *engine);
/* Says that the open epoch will hold about `bytes` more: it is sealed by its age and size. */
void epochs_changed(struct engine *engine, size_t bytes);
/* Adds the removal of a row to the open epoch. */
void epochs_delete(struct engine *engine, enum store_table table, const struct key *key);
/* Adds a row to the open epoch; key and value are copied. */
void epochs_put(struct engine *engine, enum store_table table, const struct key *key, const struct buf *value);
/* An answer that leaves when the open epoch is on disk; texts are copied. */
void epochs_promise(struct engine *engine, const struct effect_answer *answer);
/* Seals the open epoch if it is time to and the disk is free (EFFECT_COMMIT). Lets promises go that need no commit.
 * A stopping engine with nothing left to write is stopped by it. */
void epochs_seal_if_due(struct engine *engine);
/* The disk's word on the sealed epoch: its promises leave, and whoever waited for it goes on. */
void epochs_committed(struct engine *engine, const struct input_committed *input);
/* True if the store or its disk is full, or so nearly that what room is left is for what is inside. */
bool epochs_is_short(const struct engine *engine);
/* When the open epoch is old enough to be sealed; UINT64_MAX: nothing is in it, or a commit comes first. */
uint64_t epochs_wake_ms(const struct engine *engine);
/* True if the open epoch is as large as it may be: run-ahead ends, and no more calls go out. */
bool epochs_is_full(const struct engine *engine);
/* True if no more results may enter it either: they wait for the next commit. */
bool epochs_must_wait(const struct engine *engine);
/* True if `count` numbers can be handed out now; otherwise the ceiling is raised with the next epoch. */
bool epochs_has_numbers(struct engine *engine, uint64_t count);
/* The next number of messages, timers and records, greater than all before it. Only when epochs_has_numbers said so. */
uint64_t epochs_take_number(struct engine *engine);
