/* SPDX-License-Identifier: Apache-2.0
 *
 * test_dispatcher.c: the dispatcher on a real loop, against a server that misbehaves on request, with names of our own.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "dispatcher.h"
#include "http_peer.h"
#include "metrics.h"

enum { ENDED_MAX = 2048, PATIENCE_US = 60 * 1000 * 1000, TEXT_BYTES = 512 };

static const char store_id[] = "00112233445566778899aabbccddeeff";

/* ---- names -------------------------------------------------------------------------------------------- */

static sem_t dead_server; /* a look-up of dead.test ends when this is posted */
static atomic_uint lookups;

static struct addrinfo *make_address(const char *text, struct addrinfo *next)
{
    struct addrinfo *info = calloc(1, sizeof(*info));
    struct sockaddr_in *name = calloc(1, sizeof(*name));
    assert_true(info != NULL && name != NULL);
    name->sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, text, &name->sin_addr), 1);
    *info = (struct addrinfo){.ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_addr = (struct sockaddr *)name,
                              .ai_addrlen = sizeof(*name),
                              .ai_next = next};
    return info;
}

/* Takes the place of libc's: the tests bring the names they need. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)service;
    (void)hints;
    atomic_fetch_add(&lookups, 1);
    if (strcmp(name, "two.test") == 0) {
        *out = make_address("127.0.0.1", make_address("127.0.0.2", NULL));
        return 0;
    }
    if (strcmp(name, "half.test") == 0) {
        *out = make_address("127.0.0.3", make_address("127.0.0.1", NULL));
        return 0;
    }
    if (strcmp(name, "dead.test") == 0) {
        while (sem_wait(&dead_server) != 0) {
        }
        return EAI_AGAIN;
    }
    return EAI_NONAME;
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

/* ---- a dispatcher with all it needs ------------------------------------------------------------------- */

struct ended {
    struct input_result result; /* take_result and text are taken out */
    bool has_result;
    uint32_t emitted;
    char text[TEXT_BYTES];
};

struct fixture {
    struct http_peer *peer;
    struct loop *loop;
    struct helper *helper;
    struct metrics *metrics;
    struct registry registry;
    struct endpoint_config endpoint;
    struct dispatcher *dispatcher;
    char url[TEXT_BYTES];
    uint64_t call; /* number of the newest */
    uint32_t calls_max;
    struct ended *ended; /* by order of ending */
    uint32_t ended_count;
};

static int set_up(void **state) LOOP_THREAD
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err;
    f->ended = calloc(ENDED_MAX, sizeof(struct ended));
    f->peer = http_peer_start();
    f->metrics = metrics_create();
    assert_int_equal(loop_create(&f->loop, &err), ERR_NONE);
    assert_int_equal(helper_start(f->loop, "helper", 2, 16, &f->helper, &err), ERR_NONE);
    f->endpoint = (struct endpoint_config){.timeout_ms = 60000, .connect_ms = 5000, .answer_bytes_max = 8 << 20};
    f->registry = (struct registry){.endpoints = &f->endpoint, .endpoint_count = 1};
    f->calls_max = 64;
    atomic_store(&lookups, 0);
    *state = f;
    return 0;
}

static void create_to(struct fixture *f, const char *scheme, const char *host, uint16_t port,
                      const char *path) LOOP_THREAD
{
    struct err err;
    (void)snprintf(f->url, sizeof(f->url), "%s://%s:%u%s", scheme, host, port, path);
    f->endpoint.url = slice_of(f->url);
    struct dispatcher_options options = {f->loop, f->helper, &f->registry, f->metrics, f->calls_max};
    assert_int_equal(dispatcher_create(&options, &f->dispatcher, &err), ERR_NONE);
}

static void create_at(struct fixture *f, const char *scheme, const char *host, const char *path) LOOP_THREAD
{
    create_to(f, scheme, host, http_peer_port(f->peer), path);
}

static void create(struct fixture *f, const char *host, const char *path) LOOP_THREAD
{
    create_at(f, "http", host, path);
}

/* The same with another URL: as if the module file had said so. */
static void recreate(struct fixture *f, const char *host, const char *path) LOOP_THREAD
{
    dispatcher_destroy(f->dispatcher);
    f->ended_count = 0;
    create(f, host, path);
}

static int tear_down(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    dispatcher_destroy(f->dispatcher);
    helper_stop(f->helper);
    loop_destroy(f->loop);
    metrics_destroy(f->metrics);
    http_peer_stop(f->peer);
    free(f->ended);
    free(f);
    return 0;
}

