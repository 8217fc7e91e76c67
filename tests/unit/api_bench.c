/* SPDX-License-Identifier: Apache-2.0
 *
 * api_bench.c: the doors of api_bench.h, and their client. */
#include "api_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

struct bench bench;
char bench_text[TEXT_MAX];

/* ---- the runner and the engine as the ingress sees them --------------------------------------------------- */

static void copy_text(char *to, size_t size, struct slice from)
{
    (void)snprintf(to, size, "%.*s", (int)from.size, from.size == 0 ? "" : (const char *)from.data);
}

bool runner_post(struct runner *runner, const struct input_message *message)
{
    struct typed_value value;
    struct err err;
    (void)runner;
    if (bench.is_full) {
        return false;
    }
    assert_true(bench.posted_count < POSTED_MAX);
    struct posted *posted = &bench.posted[bench.posted_count++];
    posted->message = *message;
    copy_text(posted->space, sizeof posted->space, message->target.space);
    copy_text(posted->name, sizeof posted->name, message->target.name);
    copy_text(posted->id, sizeof posted->id, message->target.id);
    copy_text(posted->traceparent, sizeof posted->traceparent, message->traceparent);
    assert_int_equal(wire_get_typed_value(message->value, &value, &err), ERR_NONE);
    copy_text(posted->typename_, sizeof posted->typename_, value.typename_);
    posted->has_value = value.has_value;
    posted->value_size = value.value.size;
    copy_text(posted->value, sizeof posted->value, value.value);
    if (!bench.is_holding) {
        ingress_answer(bench.ingress, &(struct effect_answer){.waiter = message->waiter,
                                                              .kind = message->is_ask ? ANSWER_REPLY : ANSWER_ACCEPTED,
                                                              .invocation = message->invocation,
                                                              .value = message->value});
    }
    return true;
}

bool runner_pop(struct runner *runner, const struct input_pop *pop)
{
    (void)runner;
    if (bench.is_full) {
        return false;
    }
    assert_true(bench.popped_count < POSTED_MAX);
    bench.popped[bench.popped_count++] = *pop;
    if (!bench.is_holding) {
        const struct effect_answer answer = {.waiter = pop->waiter,
                                             .kind = bench.record.size > 0 ? ANSWER_POPPED : ANSWER_ERROR,
                                             .code = ERR_EMPTY,
                                             .invocation = pop->invocation,
                                             .value = bench.record};
        ingress_answer(bench.ingress, &answer);
    }
    return true;
}

bool engine_is_ready(const struct engine *engine)
{
    (void)engine;
    return bench.is_ready;
}

bool engine_is_stopped(const struct engine *engine)
{
    (void)engine;
    return false;
}

void engine_publish(struct engine *engine)
{
    (void)engine;
    metrics_set(bench.metrics, METRIC_TIMERS, 42);
}

/* ---- set up ---------------------------------------------------------------------------------------------- */

struct http_server *open_server(http_handler *handler, void *context) LOOP_THREAD
{
    struct err err;
    struct http_server *server = NULL;
    const struct http_server_options options = {.address = "127.0.0.1",
                                                .body_bytes_max = LIMIT_INGRESS_BODY_BYTES_MAX,
                                                .connections_max = 100,
                                                .idle_timeout_s = 60,
                                                .handler = handler,
                                                .context = context};
    assert_int_equal(http_server_open(bench.loop, &options, &server, &err), ERR_NONE);
    return server;
}

static struct http_server *open_door(bool has_api, bool has_instances, uint32_t topic_ports) LOOP_THREAD
{
    struct door *door = ingress_door(bench.ingress, has_api, has_instances, topic_ports);
    struct http_server *server = open_server(ingress_handle, door);

    ingress_serve(door, server);
    return server;
}

int bench_set_up(void **state)
{
    struct err err;
    static struct function_config functions[3];
    static struct egress_config egresses[3];
    (void)state;
    thread_assume(&thread_loop);
    (void)signal(SIGPIPE, SIG_IGN);
    memset(&bench, 0, sizeof bench);
    functions[0] = (struct function_config){
        .space = SLICE("example"), .name = SLICE("counter"), .takes = SLICE("io.statefun.types/int")};
    functions[1] = (struct function_config){.space = SLICE("example"), .name = SLICE("echo")};
    functions[2] = (struct function_config){.space = SLICE("shop"), .name = SLICE("*"), .takes = SLICE("shop/Order")};
    egresses[0] = (struct egress_config){.space = SLICE("example"), .name = SLICE("greetings")};
    egresses[1] =
        (struct egress_config){.space = PLAYGROUND_SPACE, .name = SLICE("greetings"), .is_topic = true, .port = 0};
    egresses[2] =
        (struct egress_config){.space = PLAYGROUND_SPACE, .name = SLICE("receipts"), .is_topic = true, .port = 1};
    bench.registry =
        (struct registry){.functions = functions, .function_count = 3, .egresses = egresses, .egress_count = 3};
    bench.metrics = metrics_create();
    assert_int_equal(loop_create(&bench.loop, &err), ERR_NONE);
    assert_int_equal(helper_start(bench.loop, "helper", 1, 2, &bench.helper, &err), ERR_NONE);
    const struct ingress_options options = {
        .registry = &bench.registry, .helper = bench.helper, .metrics = bench.metrics};
    bench.ingress = ingress_create(&options);
    bench.server = open_door(true, false, 0);
    bench.playground = open_door(false, true, 0);
    bench.topics = open_door(false, false, 1);
    bench.shared = open_door(true, true, 3);
    bench.admin = admin_create(&(struct admin_options){.metrics = bench.metrics});
    bench.admin_server = open_server(admin_handle, bench.admin);
    admin_serve(bench.admin, bench.admin_server);
    return 0;
}

