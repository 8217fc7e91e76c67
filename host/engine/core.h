/* SPDX-License-Identifier: Apache-2.0
 *
 * core.h: what the files of the engine share: its parts, and who owns which list.
 *
 * Included by the engine's own .c files and its tests only. Each section names the file that keeps it.
 *
 *   message   a node of a mailbox: 24 bytes; its body is in memory, on disk, or both
 *   instance  an address with its values, its mailbox and its place in the delivery
 *   epoch     open (collects), then sealed (being committed): at most one of each
 *
 *                    ┌────────── LOADING ◄─────────┐ state or bodies are read
 *                    ▼                             │
 *   IDLE ─ mail ─► READY ─ credit ─► IN_FLIGHT ─► HELD (waits for a token row, numbers)
 *     ▲              ▲ ▲                │  │        │
 *     │              │ └─── BACKOFF ◄───┘  │        │
 *     │              └── SYNCING, PENDING  ▼        ▼
 *     └────────────────────────────── result applied
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

/* ---- messages and mailboxes (mailbox.c) ---------------------------------------------------------------- */

struct instance;
struct invocation;

/* The bytes of a message that are in memory. */
struct body {
    struct link fresh;        /* in epoch.fresh_messages while no epoch on disk or sealed holds it */
    struct invocation *ask;   /* it came with this ask, and nobody was promised anything: no epoch needs it yet */
    bool is_late;             /* it was such a one: later numbers may be on disk already */
    uint64_t epoch;           /* that holds it; committed when <= engine.committed */
    struct envelope envelope; /* slices point behind this struct */
    size_t bytes;
};

/* A message in its mailbox. */
struct message {
    struct message *next;
    uint64_t number;
    struct body *body; /* NULL: on disk only */
};
_Static_assert(sizeof(struct message) <= 24, "a message on disk costs at most 24 bytes of memory");

struct mailbox {
    struct message *head;
    struct message *tail;
    struct message *cold; /* the first that is not warm; NULL: all are */
    struct message *hot;  /* from `cold` on, the first that still has its body; NULL: none */
    uint32_t count;
    uint32_t warm_count; /* before `cold` */
};

/* ---- function types (types.c) -------------------------------------------------------------------------- */

enum { TYPE_NUMBER_NONE = 0 };

struct wake {
    struct heap_node node;
    enum { WAKE_INSTANCE, WAKE_TYPE, WAKE_ENDPOINT, WAKE_INVOCATION, WAKE_READ, WAKE_EGRESS } kind;
};

struct spec {
    struct state_spec spec; /* its texts are owned by the type's arena */
};

struct function_type {
    struct table_node node;
    struct arena *arena;
    struct slice space;
    struct slice name;
    uint32_t number;           /* interned; TYPE_NUMBER_NONE: not yet */
    struct endpoint *endpoint; /* NULL: nothing serves it any more */
    struct spec *specs;        /* index + 1 is the state's number */
    uint32_t spec_count;
    struct link dirty;        /* in epoch.dirty_types */
    bool is_open;             /* answered since start: any number of its instances may be called */
    uint32_t calls;           /* in flight */
    uint64_t blocked_call;    /* calls up to this one began before the block and do not lift it */
    uint64_t specs_call;      /* calls up to this one left before the newest state value was registered */
    uint32_t handshakes_idle; /* handshakes in a row that brought nothing new */
    bool is_blocked;
    uint32_t blocked_times;
    struct wake retry;
    struct list pending; /* instances that wait for the type: instance.queue */
    struct link order;   /* in engine.types_order, oldest first */
};

/* ---- instances (instance.c) ---------------------------------------------------------------------------- */

/* One state value; the place in instance.values is that of its spec. */
struct value {
    uint8_t *data; /* TypedValue; NULL: unset */
    size_t size;
    uint64_t written_ms;
    bool is_large_on_disk; /* a row of table `state` exists */
    bool is_dirty;         /* changed since that row was written */
};

enum instance_phase {
    PHASE_IDLE,      /* nothing to do */
    PHASE_LOADING,   /* a read is under way, or waits for a credit */
    PHASE_READY,     /* in endpoint.ready */
    PHASE_PENDING,   /* in type.pending */
    PHASE_SYNCING,   /* in engine.syncing: waits for the next commit (run_ahead: false, numbers) */
    PHASE_IN_FLIGHT, /* in a call */
    PHASE_HELD,      /* a result waits for rows */
    PHASE_BACKOFF,   /* waits for its wake */
};

