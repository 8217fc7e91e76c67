/* SPDX-License-Identifier: Apache-2.0
 *
 * test_http_server.c: the HTTP server on real sockets of the loopback: what HTTP clients do, the kind ones and the
 * others.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "http_server.h"

enum { HELD_MAX = 1024, TEXT_MAX = 1 << 20, BODY_MAX = 100 * 1000, PATIENCE = 60 * 1000 };

struct bench {
    struct loop *loop;
    struct http_server *server;
    bool is_holding;
    uint64_t held[HELD_MAX];
    uint32_t held_count;
    uint32_t handled;
    enum err_code trouble;
    char path[20000];
    char query[1000];
    size_t body_size;
    uint32_t body_sum;
    char type[100];
};

static void answer(struct bench *bench, uint64_t id, const char *text) LOOP_THREAD
{
    const struct http_header header = {"Proa-Test", "yes"};
    const struct http_answer one = {
        .status = 200, .content_type = "text/plain", .body = slice_of(text), .headers = &header, .header_count = 1};
    http_server_answer(bench->server, id, &one);
}

static void on_request(void *context, const struct http_request *request)
{
    struct bench *bench = context;
    char echo[300];

    thread_assume(&thread_loop);
    bench->handled++;
    bench->trouble = request->trouble;
    bench->body_size = request->body.size;
    bench->body_sum = 0;
    for (size_t i = 0; i < request->body.size; i++) {
        bench->body_sum += request->body.data[i];
    }
    (void)snprintf(bench->path, sizeof bench->path, "%.*s", (int)request->path.size, (const char *)request->path.data);
    (void)snprintf(bench->query, sizeof bench->query, "%.*s", (int)request->query.size,
                   request->query.size == 0 ? "" : (const char *)request->query.data);
    (void)snprintf(bench->type, sizeof bench->type, "%.*s", (int)request->content_type.size,
                   request->content_type.size == 0 ? "" : (const char *)request->content_type.data);
    assert_ptr_equal(http_server_request(bench->server, request->id), request);
    if (request->trouble != ERR_NONE) {
        const struct http_answer one = {.status = err_http_status(request->trouble), .body = SLICE("refused")};
        http_server_answer(bench->server, request->id, &one);
        return;
    }
    if (bench->is_holding) {
        assert_true(bench->held_count < HELD_MAX);
        bench->held[bench->held_count++] = request->id;
        return;
    }
    (void)snprintf(echo, sizeof echo, "%.200s", bench->path);
    const uint64_t id = request->id;
    answer(bench, id, echo);
    assert_null(http_server_request(bench->server, id));
}

static void turn(struct bench *bench, int patience_ms) LOOP_THREAD
{
    const int asked_ms = http_server_timeout_ms(bench->server);
    loop_poll(bench->loop, asked_ms >= 0 && asked_ms < patience_ms ? asked_ms : patience_ms);
    http_server_run(bench->server);
}

static void open_bench(struct bench *bench, const struct http_server_options *changes)
{
    struct err err;
    struct http_server_options options = {.address = "127.0.0.1",
                                          .body_bytes_max = BODY_MAX,
                                          .connections_max = 2000,
                                          .idle_timeout_s = 60,
                                          .handler = on_request,
                                          .context = bench};
    thread_assume(&thread_loop);
    (void)signal(SIGPIPE, SIG_IGN);
    if (changes != NULL) {
        options.connections_max = changes->connections_max > 0 ? changes->connections_max : options.connections_max;
        options.idle_timeout_s = changes->idle_timeout_s > 0 ? changes->idle_timeout_s : options.idle_timeout_s;
        options.memory_bytes_max = changes->memory_bytes_max;
    }
    memset(bench, 0, sizeof *bench);
    assert_int_equal(loop_create(&bench->loop, &err), ERR_NONE);
    assert_int_equal(http_server_open(bench->loop, &options, &bench->server, &err), ERR_NONE);
}

static void close_bench(struct bench *bench)
{
    thread_assume(&thread_loop);
    http_server_close(bench->server);
    loop_destroy(bench->loop);
}

/* ---- clients -------------------------------------------------------------------------------------------- */