int bench_tear_down(void **state)
{
    (void)state;
    thread_assume(&thread_loop);
    helper_stop(bench.helper);
    http_server_close(bench.server);
    http_server_close(bench.playground);
    http_server_close(bench.topics);
    http_server_close(bench.shared);
    http_server_close(bench.admin_server);
    ingress_destroy(bench.ingress);
    admin_destroy(bench.admin);
    loop_destroy(bench.loop);
    metrics_destroy(bench.metrics);
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------------------- */

void turn(void) LOOP_THREAD
{
    loop_poll(bench.loop, 1);
    http_server_run(bench.server);
    http_server_run(bench.playground);
    http_server_run(bench.topics);
    http_server_run(bench.shared);
    http_server_run(bench.admin_server);
}

int tell(const struct http_server *server, const char *request, const char *body, size_t body_size) LOOP_THREAD
{
    const struct sockaddr_in where = {.sin_family = AF_INET,
                                      .sin_port = htons(http_server_port(server)),
                                      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    char head[20000];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof where), 0);
    const int size = snprintf(head, sizeof head, "%s\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                              request, body_size);
    assert_true(size > 0 && (size_t)size < sizeof head);
    assert_int_equal(send(fd, head, (size_t)size, MSG_NOSIGNAL), size);
    for (int i = 0; body_size > 0 && i < TURNS_MAX; i++) {
        const ssize_t sent = send(fd, body, body_size, MSG_NOSIGNAL | MSG_DONTWAIT);
        body += sent > 0 ? sent : 0;
        body_size -= sent > 0 ? (size_t)sent : 0;
        if (sent < 0 && errno != EAGAIN) {
            break; /* refused early: the answer says why */
        }
        turn();
    }
    return fd;
}

int hear(int fd) LOOP_THREAD
{
    size_t size = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        const ssize_t got = recv(fd, bench_text + size, sizeof bench_text - 1 - size, MSG_DONTWAIT);
        if (got == 0) {
            break;
        }
        size += got > 0 ? (size_t)got : 0;
        turn();
    }
    bench_text[size] = 0;
    close(fd);
    assert_true(size > 12);
    return (bench_text[9] - '0') * 100 + (bench_text[10] - '0') * 10 + bench_text[11] - '0';
}

int ask_at(const struct http_server *server, const char *request, const char *body)
{
    thread_assume(&thread_loop);
    return hear(tell(server, request, body, strlen(body)));
}

int ask(const char *request, const char *body)
{
    return ask_at(bench.server, request, body);
}

void has(const char *what)
{
    if (strstr(bench_text, what) == NULL) {
        fail_msg("\"%s\" is not in: %.2000s", what, bench_text);
    }
}

const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

void is_problem_at(const struct http_server *server, const char *request, const char *body, int status,
                   const char *code, const char *hint)
{
    char member[100];
    const uint32_t before = bench.posted_count;
    const int got = ask_at(server, request, body);
    if (got != status) {
        fail_msg("%s: %d: %.2000s", request, got, bench_text);
    }
    has("Content-Type: application/problem+json");
    has("Proa-Invocation: ");
    has("\"source\":\"host\"");
    (void)snprintf(member, sizeof member, "\"code\":\"%s\"", code);
    has(member);
    (void)snprintf(member, sizeof member, "\"status\":%d", status);
    has(member);
    has(hint);
    char invocation[33] = "";
    memcpy(invocation, strstr(bench_text, "Proa-Invocation: ") + strlen("Proa-Invocation: "), 32);
    (void)snprintf(member, sizeof member, "\"invocation\":\"%s\"", invocation);
    has(member);
    assert_int_equal(bench.posted_count, before);
}

void is_problem(const char *request, const char *body, int status, const char *code, const char *hint)
{
    is_problem_at(bench.server, request, body, status, code, hint);
}
