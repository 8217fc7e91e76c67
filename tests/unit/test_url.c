/* SPDX-License-Identifier: Apache-2.0
 *
 * test_url.c: a function's URL, and what is read of its answer before libcurl's body is parsed.
 */
#include "unit.h"

#include <stdlib.h>

#include "answer.h"
#include "url.h"

static struct url parse(const char *text)
{
    struct url url = {0};
    struct err err;
    if (url_parse(slice_of(text), &url, &err) != ERR_NONE) {
        fail_msg("%s: %s", text, err.text);
    }
    return url;
}

static void assert_host(const char *text, const char *host, uint16_t port, bool is_numeric)
{
    struct url url = parse(text);
    assert_true(slice_equal(url.host, slice_of(host)));
    assert_int_equal(url.port, port);
    assert_int_equal(url.is_numeric, is_numeric);
}

static void hosts_and_ports(void **state)
{
    (void)state;
    assert_host("http://functions:8000/", "functions", 8000, false);
    assert_host("http://functions", "functions", 80, false);
    assert_host("HTTPS://a.example/x?y=z:9", "a.example", 443, false);
    assert_host("http://10.0.0.7:1/", "10.0.0.7", 1, true);
    assert_host("http://[::1]:8000/", "::1", 8000, true);
    assert_host("http://[2001:db8::1]", "2001:db8::1", 80, true);
    assert_host("http://user:p@ss@h:9/", "h", 9, false);
    assert_host("http://h:/", "h", 80, false);
    assert_true(parse("https://x").is_https);
}

static void user_and_password_are_found(void **state)
{
    (void)state;
    struct url url = parse("http://me:secret@h/p@q");
    assert_int_equal(url.userinfo_start, 7);
    assert_int_equal(url.userinfo_size, 10);
    assert_int_equal(parse("http://h/p@q").userinfo_size, 0);
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",           "functions:8000", "ftp://h/",        "http://",     "http:///x",
        "http://h:x", "http://h:0/",    "http://h:65536",  "http://[::1", "http://[::1]x/",
        "http://a b", "http://a\n/",    "http://h:123456/"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct url url;
        struct err err = {0};
        assert_int_equal(url_parse(slice_of(wrong[i]), &url, &err), ERR_CONFIG);
        assert_true(err.text[0] != '\0');
    }
    char long_host[400] = "http://";
    memset(long_host + 7, 'h', 300);
    struct url url;
    struct err err;
    assert_int_equal(url_parse(slice_of(long_host), &url, &err), ERR_CONFIG);
}

static void assert_expands(const char *url_template, const char *name, const char *expected)
{
    struct buf out;
    buf_init(&out, URL_BYTES_MAX);
    url_expand(&out, slice_of(url_template), slice_of(name));
    assert_true(slice_equal(buf_slice(&out), slice_of(expected)));
    buf_done(&out);
}

static void names_go_into_templates(void **state)
{
    (void)state;
    assert_true(url_has_name(SLICE("http://h/{function.name}")));
    assert_false(url_has_name(SLICE("http://h/{function.nam")));
    assert_expands("http://h/", "f", "http://h/");
    assert_expands("http://h/{function.name}", "a-b._~9", "http://h/a-b._~9");
    assert_expands("{function.name}/{function.name}x", "a", "a/ax");
    assert_expands("http://h/{function.name}?q", "a/b c\xC3\xA9%", "http://h/a%2Fb%20c%C3%A9%25?q");
}

static uint32_t retry_after(const char *line)
{
    struct answer answer = {0};
    answer_begin(&answer, 100);
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 503 Later\r\n")));
    assert_true(answer_take_line(&answer, slice_of(line)));
    uint32_t ms = answer_retry_after_ms(&answer, 784111770); /* Sun, 06 Nov 1994 08:49:30 GMT */
    answer_done(&answer);
    return ms;
}