static int dial(const struct bench *bench)
{
    const struct sockaddr_in where = {.sin_family = AF_INET,
                                      .sin_port = htons(http_server_port(bench->server)),
                                      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof where), 0);
    return fd;
}

static void tell_bytes(struct bench *bench, int fd, const void *data, size_t size)
{
    const char *at = data;
    thread_assume(&thread_loop);
    for (int i = 0; size > 0 && i < PATIENCE; i++) {
        const ssize_t sent = send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            size -= (size_t)sent;
        } else if (errno != EAGAIN) {
            return; /* refused: the test looks at the answer */
        }
        turn(bench, 1);
    }
}

static void tell(struct bench *bench, int fd, const char *text)
{
    tell_bytes(bench, fd, text, strlen(text));
}

static const char *find_count(const char *text, const char *what, int count)
{
    const char *at = text;
    for (int i = 0; i < count; i++) {
        at = strstr(at, what);
        if (at == NULL) {
            return NULL;
        }
        at += strlen(what);
    }
    return at;
}

/* Reads until `what` has come `count` times, or the end (what NULL); true if it came. */
static bool hear(struct bench *bench, int fd, char *text, const char *what, int count)
{
    size_t size = 0;
    thread_assume(&thread_loop);
    text[0] = 0;
    for (int i = 0; i < PATIENCE; i++) {
        turn(bench, 1);
        const ssize_t got = recv(fd, text + size, TEXT_MAX - 1 - size, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            return what == NULL;
        }
        size += got > 0 ? (size_t)got : 0;
        text[size] = 0;
        if (what != NULL && find_count(text, what, count) != NULL) {
            return true;
        }
    }
    return false;
}

static char text[TEXT_MAX];

