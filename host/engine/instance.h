/* SPDX-License-Identifier: Apache-2.0
 *
 * instance.h: instances in memory: their values, their rows, and when they may leave.
 *
 * An instance with changes not yet on disk stays; a clean, idle one may be evicted and is read again when a
 * message comes. Small values stand in the instance's record, so a touched instance is one put per epoch;
 * large ones have rows of their own, written only when they changed.
 * ARCHITECTURE.md draws where instances wait.
 */
#pragma once

#include "mailbox.h"

/* One state value; the place in instance.values is that of its spec. */
struct value {
    uint8_t *data; /* TypedValue; NULL: unset */
    size_t size;
    uint64_t written_ms;
    bool is_large_on_disk; /* a row of table `state` exists */
    bool is_dirty;         /* changed since that row was written */
};

/* Where an instance waits, and so which list it is in. */
enum instance_phase {
    INSTANCE_IDLE,      /* nothing to do */
    INSTANCE_LOADING,   /* a read is under way, or waits for a credit */
    INSTANCE_READY,     /* in endpoint.ready */
    INSTANCE_PENDING,   /* in type.pending */
    INSTANCE_SYNCING,   /* in engine.syncing: waits for the next commit (run_ahead: false, numbers) */
    INSTANCE_IN_FLIGHT, /* in a call */
    INSTANCE_HELD,      /* a result waits for rows */
    INSTANCE_BACKOFF,   /* waits for its wake */
};

/* Why an instance does not move on; people see it. */
enum blocked {
    BLOCKED_NOT,
    BLOCKED_FULL,        /* results would add to a full host */
    BLOCKED_PARKED_FULL, /* a message is to be parked, and no more may be */
    BLOCKED_ATTEMPTS,    /* its first message failed `attempts` times and the policy is to block */
    BLOCKED_TOO_LARGE,   /* the endpoint answers 413 to its first message alone */
    BLOCKED_CORRUPT,     /* its rows cannot be read */
};

/* An address with all that is in memory of it. */
struct instance {
    struct table_node node;
    struct link lru;   /* in engine.instances_lru */
    struct link dirty; /* in epoch.dirty_instances */
    struct link queue; /* in the list its phase names */
    struct wake wake;
    struct function_type *type;
    struct slice id; /* behind this struct */
    bool is_loaded;
    bool is_on_disk;
    enum instance_phase phase;
    enum blocked blocked;
    uint64_t created_ms;
    uint64_t touched_ms;
    uint64_t armed_ms;      /* due time of its expiry row as it should be; 0: none */
    uint64_t armed_disk_ms; /* as the last sealed epoch has it */
    uint64_t changed_epoch; /* the newest epoch that holds a change of it */
    uint64_t expiry_due;    /* an expiry row fired while it was not loaded; 0: none */
    struct value *values;
    uint32_t value_capacity;
    struct mailbox mailbox;
    struct read *read;   /* pending */
    struct result *held; /* of INSTANCE_HELD */
    uint32_t held_messages;
    uint32_t held_reads;     /* token rows still missing */
    uint32_t batch_messages; /* limit after a failed batch; 0: none */
    uint32_t attempts;       /* of the first message, alone in its call */
    uint32_t failures;       /* in a row, for the backoff */
    uint64_t suspected_at;   /* successes of its endpoint, plus one, when a call of it last failed for the endpoint */
    size_t bytes;            /* of memory: itself and its values */
};

/* The instance of this address, made if it is not in memory; it is loaded when its turn comes. Copies the id. It may be
 * evicted at the end of the step if nothing holds it. */
struct instance *instance_get(struct engine *engine, struct function_type *type, struct slice id);
/* Its address; the slices live as long as the instance. */
struct address instance_address(const struct instance *instance);
/* "namespace/name/id" for people, in the step's memory. */
struct slice instance_text(struct engine *engine, const struct instance *instance);
/* The open epoch will hold its rows. */
void instance_changed(struct engine *engine, struct instance *instance);
/* Sets the value at the place of its spec; the bytes are copied. */
void instance_set_value(struct engine *engine, struct instance *instance, uint32_t spec, struct slice value);
/* Unsets the value at the place of its spec. */
void instance_clear_value(struct engine *engine, struct instance *instance, uint32_t spec);
/* A call of it was handled: values that expire after the last call begin anew. */
void instance_touch(struct engine *engine, struct instance *instance);
/* Takes rows of its first read (record and large values), or of one that follows (large values only). Reads on while
 * values are missing; then it has its turn. What cannot be read blocks it. */
void instance_load_rows(struct engine *engine, struct instance *instance, const struct input_rows *rows, bool is_first);
/* The open epoch is being sealed: puts its rows into it. */
void instance_put(struct engine *engine, struct instance *instance);
/* Notes why it does not move on, or that it does (BLOCKED_NOT); the log is told of a change. */
void instance_set_blocked(struct engine *engine, struct instance *instance, enum blocked blocked);
/* Forgets an instance whose mailbox is empty and that is in no list but the engine's. */
void instance_free(struct engine *engine, struct instance *instance);
/* Frees all instances and their mailboxes. */
void instances_destroy(struct engine *engine);
/* Frees clean instances and cold bodies while memory is over its budget; a bounded step. */
void instances_evict(struct engine *engine);
