/* SPDX-License-Identifier: Apache-2.0
 *
 * core.h: the memory of one engine, and what any of its parts may do in a step.
 *
 * Each part is a module whose header says what it keeps and why; here is what is nobody's alone. Included by the
 * engine's own files only.
 *
 *   message   a node of a mailbox (mailbox.h): 24 bytes; its body is in memory, on disk, or both
 *   instance  an address with its values, its mailbox and its place in the delivery (instance.h)
 *   epoch     open (collects), then sealed (being committed): at most one of each (epochs.h)
 *
 * True of all parts: what is passed by pointer or as a slice is borrowed for the call, unless it is said to be copied
 * or taken; what they return is theirs. Times are the engine's, in milliseconds. If memory is out the process ends.
 * Thread: loop.
 */
#pragma once

#include "arena.h"
#include "check.h"
#include "engine.h"
#include "hash.h"
#include "heap.h"
#include "keys.h"
#include "list.h"
#include "record.h"
#include "table.h"

struct change_set;
struct egress;
struct endpoint;
struct function_type;
struct read;

/* A time at which something is looked at again; lies in what it wakes. Zeroed but for its kind it is not set. */
struct wake {
    struct heap_node node;
    enum { WAKE_INSTANCE, WAKE_TYPE, WAKE_ENDPOINT, WAKE_INVOCATION, WAKE_READ, WAKE_EGRESS } kind;
};

/* How far an engine is in its life. */
enum engine_phase {
    ENGINE_NEW,        /* INPUT_START has not come */
    ENGINE_RECOVERING, /* reads what waits (recovery.h) */
    ENGINE_RAISING,    /* the first epoch, which raises the ceiling of numbers, is not on disk */
    ENGINE_READY,
    ENGINE_STOPPING, /* nothing is taken any more; promises and changes go to disk */
    ENGINE_STOPPED,
    ENGINE_DEAD, /* after engine_fatal */
};

/* All that one engine knows. */
struct engine {
    struct engine_options options;
    enum engine_phase phase;
    uint64_t now_ms;
    uint64_t rng;              /* of engine_random */
    struct hash_key table_key; /* of hash tables in memory */
    struct heap wakes;
    uint64_t wake_sequence;

    /* recovery.h */
    struct store_record store;
    bool has_store;
    char store_id_hex[33];
    uint32_t scan; /* the table being read */

    /* epochs.h */
    struct change_set *open;
    struct change_set *sealed;   /* being committed; NULL: the disk is free */
    struct change_set *released; /* their promises are effects of this step; freed at the next */
    uint64_t committed;          /* the newest epoch on disk */
    uint64_t number_next;        /* the next number to hand out */
    uint64_t number_ceiling;     /* committed: no number above it */
    uint64_t number_wanted;      /* so many are needed at once by somebody who waits */
    bool is_store_full;
    struct store_figures figures;
    uint64_t figures_ms; /* when they came */
    uint64_t short_ms;   /* when new work was last refused for want of room; 0: never */

    /* types.h */
    struct table types;
    struct list types_order;                /* function_type.order */
    struct function_type **types_by_number; /* index: number */
    uint32_t type_capacity;
    uint32_t type_numbers; /* highest in use */
    uint32_t blocked_types;

    /* instance.h, mailbox.h */
    struct table instances;
    struct list instances_lru; /* oldest first */
    uint32_t blocked_instances;
    uint64_t mail_count;
    uint64_t mail_bytes;   /* resident bodies */
    uint64_t memory_bytes; /* bodies, timers' bodies, instances with values */

    /* calls.h */
    struct endpoint *endpoints; /* by index in the registry */
    uint32_t down_endpoints;
    uint32_t ready_count; /* instances in the lines of all endpoints */
    struct list syncing;  /* instance.queue */
    struct table calls;
    uint64_t call_number; /* of the newest call */
    uint32_t calls_in_flight;
    size_t call_bytes; /* of the calls in flight */

