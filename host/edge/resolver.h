/* SPDX-License-Identifier: Apache-2.0
 *
 * resolver.h: host names to addresses, looked up by a helper, shared by all calls.
 *
 * Why: left to libcurl, every call to a name with two addresses went to the first of them, and a dead name
 * server held the loop beyond the call's deadline. A name is looked up again every 30 s while it is used, every
 * 5 s while one of its addresses refuses: whoever is gone has most likely left the name, and somebody else come;
 * one look-up a name at a time, and one in all, so that a dead name server holds one helper thread and
 * never two. Addresses are handed out in turn; one that refused is skipped for a while,
 * and then tried by one call before the others follow.
 * Not here: deadlines of those who wait (dispatcher.c). Thread: loop. Memory: names are counted by their users.
 */
#pragma once

#include "bytes.h"
#include "helper.h"
#include "list.h"

enum {
    RESOLVER_ADDRESSES_MAX = 32,     /* of one name; what is beyond is not used */
    RESOLVER_ADDRESS_BYTES = 64,     /* an IPv6 address with its scope, NUL included */
    RESOLVER_FRESH_MS = 30 * 1000,   /* an answer is used so long without a new look-up */
    RESOLVER_STALE_MS = 60 * 1000,   /* so long while the new look-up is under way */
    RESOLVER_FAILED_MS = 600 * 1000, /* so long if new look-ups fail: names change more rarely than name servers die */
    RESOLVER_RETRY_MS = 5 * 1000,    /* look-ups of a name with addresses are so far apart, failed ones among them */
    RESOLVER_SKIP_MS = 30 * 1000,    /* an address that refused is left out so long if there is another */
};

struct resolver;
struct resolver_name;

/* Somebody who waits for a look-up; in the line of at most one name. */
struct resolver_waiter {
    struct link link;
    /* Called once, from the loop and never from within a function of the resolver; the waiter has left the line.
     * `error` is NULL or a clause about why there is no address, borrowed. */
    void (*ready)(struct resolver_waiter *waiter, const char *error);
};

/* Look-ups go to this helper, which must outlive the resolver. */
struct resolver *resolver_create(struct helper *helper);
/* Waiters are forgotten; every name must have been given back. A look-up under way ends on its own. */
void resolver_destroy(struct resolver *resolver) LOOP_THREAD; /* accepts NULL */
/* The name, counted once more. */
struct resolver_name *resolver_ref(struct resolver *resolver, struct slice host) LOOP_THREAD;
void resolver_unref(struct resolver *resolver, struct resolver_name *name) LOOP_THREAD; /* accepts NULL */
/* The next address of the name, NUL-terminated, borrowed until the next function of the resolver; or NULL: there is
 * none yet, `waiter` stands in line and a look-up is under way. */
const char *resolver_next(struct resolver *resolver, struct resolver_name *name, struct resolver_waiter *waiter,
                          uint64_t now_ms) LOOP_THREAD;
/* Takes a waiter out of the line before it was called. */
void resolver_leave(struct resolver_name *name, struct resolver_waiter *waiter) LOOP_THREAD;
/* What became of an address: it refused, or it took a connection. */
void resolver_refused(struct resolver_name *name, const char *address, uint64_t now_ms) LOOP_THREAD;
void resolver_worked(struct resolver_name *name, const char *address) LOOP_THREAD;
uint32_t resolver_address_count(const struct resolver_name *name);
/* Begins what no helper was free for. True: call it again soon. */
bool resolver_run(struct resolver *resolver) LOOP_THREAD;
