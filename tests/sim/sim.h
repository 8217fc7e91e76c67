/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h: a deterministic simulation of the engine: one thread, one seed, a world full of faults.
 *
 * The real engine, the real record code and the memory store run in a simulated world. Every message
 * carries a number (its tag) in its value, every function keeps a log of the tags it handled in its state,
 * with the id of the result that handled them; so what was applied can be read from the store's rows.
 * The ledger knows what could happen, the disk image what did; the checkers hold one against the other.
 * A struct whose name the host has too is a sim_* here: what the world knows of the same thing.
 * Thread: one. Memory: a simulation owns everything in it; sim_destroy frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "heap.h"
#include "keys.h"
#include "store_memory.h"

enum {
    TYPES_MAX = 6,
    INSTANCES_MAX = 48,
    STATES_MAX = 5, /* state values a function knows; 0 is its log */
    ENDPOINTS_MAX = 3,
    EGRESSES_MAX = 3,
    EGRESS_TOPIC = 2, /* the one that clients pop */
    POPS_MAX = 30000,
    TOKENS_MAX = 4,
    MESSAGES_MAX = 60000,
    ITEMS_MAX = 8, /* outgoing items of one result */
    INPUTS_MAX = 64,
};
#define NONE UINT32_MAX
#define WAITER_POP (UINT64_C(1) << 40) /* and the number of the pop */
#define WAITER_PLANTED UINT64_MAX      /* of a client that does not exist */

enum law { LAW_NONE, LAW_1, LAW_2, LAW_3, LAW_4, LAW_5, LAW_6, LAW_7, LAW_8, LAW_9, LAW_10 };

/* ---- randomness --------------------------------------------------------------------------------------- */

struct random {
    uint64_t state;
};
uint64_t random_next(struct random *random);
uint32_t random_below(struct random *random, uint32_t bound); /* 0 if bound is 0 */
uint32_t random_between(struct random *random, uint32_t low, uint32_t high);
bool random_chance(struct random *random, uint32_t permille);
uint64_t random_mix(uint64_t a, uint64_t b); /* a pure function of both */

/* ---- the ledger: what could happen -------------------------------------------------------------------- */

enum message_kind {
    MESSAGE_SEND,   /* by a client */
    MESSAGE_ASK,    /* by a client */
    MESSAGE_OUT,    /* by a result, at once */
    MESSAGE_TIMER,  /* by a result, delayed */
    MESSAGE_EGRESS, /* by a result, to an egress */
    MESSAGE_REPLY,  /* by a result, to an ask */
};

enum place { PLACE_NOWHERE, PLACE_MAIL, PLACE_TIMER, PLACE_PARKED, PLACE_OUTBOX, PLACE_LOG, PLACE_COUNT };

struct sim_message {
    enum message_kind kind;
    uint32_t maker;     /* result; 0: a client */
    uint32_t source;    /* instance of the sender; NONE: a client */
    uint32_t target;    /* instance; NONE: a reply, an egress, or somewhere unknown */
    bool is_unroutable; /* names an unknown function or egress */
    uint32_t padding;   /* bytes in its value beyond the tag */
    uint32_t egress;
    uint64_t delay_ms;
    uint64_t timeout_ms;
    uint32_t token;    /* 1..TOKENS_MAX; 0: none */
    uint32_t reply_of; /* tag of the ask that it answers or may have answered; 0: none */
    uint32_t depth;    /* results between it and a client */
    uint64_t order;    /* of its arrival: messages of one source compare by it */
    uint64_t given_ms; /* when the engine was told; 0: not yet */
    uint32_t life;     /* engine's life in which it was told */
    struct invocation_id invocation;

    bool is_answered; /* the client got its one answer */
    bool is_lost;     /* the client's connection broke in a crash */
    bool is_refused;
    bool is_promised; /* the client was told that the work goes on or is done */

    uint32_t runs;        /* calls it was part of */
    uint32_t fails_first; /* times its function fails before it succeeds; UINT32_MAX: always */
    uint32_t failures;    /* failed calls in which the function answered for it */
    bool was_rejected;