static void hold_until(struct bench *bench, uint32_t count)
{
    thread_assume(&thread_loop);
    for (int i = 0; i < PATIENCE && bench->held_count < count; i++) {
        turn(bench, 1);
    }
    assert_int_equal(bench->held_count, count);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static void keeps_connections(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    const int fd = dial(&bench);
    for (int i = 0; i < 3; i++) {
        tell(&bench, fd, "GET /a%2Fb/%00/c?x=%20y&z HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(hear(&bench, fd, text, "/a%2Fb/%00/c", 1));
        assert_string_equal(bench.path, "/a%2Fb/%00/c");
        assert_string_equal(bench.query, "x=%20y&z");
        assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(text, "Proa-Test: yes\r\n"));
    }
    assert_int_equal(http_server_connections(bench.server), 1);
    tell(&bench, fd, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(hear(&bench, fd, text, "\r\n\r\n", 1));
    assert_non_null(strstr(text, "Content-Length: 1\r\n"));
    close(fd);
    close_bench(&bench);
}

static void answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    const int fd = dial(&bench);
    tell(&bench, fd,
         "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: h\r\n\r\n"
         "POST /three HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxGET /four HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(hear(&bench, fd, text, "/four", 1));
    const char *one = strstr(text, "/one");
    const char *two = strstr(text, "/two");
    const char *three = strstr(text, "/three");
    assert_true(one != NULL && two > one && three > two);
    assert_int_equal(bench.handled, 4);
    close(fd);
    close_bench(&bench);
}

static void takes_bodies(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    const int fd = dial(&bench);
    tell(&bench, fd,
         "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
         "3\r\nabc\r\n");
    tell(&bench, fd, "2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n");
    assert_true(hear(&bench, fd, text, "/c", 1));
    assert_int_equal(bench.body_size, 5);
    assert_string_equal(bench.type, "application/json");

    char *large = malloc(BODY_MAX);
    memset(large, 'x', BODY_MAX);
    tell(&bench, fd, "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n");
    assert_true(hear(&bench, fd, text, "100 Continue\r\n\r\n", 1));
    tell_bytes(&bench, fd, large, BODY_MAX);
    assert_true(hear(&bench, fd, text, "/large", 1));
    assert_int_equal(bench.body_size, BODY_MAX);
    assert_int_equal(bench.body_sum, BODY_MAX * 'x');
    free(large);
    close(fd);
    close_bench(&bench);
}

static void refuses_large_bodies(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    char *large = calloc(1, BODY_MAX * 3);

    int fd = dial(&bench); /* announced, and asked for leave: answered before the body */
    tell(&bench, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
    assert_true(hear(&bench, fd, text, "refused", 1));
    assert_non_null(strstr(text, "HTTP/1.1 413"));
    assert_null(strstr(text, "100 Continue"));
    assert_int_equal(bench.trouble, ERR_TOO_LARGE);
    assert_int_equal(bench.body_size, 0);
    close(fd);

    fd = dial(&bench); /* announced: read to its end, then answered, and the connection stays */
    tell(&bench, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
    tell_bytes(&bench, fd, large, BODY_MAX * 3);
    assert_true(hear(&bench, fd, text, "refused", 1));
    tell(&bench, fd, "GET /again HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(hear(&bench, fd, text, "/again", 1));

    tell(&bench, fd, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n"); /* not announced */
    tell_bytes(&bench, fd, large, BODY_MAX * 3);
    tell(&bench, fd, "\r\n0\r\n\r\n");
    assert_true(hear(&bench, fd, text, "refused", 1));
    assert_non_null(strstr(text, "HTTP/1.1 413"));
    close(fd);

    fd = dial(&bench); /* far too large to be read for politeness */
    tell(&bench, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999999\r\n\r\n");
    assert_true(hear(&bench, fd, text, NULL, 0));
    assert_non_null(strstr(text, "HTTP/1.1 413"));
    close(fd);

    fd = dial(&bench);
    tell(&bench, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n");
    assert_true(hear(&bench, fd, text, NULL, 0));
    assert_non_null(strstr(text, "HTTP/1.1 413"));
    assert_non_null(strstr(text, "refused"));
    close(fd);
    free(large);
    close_bench(&bench);
}

static void bounds_the_memory_of_bodies(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, &(struct http_server_options){.memory_bytes_max = 300 * 1000});
    bench.is_holding = true;
    char *large = calloc(1, BODY_MAX);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(&bench);
        tell(&bench, fds[i], "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
        tell_bytes(&bench, fds[i], large, BODY_MAX);
    }
    assert_true(hear(&bench, fds[3], text, "refused", 1));
    assert_int_equal(bench.trouble, ERR_OVERLOADED);
    assert_true(bench.held_count >= 1 && bench.held_count < 4);
    thread_assume(&thread_loop);
    for (uint32_t i = 0; i < bench.held_count; i++) {
        answer(&bench, bench.held[i], "done");
    }
    assert_true(hear(&bench, fds[0], text, "done", 1));
    bench.is_holding = false;
    for (int i = 0; i < 4; i++) { /* what was counted was given back */
        tell(&bench, fds[3], "POST /back HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
        tell_bytes(&bench, fds[3], large, BODY_MAX);
        assert_true(hear(&bench, fds[3], text, "/back", 1));
        assert_int_equal(bench.trouble, ERR_NONE);
    }
    for (int i = 0; i < 4; i++) {
        close(fds[i]);
    }
    free(large);
    close_bench(&bench);
}

static void survives_clients_that_leave_while_waiting(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    bench.is_holding = true;
    int fds[10];
    for (int i = 0; i < 10; i++) {
        fds[i] = dial(&bench);
        tell(&bench, fds[i], "POST /held HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    }
    hold_until(&bench, 10);
    assert_int_equal(http_server_waiting(bench.server), 10);
    for (int i = 0; i < 10; i++) {
        if (i % 2 == 0) { /* a reset, not only an end */
            assert_int_equal(
                setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)), 0);
        }
        close(fds[i]);
    }
    thread_assume(&thread_loop);
    for (int i = 0; i < 10; i++) {
        turn(&bench, 0);
        answer(&bench, bench.held[i], "late");
        answer(&bench, bench.held[i], "twice");
    }
    for (int i = 0; i < PATIENCE && http_server_connections(bench.server) > 0; i++) {
        turn(&bench, 1);
    }
    assert_int_equal(http_server_connections(bench.server), 0);
    assert_int_equal(http_server_waiting(bench.server), 0);
    answer(&bench, bench.held[3], "gone");
    answer(&bench, 0, "never was");
    close_bench(&bench);
}

enum { CROWD = 500 };

static void resumes_many_in_any_order(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    bench.is_holding = true;
    static int fds[CROWD];
    uint32_t seed = 7;
    for (int round = 0; round < 3; round++) {
        bench.held_count = 0;
        for (int i = 0; i < CROWD; i++) {
            fds[i] = round == 0 ? dial(&bench) : fds[i];
            const char *request = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
            assert_int_equal(send(fds[i], request, strlen(request), 0), strlen(request));
        }
        hold_until(&bench, CROWD);
        thread_assume(&thread_loop);
        for (uint32_t left = CROWD; left > 0; left--) {
            seed = seed * 1103515245 + 12345;
            const uint32_t pick = (seed >> 8) % left;
            answer(&bench, bench.held[pick], "fine");
            bench.held[pick] = bench.held[left - 1];
            if (left % 50 == 0) {
                turn(&bench, 0);
            }
        }
        for (int i = 0; i < CROWD; i++) {
            assert_true(hear(&bench, fds[i], text, "fine", 1));
        }
        assert_int_equal(http_server_waiting(bench.server), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
    close_bench(&bench);
}

static void refuses_beyond_the_connection_mark(void **state)
{
    (void)state;
    struct bench bench;
    thread_assume(&thread_loop);
    open_bench(&bench, &(struct http_server_options){.connections_max = 20});
    int fds[25];
    for (int i = 0; i < 19; i++) {
        fds[i] = dial(&bench);
    }
    for (int i = 0; i < 18; i++) {
        tell(&bench, fds[i], "GET /in HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(hear(&bench, fds[i], text, "/in", 1));
    }
    tell(&bench, fds[18], "GET /over HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(hear(&bench, fds[18], text, NULL, 0)); /* answered and closed */
    assert_non_null(strstr(text, "HTTP/1.1 503"));
    close(fds[18]);
    close(fds[0]);
    for (int i = 0; i < PATIENCE && http_server_connections(bench.server) > 17; i++) {
        turn(&bench, 1);
    }
    fds[0] = dial(&bench); /* and there is room again */
    tell(&bench, fds[0], "GET /again HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(hear(&bench, fds[0], text, "/again", 1));
    fds[18] = dial(&bench); /* whoever is slow beyond the mark does not keep the place of those to be refused */
    tell(&bench, fds[18], "GET /slow HTTP/1.1\r\nHost: h\r\n");
    assert_true(hear(&bench, fds[18], text, NULL, 0));
    for (int i = 0; i < 19; i++) {
        close(fds[i]);
    }
    close_bench(&bench);
}

static void closes_what_is_late(void **state)
{
    (void)state;
    struct bench bench;
    thread_assume(&thread_loop);
    open_bench(&bench, &(struct http_server_options){.idle_timeout_s = 1});
    const int idle = dial(&bench);
    const int trickling = dial(&bench);
    tell(&bench, trickling, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    assert_true(hear(&bench, idle, text, NULL, 0)); /* the end of the stream, and no answer */
    assert_string_equal(text, "");
    uint64_t next_us = 0;
    const uint64_t end_us = clock_monotonic_us() + (uint64_t)PATIENCE * 1000;
    while (http_server_connections(bench.server) > 0 && clock_monotonic_us() < end_us) {
        if (clock_monotonic_us() >= next_us) { /* slow, but never silent */
            (void)send(trickling, "x", 1, MSG_NOSIGNAL);
            next_us = clock_monotonic_us() + 5000;
        }
        turn(&bench, 1);
    }
    assert_int_equal(http_server_connections(bench.server), 0);
    assert_int_equal(bench.handled, 0);
    close(idle);
    close(trickling);
    close_bench(&bench);
}

static void refuses_malformed_requests(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } bad[] = {
#define BAD(literal) {literal, sizeof(literal) - 1}
        BAD("\0\0\0\0\r\n\r\n"),
        BAD("GET\r\n\r\n"),
        BAD("GET / HTTP/9.9\r\nHost: h\r\n\r\n"),
        BAD("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"),
        BAD("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n"),
        BAD("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        BAD("GET /v1/ask/a/b/c\0d HTTP/1.1\r\nHost: h\r\n\r\n"),
        BAD("GET /a\0?b HTTP/1.1\r\nHost: h\r\n\r\n"),
        BAD("GET /a\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
        BAD("GET /a?b\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
        BAD("GET /a\r\nHost: h\r\n\r\n"),
        BAD("GET  HTTP/1.1\r\nHost: h\r\n\r\n"),
    };
    struct bench bench;
    open_bench(&bench, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const int fd = dial(&bench);
        tell_bytes(&bench, fd, bad[i].text, bad[i].size);
        shutdown(fd, SHUT_WR);
        (void)hear(&bench, fd, text, NULL, 0);
        assert_null(strstr(text, " 200 "));
        close(fd);
    }
    const int fd = dial(&bench); /* header fields without end */
    tell(&bench, fd, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 5000; i++) {
        tell(&bench, fd, "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    }
    (void)hear(&bench, fd, text, NULL, 0);
    assert_null(strstr(text, " 200 "));
    close(fd);
    close_bench(&bench);
}

static void refuses_bodies_with_two_ends(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int status;
        enum err_code trouble;
    } cases[] = {
        {"Content-Length: 1\r\nContent-Length: 3\r\n\r\nabc", 400, ERR_BAD_REQUEST},
        {"Content-Length: 3\r\ncontent-length: 1\r\n\r\nabc", 400, ERR_BAD_REQUEST},
        {"Content-Length: 3\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc", 400, ERR_BAD_REQUEST},
        {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, ERR_BAD_REQUEST},
        {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, ERR_BAD_REQUEST},
        {"Transfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 400, ERR_BAD_REQUEST},
        {"Transfer-Encoding: gzip\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Transfer-Encoding: identity\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Transfer-Encoding:\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 501, ERR_UNKNOWN_CODING},
        {"Content-Length : 3\r\n\r\nabc", 400, ERR_BAD_REQUEST},
        {"Content-Length\t: 3\r\n\r\nabc", 400, ERR_BAD_REQUEST},
        {"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, ERR_BAD_REQUEST},
    };
    static const char *const methods[] = {"POST", "GET", "PUT", "BREW"};
    struct bench bench;
    char request[1000];
    open_bench(&bench, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] * 4; i++) {
        const size_t at = i / 4;
        const int fd = dial(&bench);
        const uint32_t handled = bench.handled;
        (void)snprintf(request, sizeof request,
                       "%s /x HTTP/1.1\r\nHost: h\r\n%sGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", methods[i % 4],
                       cases[at].fields);
        tell(&bench, fd, request);
        if (!hear(&bench, fd, text, NULL, 0)) { /* it is closed though the client does not close */
            fail_msg("%s: %s", request, text);
        }
        (void)snprintf(request, sizeof request, "HTTP/1.1 %d ", cases[at].status);
        if (strncmp(text, request, strlen(request)) != 0) {
            fail_msg("%s %s: %s", methods[i % 4], cases[at].fields, text);
        }
        if (find_count(text, "HTTP/1.1 ", 2) != NULL) {
            fail_msg("two answers to %s %s: %s", methods[i % 4], cases[at].fields, text);
        }
        assert_int_equal(bench.handled, handled + 1);
        assert_non_null(strstr(text, "Connection: close\r\n"));
        assert_int_equal(bench.trouble, cases[at].trouble);
        assert_string_equal(bench.path, "/x");
        close(fd);
    }
    close_bench(&bench);
}

static void takes_bodies_with_one_end(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    const int old = dial(&bench); /* HTTP/1.0 has no coding, so another reader would see no body */
    tell(&bench, old, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_true(hear(&bench, old, text, NULL, 0));
    assert_non_null(strstr(text, " 400 "));
    close(old);
    const int same = dial(&bench); /* may be taken, RFC 9110, 8.6 */
    tell(&bench, same, "POST /same HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc");
    assert_true(hear(&bench, same, text, "/same", 1));
    tell(&bench, same, "POST /other HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
    assert_true(hear(&bench, same, text, "/other", 1));
    assert_int_equal(bench.body_size, 1);
    close(same);
    close_bench(&bench);
}

static void takes_long_paths(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    const int fd = dial(&bench);
    char *request = malloc(20000);
    (void)snprintf(request, 20000, "GET /%04096d%08192d HTTP/1.1\r\nHost: h\r\n\r\n", 1, 2);
    tell(&bench, fd, request);
    assert_true(hear(&bench, fd, text, " 200 ", 1));
    assert_int_equal(strlen(bench.path), 1 + 4096 + 8192);
    free(request);
    close(fd);
    close_bench(&bench);
}

static void closes_in_peace(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench, NULL);
    bench.is_holding = true;
    const int idle = dial(&bench);
    const int held = dial(&bench);
    const int forgotten = dial(&bench);
    tell(&bench, held, "GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
    hold_until(&bench, 1);
    tell(&bench, forgotten, "GET /forgotten HTTP/1.1\r\nHost: h\r\n\r\n");
    hold_until(&bench, 2);
    const struct sockaddr_in where = {.sin_family = AF_INET,
                                      .sin_port = htons(http_server_port(bench.server)),
                                      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    thread_assume(&thread_loop);
    http_server_quiesce(bench.server);
    http_server_quiesce(bench.server);
    const int late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(late, (const struct sockaddr *)&where, sizeof where), 0);
    close(late);
    assert_true(hear(&bench, idle, text, NULL, 0));
    answer(&bench, bench.held[0], "bye");
    http_server_name(bench.server, bench.held[0], "gone already");
    http_server_name(bench.server, bench.held[1], "00112233445566778899aabbccddeeff");
    /* The answer is on its way and one request waits: closing sees to both. */
    close_bench(&bench);
    assert_true(recv(held, text, sizeof text, 0) > 0);
    assert_non_null(strstr(text, "Connection: close"));
    assert_non_null(strstr(text, "bye"));
    assert_true(recv(forgotten, text, sizeof text, 0) > 0);
    assert_non_null(strstr(text, "HTTP/1.1 503"));
    assert_non_null(strstr(text, "Retry-After: 1\r\n"));
    assert_non_null(strstr(text, "Content-Type: application/problem+json\r\n"));
    assert_non_null(strstr(text, "Proa-Invocation: 00112233445566778899aabbccddeeff\r\n"));
    assert_non_null(strstr(text, "\"invocation\":\"00112233445566778899aabbccddeeff\"}"));
    close(idle);
    close(held);
    close(forgotten);
}

static void says_why_it_cannot_listen(void **state)
{
    (void)state;
    struct bench bench;
    struct err err;
    struct http_server *other = NULL;
    open_bench(&bench, NULL);
    struct http_server_options options = {.address = "127.0.0.1",
                                          .port = http_server_port(bench.server),
                                          .body_bytes_max = 1,
                                          .connections_max = 1,
                                          .idle_timeout_s = 1,
                                          .handler = on_request};
    thread_assume(&thread_loop);
    assert_int_equal(http_server_open(bench.loop, &options, &other, &err), ERR_IN_USE);
    options.address = "localhost.example";
    assert_int_equal(http_server_open(bench.loop, &options, &other, &err), ERR_CONFIG);
    assert_null(other);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_connections),
        cmocka_unit_test(answers_pipelined_requests_in_order),
        cmocka_unit_test(takes_bodies),
        cmocka_unit_test(refuses_large_bodies),
        cmocka_unit_test(bounds_the_memory_of_bodies),
        cmocka_unit_test(survives_clients_that_leave_while_waiting),
        cmocka_unit_test(resumes_many_in_any_order),
        cmocka_unit_test(refuses_beyond_the_connection_mark),
        cmocka_unit_test(closes_what_is_late),
        cmocka_unit_test(refuses_malformed_requests),
        cmocka_unit_test(refuses_bodies_with_two_ends),
        cmocka_unit_test(takes_bodies_with_one_end),
        cmocka_unit_test(takes_long_paths),
        cmocka_unit_test(closes_in_peace),
        cmocka_unit_test(says_why_it_cannot_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
