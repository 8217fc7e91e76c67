/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ingress.c: ingress and admin on a real server, with the runner and the engine played here: what becomes a
 * message, what is refused and how, what an answer looks like.
 */
#include "api_bench.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- tests ----------------------------------------------------------------------------------------------- */

static void an_ask_becomes_a_message_and_a_reply(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /v1/ask/example/counter/a%2Fb HTTP/1.1\r\nContent-Type: application/json", "5"), 200);
    has("Content-Type: application/json");
    assert_string_equal(body_of(bench_text), "5");
    const struct posted *posted = &bench.posted[0];
    assert_int_equal(bench.posted_count, 1);
    assert_string_equal(posted->space, "example");
    assert_string_equal(posted->name, "counter");
    assert_string_equal(posted->id, "a/b");
    assert_string_equal(posted->typename_, "io.statefun.types/int");
    assert_true(posted->message.is_ask);
    assert_int_equal(posted->message.timeout_ms, 30000);
    assert_int_equal(posted->message.delay_ms, 0);
    char hex[INVOCATION_HEX_BYTES + 1];
    char field[100];
    invocation_print(&posted->message.invocation, hex);
    (void)snprintf(field, sizeof field, "Proa-Invocation: %s\r\n", hex);
    has(field);
    assert_int_equal(metrics_get(bench.metrics, METRIC_HTTP_REQUESTS), 1);
    assert_int_equal(metrics_get(bench.metrics, METRIC_ASK_SECONDS), 1);
}

static void a_send_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /v1/send/example/echo/b?delay=10s HTTP/1.1", "{\"a\":1}"), 202);
    char hex[INVOCATION_HEX_BYTES + 1];
    char body[100];
    invocation_print(&bench.posted[0].message.invocation, hex);
    (void)snprintf(body, sizeof body, "{\"invocation\":\"%s\"}", hex);
    assert_string_equal(body_of(bench_text), body);
    assert_int_equal(bench.posted[0].message.delay_ms, 10000);
    assert_string_equal(bench.posted[0].typename_, "proa/json");
    assert_string_equal(bench.posted[0].value, "{\"a\":1}");
    assert_int_equal(metrics_get(bench.metrics, METRIC_ASK_SECONDS), 0);
}

static void values_travel_by_their_type(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /v1/ask/example/echo/b HTTP/1.1\r\nContent-Type: application/vnd.a.B/c%3B; x=y", "\x01"),
                     200);
    assert_string_equal(bench.posted[0].typename_, "a.B/c;");
    has("Content-Type: application/vnd.a.B/c%3B\r\n");
    assert_int_equal(
        ask("POST /v1/ask/example/counter/b HTTP/1.1\r\nContent-Type: application/json\r\nProa-Type: a/B", ""), 200);
    assert_string_equal(bench.posted[1].typename_, "a/B");
    assert_true(bench.posted[1].has_value);
    assert_int_equal(
        ask("POST /v1/ask/example/counter/b HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", " 7 "), 200);
    assert_string_equal(body_of(bench_text), "7");
    assert_int_equal(ask("POST /v1/ask/shop/any/b HTTP/1.1\r\nContent-Type: Application/JSON;charset=utf-8", "{}"),
                     200);
    assert_string_equal(bench.posted[3].typename_, "shop/Order");
    has("Content-Type: application/vnd.shop/Order\r\n");
    assert_int_equal(ask("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: proa/none", ""), 204);
    assert_false(bench.posted[4].has_value);
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: proa/none", "x", 400, "bad_value", "empty");
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: proa/json", "x", 400, "bad_value", "not JSON");
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: proa/other", "x", 415, "unsupported_type",
               "proa/json");
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1\r\nContent-Type: text/plain", "x", 415, "unsupported_type",
               "application/json");
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1\r\nContent-Type: application/vnd.%ff", "x", 400, "bad_request",
               "UTF-8");
    is_problem("POST /v1/ask/example/counter/b HTTP/1.1", "5.5", 400, "bad_value", "send an integer");
    is_problem("POST /v1/ask/example/counter/b HTTP/1.1", "", 400, "bad_value", "send null");
}