enum blocked {
    BLOCKED_NOT,
    BLOCKED_FULL,        /* results would add to a full host */
    BLOCKED_PARKED_FULL, /* a message is to be parked, and no more may be */
    BLOCKED_ATTEMPTS,    /* its first message failed `attempts` times and the policy is to block */
    BLOCKED_TOO_LARGE,   /* the endpoint answers 413 to its first message alone */
    BLOCKED_CORRUPT,     /* its rows cannot be read */
};

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
    struct result *held; /* of PHASE_HELD */
    uint32_t held_messages;
    uint32_t held_reads;     /* token rows still missing */
    uint32_t batch_messages; /* limit after a failed batch; 0: none */
    uint32_t attempts;       /* of the first message, alone in its call */
    uint32_t failures;       /* in a row, for the backoff */
    uint64_t suspected_at;   /* successes of its endpoint, plus one, when a call of it last failed for the endpoint */
    size_t bytes;            /* of memory: itself and its values */
};

/* ---- endpoints and calls (calls.c) --------------------------------------------------------------------- */

struct endpoint {
    const struct endpoint_config *config;
    uint32_t index;
    struct list ready; /* instances: instance.queue */
    uint32_t in_flight;
    uint32_t limit;
    bool is_down;
    bool has_extensions; /* its last answer announced `partial` */
    uint32_t failures;   /* in a row */
    struct wake probe;
    uint64_t successes;    /* ever */
    uint32_t window_calls; /* adaptive limit: calls answered in this window */
    uint64_t window_us;    /* and the sum of their durations */
    uint64_t base_us;      /* the mean duration the limit is judged by */
    bool window_was_busy;  /* calls waited for a credit */
};

struct call {
    struct table_node node;
    uint64_t number;
    struct instance *instance;
    uint32_t message_count;
    size_t bytes;              /* about what its request holds: state and messages */
    uint64_t successes_before; /* of the endpoint */
    bool is_probe;
};

/* ---- timers and tokens (timers.c) ---------------------------------------------------------------------- */

/* A delayed message; sequence of its heap node is its number. */
struct timer {
    struct heap_node node;
    struct table_node by_number;
    struct timer_body *body; /* NULL: on disk only */
};

struct timer_body {
    struct link fresh;    /* in epoch.fresh_timers */
    struct link resident; /* in engine.timers_resident */
    struct timer *timer;
    uint64_t epoch;
    struct envelope envelope;
    size_t bytes;
};

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

/* ---- invocations (invocations.c) ----------------------------------------------------------------------- */

/* An ask without a reply. */
struct invocation {
    struct table_node node;
    struct wake wake;  /* the client's deadline, then the end of our patience */
    struct link fresh; /* in epoch.fresh_invocations */
    struct invocation_id id;
    uint64_t due_ms;
    bool has_waiter;
    struct link abandoned; /* in engine.abandoned: its client left */
    bool is_written;       /* a sealed epoch holds its row */
    struct body *body;     /* its message, while no epoch needs it; NULL otherwise */
    uint64_t waiter;
    struct address target; /* behind this struct */
};

/* ---- egresses (outbox.c, pops.c) ------------------------------------------------------------------------ */

/* A client that takes the oldest record of a topic. */
struct pop {
    struct link link; /* in egress.pops */
    uint64_t waiter;
    struct invocation_id invocation;
    uint64_t since_ms;
};

/* An egress of the module file, a topic of the playground too; its place is that in the registry. */
struct egress {
    uint32_t number;      /* interned; 0: not yet */
    uint64_t count;       /* records that wait, those of the open epoch too */
    uint64_t bytes;       /* of them */
    uint64_t put_epoch;   /* that holds the newest of them */
    uint64_t next;        /* numbers below it were popped; their rows may still be on disk */
    struct list pops;     /* oldest first */
    struct read *read;    /* of its oldest rows, pending */
    struct link syncing;  /* in engine.pops_syncing */
    struct wake patience; /* of its oldest pop */
};

/* ---- reads (reads.c) ----------------------------------------------------------------------------------- */