    uint64_t number;              /* as last seen in a call or in mail */
    uint32_t live;                /* times in the log as the engine must see it */
    uint32_t places[PLACE_COUNT]; /* rows (or log entries) of the store that hold it */
    enum place before;            /* where it was after the epoch before */
    bool was_seen;                /* it once had a place */
    bool is_gone;                 /* it had a place and has none any more, or was cancelled */
    bool is_cancelled;
    bool is_touched;     /* by the epoch being looked at */
    uint64_t disk_epoch; /* of a record: that brought it to the disk */
    bool is_popped;      /* a client has it */
};

struct change {
    uint32_t state;
    bool is_delete;
    uint32_t padding; /* bytes of the value; UINT32_MAX: zero bytes in all */
};

struct item {
    bool is_cancel;
    uint32_t token; /* of a cancel */
    uint32_t tag;   /* of anything else */
};

struct outcome {
    uint32_t instance;
    uint64_t call;
    uint32_t life;
    uint32_t handled_count; /* messages it covers */
    uint32_t *tags;         /* of the call, in order */
    uint64_t *numbers;
    uint32_t tag_count;
    struct item items[ITEMS_MAX];
    uint32_t item_count;
    struct change changes[STATES_MAX];
    uint32_t change_count;
    bool is_poisoned; /* breaks a rule: refused whole */
    bool is_fenced;   /* its call had ended before it came */
    bool is_refused;  /* the next call showed that it was not applied */
    bool is_given;
    uint64_t given_ms;
    bool is_on_disk;
    uint64_t disk_ms; /* when the epoch that holds it was sealed */
};

struct entry { /* of an instance's log */
    uint32_t tag;
    uint32_t outcome;
    uint64_t number;
};

struct sim_value { /* of one state value of one instance */
    bool is_set;
    uint32_t outcome; /* that wrote it */
    uint32_t padding;
    uint64_t written_ms_min;
    uint64_t written_ms_max;
};

struct sim_instance {
    uint32_t type;
    uint8_t *id;
    uint32_t id_bytes;
    struct entry *log;  /* all ever: [disk_base..disk_count) is on disk, [live_base..live_count) a call must show */
    uint32_t live_base; /* what came before it expired */
    uint32_t live_count;
    uint32_t disk_base;
    uint32_t disk_count;
    uint32_t log_capacity;
    uint32_t pending; /* outcome given to the engine, not yet known to be applied or refused; 0: none */
    struct sim_value live[STATES_MAX];
    struct sim_value disk[STATES_MAX];
    uint64_t touched_ms_max;          /* the last result was applied then or before */
    uint32_t client_mail;             /* rows in mail that clients sent without delay */
    uint32_t holders[TOKENS_MAX + 1]; /* tag of the timer that holds a token, as of the disk; 0: none */
    uint64_t call;                    /* in flight; 0: none */
    bool is_touched;                  /* by the epoch being looked at */
};

struct type {
    const char *space;
    const char *name;
    uint32_t endpoint;
    uint32_t declared; /* states declared from the first call on */
    uint64_t declares_all_ms;
    uint32_t number;             /* as interned on disk; NONE: not yet */
    uint32_t states[STATES_MAX]; /* numbers of the names on disk; NONE: not yet */
};

/* ---- the store's rows, as plainly as can be ----------------------------------------------------------- */

struct disk_row {
    struct disk_row *next;
    enum store_table table;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint8_t bytes[]; /* key, then value */
};

struct disk {
    struct disk_row **buckets;
    uint32_t counts[STORE_TABLE_COUNT];
    uint64_t epoch; /* newest applied */
    uint64_t ceiling;
    uint64_t time_ms;
    uint32_t mail_before; /* rows in mail after the epoch before, and asks that may wait without one */
    uint32_t fired;       /* timers that this epoch brought into mailboxes */
    uint32_t tokens;      /* timers with a token */
    uint32_t armed;       /* instances with an expiry row */
    uint32_t large;       /* values that stand in table state */
    bool has_secret;
    struct hash_key secret;
    uint32_t *touched; /* tags */
    uint32_t touched_count;
    uint32_t touched_capacity;
};

/* ---- pops ---------------------------------------------------------------------------------------------- */

struct sim_pop {
    uint64_t disk_epoch; /* newest on disk when it was given */
    uint32_t step;       /* of the world, when it was given */
    bool is_over;        /* answered, or its connection broke */
};

struct topic {
    struct sim_pop *pops; /* by number; 0 is unused */
    uint32_t count;
    uint32_t open;         /* under way */
    uint32_t removed;      /* records gone from the disk for one of those */
    uint64_t removed_last; /* number of the newest of all that ever went */
    uint64_t popped_last;  /* that a client got */
};

