/* SPDX-License-Identifier: Apache-2.0
 *
 * test_playground.c: the doors of StateFun's playground (section 2.5 of its facts), with its own curl lines.
 */
#include "api_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void is_message(const char *id, const char *typename_, const char *value, size_t value_size)
{
    const struct posted *posted = &bench.posted[bench.posted_count - 1];

    assert_string_equal(posted->space, "example");
    assert_string_equal(posted->name, "counter");
    assert_string_equal(posted->id, id);
    assert_string_equal(posted->typename_, typename_);
    assert_true(posted->has_value);
    assert_int_equal(posted->value_size, value_size);
    assert_memory_equal(posted->value, value, value_size < sizeof posted->value ? value_size : sizeof posted->value);
    assert_false(posted->message.is_ask);
    assert_int_equal(posted->message.delay_ms, 0);
}

static void a_typed_body_keeps_its_bytes(void **state)
{
    (void)state;
    assert_int_equal(ask_at(bench.playground,
                            "PUT /example/counter/Bob HTTP/1.1\r\nContent-Type: application/vnd.example/GreetRequest",
                            "{\"name\": \"Bob\"}"),
                     200);
    assert_string_equal(body_of(bench_text), "");
    has("Proa-Invocation: ");
    has("Content-Length: 0\r\n");
    is_message("Bob", "example/GreetRequest", "{\"name\": \"Bob\"}", 15);
    assert_int_equal(bench.posted_count, 1);
    assert_int_equal(metrics_get(bench.metrics, METRIC_HTTP_REQUESTS), 1);
    assert_int_equal(metrics_get(bench.metrics, METRIC_ASK_SECONDS), 0);

    assert_int_equal(ask_at(bench.playground,
                            "POST /example/counter/a%2Fb HTTP/1.1\r\nContent-Type: application/vnd.a/B; charset=utf-8",
                            "x"),
                     200);
    is_message("a/b", "a/B", "x", 1);
    assert_int_equal(ask_at(bench.playground,
                            "PUT /example/counter/i HTTP/1.1\r\nContent-Type: application/vnd.io.statefun.types/int",
                            ""),
                     200);
    is_message("i", "io.statefun.types/int", "", 0);
    is_problem_at(bench.playground,
                  "PUT /example/counter/i HTTP/1.1\r\nContent-Type: application/vnd.io.statefun.types/int", "5", 400,
                  "bad_value", "protobuf message");
}

static void any_other_body_is_a_string_that_sdks_can_read(void **state)
{
    static const char string[] = "io.statefun.types/string";

    (void)state;
    assert_int_equal(ask_at(bench.playground, "PUT /example/counter/s HTTP/1.1", "Hello"), 200);
    is_message("s", string, "\x0a\x05Hello", 7);
    assert_int_equal(ask_at(bench.playground,
                            "PUT /example/counter/s HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded",
                            "a=b"),
                     200);
    is_message("s", string,
               "\x0a\x03"
               "a=b",
               5);
    assert_int_equal(
        ask_at(bench.playground, "PUT /example/counter/s HTTP/1.1\r\nContent-Type: application/json", "{}"), 200);
    is_message("s", string, "\x0a\x02{}", 4);
    assert_int_equal(ask_at(bench.playground, "PUT /example/counter/s HTTP/1.1", ""), 200);
    is_message("s", string, "", 0);
    assert_int_equal(ask_at(bench.playground, "PUT /example/counter/s HTTP/1.1", "\xc3\xa4"), 200);
    is_message("s", string, "\x0a\x02\xc3\xa4", 4);
    is_problem_at(bench.playground, "PUT /example/counter/s HTTP/1.1", "\xff", 400, "bad_value", "not UTF-8");

    char *large = malloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    assert_int_equal(ask_at(bench.playground, "PUT /example/counter/s HTTP/1.1", large), 200);
    assert_int_equal(bench.posted[bench.posted_count - 1].value_size, LARGE + 4);
    free(large);
}