static void begin_full(struct fixture *f, struct slice value, struct slice traceparent, uint32_t timeout_ms) LOOP_THREAD
{
    struct call_message message = {.value = value, .number = 1, .traceparent = traceparent};
    struct effect_call effect = {.call = ++f->call,
                                 .timeout_ms = timeout_ms,
                                 .target = {SLICE("ns"), SLICE("fn/1"), SLICE("id")},
                                 .messages = &message,
                                 .message_count = 1};
    dispatcher_call(f->dispatcher, &effect, store_id);
}

static void begin(struct fixture *f) LOOP_THREAD
{
    begin_full(f, SLICE("\x0A\x03t/x\x10\x01"), SLICE_EMPTY, 30000);
}

static void take(struct fixture *f) LOOP_THREAD
{
    struct input inputs[64];
    uint32_t count = dispatcher_take(f->dispatcher, inputs, 64);
    for (uint32_t i = 0; i < count; i++) {
        struct ended *ended = &f->ended[f->ended_count++];
        assert_int_equal(inputs[i].kind, INPUT_RESULT);
        ended->result = inputs[i].result;
        ended->has_result = inputs[i].result.take_result != NULL;
        ended->emitted = ended->has_result ? inputs[i].result.take_result->emitted_count : 0;
        result_destroy(inputs[i].result.take_result);
        (void)snprintf(ended->text, sizeof(ended->text), "%s",
                       inputs[i].result.text == NULL ? "" : inputs[i].result.text);
    }
}

static void turn(struct fixture *f) LOOP_THREAD
{
    dispatcher_run(f->dispatcher);
    loop_poll(f->loop, dispatcher_timeout_ms(f->dispatcher));
    take(f);
}

static void turn_until(struct fixture *f, uint32_t count) LOOP_THREAD
{
    uint64_t begun_us = clock_monotonic_us();
    while (f->ended_count < count) {
        assert_true(clock_monotonic_us() - begun_us < PATIENCE_US);
        turn(f);
    }
    assert_int_equal(f->ended_count, count);
}

/* The peer counts on its own thread, so the loop looks up often. */
static void turn_until_requests(struct fixture *f, uint32_t count) LOOP_THREAD
{
    while (http_peer_requests(f->peer) < count) {
        dispatcher_run(f->dispatcher);
        loop_poll(f->loop, 1);
    }
}

/* Makes one call and gives what came of it. */
static const struct ended *call(struct fixture *f) LOOP_THREAD
{
    begin(f);
    turn_until(f, f->ended_count + 1);
    const struct ended *ended = &f->ended[f->ended_count - 1];
    assert_int_equal(ended->result.call, f->call);
    return ended;
}

static const struct ended *call_at(struct fixture *f, const char *path) LOOP_THREAD
{
    recreate(f, "127.0.0.1", path);
    return call(f);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
    }
}

/* ---- tests -------------------------------------------------------------------------------------------- */

static void an_answer_comes_back(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    char head[4096];
    const struct ended *ended = call_at(f, "/ok");
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    assert_int_equal(ended->result.http_status, 200);
    assert_true(ended->has_result && ended->result.knows_partial);
    assert_true(ended->result.text == NULL && ended->result.duration_us > 0);
    assert_int_equal(metrics_get(f->metrics, METRIC_CALL_SECONDS), 1);
    http_peer_head(f->peer, head, sizeof(head));
    assert_has(head, "POST /ok HTTP/1.1\r\n");
    assert_has(head, "\r\nContent-Type: application/octet-stream\r\n");
    assert_has(head, "\r\nAccept: application/octet-stream\r\n");
    assert_has(head, "\r\nProa-Features: partial\r\n");
    assert_has(head, "\r\nUser-Agent: proa/" PROA_VERSION "\r\n");
    assert_null(strstr(head, "Expect"));
    assert_has(head, "\r\nAccept-Encoding: gzip,deflate\r\n");
    assert_null(strstr(head, "traceparent"));

    ended = call_at(f, "/plain");
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    assert_false(ended->result.knows_partial);
    ended = call_at(f, "/interim");
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    assert_true(ended->result.knows_partial);
}

static void a_trace_context_is_a_header_of_its_call_only(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    char head[4096];
    create(f, "127.0.0.1", "/ok");
    begin_full(f, SLICE_EMPTY, SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), 30000);
    turn_until(f, 1);
    http_peer_head(f->peer, head, sizeof(head));
    assert_has(head, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
    assert_has(head, "\r\nProa-Features: partial\r\n");
    begin_full(f, SLICE_EMPTY, SLICE("00\r\nEvil: 1"), 30000);
    turn_until(f, 2);
    http_peer_head(f->peer, head, sizeof(head));
    assert_null(strstr(head, "traceparent"));
    assert_null(strstr(head, "Evil"));
    assert_int_equal(http_peer_connections(f->peer), 1);
}