static void raw_bytes_are_values_of_their_type(void **state)
{
    (void)state;
    static const char *const refused[][2] = {
        {"int", "5"},      {"int", "\x08\xff"},    {"long", "\xff"}, {"bool", "\x0d"},
        {"float", "\x0d"}, {"double", "\x09\x01"}, {"string", "x"},  {"string", "\x0a\x01\xff"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char request[200];
        (void)snprintf(request, sizeof request,
                       "POST /v1/send/example/echo/b HTTP/1.1\r\nProa-Type: io.statefun.types/%s", refused[i][0]);
        is_problem(request, refused[i][1], 400, "bad_value", "bytes are no value of io.statefun.types/");
        (void)snprintf(request, sizeof request,
                       "POST /v1/ask/example/counter/b HTTP/1.1\r\nContent-Type: application/vnd.io.statefun.types/%s",
                       refused[i][0]);
        is_problem(request, refused[i][1], 400, "bad_value", "bytes are no value of io.statefun.types/");
    }
    assert_int_equal(
        ask("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: io.statefun.types/int", "\x0d\x05\x01\x01\x01"), 200);
    assert_string_equal(body_of(bench_text), "16843013");
    assert_int_equal(ask("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: io.statefun.types/string", "\x0a\x02hi"),
                     200);
    assert_string_equal(body_of(bench_text), "\"hi\"");
    assert_int_equal(ask("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: io.statefun.types/long", ""), 200);
    assert_string_equal(body_of(bench_text), "0");
    assert_int_equal(ask("POST /v1/ask/example/echo/b HTTP/1.1\r\nProa-Type: proa/bytes", "\xff{"), 200);
    has("Content-Type: application/vnd.proa/bytes\r\n");
    assert_string_equal(body_of(bench_text), "\xff{");
    assert_string_equal(bench.posted[bench.posted_count - 1].typename_, "proa/bytes");
}

static void wrong_paths_say_what_to_change(void **state)
{
    (void)state;
    is_problem("GET / HTTP/1.1", "", 404, "not_found", "POST /v1/ask/{namespace}/{name}/{id}");
    is_problem("POST /v2/ask/a/b/c HTTP/1.1", "", 404, "not_found", "/v1/send");
    is_problem("POST /v1/ask/example/counter HTTP/1.1", "1", 404, "not_found", "{id}");
    is_problem("POST /v1/ask/example/counter/a/b HTTP/1.1", "1", 404, "not_found", "%2F");
    is_problem("POST /v1/ask/example/counter/ HTTP/1.1", "1", 400, "bad_path", "The id is empty");
    is_problem("POST /v1/ask//counter/a HTTP/1.1", "1", 400, "bad_path", "The namespace is empty");
    is_problem("POST /v1/ask/example/counter/%00 HTTP/1.1", "1", 400, "bad_path", "NUL");
    is_problem("POST /v1/ask/example/counter/%f HTTP/1.1", "1", 400, "bad_path", "hex");
    is_problem("POST /v1/ask/example/%C3/a HTTP/1.1", "1", 400, "bad_path", "The name is not UTF-8");
    is_problem("POST /v1/ask/example/counter/a#b HTTP/1.1", "1", 400, "bad_path", "%23");
    is_problem("POST /v1/ask/example/counter#/a HTTP/1.1", "1", 400, "bad_path", "%23");
    is_problem("POST http://h/v1/ask/example/counter/#a?timeout=1s HTTP/1.1", "1", 400, "bad_path", "%23");
    assert_int_equal(ask("POST HTTP://h/v1/ask/example/counter/a%23b HTTP/1.1", "1"), 200);
    assert_string_equal(bench.posted[0].id, "a#b");
    is_problem("POST /v1/ask/a%2Fb/c/d HTTP/1.1", "1", 400, "bad_path", "slash");
    is_problem("POST /v1/ask/proa/reply/x HTTP/1.1", "1", 400, "bad_path", "belongs to the host");
    is_problem("POST /v1/ask/example/conter/a HTTP/1.1", "1", 404, "unknown_function", "did you mean example/counter?");
    is_problem("POST /v1/ask/elsewhere/y/a HTTP/1.1", "1", 404, "unknown_function",
               "this host serves example/counter, ");
    is_problem("POST /v1/ask/shopp/y/a HTTP/1.1", "1", 404, "unknown_function", "did you mean shop/y?");
    is_problem("GET /v1/ask/example/counter/a HTTP/1.1", "", 405, "method_not_allowed", "Allow: POST\r\n");
    assert_int_equal(ask("OPTIONS /v1/ask/example/counter/a HTTP/1.1", ""), 204);
    has("Allow: POST\r\n");
    char *request = malloc(6000);
    (void)snprintf(request, 6000, "POST /v1/ask/example/counter/%05000d HTTP/1.1", 1);
    is_problem(request, "1", 400, "bad_path", "id");
    free(request);
}

static void wrong_parameters_say_what_there_is(void **state)
{
    (void)state;
    is_problem("POST /v1/ask/example/counter/a?timeuot=1s HTTP/1.1", "1", 400, "bad_request", "takes timeout only");
    is_problem("POST /v1/ask/example/counter/a?delay=1s HTTP/1.1", "1", 400, "bad_request", "takes timeout only");
    is_problem("POST /v1/send/example/counter/a?timeout=1s HTTP/1.1", "1", 400, "bad_request", "takes delay only");
    is_problem("POST /v1/ask/example/counter/a?timeout=10 HTTP/1.1", "1", 400, "bad_request", "timeout=10s");
    is_problem("POST /v1/ask/example/counter/a?timeout HTTP/1.1", "1", 400, "bad_request", "timeout=10s");
    is_problem("POST /v1/ask/example/counter/a?timeout=0s HTTP/1.1", "1", 400, "bad_request", "1ms to 10m");
    is_problem("POST /v1/ask/example/counter/a?timeout=11m HTTP/1.1", "1", 400, "bad_request", "1ms to 10m");
    is_problem("POST /v1/ask/example/counter/a?timeout=1s&timeout=2s HTTP/1.1", "1", 400, "bad_request", "twice");
    is_problem("POST /v1/send/example/counter/a?delay=4000d HTTP/1.1", "1", 400, "bad_request", "3650d");
    assert_int_equal(ask("POST /v1/ask/example/counter/a?timeout=10m HTTP/1.1", "1"), 200);
    assert_int_equal(bench.posted[0].message.timeout_ms, 600000);
    assert_int_equal(ask("POST /v1/ask/example/counter/a? HTTP/1.1", "1"), 200);
}

static void traces_are_passed_on_if_valid(void **state)
{
    (void)state;
    static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    char request[300];
    (void)snprintf(request, sizeof request, "POST /v1/ask/example/counter/a HTTP/1.1\r\ntraceparent: %s", good);
    assert_int_equal(ask(request, "1"), 200);
    assert_string_equal(bench.posted[0].traceparent, good);
    static const char *const bad[] = {"x", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(request, sizeof request, "POST /v1/ask/example/counter/a HTTP/1.1\r\ntraceparent: %s", bad[i]);
        assert_int_equal(ask(request, "1"), 200);
        assert_string_equal(bench.posted[i + 1].traceparent, "");
    }
}

static void large_bodies_are_checked_by_a_helper(void **state)
{
    (void)state;
    char *body = malloc(LIMIT_INGRESS_BODY_BYTES_MAX + 2);
    memset(body, ' ', LIMIT_INGRESS_BODY_BYTES_MAX + 1);
    body[LIMIT_INGRESS_BODY_BYTES_MAX + 1] = 0;
    body[LARGE] = 0;
    body[0] = '5';
    assert_int_equal(ask("POST /v1/ask/example/counter/a%2Fb HTTP/1.1", body), 200);
    assert_string_equal(body_of(bench_text), "5");
    assert_string_equal(bench.posted[0].id, "a/b");
    assert_int_equal(ask("POST /v1/ask/example/echo/b HTTP/1.1", body), 200);
    assert_int_equal(bench.posted[1].value_size, LARGE);
    body[1] = 'x';
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1", body, 400, "bad_value", "not JSON");
    body[LARGE] = ' ';
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1", body, 413, "too_large", "1048576");
    is_problem("POST /v1/ask/example/echo/b HTTP/1.1\r\nExpect: 100-continue", body, 413, "too_large", "1048576");
    free(body);
}

static void helpers_that_are_busy_refuse_and_stopping_answers_all(void **state)
{
    (void)state;
    int fds[6];
    uint32_t refused = 0;
    thread_assume(&thread_loop);
    char *body = malloc(LARGE);
    memset(body, '[', LARGE);
    for (int i = 0; i < 6; i++) {
        fds[i] = tell(bench.server, "POST /v1/ask/example/echo/b HTTP/1.1", body, LARGE);
    }
    ingress_stop(bench.ingress);
    helper_stop(bench.helper);
    bench.helper = NULL;
    for (int i = 0; i < 6; i++) {
        const int status = hear(fds[i]);
        assert_true(status == 400 || status == 503);
        refused += status == 503 ? 1 : 0;
    }
    assert_true(refused < 6);
    is_problem("POST /v1/ask/example/counter/a HTTP/1.1", "1", 503, "stopping", "Retry-After: 1");
    assert_int_equal(http_server_waiting(bench.server), 0);
    free(body);
}

static void answers_of_the_engine_become_problems(void **state)
{
    (void)state;
    thread_assume(&thread_loop);
    bench.is_holding = true;
    static const struct {
        struct effect_answer answer;
        int status;
        const char *has[4];
    } cases[] = {
        {{.code = ERR_REJECTED,
          .is_from_function = true,
          .text = SLICE("amount \"x\" is negative"),
          .function_code = SLICE("invalid")},
         422,
         {"\"source\":\"function\"", "\"function_code\":\"invalid\"", "\"detail\":\"amount \\\"x\\\" is negative\"",
          "\"code\":\"rejected\""}},
        {{.code = ERR_PARKED, .text = SLICE("example/echo failed 20 times")},
         502,
         {"\"source\":\"host\"", "\"detail\":\"example/echo failed 20 times"}},
        {{.code = ERR_OVERLOADED, .retry_after_ms = 1001}, 503, {"Retry-After: 2\r\n", "A limit is reached"}},
        {{.code = ERR_NOT_READY}, 503, {"Retry-After: 1\r\n"}},
        {{.code = ERR_STORE_FULL, .retry_after_ms = 5000}, 507, {"Retry-After: 5\r\n"}},
        {{.code = ERR_BAD_ANSWER}, 502, {"\"code\":\"bad_answer\"", "\"source\":\"host\""}},
        {{.code = ERR_TIMEOUT}, 504, {"\"code\":\"timeout\""}},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int fd = tell(bench.server, "POST /v1/ask/example/counter/a HTTP/1.1", "1", 1);
        for (int j = 0; j < TURNS_MAX && bench.posted_count <= i; j++) {
            turn();
        }
        assert_int_equal(bench.posted_count, i + 1);
        struct effect_answer one = cases[i].answer;
        one.kind = ANSWER_ERROR;
        one.waiter = bench.posted[i].message.waiter;
        one.invocation = bench.posted[i].message.invocation;
        ingress_answer(bench.ingress, &one);
        assert_int_equal(hear(fd), cases[i].status);
        for (int j = 0; j < 4 && cases[i].has[j] != NULL; j++) {
            has(cases[i].has[j]);
        }
    }
    bench.is_holding = false;
    bench.is_full = true;
    is_problem("POST /v1/ask/example/counter/a HTTP/1.1", "1", 503, "overloaded", "Retry-After: 1\r\n");
}

/* Sends these bytes and hears until the server closes the connection. */
static int ask_raw(const char *request) LOOP_THREAD
{
    const struct sockaddr_in where = {.sin_family = AF_INET,
                                      .sin_port = htons(http_server_port(bench.server)),
                                      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return hear(fd);
}

static void requests_that_end_in_two_places_are_refused(void **state)
{
    (void)state;
#define REQUEST "POST /v1/ask/example/counter/a HTTP/1.1\r\nHost: h\r\n"
    thread_assume(&thread_loop);
    assert_int_equal(ask_raw(REQUEST "Content-Length: 1\r\nContent-Length: 3\r\n\r\n555"), 400);
    has("Content-Type: application/problem+json\r\n");
    has("Connection: close\r\n");
    has("Proa-Invocation: ");
    has("\"code\":\"bad_request\"");
    has("two Content-Length fields");
    assert_int_equal(ask_raw(REQUEST "Transfer-Encoding: gzip\r\n\r\n"), 501);
    has("Content-Type: application/problem+json\r\n");
    has("Connection: close\r\n");
    has("\"code\":\"unknown_coding\"");
    assert_int_equal(bench.posted_count, 0);
#undef REQUEST
}

static void what_is_never_answered_is_refused_by_name(void **state)
{
    (void)state;
    char invocation[INVOCATION_HEX_BYTES + 1];
    char field[100];
    thread_assume(&thread_loop);
    bench.is_holding = true;
    const int fd = tell(bench.server, "POST /v1/ask/example/counter/a HTTP/1.1", "1", 1);
    for (int i = 0; i < TURNS_MAX && bench.posted_count == 0; i++) {
        turn();
    }
    ingress_stop(bench.ingress);
    http_server_close(bench.server);
    bench.server = open_server(ingress_handle, NULL); /* for the turns of a client, and to be torn down */
    assert_int_equal(hear(fd), 503);
    invocation_print(&bench.posted[0].message.invocation, invocation);
    (void)snprintf(field, sizeof field, "Proa-Invocation: %s\r\n", invocation);
    has(field);
    has("Retry-After: 1\r\n");
    has("\"code\":\"stopping\"");
    (void)snprintf(field, sizeof field, "\"invocation\":\"%s\"}", invocation);
    has(field);
}

static void ids_differ(void **state)
{
    (void)state;
    char seen[300][33];
    for (int i = 0; i < 300; i++) { /* more than one pool of random bytes */
        assert_int_equal(ask("OPTIONS /v1/ask/example/counter/a HTTP/1.1", ""), 204);
        memset(seen[i], 0, sizeof seen[i]);
        memcpy(seen[i], strstr(bench_text, "Proa-Invocation: ") + strlen("Proa-Invocation: "), 32);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(seen[i], seen[j]);
        }
    }
}

static int operate(const char *request)
{
    thread_assume(&thread_loop);
    return hear(tell(bench.admin_server, request, "", 0));
}

static void operators_see_health_and_metrics(void **state)
{
    (void)state;
    thread_assume(&thread_loop);
    assert_int_equal(operate("GET /healthz HTTP/1.1"), 200);
    assert_string_equal(body_of(bench_text), "ok\n");
    assert_int_equal(operate("GET /readyz HTTP/1.1"), 503);
    has("\"code\":\"not_ready\"");
    has("Retry-After: 1");
    bench.is_ready = true;
    assert_int_equal(operate("GET /readyz?verbose HTTP/1.1"), 200);
    assert_int_equal(operate("GET /metrics HTTP/1.1"), 200);
    has("Content-Type: text/plain; version=0.0.4\r\n");
    has("\nproa_timers 42\n");
    assert_int_equal(operate("HEAD /metrics HTTP/1.1"), 200);
    assert_string_equal(body_of(bench_text), "");
    assert_int_equal(operate("POST /metrics HTTP/1.1"), 405);
    has("Allow: GET, HEAD");
    assert_int_equal(operate("GET /nothing HTTP/1.1"), 404);
    has("/readyz");
    assert_int_equal(operate("GET /metrics/ HTTP/1.1"), 404);
    assert_int_equal(metrics_get(bench.metrics, METRIC_ASK_SECONDS), 0);
    is_problem("POST /v1/ask/example/counter HTTP/1.1", "1", 404, "not_found", "{id}");
    assert_int_equal(metrics_get(bench.metrics, METRIC_ASK_SECONDS), 0);
    admin_stop(bench.admin);
    assert_int_equal(operate("GET /readyz HTTP/1.1"), 503);
    has("\"code\":\"stopping\"");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_ask_becomes_a_message_and_a_reply),
        CASE(a_send_is_accepted),
        CASE(values_travel_by_their_type),
        CASE(wrong_paths_say_what_to_change),
        CASE(wrong_parameters_say_what_there_is),
        CASE(traces_are_passed_on_if_valid),
        CASE(large_bodies_are_checked_by_a_helper),
        CASE(helpers_that_are_busy_refuse_and_stopping_answers_all),
        CASE(answers_of_the_engine_become_problems),
        CASE(ids_differ),
        CASE(operators_see_health_and_metrics),
        CASE(raw_bytes_are_values_of_their_type),
        CASE(requests_that_end_in_two_places_are_refused),
        CASE(what_is_never_answered_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
