/* SPDX-License-Identifier: Apache-2.0
 *
 * port.h: all that passes between the engine and the edges: inputs and effects, as plain data.
 *
 * Inputs are borrowed for the step they are given to, but for what is marked `take`. Effects are borrowed
 * from the engine and valid until its next step, but for the sealed epoch, which stays valid until
 * INPUT_COMMITTED names it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "epoch.h"
#include "err.h"
#include "result.h"

/* ---- inputs ------------------------------------------------------------------------------------------- */

/* A message from a client. Answered by exactly one EFFECT_ANSWER with the same waiter. */
struct input_message {
    uint64_t waiter; /* the suspended request; any value, comes back unchanged */
    bool is_ask;
    struct invocation_id invocation; /* 128 random bits drawn at the edge */
    struct address target;
    struct slice value;       /* TypedValue */
    struct slice traceparent; /* empty: none */
    uint64_t delay_ms;        /* of a send */
    uint64_t timeout_ms;      /* of an ask */
};

/* A client takes the oldest record of a topic. Answered by exactly one EFFECT_ANSWER with the same waiter. */
struct input_pop {
    uint64_t waiter;
    struct invocation_id invocation;
    uint32_t egress; /* index in the registry */
};

/* How a call ended, seen from the edge. The blame is the engine's to find. */
enum call_outcome {
    CALL_ANSWERED,    /* 2xx, right content type, parsed: `result` is set */
    CALL_BAD_ANSWER,  /* 2xx, right content type, but not a FromFunction, or over the size limit */
    CALL_WRONG_TYPE,  /* 2xx without Content-Type application/octet-stream (R3) */
    CALL_HTTP_STATUS, /* any other status: `http_status` is set */
    CALL_UNREACHABLE, /* refused, reset, name not found, TLS */
    CALL_TIMEOUT,     /* the call's deadline passed */
};

struct input_result {
    uint64_t call; /* number of the call */
    enum call_outcome outcome;
    int http_status;
    uint32_t retry_after_ms; /* from Retry-After; 0: none */
    uint32_t duration_us;
    bool knows_partial;         /* the function announced `partial`, in Proa-Features of this answer */
    struct result *take_result; /* the engine takes it and sets NULL */
    const char *text;           /* one sentence for people when it failed; borrowed, may be NULL */
};

struct row {
    uint32_t range; /* index of the range of the read it answers */
    struct slice key;
    struct slice value;
};

/* The answer to one EFFECT_READ, from one snapshot. */
struct input_rows {
    uint64_t read;
    uint64_t epoch;  /* number of the newest epoch in the snapshot */
    bool has_failed; /* the store could not be read: see text; the read is to be made again */
    bool is_cut;     /* rows_max or bytes_max ended it: there is more after the last row */
    uint32_t row_count;
    const struct row *rows; /* in the order of ranges, and of keys within a range */
    const char *text;
};

struct store_figures {
    uint64_t bytes_used; /* pages in use */
    uint64_t bytes_file; /* of the data file */
    bool is_short;       /* what room is left is for what is inside: take no new work */
};

/* The committer's answer to EFFECT_COMMIT. */
struct input_committed {
    uint64_t epoch;
    bool is_full; /* ENOSPC, EDQUOT or MAP_FULL: not on disk, the edge keeps trying the same epoch */
    uint32_t duration_us;
    struct store_figures figures;
};

enum input_kind {
    INPUT_START, /* first input of an engine: recover */
    INPUT_MESSAGE,
    INPUT_POP,
    INPUT_RESULT,
    INPUT_ROWS,
    INPUT_COMMITTED,
    INPUT_STOP, /* take no more work, answer everybody, finish the epoch */
};

struct input {
    enum input_kind kind;
    union {
        struct input_message message;
        struct input_pop pop;
        struct input_result result;
        struct input_rows rows;
        struct input_committed committed;
    };
};

/* ---- effects ------------------------------------------------------------------------------------------ */

struct call_state {
    struct slice name;
    struct slice value; /* TypedValue; empty: registered but unset (R21) */
};

struct call_message {
    struct address caller; /* empty: none (R19) */
    struct slice value;    /* TypedValue */
    uint64_t number;       /* the message's id is <store id>-<number> */
    struct slice traceparent;
};

/* One call to a function endpoint. Answered by exactly one INPUT_RESULT. */
struct effect_call {
    uint64_t call;
    uint32_t endpoint;  /* index in the registry */
    bool knows_partial; /* its last answer announced `partial`: message ids and trace contexts are sent */
    uint32_t timeout_ms;
    struct address target;
    const struct call_state *states;
    const struct call_message *messages;
    uint32_t state_count;
    uint32_t message_count;
};

enum range_kind {
    RANGE_KEY,    /* this key only */
    RANGE_PREFIX, /* all keys that begin with it */
    RANGE_FROM,   /* all keys from this one on, to the end of the table */
};

struct read_range {
    enum range_kind kind;
    enum store_table table;
    struct slice key;
};

/* One read from one snapshot. Answered by exactly one INPUT_ROWS. */
struct effect_read {
    uint64_t read;
    const struct read_range *ranges;
    uint32_t range_count;
    uint32_t rows_max;  /* over all ranges */
    uint32_t bytes_max; /* over all ranges, beyond the first row */
};

enum answer_kind {
    ANSWER_REPLY,    /* an ask was answered: `value` */
    ANSWER_ACCEPTED, /* a send is durable */
    ANSWER_POPPED,   /* a record was taken for good: `value` */
    ANSWER_ERROR,
};

struct effect_answer {
    uint64_t waiter;
    enum answer_kind kind;
    struct invocation_id invocation;
    struct slice value;         /* TypedValue of a reply or a record */
    enum err_code code;         /* of an error */
    bool is_from_function;      /* the error is the function's own (a rejection) */
    struct slice text;          /* of an error: one sentence */
    struct slice function_code; /* of a rejection: the function's code */
    uint32_t retry_after_ms;    /* 0: none */
};

enum note_level { NOTE_INFO, NOTE_WARN, NOTE_ERROR };

/* Something an operator should read. */
struct effect_note {
    enum note_level level;
    const char *event;        /* static: "endpoint.down", "message.parked", … */
    struct slice subject;     /* address, function type or URL it is about */
    struct slice traceparent; /* of the one message it is about; empty: none */
    struct slice text;
};

enum effect_kind {
    EFFECT_CALL,
    EFFECT_READ,
    EFFECT_COMMIT, /* `epoch` is sealed: apply it and make it durable */
    EFFECT_ANSWER,
    EFFECT_NOTE,
    EFFECT_FATAL, /* the store cannot be used: stop at once; `note.text` says why */
};

struct effect {
    enum effect_kind kind;
    union {
        struct effect_call call;
        struct effect_read read;
        struct epoch *epoch;
        struct effect_answer answer;
        struct effect_note note;
    };
};

struct effects {
    struct effect *list;
    uint32_t count;
    uint64_t wake_ms; /* step again by then even without inputs; UINT64_MAX: no need */
};
