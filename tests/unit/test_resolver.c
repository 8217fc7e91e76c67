/* SPDX-License-Identifier: Apache-2.0
 *
 * test_resolver.c: names and their addresses over time: kept, looked up again, kept when look-ups fail, skipped when
 * they refuse.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "resolver.h"

static atomic_int answer_error;   /* what the next look-ups end with */
static atomic_uint first_address; /* 127.0.0.<n> and the one after it */
static atomic_uint lookups;

static struct addrinfo *make_address(uint32_t last, struct addrinfo *next)
{
    struct addrinfo *info = calloc(1, sizeof(*info));
    struct sockaddr_in *name = calloc(1, sizeof(*name));
    assert_true(info != NULL && name != NULL);
    *name = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000000 + last)};
    *info = (struct addrinfo){
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)name, .ai_addrlen = sizeof(*name), .ai_next = next};
    return info;
}

/* Takes the place of libc's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)name;
    (void)service;
    (void)hints;
    atomic_fetch_add(&lookups, 1);
    uint32_t first = atomic_load(&first_address);
    *out = make_address(first, make_address(first + 1, NULL));
    int error = atomic_load(&answer_error);
    if (error != 0) {
        freeaddrinfo(*out);
        *out = NULL;
    }
    return error;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;
        free(info->ai_addr);
        free(info);
        info = next;
    }
}

struct fixture {
    struct loop *loop;
    struct helper *helper;
    struct resolver *resolver;
    struct resolver_name *name;
    struct resolver_waiter waiter;
    uint32_t woken;
    bool has_error;
    uint64_t asked_ms; /* before the newest answer that was waited for */
    uint64_t now_ms;   /* after it */
};

static void on_ready(struct resolver_waiter *waiter, const char *error)
{
    struct fixture *f = container_of(waiter, struct fixture, waiter);
    f->woken++;
    f->has_error = error != NULL;
}

static int set_up(void **state) LOOP_THREAD
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err;
    assert_non_null(f);
    assert_int_equal(loop_create(&f->loop, &err), ERR_NONE);
    assert_int_equal(helper_start(f->loop, "helper", 1, 4, &f->helper, &err), ERR_NONE);
    f->resolver = resolver_create(f->helper);
    f->name = resolver_ref(f->resolver, SLICE("name.test"));
    f->waiter.ready = on_ready;
    f->now_ms = clock_monotonic_us() / 1000;
    atomic_store(&answer_error, 0);
    atomic_store(&first_address, 1);
    atomic_store(&lookups, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    resolver_unref(f->resolver, f->name);
    resolver_destroy(f->resolver);
    helper_stop(f->helper);
    loop_destroy(f->loop);
    free(f);
    return 0;
}

static const char *next(struct fixture *f, uint64_t later_ms) LOOP_THREAD
{
    return resolver_next(f->resolver, f->name, &f->waiter, f->now_ms + later_ms);
}

/* The same, so long after the newest answer at most. */
static const char *next_within(struct fixture *f, uint64_t later_ms) LOOP_THREAD
{
    return resolver_next(f->resolver, f->name, &f->waiter, f->asked_ms + later_ms);
}

/* Waits until the waiter has been called so often. */
static void turn_until_woken(struct fixture *f, uint32_t count) LOOP_THREAD
{
    f->asked_ms = clock_monotonic_us() / 1000;
    while (f->woken < count) {
        (void)resolver_run(f->resolver);
        loop_poll(f->loop, 20);
    }
    f->now_ms = clock_monotonic_us() / 1000;
}

/* Waits until a look-up without waiters has ended: its address is what is handed out. */
static void turn_until_first(struct fixture *f, const char *address, uint64_t later_ms) LOOP_THREAD
{
    const char *got = "";
    for (int i = 0; i < 10000 && strcmp(got, address) != 0; i++) {
        loop_poll(f->loop, 20);
        got = next(f, later_ms);
        assert_non_null(got);
    }
    assert_string_equal(got, address);
}

static void an_answer_is_kept(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    assert_false(f->has_error);
    assert_int_equal(resolver_address_count(f->name), 2);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(next_within(f, RESOLVER_FRESH_MS - 1), i % 2 == 0 ? "127.0.0.1" : "127.0.0.2");
    }
    struct resolver_name *again = resolver_ref(f->resolver, SLICE("name.test"));
    assert_true(again == f->name);
    resolver_unref(f->resolver, again);
    assert_int_equal(atomic_load(&lookups), 1);
}