enum read_purpose {
    READ_INSTANCE,
    READ_VALUES,
    READ_BODIES,
    READ_TOKEN,
    READ_TIMERS,
    READ_EXPIRY,
    READ_RECORDS,
    READ_SCAN
};

/* One read, waiting for a credit or under way. */
struct read {
    struct table_node node;
    struct link waiting; /* in engine.reads_waiting */
    struct wake wake;    /* made again after the store failed to answer */
    uint64_t number;
    enum read_purpose purpose;
    void *subject; /* instance, token or egress */
    struct read_range *ranges;
    struct key *keys; /* the ranges' keys, same places */
    uint32_t range_count;
    uint32_t rows_max;
    uint32_t bytes_max;
};

/* ---- epochs (epochs.c) --------------------------------------------------------------------------------- */

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

/* ---- the engine ---------------------------------------------------------------------------------------- */

enum engine_phase {
    ENGINE_NEW,
    ENGINE_RECOVERING,
    ENGINE_RAISING,
    ENGINE_READY,
    ENGINE_STOPPING,
    ENGINE_STOPPED,
    ENGINE_DEAD
};

struct engine {
    struct engine_options options;
    enum engine_phase phase;
    uint64_t now_ms;
    uint64_t rng;
    struct hash_key table_key; /* of hash tables in memory */
    struct store_record store;
    bool has_store;
    char store_id_hex[33];

    uint64_t number_next;    /* the next number to hand out */
    uint64_t number_ceiling; /* committed: no number above it */
    uint64_t number_wanted;  /* so many are needed at once by somebody who waits */

    struct table types;
    struct list types_order;                /* function_type.order */
    struct function_type **types_by_number; /* index: number */
    uint32_t type_capacity;
    uint32_t type_numbers; /* highest in use */
    struct endpoint *endpoints;
    struct egress *egresses; /* by index in the registry */
    uint32_t egress_number_max;
    uint32_t pops_waiting;
    struct list pops_syncing; /* egress.syncing: what their pops need is not on disk yet */

    struct table instances;
    struct list instances_lru; /* oldest first */
    struct list syncing;       /* instance.queue */
    struct table calls;
    struct heap wakes;
    uint64_t wake_sequence;
    struct heap timers;
    struct table timers_by_number;
    struct list timers_resident;
    struct read *timers_read;
    struct table tokens;
    struct table invocations;
    struct table reads;
    struct list reads_waiting;
    uint32_t reads_in_flight;
    uint64_t call_number;
    uint64_t read_number;
    uint32_t calls_in_flight;
    size_t call_bytes; /* of the calls in flight */
    uint32_t ready_count;
    uint32_t asks_waiting;
    struct list abandoned; /* invocation.abandoned, oldest first */

    uint64_t expiry_next_ms;     /* look for expiry rows then; UINT64_MAX: none is known */
    uint64_t expiry_since_ms;    /* earliest row the read under way may not see */
    uint64_t expiry_after_epoch; /* not before this epoch is on disk */
    struct read *expiry_read;
    struct key expiry_after; /* the next page of rows begins behind it; size 0: at the beginning */

    struct change_set *open;
    struct change_set *sealed;   /* being committed; NULL: the disk is free */
    struct change_set *released; /* their promises are effects of this step; freed at the next */
    uint64_t committed;
    bool is_store_full;
    struct store_figures figures;
    uint64_t figures_ms; /* when they came */

    uint32_t scan; /* recovery: the table being read */

    uint64_t mail_count;
    uint64_t mail_bytes;   /* resident bodies */
    uint64_t memory_bytes; /* bodies, timers' bodies, instances with values */
    uint64_t parked_count;
    uint64_t outbox_count;
    uint64_t outbox_bytes;
    uint32_t blocked_instances;
    uint32_t blocked_types;
    uint32_t down_endpoints;

    struct arena *step_arena; /* arrays of effects: reset at the next step */
    struct effect *effects;
    uint32_t effect_count;
    uint32_t note_count; /* of this step */
    uint32_t effect_capacity;
    struct buf scratch; /* a record under construction */
    struct buf scratch_text;
};

/* engine.c */
struct effect *engine_effect(struct engine *engine, enum effect_kind kind);
void engine_note(struct engine *engine, enum note_level level, const char *event, struct slice subject,
                 const char *format, ...) PRINTF_LIKE(5, 6);
