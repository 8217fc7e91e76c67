/* SPDX-License-Identifier: Apache-2.0 */
#include "resolver.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "check.h"
#include "clock.h"
#include "hash.h"
#include "table.h"
#include "url.h"

struct address_entry {
    char text[RESOLVER_ADDRESS_BYTES];
    uint64_t skip_until_ms; /* 0: it is not known to refuse */
};

struct resolver_name {
    struct table_node node;
    struct link line_link; /* in resolver->line while it wants a look-up */
    struct list waiters;   /* resolver_waiter.link */
    struct address_entry addresses[RESOLVER_ADDRESSES_MAX];
    uint32_t address_count; /* 0: none known */
    uint32_t next;          /* address to hand out next */
    uint32_t skipped;       /* addresses with a skip_until_ms */
    uint32_t users;
    uint64_t looked_up_ms; /* of the answer in `addresses` */
    uint64_t tried_ms;     /* of the newest look-up, whatever came of it */
    bool has_failed;       /* the newest look-up failed: the answer is older than that */
    char host[URL_HOST_BYTES_MAX + 1];
};

/* Plain data that travels to a helper thread and back. */
struct lookup {
    struct helper_job job;
    struct resolver *resolver;  /* loop only; NULL: nobody waits any more */
    struct resolver_name *name; /* loop only; NULL: likewise */
    char host[URL_HOST_BYTES_MAX + 1];
    int error; /* of getaddrinfo */
    uint32_t address_count;
    char addresses[RESOLVER_ADDRESSES_MAX][RESOLVER_ADDRESS_BYTES];
};

struct resolver {
    struct helper *helper;
    struct table names;
    struct hash_key hash_key;
    struct list line;      /* names that want a look-up, oldest first */
    struct lookup *lookup; /* the one under way, or NULL */
};

struct resolver *resolver_create(struct helper *helper)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    check(resolver != NULL);
    resolver->helper = helper;
    check(getrandom(&resolver->hash_key, sizeof(resolver->hash_key), 0) == (ssize_t)sizeof(resolver->hash_key));
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    check(resolver->names.count == 0);
    if (resolver->lookup != NULL) {
        resolver->lookup->resolver = NULL;
        resolver->lookup->name = NULL;
    }
    table_done(&resolver->names);
    free(resolver);
}

static bool is_host(const struct table_node *node, const void *key)
{
    const struct resolver_name *name = container_of(node, struct resolver_name, node);
    return slice_equal(slice_of(name->host), *(const struct slice *)key);
}

struct resolver_name *resolver_ref(struct resolver *resolver, struct slice host)
{
    uint64_t hash = hash_siphash64(&resolver->hash_key, host);
    struct table_node *node = table_find(&resolver->names, hash, is_host, &host);
    struct resolver_name *name = NULL;

    check(host.size <= URL_HOST_BYTES_MAX);
    if (node != NULL) {
        name = container_of(node, struct resolver_name, node);
    } else {
        name = calloc(1, sizeof(*name));
        check(name != NULL);
        memcpy(name->host, host.data, host.size);
        table_insert(&resolver->names, &name->node, hash);
    }
    name->users++;
    return name;
}

void resolver_unref(struct resolver *resolver, struct resolver_name *name)
{
    if (name == NULL || --name->users > 0) {
        return;
    }
    check(name->waiters.count == 0);
    if (link_is_linked(&name->line_link)) {
        list_remove(&resolver->line, &name->line_link);
    }
    if (resolver->lookup != NULL && resolver->lookup->name == name) {
        resolver->lookup->name = NULL;
    }
    table_remove(&resolver->names, &name->node);
    free(name);
}

/* On a helper thread: touches nothing but the look-up's own data. */
static void lookup_work(struct helper_job *job)
{
    struct lookup *lookup = container_of(job, struct lookup, job);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (lookup->error != 0) {
        return;
    }
    for (const struct addrinfo *at = found; at != NULL && lookup->address_count < RESOLVER_ADDRESSES_MAX;
         at = at->ai_next) {
        char *text = lookup->addresses[lookup->address_count];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, RESOLVER_ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST) == 0) {
            lookup->address_count++;
        }
    }
    freeaddrinfo(found);
    if (lookup->address_count == 0) {
        lookup->error = EAI_NONAME;
    }
}

/* Takes over a new answer; an address that was already known keeps its mark. */
static void take_addresses(struct resolver_name *name, const struct lookup *lookup, uint64_t now_ms)
{
    struct address_entry fresh[RESOLVER_ADDRESSES_MAX] = {0};

    name->skipped = 0;
    for (uint32_t i = 0; i < lookup->address_count; i++) {
        memcpy(fresh[i].text, lookup->addresses[i], RESOLVER_ADDRESS_BYTES);
        for (uint32_t j = 0; j < name->address_count; j++) {
            if (strcmp(name->addresses[j].text, fresh[i].text) == 0) {
                fresh[i].skip_until_ms = name->addresses[j].skip_until_ms;
            }
        }
        name->skipped += fresh[i].skip_until_ms != 0;
    }
    memcpy(name->addresses, fresh, sizeof(fresh));
    name->address_count = lookup->address_count;
    name->looked_up_ms = now_ms;
    name->has_failed = false;
}