static void it_is_looked_up_again_while_it_is_used(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    atomic_store(&first_address, 7);
    assert_string_equal(next(f, RESOLVER_FRESH_MS), "127.0.0.1"); /* the old one meanwhile */
    turn_until_first(f, "127.0.0.7", 0);
    assert_int_equal(atomic_load(&lookups), 2);
}

static void an_old_answer_is_not_used(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    atomic_store(&first_address, 7);
    assert_null(next(f, RESOLVER_STALE_MS));
    turn_until_woken(f, 2);
    assert_string_equal(next(f, 0), "127.0.0.7");
}

static void an_old_answer_is_better_than_a_dead_name_server(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    atomic_store(&answer_error, EAI_AGAIN);
    assert_null(next(f, RESOLVER_STALE_MS));
    turn_until_woken(f, 2);
    assert_false(f->has_error);
    assert_string_equal(next_within(f, RESOLVER_RETRY_MS - 1), "127.0.0.1");
    assert_string_equal(next_within(f, RESOLVER_RETRY_MS - 1), "127.0.0.2");
    assert_int_equal(atomic_load(&lookups), 2);
    assert_null(next(f, RESOLVER_FAILED_MS));
    resolver_leave(f->name, &f->waiter);
}

static void a_name_that_never_was_found_says_why(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    atomic_store(&answer_error, EAI_NONAME);
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    assert_true(f->has_error);
    atomic_store(&answer_error, 0);
    assert_null(next(f, 0));
    turn_until_woken(f, 2);
    assert_false(f->has_error);
}

static void a_refusing_address_is_skipped_for_a_while(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    resolver_refused(f->name, "127.0.0.1", f->now_ms);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(next(f, 0), "127.0.0.2");
    }
    resolver_refused(f->name, "127.0.0.2", f->now_ms + 10);
    assert_string_equal(next(f, 20), "127.0.0.1"); /* all refuse: the one that waits longest */
    resolver_worked(f->name, "127.0.0.1");
    assert_string_equal(next(f, 20), "127.0.0.1");
    resolver_refused(f->name, "127.0.0.1", f->now_ms - RESOLVER_SKIP_MS);
    resolver_worked(f->name, "127.0.0.2");
    assert_string_equal(next(f, 20), "127.0.0.2");
    assert_string_equal(next(f, 20), "127.0.0.1");    /* its time is over */
    resolver_refused(f->name, "10.0.0.1", f->now_ms); /* one that is not known any more */
    resolver_worked(f->name, "10.0.0.1");
}

static void one_call_finds_out_whether_a_skipped_address_is_back(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    resolver_refused(f->name, "127.0.0.1", f->now_ms - RESOLVER_SKIP_MS); /* its time is over */
    assert_string_equal(next(f, 0), "127.0.0.1");                         /* might hang until its deadline: */
    for (int i = 0; i < 3; i++) {
        assert_string_equal(next(f, 0), "127.0.0.2"); /* nobody is to join it */
    }
    resolver_worked(f->name, "127.0.0.1");
    assert_string_equal(next(f, 0), "127.0.0.1");
    assert_string_equal(next(f, 0), "127.0.0.2");
}

static void a_name_with_a_refusing_address_is_looked_up_sooner(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_null(next(f, 0));
    turn_until_woken(f, 1);
    atomic_store(&first_address, 7);
    resolver_refused(f->name, "127.0.0.1", f->now_ms);
    assert_string_equal(next_within(f, RESOLVER_RETRY_MS - 1), "127.0.0.2");
    assert_int_equal(atomic_load(&lookups), 1);
    assert_string_equal(next(f, RESOLVER_RETRY_MS), "127.0.0.2"); /* the old one meanwhile */
    turn_until_first(f, "127.0.0.7", 0);
    assert_int_equal(atomic_load(&lookups), 2);
    (void)next(f, RESOLVER_FRESH_MS - 1000); /* whoever refused has left the name */
    assert_int_equal(atomic_load(&lookups), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_kept),
        TEST(it_is_looked_up_again_while_it_is_used),
        TEST(an_old_answer_is_not_used),
        TEST(an_old_answer_is_better_than_a_dead_name_server),
        TEST(a_name_that_never_was_found_says_why),
        TEST(a_refusing_address_is_skipped_for_a_while),
        TEST(one_call_finds_out_whether_a_skipped_address_is_back),
        TEST(a_name_with_a_refusing_address_is_looked_up_sooner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