/* ---- the world ---------------------------------------------------------------------------------------- */

struct sim_call {
    struct sim_call *next;
    uint64_t number;
    uint32_t instance;
    uint32_t endpoint;
    uint32_t life;
    uint64_t begun_ms;
    bool knows_partial;
    uint32_t shown; /* bit set of the states it carries */
    uint32_t log_count;
    uint32_t count;
    size_t bytes;
    uint32_t *tags;
    uint64_t *numbers;
    bool is_ended; /* the engine was told how it ended */
};

enum event_kind {
    EVENT_START,
    EVENT_STOP,
    EVENT_CRASH,
    EVENT_JUMP,
    EVENT_CLIENT,
    EVENT_APPLY,     /* the committer writes */
    EVENT_COMMITTED, /* its answer arrives */
    EVENT_SNAPSHOT,  /* a reader begins its snapshot */
    EVENT_ROWS,      /* its answer arrives */
    EVENT_RESULT,
    EVENT_LIE, /* planted: a result that never was */
};

struct event {
    struct heap_node node;
    enum event_kind kind;
    struct epoch *epoch;     /* of APPLY */
    bool is_full;            /* of COMMITTED */
    uint64_t number;         /* of COMMITTED: the epoch */
    struct effect_read read; /* of SNAPSHOT and ROWS: owned copy */
    struct input_rows rows;
    struct arena *arena;
    struct sim_call *call; /* of RESULT */
    struct input_result result;
    uint32_t outcome; /* of RESULT; 0: none */
};

/* How unfriendly the world is, in permille or as marked. Drawn from the seed, all zero at the end. */
struct faults {
    uint32_t call_fails; /* any outcome but an answer */
    uint32_t call_lates; /* answers after its timeout */
    uint32_t call_doubles;
    uint32_t call_slow_ms;
    uint32_t read_fails;
    uint32_t read_slow_ms;
    uint32_t commit_slow_ms;
    uint32_t commit_full;
    uint32_t figures_high; /* the store says that it is nearly full */
    uint32_t crashes;      /* per thousand steps */
    uint32_t stops;
    uint32_t jumps;
    uint32_t misbehaves; /* results that break rules */
    uint32_t message_fails;
    uint32_t endpoint_down;
    uint32_t clock_behind;   /* starts with a clock that was set back */
    uint32_t lacks_function; /* starts with a function missing from the module file */
};

/* Bugs set on purpose (plant.h), each to be found by the checker of its law. */
enum plant {
    PLANT_NONE,
    PLANT_LAW1_ENDS_CALL,
    PLANT_LAW1_UNFENCED,
    PLANT_LAW2_SWAP,
    PLANT_LAW3_DROP_PUT,
    PLANT_LAW3_SPLIT_EPOCH,
    PLANT_LAW4_EARLY,
    PLANT_LAW4_POP,
    PLANT_LAW5_LOSE_OP,
    PLANT_LAW5_SKIP_EPOCH,
    PLANT_LAW6_TWICE,
    PLANT_LAW6_LOSE,
    PLANT_LAW6_POP,
    PLANT_LAW7_EARLY,
    PLANT_LAW7_CANCEL,
    PLANT_LAW8_CALLS,
    PLANT_LAW8_CODE,
    PLANT_LAW9_FORGET,
    PLANT_LAW9_STUCK,
    PLANT_LAW10_RANDOM,
    PLANT_COUNT,
};

struct sim_options {
    uint64_t seed;
    uint32_t steps;
    enum plant plant;
    bool is_traced;
    uint32_t pass; /* 0, then 1: the second of two equal runs */
};

struct sim {
    struct sim_options options;
    struct random random;
    struct faults faults;
    bool is_draining;       /* faults have stopped */
    bool all_expires;       /* every state value has a time to live, the log too */
    bool amplifies;         /* functions send more than they get */
    bool is_tight_on_types; /* fewer function types fit than there are */
    uint64_t now_ms;        /* of the world: never backwards, even if the host's clock is */
    uint64_t behind_ms;     /* the host's clock lies so far behind it in this life */
    uint64_t engine_ms;     /* the engine's clock: never behind the store's time */
    uint64_t wake_ms;       /* by the world's time */
    uint64_t hash;          /* over every byte of every effect */
    uint32_t steps;
    uint32_t idle_steps;