static void answers_that_cannot_be_used(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    const struct ended *ended = call_at(f, "/garbage");
    assert_int_equal(ended->result.outcome, CALL_BAD_ANSWER);
    assert_false(ended->has_result);
    ended = call_at(f, "/typeless");
    assert_int_equal(ended->result.outcome, CALL_WRONG_TYPE);
    assert_has(ended->text, "application/octet-stream");
    ended = call_at(f, "/reset");
    assert_int_equal(ended->result.outcome, CALL_UNREACHABLE);
    ended = call_at(f, "/gzip");
    assert_int_equal(ended->result.outcome, CALL_WRONG_TYPE);
    assert_has(ended->text, "Content-Encoding and nothing in it");
    ended = call_at(f, "/gzip-not");
    assert_int_equal(ended->result.outcome, CALL_WRONG_TYPE);
    assert_has(ended->text, "Content-Encoding that cannot be undone");
    ended = call_at(f, "/gzip-twice");
    assert_int_equal(ended->result.outcome, CALL_WRONG_TYPE);
    assert_has(ended->text, "more than 1 encoding");
    ended = call_at(f, "/cut");
    assert_int_equal(ended->result.outcome, CALL_UNREACHABLE);
    assert_has(ended->text, "header fields of its answer");
    ended = call_at(f, "/no-content");
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    ended = call_at(f, "/header/70000");
    assert_int_equal(ended->result.outcome, CALL_BAD_ANSWER);
    assert_has(ended->text, "header");
}

static void statuses_carry_text_and_retry_after(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    const struct ended *ended = call_at(f, "/status/404");
    assert_int_equal(ended->result.outcome, CALL_HTTP_STATUS);
    assert_int_equal(ended->result.http_status, 404);
    assert_int_equal(ended->result.retry_after_ms, 0);
    assert_has(ended->text, "/status/404 answered 404: no. such thing");
    ended = call_at(f, "/status/301");
    assert_int_equal(ended->result.http_status, 301);
    ended = call_at(f, "/wait");
    assert_int_equal(ended->result.http_status, 503);
    assert_int_equal(ended->result.retry_after_ms, 7000);
    ended = call_at(f, "/wait-date");
    assert_int_equal(ended->result.retry_after_ms, 24 * 60 * 60 * 1000);
    const struct ended *again = call(f);
    assert_int_equal(again->result.http_status, 503);
}

static void an_early_413_is_told_as_such(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    size_t size = 3 << 20;
    uint8_t *value = calloc(1, size);
    assert_non_null(value);
    create(f, "127.0.0.1", "/refuse-body");
    begin_full(f, (struct slice){value, size}, SLICE_EMPTY, 30000);
    turn_until(f, 1);
    assert_int_equal(f->ended[0].result.outcome, CALL_HTTP_STATUS);
    assert_int_equal(f->ended[0].result.http_status, 413);
    free(value);
}

static void answers_have_a_limit(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    f->endpoint.answer_bytes_max = 1000;
    const struct ended *ended = call_at(f, "/bytes/5000");
    assert_int_equal(ended->result.outcome, CALL_BAD_ANSWER);
    assert_has(ended->text, "more than 1000 bytes");
    ended = call_at(f, "/bytes/900");
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    assert_int_equal(ended->emitted, 1);
}

static void large_answers_go_through_a_helper(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    const struct ended *ended = call_at(f, "/bytes/2000000");
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    assert_int_equal(ended->emitted, 1);
    ended = call(f);
    assert_int_equal(ended->result.outcome, CALL_ANSWERED);
    take(f);
    assert_int_equal(metrics_get(f->metrics, METRIC_CALL_BYTES), 0);
    for (int i = 0; i < 40; i++) {
        begin(f); /* more than the helper takes at once */
    }
    turn_until(f, 42);
    for (uint32_t i = 0; i < f->ended_count; i++) {
        assert_int_equal(f->ended[i].result.outcome, CALL_ANSWERED);
    }
}

static void a_silent_function_runs_into_the_deadline(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    create(f, "127.0.0.1", "/silent");
    begin_full(f, SLICE_EMPTY, SLICE_EMPTY, 1000);
    turn_until(f, 1);
    assert_int_equal(f->ended[0].result.outcome, CALL_TIMEOUT);
    assert_true(f->ended[0].result.duration_us >= 1000 * 1000);
}