void engine_fatal(struct engine *engine, const struct err *err);
/* Why no client is served now, but for what is particular to its request; NULL: clients are served. */
const char *engine_is_away(const struct engine *engine, enum err_code *out_code);
/* Refuses a client at once: nothing was derived from anything. `text` has static storage. */
void engine_refuse(struct engine *engine, uint64_t waiter, const struct invocation_id *invocation, enum err_code code,
                   const char *text);
/* Memory for the step's effects; ends the process if it is out. */
void *engine_step_alloc(struct engine *engine, size_t size);
void engine_wake_at(struct engine *engine, struct wake *wake, uint64_t due_ms); /* moves it if it is set */
void engine_wake_clear(struct engine *engine, struct wake *wake);
/* A number in [0, below): jitter. */
uint64_t engine_random(struct engine *engine, uint64_t below);
uint64_t engine_hash(const struct engine *engine, struct slice a, struct slice b, struct slice c);
static inline void metric_add(struct engine *engine, enum metric metric, uint64_t by)
{
    metrics_add(engine->options.metrics, metric, by);
}

/* epochs.c */
void epochs_start(struct engine *engine, uint64_t committed);
void epochs_destroy(struct engine *engine);
void epochs_free_released(struct engine *engine); /* at the beginning of a step */
/* Says that the open epoch will hold `bytes` more. */
void epochs_changed(struct engine *engine, size_t bytes);
void epochs_delete(struct engine *engine, enum store_table table, const struct key *key);
void epochs_put(struct engine *engine, enum store_table table, const struct key *key, const struct buf *value);
/* An answer that leaves when the open epoch is on disk; texts are copied. */
void epochs_promise(struct engine *engine, const struct effect_answer *answer);
/* Seals if it is time to; emits EFFECT_COMMIT. */
void epochs_seal_if_due(struct engine *engine);
void epochs_committed(struct engine *engine, const struct input_committed *input);
uint64_t epochs_wake_ms(const struct engine *engine);
bool epochs_is_full(const struct engine *engine);   /* run-ahead ends: no more calls */
bool epochs_must_wait(const struct engine *engine); /* no more results either, before the next commit */
/* True if `count` numbers can be handed out now; otherwise the ceiling is raised with the next epoch. */
bool epochs_has_numbers(struct engine *engine, uint64_t count);
uint64_t epochs_take_number(struct engine *engine);

