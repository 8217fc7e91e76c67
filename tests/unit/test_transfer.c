/* SPDX-License-Identifier: Apache-2.0
 *
 * test_transfer.c: single exchanges on a real loop, against a server that misbehaves on request: how each of them ends.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "http_peer.h"
#include "transfer.h"

enum { DEADLINE_US = 60 * 1000 * 1000, TEXT_BYTES = 512, HEAD_BYTES = 4096 };

struct fixture {
    struct http_peer *peer;
    struct loop *loop;
    struct transfers *transfers;
    struct transfer *transfer;
    struct peer *called;
    bool declines; /* what comes back */
    uint32_t ended_count;
    size_t body_bytes;
    struct transfer_end end; /* the newest; its reason is in `reason` */
    char first_line[TEXT_BYTES];
    char reason[TEXT_BYTES];
};

static bool on_line(void *context, struct slice line)
{
    struct fixture *f = context;
    if (f->first_line[0] == '\0') {
        (void)snprintf(f->first_line, sizeof(f->first_line), "%.*s", (int)line.size, (const char *)line.data);
    }
    return !f->declines;
}

static bool on_body(void *context, struct slice bytes)
{
    struct fixture *f = context;
    f->body_bytes += bytes.size;
    return true;
}

static void on_ended(void *context, const struct transfer_end *end)
{
    struct fixture *f = context;
    f->ended_count++;
    f->end = *end;
    (void)snprintf(f->reason, sizeof(f->reason), "%s", end->reason == NULL ? "" : end->reason);
}

static int set_up(void **state) LOOP_THREAD
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err;
    assert_non_null(f);
    f->peer = http_peer_start();
    assert_int_equal(loop_create(&f->loop, &err), ERR_NONE);
    const struct transfers_options options = {
        .loop = f->loop, .connections_max = 8, .take_line = on_line, .take_body = on_body, .ended = on_ended};
    assert_int_equal(transfers_create(&options, &f->transfers, &err), ERR_NONE);
    f->transfer = transfer_create(f->transfers, f);
    *state = f;
    return 0;
}

static int tear_down(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    transfer_destroy(f->transfer);
    transfers_destroy(f->transfers);
    peer_destroy(f->called);
    loop_destroy(f->loop);
    http_peer_stop(f->peer);
    free(f);
    return 0;
}

static void aim(struct fixture *f, const char *host, const char *path) LOOP_THREAD
{
    char url[TEXT_BYTES];
    struct err err;
    const struct peer_options options = {.url = url};
    (void)snprintf(url, sizeof(url), "http://%s:%u%s", host, http_peer_port(f->peer), path);
    peer_destroy(f->called);
    assert_int_equal(peer_create(&options, &f->called, &err), ERR_NONE);
}

static void begin(struct fixture *f, const char *address, uint64_t time_us) LOOP_THREAD
{
    uint64_t now_us = clock_monotonic_us();
    struct err err;
    const struct transfer_post post = {
        .peer = f->called, .address = address, .body = SLICE("body"), .deadline_us = now_us + time_us};
    f->first_line[0] = '\0';
    f->body_bytes = 0;
    assert_int_equal(transfer_begin(f->transfer, &post, now_us, &err), ERR_NONE);
}

static void turn(struct fixture *f) LOOP_THREAD
{
    transfers_run(f->transfers, clock_monotonic_us());
    loop_poll(f->loop, 1);
}

static enum transfer_outcome end_of(struct fixture *f) LOOP_THREAD
{
    uint32_t count = f->ended_count;
    uint64_t begun_us = clock_monotonic_us();
    while (f->ended_count == count) {
        assert_true(clock_monotonic_us() - begun_us < 2 * (uint64_t)DEADLINE_US);
        turn(f);
    }
    assert_int_equal(f->ended_count, count + 1);
    return f->end.outcome;
}

static enum transfer_outcome post_to(struct fixture *f, const char *path) LOOP_THREAD
{
    aim(f, "127.0.0.1", path);
    begin(f, NULL, DEADLINE_US);
    return end_of(f);
}

static void assert_head_has(struct fixture *f, const char *part, bool has)
{
    char head[HEAD_BYTES];
    http_peer_head(f->peer, head, sizeof(head));
    if ((strstr(head, part) != NULL) != has) {
        fail_msg("the head %s \"%s\": %s", has ? "lacks" : "has", part, head);
    }
}

