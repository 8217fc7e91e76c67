/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h: the values of every table.
 *
 * A record is: format (1 byte, RECORD_FORMAT), the fields in the order of their struct unless said otherwise,
 * CRC-32C (4 bytes) of all before it. Integers are little-endian with the width of their C type; a bool or an
 * enum is one byte; a slice is its length (4 bytes) and its bytes; an address is three slices (namespace,
 * name, id). Nothing is aligned. The format byte and the place of the checksum hold for every later format.
 *
 * Encoders append to a buffer. Decoders borrow from the row they read and check every length; a wrong
 * checksum, a short record or trailing bytes are ERR_CORRUPT, a higher format byte is ERR_NEWER_FORMAT.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "bytes.h"
#include "err.h"
#include "hash.h"
#include "result.h"

enum { RECORD_FORMAT = 1 };

/* mail, timer and parked: a message on its way. */
struct envelope {
    uint64_t number;  /* in timer and parked too: the number it was given first */
    uint64_t time_ms; /* engine time it was taken at */
    struct address target;
    struct address caller; /* empty: none; of a timer: the sender */
    struct slice value;    /* TypedValue bytes as they came */
    struct slice traceparent;
    struct slice token; /* of a timer; empty: cannot be cancelled */
};
/* Appends an envelope; reads one back. */
void record_put_envelope(struct buf *buf, const struct envelope *envelope);
MUST_USE enum err_code record_get_envelope(struct slice bytes, struct envelope *out, struct err *err);

/* parked: an envelope and why. */
struct parked {
    struct envelope envelope;
    uint32_t attempts;
    uint64_t parked_ms;
    struct slice reason; /* stable code */
    struct slice text;   /* one sentence */
};
/* Appends a parked message; reads one back. */
void record_put_parked(struct buf *buf, const struct parked *parked);
MUST_USE enum err_code record_get_parked(struct slice bytes, struct parked *out, struct err *err);

/* One state value as the instance record or the state table has it. */
struct state_value {
    uint32_t state; /* number of the interned state name */
    bool is_large;  /* the value stands in table `state`, here `value` is empty */
    uint64_t written_ms;
    struct slice value; /* TypedValue */
};

/* instance: header; then record_next_state for each of its values. */
struct instance_record {
    uint64_t created_ms;
    uint64_t touched_ms;
    uint64_t armed_ms; /* due time of its row in `expiry`; 0: none */
    bool is_paused;
    struct slice id; /* whole */
    uint32_t state_count;
};
/* Returns where the record begins in the buffer: record_end_instance takes it. */
MUST_USE size_t record_begin_instance(struct buf *buf, const struct instance_record *record);
void record_add_state(struct buf *buf, const struct state_value *value); /* state_count times */
void record_end_instance(struct buf *buf, size_t start);
/* The rest of a record that was checked whole by record_get_*: calling `next` count times succeeds. */
struct record_cursor {
    struct slice left;
};
/* Reads an instance, and then its values one after another. */
MUST_USE enum err_code record_get_instance(struct slice bytes, struct instance_record *out,
                                           struct record_cursor *out_states, struct err *err);
MUST_USE enum err_code record_next_state(struct record_cursor *cursor, struct state_value *out, struct err *err);

/* state: one large value. */
void record_put_state(struct buf *buf, struct slice value);
MUST_USE enum err_code record_get_state(struct slice bytes, struct slice *out_value, struct err *err);

/* token: the whole token, and the timer it names. */
struct token_record {
    struct slice token;
    uint64_t due_ms;
    uint64_t number;
};
/* Appends a token; reads one back. */
void record_put_token(struct buf *buf, const struct token_record *record);
MUST_USE enum err_code record_get_token(struct slice bytes, struct token_record *out, struct err *err);

/* invocation: a pending ask. */
struct invocation_record {
    uint64_t due_ms; /* its client stops waiting */
    struct address target;
};
/* Appends a pending ask; reads one back. */
void record_put_invocation(struct buf *buf, const struct invocation_record *record);
MUST_USE enum err_code record_get_invocation(struct slice bytes, struct invocation_record *out, struct err *err);

/* expiry: the whole id, so that a long one is known again; the rest stands in the key. */
void record_put_expiry(struct buf *buf, struct slice id);
MUST_USE enum err_code record_get_expiry(struct slice bytes, struct slice *out_id, struct err *err);

/* outbox: one record for an egress. */
struct outbox_record {
    uint64_t number;
    uint64_t time_ms;
    struct address sender;
    struct slice value; /* TypedValue */
};
/* Appends an outbox record; reads one back. */
void record_put_outbox(struct buf *buf, const struct outbox_record *record);
MUST_USE enum err_code record_get_outbox(struct slice bytes, struct outbox_record *out, struct err *err);

/* meta: "type/<n>" (of a spec: state, mode, expire_ms, name, typename): an interned function type and the state values
 * it declared. */
struct type_record {
    struct slice space;
    struct slice name;
    uint32_t spec_count;
};
struct spec_record {
    uint32_t state; /* number of its name within the type */
    struct state_spec spec;
};
/* Returns where the record begins in the buffer: record_end_type takes it. */
MUST_USE size_t record_begin_type(struct buf *buf, const struct type_record *record);
void record_add_spec(struct buf *buf, const struct spec_record *spec); /* spec_count times */
void record_end_type(struct buf *buf, size_t start);
/* Reads a type, and then its specs one after another. */
MUST_USE enum err_code record_get_type(struct slice bytes, struct type_record *out, struct record_cursor *out_specs,
                                       struct err *err);
MUST_USE enum err_code record_next_spec(struct record_cursor *cursor, struct spec_record *out, struct err *err);

/* meta: "egress/<n>": an interned egress name. */
void record_put_egress(struct buf *buf, struct slice space, struct slice name);
MUST_USE enum err_code record_get_egress(struct slice bytes, struct slice *out_space, struct slice *out_name,
                                         struct err *err);

/* meta "store": what stands once in a store. */
struct store_record {
    uint8_t store_id[16];
    struct hash_key secret; /* of every SipHash in keys */
    uint64_t created_ms;
};
/* Appends what stands once in a store; reads it back. */
void record_put_store(struct buf *buf, const struct store_record *record);
MUST_USE enum err_code record_get_store(struct slice bytes, struct store_record *out, struct err *err);

/* meta "epoch": written by every epoch. */
struct epoch_record {
    uint64_t number;
    uint64_t time_ms;
    uint64_t ceiling; /* no number above it was ever handed out */
};
/* Appends what an epoch writes; reads it back. */
void record_put_epoch(struct buf *buf, const struct epoch_record *record);
MUST_USE enum err_code record_get_epoch(struct slice bytes, struct epoch_record *out, struct err *err);

/* meta "journal": of the journal above these tables, if there is one. */
struct journal_record {
    uint64_t turn;      /* a turn that has a record on disk; 0: none is known */
    uint64_t next_turn; /* that comes after it; one of the two is in the files, or they are not those of these tables */
};
/* Appends what a checkpoint writes; reads it back. */
void record_put_journal(struct buf *buf, const struct journal_record *record);
MUST_USE enum err_code record_get_journal(struct slice bytes, struct journal_record *out, struct err *err);