    enum law law; /* broken; the first one counts */
    char text[512];

    struct engine_options engine_options; /* as the checkers know them */
    struct registry *registry;
    uint32_t missing;        /* function of the registry that this life's module file lacks; NONE: none */
    struct registry lacking; /* the registry without it */
    struct metrics *metrics;
    struct engine *engine;
    uint32_t life; /* 1, 2, …: starts of an engine */
    bool is_stopping;
    uint64_t stop_ms;
    uint32_t stop_step;
    uint64_t skew_ms;   /* a planted lie about the time */
    struct epoch *late; /* a planted epoch that is applied after its promises left */
    uint64_t late_ms;
    struct store *store;

    struct heap events;
    uint64_t event_sequence;
    uint64_t input_order;
    struct sim_call *calls; /* all ever made, newest first */
    uint32_t calls_open;
    size_t call_bytes_open; /* of messages and states in calls under way */
    uint32_t calls_open_of[ENDPOINTS_MAX];
    uint64_t down_until_ms[ENDPOINTS_MAX];
    uint32_t reads_open;
    struct epoch *committing;
    uint64_t committing_ms; /* when it was sealed */
    bool has_applied;       /* `committing` is on disk, the engine does not know it yet */
    uint64_t epoch_sealed;  /* newest */

    struct type types[TYPES_MAX];
    uint32_t type_count;
    struct sim_instance instances[INSTANCES_MAX];
    uint32_t instance_count;
    struct sim_message *messages; /* by tag; 0 is unused */
    uint32_t message_count;
    struct outcome *outcomes; /* by id; 0 is unused */
    uint32_t outcome_count;
    uint32_t outcome_capacity;
    uint64_t *number_keys; /* numbers ever seen, and whose they were */
    uint32_t *number_tags;
    uint32_t waiters_open;
    uint32_t clients_left; /* messages the clients will still make */
    struct disk disk;
    struct topic topic;
    uint32_t plant_count; /* times the plant struck */

    struct { /* for the summary */
        uint64_t answers, epochs, crashes, refused, calls, parked, reads, replies, popped, empty;
    } seen;
};

/* The first broken law of a run; later ones are only noise. */
void sim_fail(struct sim *sim, enum law law, const char *format, ...) PRINTF_LIKE(3, 4);
/* The engine's clock now: the host's, but never behind the store's time or itself. */
uint64_t sim_engine_ms(struct sim *sim);
void sim_trace(const struct sim *sim, const char *format, ...) PRINTF_LIKE(2, 3);
struct sim *sim_create(const struct sim_options *options);
void sim_destroy(struct sim *sim);
/* The whole run: faults, then the time after them. Returns the law that was broken. */
enum law sim_run(struct sim *sim);

/* setup.c */
void setup_world(struct sim *sim);
void setup_engine_options(struct sim *sim, struct engine_options *out);

/* ledger.c */
uint32_t ledger_message(struct sim *sim, enum message_kind kind); /* its tag; 0: the ledger is full */
uint32_t ledger_outcome(struct sim *sim, const struct sim_call *call);
void ledger_put_message(const struct sim *sim, uint32_t tag, struct buf *buf);
/* The tag in a value, and true if the value is that message's, byte for byte. */
bool ledger_get_message(const struct sim *sim, struct slice value, uint32_t *out_tag);
void ledger_put_log(struct buf *buf, const struct entry *log, uint32_t count);
void ledger_put_state(struct buf *buf, uint32_t outcome, uint32_t state, uint32_t padding);
/* The entries of a log value: eight bytes each; false if the value is no log. */
bool ledger_get_log(struct slice value, struct slice *out_entries);
struct entry ledger_log_entry(struct slice entries, uint32_t index);
struct address ledger_address(const struct sim *sim, uint32_t instance);
uint32_t ledger_instance(const struct sim *sim, const struct address *address); /* NONE: unknown */
void ledger_reply_address(const struct sim *sim, uint32_t ask, struct address *out, char hex[INVOCATION_HEX_BYTES + 1]);
struct sim_message *ledger_at(struct sim *sim, uint32_t tag);
const struct endpoint_config *ledger_endpoint(const struct sim *sim, uint32_t instance);
/* True if this life's module file lacks the instance's function. */
bool ledger_is_missing(const struct sim *sim, uint32_t instance);
/* Marks a number as this message's; false if another message had it. */
bool ledger_number(struct sim *sim, uint64_t number, uint32_t tag);
void ledger_append(struct sim *sim, uint32_t instance, uint32_t outcome);
void ledger_disk(struct sim *sim, uint32_t instance, uint32_t count);
void ledger_crash(struct sim *sim); /* what the engine must show is what is on disk again */
const char *state_name(uint32_t state);
const char *state_typename(uint32_t state);
enum expiry_mode state_expiry(const struct sim *sim, uint32_t state, int64_t *out_expire_ms);