static void retry_after_in_all_its_forms(void **state)
{
    (void)state;
    assert_int_equal(retry_after("Retry-After: 120\r\n"), 120000);
    assert_int_equal(retry_after("retry-after:  1 \r\n"), 1000);
    assert_int_equal(retry_after("Retry-After: 0\r\n"), 0);
    assert_int_equal(retry_after("Retry-After: 99999999999999999999999\r\n"), 86400000);
    assert_int_equal(retry_after("Retry-After: -3\r\n"), 0);
    assert_int_equal(retry_after("Retry-After: 3x\r\n"), 0);
    assert_int_equal(retry_after("Retry-After: soon\r\n"), 0);
    assert_int_equal(retry_after("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 7000);
    assert_int_equal(retry_after("Retry-After: Sunday, 06-Nov-94 08:49:37 GMT\r\n"), 7000);
    assert_int_equal(retry_after("Retry-After: Sun Nov  6 08:49:37 1994\r\n"), 7000);
    assert_int_equal(retry_after("Retry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n"), 0);
}

static void heads_are_read_as_they_come(void **state)
{
    (void)state;
    struct answer answer = {0};
    answer_begin(&answer, 100);
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 100 Continue\r\n")));
    assert_true(answer_take_line(&answer, SLICE("Proa-Features: partial\r\n")));
    assert_true(answer_take_line(&answer, SLICE("\r\n")));
    assert_false(answer.is_head_done);
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 200\r\n")));
    assert_false(answer.knows_partial);
    assert_true(answer_take_line(&answer, SLICE("PROA-features: bundle , Partial\r\n")));
    assert_true(answer_take_line(&answer, SLICE("CONTENT-type:\tApplication/Octet-Stream \r\n")));
    assert_true(answer_take_line(&answer, SLICE("a line without a colon\r\n")));
    assert_true(answer_take_line(&answer, SLICE("\r\n")));
    assert_true(answer.is_head_done && answer.knows_partial && answer.is_octet_stream && answer_is_success(&answer));
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 500 in a trailer\r\n")));
    assert_true(answer_take_line(&answer, SLICE("Content-Type: text/plain\r\n")));
    assert_true(answer.is_octet_stream && answer_is_success(&answer));
    assert_true(answer_take_body(&answer, SLICE("12345")));
    assert_int_equal(answer.body.size, 5);

    answer_begin(&answer, 100);
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1\r\n")));
    assert_int_equal(answer.status, 0);
    assert_false(answer.is_octet_stream);
    assert_true(answer_take_line(&answer, SLICE("Content-Type: application/octet-stream; x=y\r\n")));
    assert_false(answer.is_octet_stream);
    answer_done(&answer);
}

static void an_answer_is_encoded_once_at_most(void **state)
{
    (void)state;
    static const char *const good[][2] = {{"Content-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\n"},
                                          {"Content-Encoding: identity\r\n", "content-encoding: , DEFLATE ,\r\n"},
                                          {"Transfer-Encoding: gzip, chunked\r\n", "Content-Encoding:\r\n"}};
    static const char *const bad[][2] = {{"Content-Length: 1\r\n", "Content-Encoding: gzip, gzip\r\n"},
                                         {"Content-Encoding: gzip\r\n", "Content-Encoding: rot13\r\n"},
                                         {"Content-Encoding: gzip\r\n", "Transfer-Encoding: deflate, chunked\r\n"}};
    struct answer answer = {0};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        answer_begin(&answer, 100);
        assert_true(answer_take_line(&answer, slice_of(good[i][0])));
        assert_true(answer_take_line(&answer, slice_of(good[i][1])));
        assert_int_equal(answer.codings, 1);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        answer_begin(&answer, 100);
        assert_true(answer_take_line(&answer, slice_of(bad[i][0])));
        assert_false(answer_take_line(&answer, slice_of(bad[i][1])));
    }
    answer_begin(&answer, 100); /* an interim head counts: libcurl has begun to decode */
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 103 Early\r\n")));
    assert_true(answer_take_line(&answer, SLICE("Content-Encoding: gzip\r\n")));
    assert_true(answer_take_line(&answer, SLICE("\r\n")));
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 200 OK\r\n")));
    assert_false(answer_take_line(&answer, SLICE("Content-Encoding: gzip\r\n")));
    answer_done(&answer);
}

static void heads_and_bodies_have_limits(void **state)
{
    (void)state;
    struct answer answer = {0};
    char text[201];
    uint8_t *big = calloc(1, 1 << 20);
    assert_non_null(big);
    answer_begin(&answer, 1 << 20);
    assert_true(answer_take_line(&answer, SLICE("HTTP/1.1 500 Oh\r\n")));
    assert_true(answer_take_body(&answer, SLICE(" broken\n")));
    assert_true(answer_take_body(&answer, (struct slice){big, 1000000}));
    assert_int_equal(answer.body.size, ANSWER_ERROR_BODY_BYTES_MAX);
    assert_true(strncmp(answer_print_body(&answer, text), "broken....", 10) == 0);
    assert_int_equal(strlen(text), 200);
    assert_false(answer_take_body(&answer, (struct slice){big, 1000000}));
    assert_true(answer.is_over);
    answer_begin(&answer, 10);
    assert_false(answer_take_line(&answer, (struct slice){big, ANSWER_HEAD_BYTES_MAX + 1}));
    assert_true(answer.is_over);
    answer_done(&answer);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports),
        cmocka_unit_test(user_and_password_are_found),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(names_go_into_templates),
        cmocka_unit_test(retry_after_in_all_its_forms),
        cmocka_unit_test(heads_are_read_as_they_come),
        cmocka_unit_test(an_answer_is_encoded_once_at_most),
        cmocka_unit_test(heads_and_bodies_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