    /* reads.h */
    struct table reads;
    struct list reads_waiting; /* read.waiting */
    uint32_t reads_in_flight;
    uint64_t read_number; /* of the newest read */

    /* timers.h, tokens.h */
    struct heap timers;
    struct table timers_by_number;
    struct list timers_resident; /* timer_body.resident, oldest first */
    struct read *timers_read;    /* NULL: none is under way */
    struct table tokens;

    /* invocations.h */
    struct table invocations;
    uint32_t asks_waiting; /* with a client */
    struct list abandoned; /* invocation.abandoned, oldest first */

    /* expiry.h */
    uint64_t expiry_next_ms;     /* look for expiry rows then; UINT64_MAX: none is known */
    uint64_t expiry_since_ms;    /* earliest row the read under way may not see */
    uint64_t expiry_after_epoch; /* not before this epoch is on disk */
    struct read *expiry_read;    /* NULL: none is under way */
    struct key expiry_after;     /* the next page of rows begins behind it; size 0: at the beginning */

    /* outbox.h, pops.h, parked.h */
    struct egress *egresses; /* by index in the registry */
    uint32_t egress_number_max;
    uint64_t outbox_count;
    uint64_t outbox_bytes;
    uint32_t pops_waiting;
    struct list pops_syncing; /* egress.syncing: what their pops need is not on disk yet */
    uint64_t parked_count;

    /* the step at hand */
    struct arena *step_arena; /* arrays of effects: reset at the next step */
    struct effect *effects;
    uint32_t effect_count;
    uint32_t effect_capacity;
    uint32_t note_count;
    struct buf scratch; /* a record under construction */
    struct buf scratch_text;
};

/* Adds an effect to this step's, zeroed but for its kind; the caller fills it before it asks for the next one. */
struct effect *engine_effect(struct engine *engine, enum effect_kind kind);
/* Tells the log of an event. `event` has static storage; `subject` is copied; a sentence of more than 511 bytes is
 * cut. Beyond 32 in one step they are counted, not told. */
void engine_note(struct engine *engine, enum note_level level, const char *event, struct slice subject,
                 const char *format, ...) PRINTF_LIKE(5, 6);
/* The same, a warning, for what became of one message, whose trace context goes along. */
void engine_note_message(struct engine *engine, const char *event, struct slice subject,
                         const struct envelope *envelope, const char *format, ...) PRINTF_LIKE(5, 6);
/* The engine cannot go on: the host is told why, and no input is looked at any more. */
void engine_fatal(struct engine *engine, const struct err *err);
/* Why no client is served now, but for what is particular to its request; NULL: clients are served. The text has static
 * storage; `out_code` is written only with it. */
const char *engine_is_away(const struct engine *engine, enum err_code *out_code);
/* Refuses a client at once: nothing was derived from anything. `text` has static storage. */
void engine_refuse(struct engine *engine, uint64_t waiter, const struct invocation_id *invocation, enum err_code code,
                   const char *text);
/* Zeroed memory for what this step's effects point to; it lives until the next step begins. */
void *engine_step_alloc(struct engine *engine, size_t size);
/* Sets the wake, or moves it if it is set. Those of the same time come in the order in which they were set. */
void engine_wake_at(struct engine *engine, struct wake *wake, uint64_t due_ms);
/* Takes the wake back, if it is set. */
void engine_wake_clear(struct engine *engine, struct wake *wake);
/* A number in [0, below): jitter. 0 if `below` is 0. */
uint64_t engine_random(struct engine *engine, uint64_t below);
/* For tables in memory: the hash of three texts without NUL, of which `b` and `c` may be empty. Another one after each
 * start, so that nobody can choose texts that collide. */
uint64_t engine_hash(const struct engine *engine, struct slice a, struct slice b, struct slice c);
/* Adds to a counter of the host. */
static inline void metric_add(struct engine *engine, enum metric metric, uint64_t by)
{
    metrics_add(engine->options.metrics, metric, by);
}