/* program.c: what a function does with a call, and how the answer travels. */
void program_run(struct sim *sim, struct sim_call *call);

/* world.c */
struct event *world_event(struct sim *sim, enum event_kind kind, uint64_t due_ms);
void world_event_destroy(struct event *event);
void world_crash(struct sim *sim);

/* edges.c */
void edges_commit(struct sim *sim, struct epoch *epoch);
void edges_read(struct sim *sim, const struct effect_read *read);
void edges_call(struct sim *sim, const struct effect_call *call);
void edges_apply(struct sim *sim, struct event *event);
void edges_snapshot(struct sim *sim, struct event *event);
void edges_client(struct sim *sim, struct input *inputs, uint32_t *count, struct arena *arena);
void edges_result(struct sim *sim, struct event *event, struct input *input);
void edges_stop_waiting(struct sim *sim); /* all clients' connections break */

/* pops.c: clients that take records of the topic, and the checker of what they get. */
void pops_client(struct sim *sim, struct input *inputs, uint32_t *count);
void pops_answer(struct sim *sim, const struct effect_answer *answer);
/* A record of the topic came to the disk, or left it. */
void pops_stored(struct sim *sim, uint32_t tag, uint64_t number);
void pops_removed(struct sim *sim, uint32_t tag);
void pops_stop_waiting(struct sim *sim);
bool pops_is_record(const struct sim_message *message); /* of the topic */

/* disk.c */
void disk_apply(struct sim *sim, const struct epoch *epoch, uint64_t sealed_ms);
void disk_compare(struct sim *sim); /* law 5: the store holds exactly the epochs, in order */
void disk_done(struct disk *disk);
const struct disk_row *disk_find(const struct disk *disk, enum store_table table, struct slice key);
void disk_touch(struct sim *sim, uint32_t tag);
struct slice disk_value(const struct disk_row *row);

/* checkers; each names its laws at its head */
void check_call(struct sim *sim, struct sim_call *call, const struct effect_call *effect);
void check_given(struct sim *sim, const struct sim_call *call, uint32_t outcome, const struct input_result *result);
/* The log of an instance as somebody shows it: what it must begin with, and the outcome it may go on with. */
bool check_log(struct sim *sim, uint32_t instance, struct slice entries, uint32_t base, uint32_t must_have);
/* True if all of an instance's log up to `count` may have expired. */
bool check_log_may_expire(struct sim *sim, uint32_t instance, uint32_t count);
/* True if a value of this state, written then, may have expired by `now_ms`. */
bool check_may_expire(const struct sim *sim, uint32_t state, const struct sim_value *value, uint64_t touched_ms,
                      uint64_t now_ms);
/* The earliest time at which the instance can have handled the newest of so many entries of its log; 0: none. */
uint64_t check_touched_ms(const struct sim *sim, const struct sim_instance *instance, uint32_t count);
bool check_may_be_dropped(const struct sim *sim, const struct sim_message *message);
void check_figures(struct sim *sim);
bool check_is_on_disk(const struct sim_message *message);
void check_epoch(struct sim *sim, uint64_t sealed_ms);
void check_sealed(struct sim *sim, const struct epoch *epoch);
void check_answer(struct sim *sim, const struct effect_answer *answer, uint64_t given_from);
void check_limits(struct sim *sim);
void check_end(struct sim *sim);
bool check_is_clean(const struct sim *sim); /* all that was applied is on disk */
bool check_is_drained(const struct sim *sim);
/* What stays in mailboxes is kept there by a full table, and every instance that waits shows as blocked. */
bool check_is_blocked(struct sim *sim);
/* Long after the drain: nothing is left that time should have taken. */
void check_settled(struct sim *sim);