/* types.c */
struct function_type *types_get(struct engine *engine, struct slice space, struct slice name);
struct function_type *types_find(struct engine *engine, struct slice space, struct slice name);
void types_intern(struct engine *engine, struct function_type *type);
void types_destroy(struct engine *engine);
bool types_load(struct engine *engine, uint32_t number, struct slice record, struct err *err);
/* Registers what a handshake declared. False: the type is blocked now. */
bool types_handshake(struct engine *engine, struct function_type *type, const struct result *result, uint64_t call);
int32_t types_spec(const struct function_type *type, struct slice name); /* -1: not registered */
/* Blocks the type because of an answer to `call`. */
void types_block(struct engine *engine, struct function_type *type, uint64_t call, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A result of it passed every check. */
void types_answered(struct engine *engine, struct function_type *type, uint64_t call);
void types_retry(struct engine *engine, struct function_type *type); /* its wake */
void types_open(struct engine *engine, struct function_type *type);
bool types_is_passable(const struct function_type *type); /* one more of its instances may be called now */
void types_try_another(struct engine *engine, struct function_type *type);
/* Puts a text for people "namespace/name" into the step's memory. */
struct slice types_text(struct engine *engine, const struct function_type *type);
void types_put(struct engine *engine, struct function_type *type); /* its row */

/* instance.c */
struct instance *instance_get(struct engine *engine, struct function_type *type, struct slice id);
struct address instance_address(const struct instance *instance);
struct slice instance_text(struct engine *engine, const struct instance *instance);
void instance_changed(struct engine *engine, struct instance *instance);
void instance_set_value(struct engine *engine, struct instance *instance, uint32_t spec, struct slice value);
void instance_clear_value(struct engine *engine, struct instance *instance, uint32_t spec);
void instance_touch(struct engine *engine, struct instance *instance);
/* Drops what expired by now; returns how many values. */
uint32_t instance_expire(struct engine *engine, struct instance *instance);
/* Takes rows of its first read (record and large values), or of one that follows (large values only). */
void instance_load_rows(struct engine *engine, struct instance *instance, const struct input_rows *rows, bool is_first);
void instance_put(struct engine *engine, struct instance *instance); /* its rows, when the epoch is sealed */
void instance_set_blocked(struct engine *engine, struct instance *instance, enum blocked blocked);
void instance_free(struct engine *engine, struct instance *instance);
void instances_destroy(struct engine *engine);
/* Frees clean instances and cold bodies while memory is over its budget; a bounded step. */
void instances_evict(struct engine *engine);

/* expiry.c */
void expiry_arm(struct engine *engine, struct instance *instance);
void expiry_run(struct engine *engine);
void expiry_rows(struct engine *engine, const struct input_rows *rows);
void expiry_judge(struct engine *engine, struct instance *instance);
uint64_t expiry_wake_ms(const struct engine *engine);

/* mailbox.c */
void mailbox_push(struct engine *engine, struct instance *instance, const struct envelope *envelope);
/* The same for an ask whose client waits: its message enters an epoch only when somebody is promised something. */
void mailbox_push_ask(struct engine *engine, struct instance *instance, const struct envelope *envelope,
                      struct invocation *ask);
/* The message must be in the open epoch now. */
void mailbox_settle(struct engine *engine, struct body *body);
/* True if the message is in the store. */
bool mailbox_is_on_disk(const struct engine *engine, const struct body *body);
void mailbox_push_recovered(struct engine *engine, struct instance *instance, const struct envelope *envelope);
void mailbox_pop(struct engine *engine,
                 struct instance *instance); /* the first message is gone: handled, parked or dropped */
void mailbox_chill(struct engine *engine, struct instance *instance); /* beyond the warm part */
void mailbox_chill_all(struct engine *engine, struct instance *instance);
/* True if the first message is in memory, ready to be sent. */
bool mailbox_warm(struct engine *engine, struct instance *instance);
/* Begins a read of the bodies at the head, which is cold. */
void mailbox_thaw(struct engine *engine, struct instance *instance);
void mailbox_rows(struct engine *engine, struct instance *instance, const struct input_rows *rows);
void mailbox_destroy(struct engine *engine, struct instance *instance);
void mailbox_put(struct engine *engine, struct body *body);

/* calls.c */
void calls_create(struct engine *engine);
void calls_destroy(struct engine *engine);
/* Moves an instance on: to where its state says it must wait now. */
void calls_schedule(struct engine *engine, struct instance *instance);
/* The same, but before others of its endpoint: its turn was interrupted through no fault of its own. */
void calls_reschedule(struct engine *engine, struct instance *instance);
void calls_backoff(struct engine *engine, struct instance *instance, uint64_t delay_ms);
void calls_dispatch(struct engine *engine);
void calls_result(struct engine *engine, struct input_result *input);
void calls_release_syncing(struct engine *engine);
/* Puts an instance among those that wait for their type to be mended. */
void calls_pend(struct instance *instance);
/* The endpoint answered: it is up. */
void calls_endpoint_up(struct engine *engine, struct endpoint *endpoint);
/* The endpoint is to blame: it is probed after a while, at least `retry_after_ms`. */
void calls_endpoint_down(struct engine *engine, struct endpoint *endpoint, const struct call *call,
                         const struct input_result *input);

/* blame.c */
void blame_failure(struct engine *engine, struct call *call, const struct input_result *input);
/* The function itself answered for the first message, alone: count it, wait, park or drop. */
void blame_message(struct engine *engine, struct instance *instance, const struct failure *failure);

/* apply.c */
void apply_result(struct engine *engine, const struct call *call, struct result *take_result);
void apply_retry_held(struct engine *engine, struct instance *instance);

/* parked.c */
/* Parks an envelope under an instance. */
void parked_put(struct engine *engine, struct instance *owner, const struct envelope *envelope, const char *reason,
                const char *text, uint32_t attempts);
bool parked_is_full(const struct engine *engine);

/* outbox.c */
void outbox_create(struct engine *engine);
void outbox_destroy(struct engine *engine);
void outbox_load_egress(struct engine *engine, uint32_t number, struct slice space, struct slice name);
void outbox_load_record(struct engine *engine, uint32_t number, size_t bytes);
void outbox_intern(struct engine *engine); /* gives new egresses of the module file their numbers */
/* Where a record goes; -1: nowhere, and it is to be parked. */
int32_t outbox_egress(const struct engine *engine, const struct emitted *emitted);
void outbox_put(struct engine *engine, const struct instance *sender, const struct emitted *emitted, uint32_t egress);

/* pops.c */
void pops_take(struct engine *engine, const struct input_pop *input);
void pops_rows(struct engine *engine, struct egress *egress, const struct input_rows *rows);
void pops_committed(struct engine *engine);
void pops_wake(struct engine *engine, struct egress *egress); /* the patience of its oldest pop is at its end */
void pops_stop(struct engine *engine);

/* timers.c */
void timers_add(struct engine *engine, const struct envelope *envelope, uint64_t due_ms);
void timers_add_recovered(struct engine *engine, const struct envelope *envelope, uint64_t due_ms);
void timers_cancel(struct engine *engine, struct token *token);
void timers_fire(struct engine *engine);
void timers_rows(struct engine *engine, const struct input_rows *rows);
void timers_put(struct engine *engine, struct timer_body *body);
void timers_chill(struct engine *engine);
void timers_destroy(struct engine *engine);
uint64_t timers_wake_ms(const struct engine *engine);

/* tokens.c */
/* The token if it is known; otherwise begins its read for `instance` and returns NULL. */
struct token *tokens_need(struct engine *engine, struct instance *instance, struct slice text);
struct token *tokens_find(struct engine *engine, const struct function_type *type, struct slice id, struct slice text);
void tokens_set(struct engine *engine, struct token *token, uint64_t timer, uint64_t due_ms);
/* The timer under this token fired or was cancelled. */
void tokens_clear(struct engine *engine, struct function_type *type, struct slice id, struct slice text,
                  uint64_t timer);
void tokens_rows(struct engine *engine, struct token *token, const struct input_rows *rows);
void tokens_unpin(struct engine *engine, struct token *token);
void tokens_put(struct engine *engine, struct token *token);
void tokens_committed(struct engine *engine, struct token *token);
void tokens_destroy(struct engine *engine);

/* invocations.c */
struct invocation *invocations_ask(struct engine *engine, const struct input_message *message);
void invocations_load(struct engine *engine, const struct invocation_id *id, const struct invocation_record *record);
void invocations_reply(struct engine *engine, struct slice id_hex, struct slice value);
/* If `envelope` came from an ask, its asker hears that it failed. */
void invocations_fail(struct engine *engine, const struct envelope *envelope, enum err_code code, struct slice text,
                      struct slice function_code);
void invocations_wake(struct engine *engine, struct invocation *invocation);
void invocations_stop(struct engine *engine);
void invocations_put(struct engine *engine, struct invocation *invocation);
void invocations_destroy(struct engine *engine);

/* reads.c */
struct read *reads_create(struct engine *engine, enum read_purpose purpose, void *subject, uint32_t range_count);
void reads_start(struct engine *engine, struct read *read); /* at once, or when there is a credit */
void reads_rows(struct engine *engine, const struct input_rows *rows);
void reads_again(struct engine *engine, struct read *read); /* its wake */
void reads_destroy(struct engine *engine);

/* recovery.c */
void recovery_start(struct engine *engine);
void recovery_rows(struct engine *engine, const struct input_rows *rows);
void recovery_committed(struct engine *engine); /* the first epoch is on disk */

/* retry.c: pure */
enum blame { BLAME_NOBODY, BLAME_ENDPOINT, BLAME_TYPE, BLAME_INSTANCE, BLAME_MESSAGE };
enum blame retry_blame(enum call_outcome outcome, int http_status, bool others_succeeded);
/* True if the failure may be that of one function's path rather than of the whole endpoint. */
bool retry_is_of_path(const struct input_result *input);
/* first * factor^(failures - 1), at most max; then up to a fifth off, by `random` (any value). */
uint64_t retry_delay_ms(const struct retry_policy *policy, uint32_t failures, uint64_t random);