static void wake_waiters(struct resolver_name *name, const char *error)
{
    /* Only those who stand here now: `ready` may come back for another address. */
    for (size_t left = name->waiters.count; left > 0 && name->waiters.count > 0; left--) {
        struct resolver_waiter *waiter = container_of(list_pop(&name->waiters), struct resolver_waiter, link);
        waiter->ready(waiter, error);
    }
}

static void lookup_done(struct helper_job *job)
{
    thread_assume(&thread_loop);
    struct lookup *lookup = container_of(job, struct lookup, job);
    struct resolver *resolver = lookup->resolver;
    struct resolver_name *name = lookup->name;

    if (resolver == NULL) {
        free(lookup);
        return;
    }
    resolver->lookup = NULL;
    if (name != NULL) {
        uint64_t now_ms = clock_monotonic_us() / 1000;
        name->tried_ms = now_ms;
        if (lookup->error == 0) {
            take_addresses(name, lookup, now_ms);
        } else {
            name->has_failed = true;
        }
        bool is_usable = name->address_count > 0 && now_ms < name->looked_up_ms + RESOLVER_FAILED_MS;
        name->users++; /* `ready` may give the last other use back */
        wake_waiters(name, is_usable ? NULL : gai_strerror(lookup->error));
        resolver_unref(resolver, name);
    }
    free(lookup);
    (void)resolver_run(resolver); /* what could not begin now is asked for again by the dispatcher's turn */
}

bool resolver_run(struct resolver *resolver)
{
    struct link *first = list_first(&resolver->line);
    if (first == NULL || resolver->lookup != NULL) {
        return false;
    }
    struct resolver_name *name = container_of(first, struct resolver_name, line_link);
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return true;
    }
    lookup->job = (struct helper_job){.work = lookup_work, .done = lookup_done};
    lookup->resolver = resolver;
    lookup->name = name;
    memcpy(lookup->host, name->host, sizeof(lookup->host));
    if (!helper_push(resolver->helper, &lookup->job)) {
        free(lookup);
        return true;
    }
    resolver->lookup = lookup;
    list_remove(&resolver->line, &name->line_link);
    return false;
}

static void want_lookup(struct resolver *resolver, struct resolver_name *name) LOOP_THREAD
{
    bool is_under_way = resolver->lookup != NULL && resolver->lookup->name == name;
    if (!is_under_way && !link_is_linked(&name->line_link)) {
        list_push(&resolver->line, &name->line_link);
    }
    (void)resolver_run(resolver); /* as in lookup_done */
}

/* The next one in turn that is not skipped; if all are, the one whose time is over first. Whoever gets one whose time
 * is over finds out for the others whether it is back: all of them might wait for it until their deadlines. */
static const char *pick(struct resolver_name *name, uint64_t now_ms)
{
    uint32_t best = name->next % name->address_count;
    for (uint32_t i = 0; name->skipped > 0 && i < name->address_count; i++) {
        uint32_t at = (name->next + i) % name->address_count;
        uint64_t until = name->addresses[at].skip_until_ms;
        if (until <= now_ms) {
            name->addresses[at].skip_until_ms = until == 0 ? 0 : now_ms + RESOLVER_SKIP_MS;
            best = at;
            break;
        }
        if (until < name->addresses[best].skip_until_ms) {
            best = at;
        }
    }
    name->next = best + 1;
    return name->addresses[best].text;
}

const char *resolver_next(struct resolver *resolver, struct resolver_name *name, struct resolver_waiter *waiter,
                          uint64_t now_ms)
{
    uint64_t age_ms = now_ms > name->looked_up_ms ? now_ms - name->looked_up_ms : 0;
    uint64_t usable_ms = name->has_failed ? RESOLVER_FAILED_MS : RESOLVER_STALE_MS;

    bool is_usable = name->address_count > 0 && age_ms < usable_ms;
    bool is_doubtful = age_ms >= RESOLVER_FRESH_MS || name->has_failed || name->skipped > 0;

    if (!is_usable || (is_doubtful && now_ms >= name->tried_ms + RESOLVER_RETRY_MS)) {
        want_lookup(resolver, name);
    }
    if (is_usable) {
        return pick(name, now_ms);
    }
    list_push(&name->waiters, &waiter->link);
    return NULL;
}

void resolver_leave(struct resolver_name *name, struct resolver_waiter *waiter)
{
    list_remove(&name->waiters, &waiter->link);
}

static struct address_entry *find_address(struct resolver_name *name, const char *address)
{
    for (uint32_t i = 0; i < name->address_count; i++) {
        if (strcmp(name->addresses[i].text, address) == 0) {
            return &name->addresses[i];
        }
    }
    return NULL;
}

void resolver_refused(struct resolver_name *name, const char *address, uint64_t now_ms)
{
    struct address_entry *entry = find_address(name, address);
    if (entry != NULL) {
        name->skipped += entry->skip_until_ms == 0;
        entry->skip_until_ms = now_ms + RESOLVER_SKIP_MS;
    }
}

void resolver_worked(struct resolver_name *name, const char *address)
{
    struct address_entry *entry = name->skipped == 0 ? NULL : find_address(name, address);
    if (entry != NULL && entry->skip_until_ms != 0) {
        entry->skip_until_ms = 0;
        name->skipped--;
    }
}

uint32_t resolver_address_count(const struct resolver_name *name)
{
    return name->address_count;
}