static void a_refused_port_is_unreachable(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    create(f, "127.0.0.3", "/ok");
    const struct ended *ended = call(f);
    assert_int_equal(ended->result.outcome, CALL_UNREACHABLE);
    assert_has(ended->text, "/ok could not be called: ");
}

static void connections_are_kept_and_replaced(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    create(f, "127.0.0.1", "/ok");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(call(f)->result.outcome, CALL_ANSWERED);
    }
    assert_int_equal(http_peer_connections(f->peer), 1);

    recreate(f, "127.0.0.1", "/once"); /* closed with the second request on its way: it is sent anew, however often */
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(call(f)->result.outcome, CALL_ANSWERED);
        assert_int_equal(http_peer_connections(f->peer), i + 2);
    }
    assert_int_equal(http_peer_requests(f->peer), 20 + 20 + 19);

    recreate(f, "127.0.0.1", "/close"); /* closed between two calls */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call(f)->result.outcome, CALL_ANSWERED);
        turn(f);
    }
}

static void addresses_take_turns(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    create(f, "two.test", "/ok");
    for (int i = 0; i < 40; i++) {
        assert_int_equal(call(f)->result.outcome, CALL_ANSWERED);
    }
    assert_int_equal(http_peer_requests_at(f->peer, 1), 20);
    assert_int_equal(http_peer_requests_at(f->peer, 2), 20);
    assert_int_equal(http_peer_connections(f->peer), 2);
    assert_int_equal(atomic_load(&lookups), 1);
}

static void a_refusing_address_is_skipped(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    create(f, "half.test", "/ok");
    for (int i = 0; i < 10; i++) {
        begin(f);
    }
    turn_until(f, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(f->ended[i].result.outcome, CALL_ANSWERED);
    }
    assert_int_equal(http_peer_requests_at(f->peer, 1), 10);
    assert_int_equal(atomic_load(&lookups), 1);
}

static void an_unknown_name_is_unreachable(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    create(f, "none.test", "/ok");
    const struct ended *ended = call(f);
    assert_int_equal(ended->result.outcome, CALL_UNREACHABLE);
    assert_has(ended->text, "name was not found");
    assert_int_equal(call(f)->result.outcome, CALL_UNREACHABLE);
}

static void a_dead_name_server_holds_nothing(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    struct endpoint_config endpoints[2] = {f->endpoint, f->endpoint};
    char url[TEXT_BYTES];
    assert_int_equal(sem_init(&dead_server, 0, 0), 0);
    create(f, "dead.test", "/ok");
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/bytes/100000", http_peer_port(f->peer));
    endpoints[0].url = f->endpoint.url;
    endpoints[1].url = slice_of(url);
    f->registry = (struct registry){.endpoints = endpoints, .endpoint_count = 2};

    begin_full(f, SLICE_EMPTY, SLICE_EMPTY, 1000);
    begin_full(f, SLICE_EMPTY, SLICE_EMPTY, 30000);
    struct effect_call effect = {
        .call = 1000, .endpoint = 1, .timeout_ms = 30000, .target = {SLICE("n"), SLICE("f"), SLICE("i")}};
    dispatcher_call(f->dispatcher, &effect, store_id);
    turn_until(f, 2); /* a numeric host is served, its large answer parsed, and the deadline kept */
    bool is_first = f->ended[0].result.call == 1000;
    assert_int_equal(f->ended[is_first ? 0 : 1].result.outcome, CALL_ANSWERED);
    assert_int_equal(f->ended[is_first ? 1 : 0].result.outcome, CALL_UNREACHABLE);
    assert_has(f->ended[is_first ? 1 : 0].text, "while its host's name was looked up");
    assert_int_equal(sem_post(&dead_server), 0);
    turn_until(f, 3);
    assert_int_equal(f->ended[2].result.outcome, CALL_UNREACHABLE);
    assert_int_equal(atomic_load(&lookups), 1);
}

static void the_function_name_goes_into_the_url(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    char head[4096];
    create(f, "127.0.0.1", "/ok/{function.name}/x");
    assert_int_equal(call(f)->result.outcome, CALL_ANSWERED);
    http_peer_head(f->peer, head, sizeof(head));
    assert_has(head, "POST /ok/fn%2F1/x HTTP/1.1\r\n");
    recreate(f, "127.0.0.1:99", "/"); /* two ports */
    const struct ended *ended = call(f);
    assert_int_equal(ended->result.outcome, CALL_UNREACHABLE);
    assert_has(ended->text, "port");
}

/* How many sockets of this process are connected, or connecting, to that port. */
static uint32_t dialed(uint16_t port)
{
    uint32_t count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof(peer);
        count += getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_port == htons(port) ? 1 : 0;
    }
    return count;
}