static void other_methods_and_paths_say_what_is_taken(void **state)
{
    (void)state;
    is_problem_at(bench.playground, "GET /example/counter/a HTTP/1.1", "", 405, "method_not_allowed", "PUT, POST");
    has("Allow: PUT, POST\r\n");
    is_problem_at(bench.playground, "DELETE /example/counter/a HTTP/1.1", "", 405, "method_not_allowed", "DELETE");
    assert_int_equal(ask_at(bench.playground, "OPTIONS /example/counter/a HTTP/1.1", ""), 204);
    has("Allow: PUT, POST\r\n");
    is_problem_at(bench.playground, "PUT /example/counter HTTP/1.1", "x", 404, "not_found", "{namespace}/{name}/{id}");
    is_problem_at(bench.playground, "PUT /example/counter/a/b HTTP/1.1", "x", 404, "not_found", "%2F");
    is_problem_at(bench.playground, "PUT / HTTP/1.1", "x", 404, "not_found", "PUT /");
    is_problem_at(bench.playground, "PUT /example//b HTTP/1.1", "x", 400, "bad_path", "name is empty");
    is_problem_at(bench.playground, "PUT /example/counter/%ff HTTP/1.1", "x", 400, "bad_path", "UTF-8");
    is_problem_at(bench.playground, "PUT /example/counter/a?delay=1s HTTP/1.1", "x", 400, "bad_request",
                  "this path takes none");
    is_problem_at(bench.playground, "PUT /example/countre/a HTTP/1.1", "x", 404, "unknown_function",
                  "did you mean example/counter");
    is_problem_at(bench.playground, "PUT /proa/reply/a HTTP/1.1", "x", 400, "bad_path", "belongs to the host");
    is_problem_at(bench.playground, "POST /v1/send/a HTTP/1.1", "x", 404, "not_found", "PUT /");
    is_problem_at(bench.playground, "POST /v1/send/example/counter/a HTTP/1.1", "1", 404, "not_found", "PUT /");
}

static void one_listener_may_have_both(void **state)
{
    (void)state;
    assert_int_equal(ask_at(bench.shared, "PUT /example/counter/s HTTP/1.1", "x"), 200);
    is_message("s", "io.statefun.types/string", "\x0a\x01x", 3);
    assert_int_equal(ask_at(bench.shared, "POST /v1/send/example/counter/s HTTP/1.1", "5"), 202);
    is_message("s", "io.statefun.types/int", "\x0d\x05\0\0\0", 5);
    is_problem_at(bench.shared, "PUT /v1/send/example/counter/s HTTP/1.1", "5", 405, "method_not_allowed", "POST");
    is_problem_at(bench.shared, "PUT /v1/counter/s HTTP/1.1", "5", 404, "not_found", "/v1/ask");
    has("PUT /{namespace}");
    is_problem_at(bench.server, "PUT /example/counter/s HTTP/1.1", "5", 404, "not_found", "/v1/ask");
}

#define STRING_HEAD "\x0a\x18io.statefun.types/string\x10\x01\x1a"

static void a_record_comes_as_text(void **state)
{
    (void)state;
    bench.record = SLICE(STRING_HEAD "\x09\x0a\x07Hi \xc3\xbc!\n");
    assert_int_equal(ask_at(bench.topics, "GET /greetings HTTP/1.1", ""), 200);
    has("Content-Type: text/plain; charset=utf-8\r\n");
    has("Proa-Invocation: ");
    assert_string_equal(body_of(bench_text), "Hi \xc3\xbc!\n");
    assert_int_equal(bench.popped_count, 1);
    assert_int_equal(bench.popped[0].egress, 1);
    bench.record = SLICE("\x0a\x18io.statefun.types/string\x10\x01"); /* the empty text */
    assert_int_equal(ask_at(bench.topics, "GET /greetings HTTP/1.1", ""), 200);
    assert_string_equal(body_of(bench_text), "");
    bench.record = SLICE("\x0a\x03"
                         "a/b\x10\x01\x1a\x01x"); /* of an egress of ours, from before */
    assert_int_equal(ask_at(bench.topics, "GET /greetings HTTP/1.1", ""), 200);
    has("Content-Type: application/vnd.a/b\r\n");
    assert_int_equal(bench.posted_count, 0);
}