static void an_answer_is_handed_on_whole(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_int_equal(post_to(f, "/bytes/100000"), TRANSFER_DONE);
    assert_true(f->end.was_sent && f->end.reason == NULL);
    assert_string_equal(f->first_line, "HTTP/1.1 200 OK\r\n");
    assert_true(f->body_bytes >= 100000);
    assert_int_equal(post_to(f, "/status/404"), TRANSFER_DONE);
    assert_string_equal(f->first_line, "HTTP/1.1 404 Said\r\n");
    assert_int_equal(http_peer_connections(f->peer), 1);
}

static void a_url_is_used_as_it_is(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_int_equal(post_to(f, "/ok/../a%2Fb?c=/../d"), TRANSFER_DONE);
    assert_head_has(f, "POST /ok/../a%2Fb?c=/../d HTTP/1.1\r\n", true);
}

static void a_name_is_called_at_an_address(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    aim(f, "name.test", "/ok");
    begin(f, "127.0.0.2", DEADLINE_US);
    assert_int_equal(end_of(f), TRANSFER_DONE);
    assert_int_equal(http_peer_requests_at(f->peer, 2), 1);
    assert_head_has(f, "\r\nHost: name.test:", true);
}

/* A handle is used for one peer after another. */
static void a_password_goes_to_its_peer_only(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    aim(f, "user:secret@127.0.0.1", "/ok");
    begin(f, NULL, DEADLINE_US);
    assert_int_equal(end_of(f), TRANSFER_DONE);
    assert_head_has(f, "\r\nAuthorization: Basic dXNlcjpzZWNyZXQ=\r\n", true);
    assert_int_equal(post_to(f, "/ok"), TRANSFER_DONE);
    assert_head_has(f, "Authorization", false);
}

static void a_text_that_is_no_url_is_told_at_once(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    const struct peer_options options = {.url = "http://[::zz]/"};
    struct err err;
    assert_int_equal(peer_create(&options, &f->called, &err), ERR_CONFIG);
    assert_true(err.text[0] != '\0');
}

static void ends_that_are_not_good(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    aim(f, "127.0.0.3", "/ok"); /* nobody listens */
    begin(f, NULL, DEADLINE_US);
    assert_int_equal(end_of(f), TRANSFER_REFUSED);
    assert_false(f->end.was_sent);
    assert_true(f->reason[0] != '\0');

    aim(f, "127.0.0.1", "/silent");
    begin(f, NULL, 1000 * 1000);
    assert_int_equal(end_of(f), TRANSFER_LATE);
    assert_true(f->end.was_sent);

    assert_int_equal(post_to(f, "/gzip-not"), TRANSFER_GARBLED);
    assert_int_equal(post_to(f, "/ok"), TRANSFER_DONE);
    f->declines = true;
    assert_int_equal(post_to(f, "/ok"), TRANSFER_FAILED);
    assert_true(f->end.was_sent);
}

static void a_kept_connection_that_was_closed_is_told_apart(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    uint32_t closed = 0;
    assert_int_equal(post_to(f, "/reset"), TRANSFER_CLOSED);
    assert_false(f->end.was_kept);
    assert_int_equal(post_to(f, "/once"), TRANSFER_DONE);
    for (int i = 0; i < 10; i++) { /* libcurl replaces the first few itself */
        closed += post_to(f, "/once") != TRANSFER_DONE;
        if (f->end.outcome != TRANSFER_DONE) {
            assert_int_equal(f->end.outcome, TRANSFER_CLOSED);
            assert_true(f->end.was_kept && f->end.was_sent);
        }
    }
    assert_true(closed > 0);
}

static void destroying_cuts_off_what_is_under_way(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    aim(f, "127.0.0.1", "/silent");
    begin(f, NULL, DEADLINE_US);
    while (http_peer_requests(f->peer) == 0) {
        turn(f);
    }
    transfer_destroy(f->transfer);
    f->transfer = transfer_create(f->transfers, f);
    assert_int_equal(post_to(f, "/ok"), TRANSFER_DONE);
    assert_int_equal(f->ended_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_handed_on_whole),
        TEST(a_url_is_used_as_it_is),
        TEST(a_name_is_called_at_an_address),
        TEST(a_password_goes_to_its_peer_only),
        TEST(a_text_that_is_no_url_is_told_at_once),
        TEST(ends_that_are_not_good),
        TEST(a_kept_connection_that_was_closed_is_told_apart),
        TEST(destroying_cuts_off_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