static void new_tls_connections_are_few_a_turn(void **state) LOOP_THREAD
{
    enum { CALLS = 30, A_TURN = 8, TURNS_MAX = 1000 };
    struct fixture *f = *state;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(name);
    const int mute = socket(AF_INET, SOCK_STREAM, 0); /* takes connections, and nobody speaks */
    assert_int_equal(bind(mute, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(mute, 2 * CALLS), 0);
    assert_int_equal(getsockname(mute, (struct sockaddr *)&name, &size), 0);
    const uint16_t port = ntohs(name.sin_port);
    f->endpoint.tls.no_verify = true;
    create_to(f, "https", "127.0.0.1", port, "/ok");
    for (int i = 0; i < CALLS; i++) {
        begin_full(f, SLICE_EMPTY, SLICE_EMPTY, 1000);
    }
    uint32_t most = A_TURN; /* those begun before the first turn */
    for (int i = 0; i < TURNS_MAX && f->ended_count == 0 && dialed(port) < CALLS; i++) {
        dispatcher_run(f->dispatcher);
        most += A_TURN;
        assert_in_range(dialed(port), 0, most);
        loop_poll(f->loop, 0);
        assert_in_range(dialed(port), 0, most);
        take(f);
    }
    assert_true(f->ended_count > 0 || dialed(port) == CALLS);
    turn_until(f, CALLS);
    assert_int_equal(close(mute), 0);
}

static void new_tls_connections_are_spread_over_turns(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    f->endpoint.tls.no_verify = true;
    create_at(f, "https", "user:secret@127.0.0.1", "/ok");
    for (int i = 0; i < 30; i++) {
        begin(f);
    }
    turn_until(f, 30);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(f->ended[i].result.outcome, CALL_UNREACHABLE);
        assert_has(f->ended[i].text, "https://127.0.0.1:");
        assert_null(strstr(f->ended[i].text, "secret"));
    }
    assert_int_equal(http_peer_connections(f->peer), 30);
    assert_int_equal(http_peer_requests(f->peer), 0);
}

static void a_thousand_calls_over_few_connections(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    uint8_t seen[1001] = {0};
    uint32_t begun = 0;
    create(f, "127.0.0.1", "/ok");
    while (f->ended_count < 1000) {
        for (; begun < 1000 && begun - f->ended_count < 60; begun++) {
            begin(f);
        }
        turn(f);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(f->ended[i].result.outcome, CALL_ANSWERED);
        seen[f->ended[i].result.call]++;
    }
    for (uint32_t i = 1; i <= 1000; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_true(http_peer_connections(f->peer) <= 64);
    take(f);
    assert_int_equal(metrics_get(f->metrics, METRIC_CALL_BYTES), 0);
}

static void destroying_ends_calls_in_every_phase(void **state) LOOP_THREAD
{
    struct fixture *f = *state;
    assert_int_equal(sem_init(&dead_server, 0, 0), 0);
    create(f, "127.0.0.1", "/silent");
    begin(f);
    turn_until_requests(f, 1);
    recreate(f, "dead.test", "/ok");
    begin(f); /* waits for its look-up from here on */
    recreate(f, "127.0.0.1", "/bytes/3000000");
    begin(f);
    turn_until_requests(f, 2);
    recreate(f, "127.0.0.1", "/garbage");
    begin(f);
    while (!dispatcher_has_ended(f->dispatcher)) {
        dispatcher_run(f->dispatcher);
        loop_poll(f->loop, dispatcher_timeout_ms(f->dispatcher));
    }
    assert_int_equal(sem_post(&dead_server), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_back),
        TEST(a_trace_context_is_a_header_of_its_call_only),
        TEST(answers_that_cannot_be_used),
        TEST(statuses_carry_text_and_retry_after),
        TEST(an_early_413_is_told_as_such),
        TEST(answers_have_a_limit),
        TEST(large_answers_go_through_a_helper),
        TEST(a_silent_function_runs_into_the_deadline),
        TEST(a_refused_port_is_unreachable),
        TEST(connections_are_kept_and_replaced),
        TEST(addresses_take_turns),
        TEST(a_refusing_address_is_skipped),
        TEST(an_unknown_name_is_unreachable),
        TEST(a_dead_name_server_holds_nothing),
        TEST(the_function_name_goes_into_the_url),
        TEST(new_tls_connections_are_few_a_turn),
        TEST(new_tls_connections_are_spread_over_turns),
        TEST(a_thousand_calls_over_few_connections),
        TEST(destroying_ends_calls_in_every_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
