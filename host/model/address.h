/* SPDX-License-Identifier: Apache-2.0
 *
 * address.h: the name of an instance: namespace, name of the function type, id.
 *
 * Plain data; the slices are borrowed from whoever made the address.
 */
#pragma once

#include <stdbool.h>

#include "bytes.h"
#include "err.h"

struct address {
    struct slice space; /* namespace; may not hold '/' when it comes from a path or a module file */
    struct slice name;  /* of the function type within the namespace */
    struct slice id;    /* any UTF-8 text without NUL, at least one byte */
};

/* True if all three parts are the same. */
bool address_equal(const struct address *a, const struct address *b);
/* True if nothing of it is set: no caller. */
bool address_is_empty(const struct address *address);
/* Bytes of its three texts. */
size_t address_bytes(const struct address *address);
/* Copies the texts to *at, moves *at behind them, and returns the copy (slice_pack). */
struct address address_pack(uint8_t **at, const struct address *address);
/* Checks lengths, UTF-8 and NUL of all three parts; the sentence names the part. Code ERR_BAD_PATH. */
MUST_USE enum err_code address_check(const struct address *address, struct err *err);
/* Appends "namespace/name/id" for people: control characters come as '?'. */
void address_print(const struct address *address, struct buf *buf);
/* Splits "namespace/name" at its only slash. False unless there is exactly one with text on both sides. */
bool address_split_type(struct slice text, struct slice *out_space, struct slice *out_name);
/* True for the host's own namespace, `proa`: the only addresses in it are those of replies. */
bool address_is_host_namespace(struct slice space);

/* The address that answers an ask: proa/reply/<invocation id, 32 lower-case hex digits>. */
enum { INVOCATION_BYTES = 16, INVOCATION_HEX_BYTES = 32 };
struct invocation_id {
    uint8_t bytes[INVOCATION_BYTES];
};
/* True for proa/reply/<anything>. */
bool address_is_reply(const struct address *address);
/* Prints the id as lower-case hex with a NUL behind it. */
void invocation_print(const struct invocation_id *id, char out_hex[INVOCATION_HEX_BYTES + 1]);
/* Reads what invocation_print wrote; false for anything else. */
bool invocation_parse(struct slice hex, struct invocation_id *out_id);