static void an_empty_topic_is_404(void **state)
{
    (void)state;
    is_problem_at(bench.topics, "GET /greetings HTTP/1.1", "", 404, "empty", "No record waits");
    assert_int_equal(bench.popped_count, 1);
    assert_int_equal(ask_at(bench.shared, "GET /receipts HTTP/1.1", ""), 404);
    assert_int_equal(bench.popped[1].egress, 2);
}

static void topics_have_a_port(void **state)
{
    (void)state;
    is_problem_at(bench.topics, "GET /greeting HTTP/1.1", "", 404, "not_found", "did you mean greetings?");
    is_problem_at(bench.topics, "GET /receipts HTTP/1.1", "", 404, "not_found", "this port has greetings");
    is_problem_at(bench.shared, "GET /other HTTP/1.1", "", 404, "not_found", "this port has greetings, receipts");
    is_problem_at(bench.topics, "GET / HTTP/1.1", "", 400, "bad_path", "topic is empty");
    is_problem_at(bench.topics, "GET /a/b HTTP/1.1", "", 404, "not_found", "GET /{topic}");
    is_problem_at(bench.topics, "PUT /example/counter/a HTTP/1.1", "x", 404, "not_found", "GET /{topic}");
    is_problem_at(bench.server, "GET /greetings HTTP/1.1", "", 404, "not_found", "/v1/ask");
    is_problem_at(bench.topics, "GET /greetings?wait=1s HTTP/1.1", "", 400, "bad_request", "takes none");
    assert_int_equal(bench.popped_count, 0);
}

static void only_get_pops(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE"};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char line[100];
        (void)snprintf(line, sizeof line, "%s /greetings HTTP/1.1", methods[i]);
        is_problem_at(bench.topics, line, "", 405, "method_not_allowed", "Allow: GET\r\n");
    }
    assert_int_equal(ask_at(bench.topics, "HEAD /greetings HTTP/1.1", ""), 405);
    has("Allow: GET\r\n");
    assert_int_equal(ask_at(bench.topics, "OPTIONS /greetings HTTP/1.1", ""), 204);
    has("Allow: GET\r\n");
    assert_int_equal(bench.popped_count, 0);
}

static void a_stopping_or_crowded_host_says_so(void **state)
{
    (void)state;
    bench.is_full = true;
    is_problem_at(bench.playground, "PUT /example/counter/a HTTP/1.1", "x", 503, "overloaded", "Retry-After: 1\r\n");
    is_problem_at(bench.topics, "GET /greetings HTTP/1.1", "", 503, "overloaded", "Retry-After: 1\r\n");
    thread_assume(&thread_loop);
    ingress_stop(bench.ingress);
    is_problem_at(bench.playground, "PUT /example/counter/a HTTP/1.1", "x", 503, "stopping", "Retry-After: 1\r\n");
    is_problem_at(bench.topics, "GET /greetings HTTP/1.1", "", 503, "stopping", "Retry-After: 1\r\n");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_typed_body_keeps_its_bytes),
        CASE(any_other_body_is_a_string_that_sdks_can_read),
        CASE(other_methods_and_paths_say_what_is_taken),
        CASE(one_listener_may_have_both),
        CASE(a_record_comes_as_text),
        CASE(an_empty_topic_is_404),
        CASE(topics_have_a_port),
        CASE(only_get_pops),
        CASE(a_stopping_or_crowded_host_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
