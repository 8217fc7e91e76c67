/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_proa.c: our own kinds of documents: what becomes of each of their keys, and what they do not take.
 */
#include "config_bench.h"

#include <stdio.h>

#include "config_kind.h"
#include "limit.h"

#define TEN "1234567890"

static void the_example_of_the_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_proa_kind_count; i++) {
        assert_int_equal(add(config_proa_kinds[i].example), ERR_NONE);
    }
    take_registry();
    assert_int_equal(registry->endpoint_count, 1);
    assert_int_equal(registry->function_count, 2);
    assert_int_equal(registry->egress_count, 1);
    const struct endpoint_config *endpoint = &registry->endpoints[0];
    assert_text(endpoint->url, "http://functions:8000/");
    assert_int_equal(endpoint->timeout_ms, 120000);
    assert_int_equal(endpoint->connect_ms, 10000);
    assert_int_equal(endpoint->in_flight, 0);
    assert_int_equal(endpoint->batch_messages_max, 100);
    assert_int_equal(endpoint->batch_bytes_max, 512 * 1024);
    assert_int_equal(endpoint->answer_bytes_max, LIMIT_ANSWER_BYTES_DEFAULT);
    assert_int_equal(endpoint->mailbox_messages_max, 100000);
    assert_true(endpoint->run_ahead);
    assert_int_equal(endpoint->retry.first_ms, 50);
    assert_int_equal(endpoint->retry.factor_permille, 2000);
    assert_int_equal(endpoint->retry.max_ms, 30000);
    assert_int_equal(endpoint->retry.attempts, 20);
    assert_int_equal(endpoint->retry.then, RETRY_BLOCK);
    assert_text(registry->functions[0].takes, "io.statefun.types/int");
    assert_text(registry->functions[1].name, "*");
    assert_int_equal(registry->functions[1].takes.size, 0);
    assert_text(registry->egresses[0].space, "example");
    assert_text(registry->egresses[0].name, "receipts");
    assert_int_equal(registry->egresses[0].bytes_max, 1 << 30);
}

static void the_defaults_are_those_of_the_example(void **state)
{
    (void)state;
    assert_int_equal(add(config_proa_kinds[0].example), ERR_NONE);
    assert_int_equal(
        add("---\nkind: proa.v1/endpoint\nspec:\n  functions: {x/y: }\n  url: http://functions:8000/\n---\n"),
        ERR_NONE);
    assert_int_equal(config_add_function(config, "z/*=http://functions:8000/", &messages), ERR_NONE);
    take_registry();
    assert_int_equal(registry->endpoint_count, 3);
    for (size_t i = 1; i < 3; i++) {
        struct endpoint_config endpoint = registry->endpoints[i];
        assert_true(slice_equal(endpoint.url, registry->endpoints[0].url));
        endpoint.url = registry->endpoints[0].url;
        assert_int_equal(endpoint.timeout_ms, registry->endpoints[0].timeout_ms);
        assert_int_equal(endpoint.batch_bytes_max, registry->endpoints[0].batch_bytes_max);
        assert_int_equal(endpoint.run_ahead, registry->endpoints[0].run_ahead);
        assert_memory_equal(&endpoint.retry, &registry->endpoints[0].retry, sizeof endpoint.retry);
    }
    assert_int_equal(registry->functions[2].endpoint, 1);
    assert_int_equal(registry->functions[3].endpoint, 2);
}

static void every_key_has_its_place(void **state)
{
    (void)state;
    assert_int_equal(add(HEAD "  url: https://[::1]:8443/f/{function.name}?q=1\n"
                              "  call: {timeout: 3s, in_flight: 7, batch: 9, batch_bytes: 1MiB, run_ahead: false}\n"
                              "  retry:\n    first: 1s\n    factor: 1.5\n    max: 1h\n    attempts: 3\n    then: drop\n"
                              "---\nkind: proa.v1/egress\nspec: {name: e/f, queue: {max_bytes: 2KiB}}\n"),
                     ERR_NONE);
    take_registry();
    const struct endpoint_config *endpoint = &registry->endpoints[0];
    assert_text(endpoint->url, "https://[::1]:8443/f/{function.name}?q=1");
    assert_int_equal(endpoint->timeout_ms, 3000);
    assert_int_equal(endpoint->connect_ms, 3000);
    assert_int_equal(endpoint->in_flight, 7);
    assert_int_equal(endpoint->batch_messages_max, 9);
    assert_int_equal(endpoint->batch_bytes_max, 1 << 20);
    assert_false(endpoint->run_ahead);
    assert_int_equal(endpoint->retry.first_ms, 1000);
    assert_int_equal(endpoint->retry.factor_permille, 1500);
    assert_int_equal(endpoint->retry.max_ms, 3600000);
    assert_int_equal(endpoint->retry.attempts, 3);
    assert_int_equal(endpoint->retry.then, RETRY_DROP);
    assert_int_equal(registry->egresses[0].bytes_max, 2048);
}

static void certificates_are_files(void **state)
{
    (void)state;
    assert_int_equal(
        add(HEAD "  url: https://h/\n  tls: {ca: /ca.pem, cert: c.pem, key: file:/k.pem, key_password: p}\n"),
        ERR_NONE);
    assert_int_equal(add("kind: proa.v1/endpoint\nspec: {functions: {c/d: {}}, url: https://h/}\n"), ERR_NONE);
    take_registry();
    const struct tls_config *tls = &registry->endpoints[0].tls;
    assert_text(tls->ca.path, "/ca.pem");
    assert_text(tls->ca.where, "m.yaml:5: tls.ca");
    assert_text(tls->cert.path, "c.pem");
    assert_text(tls->cert.where, "m.yaml:5: tls.cert");
    assert_text(tls->key.path, "/k.pem");
    assert_text(tls->key_password.path, "p");
    assert_false(tls->no_verify);
    tls = &registry->endpoints[1].tls;
    assert_int_equal(tls->ca.path.size + tls->cert.path.size + tls->key.path.size + tls->key_password.path.size, 0);
    assert_false(tls->no_verify);
}

static void versions_of_http(void **state)
{
    (void)state;
    assert_int_equal(add(HEAD URL
                         "---\nkind: proa.v1/endpoint\nspec: {functions: {a/c: {}}, url: http://h/, http: h2c}\n"
                         "---\nkind: proa.v1/endpoint\n"
                         "spec: {functions: {a/d: {}}, url: 'https://h/', http: 1.1}\n"
                         "---\nkind: proa.v1/endpoint\n"
                         "spec: {functions: {a/e: {}}, url: 'http+unix:///f.sock', http: 'h2c'}\n"),
                     ERR_NONE);
    take_registry();
    assert_int_equal(registry->endpoints[0].http, HTTP_1_1);
    assert_int_equal(registry->endpoints[1].http, HTTP_H2C);
    assert_int_equal(registry->endpoints[2].http, HTTP_1_1);
    assert_int_equal(registry->endpoints[3].http, HTTP_H2C);
}

static void not_to_verify_is_warned_of(void **state)
{
    (void)state;
    assert_int_equal(add(HEAD "  url: https://h/\n  tls: {verify: false}\n"), ERR_NONE);
    assert_string_equal(said(),
                        "m.yaml:5: warning: tls.verify: false: whoever answers at this address is taken for the "
                        "endpoint\n");
    buf_clear(&messages);
    take_registry();
    assert_true(registry->endpoints[0].tls.no_verify);
}

static void assert_socket(const char *url, const char *socket)
{
    char text[512];

    begin_again();
    (void)snprintf(text, sizeof text, HEAD "  url: %s\n", url);
    assert_int_equal(add(text), ERR_NONE);
    take_registry();
    assert_text(registry->endpoints[0].url, url);
    assert_text(registry->endpoints[0].socket, socket);
}

static void a_url_may_name_a_unix_socket(void **state)
{
    (void)state;
    assert_socket("http+unix:///f.sock", "/f.sock");
    assert_socket("http+unix:///f.sock?q=/b.sock", "/f.sock");
    assert_socket("http+unix:///var/run/f.sock/a/g.sock/{function.name}?n={function.name}", "/var/run/f.sock");
    assert_socket("http+unix:///f.socks/.sock/x", "/f.socks/.sock");
    assert_socket("http+unix:///" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1.sock/",
                  "/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1.sock");
    assert_socket("http://h/f.sock/a", "");
}

static void mistakes_in_values(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HEAD URL "  call: {timeout: 2}\n",
         "m.yaml:5: call.timeout: '2' cannot be read; write an integer and one of ms, "
         "s, m, h and d, as in 30s\n"},
        {HEAD URL "  call: {timeout: 0s}\n", "m.yaml:5: call.timeout: 0s is out of range; it may be 1ms to 1d\n"},
        {HEAD URL "  call: {batch: 1e3}\n",
         "m.yaml:5: call.batch: '1e3' cannot be read; write a whole number, as in 100\n"},
        {HEAD URL "  call: {batch: -1}\n",
         "m.yaml:5: call.batch: '-1' cannot be read; write a whole number, as in 100\n"},
        {HEAD URL "  call: {batch: 99999999999999999999}\n",
         "m.yaml:5: call.batch: '99999999999999999999' cannot be read; "
         "write a whole number, as in 100\n"},
        {HEAD URL "  call: {batch_bytes: 1KB}\n", "m.yaml:5: call.batch_bytes: '1KB' cannot be read; write an integer, "
                                                  "alone or with one of KiB, MiB, GiB and TiB, "
                                                  "as in 512KiB\n"},
        {HEAD URL "  call: {batch_bytes: 65MiB}\n",
         "m.yaml:5: call.batch_bytes: 65MiB is out of range; it may be 1 to 64MiB\n"},
        {HEAD URL "  call: {in_flight: 1025}\n",
         "m.yaml:5: call.in_flight: 1025 is out of range; it may be 1 to 1024\n"},
        {HEAD URL "  call: {in_flight: 0}\n",
         "m.yaml:5: call.in_flight: '0' cannot be read; write auto or a whole number\n"},
        {HEAD URL "  call: {run_ahead: yes}\n",
         "m.yaml:5: call.run_ahead: 'yes' cannot be read; write true or false\n"},
        {HEAD URL "  retry: {factor: 0.5}\n", "m.yaml:5: retry.factor: 0.5 is out of range; it may be 1 to 100\n"},
        {HEAD URL "  retry: {factor: 2.}\n",
         "m.yaml:5: retry.factor: '2.' cannot be read; write a decimal number with at "
         "most three digits after the point, as in 1.5\n"},
        {HEAD URL "  retry: {then: stop}\n", "m.yaml:5: retry.then: 'stop' is none of: block park drop\n"},
        {HEAD URL "  retry:\n    first: 2s\n    max: 1s\n",
         "m.yaml:7: retry.max (1s) is shorter than retry.first (2s)\n"},
        {HEAD URL "  retry:\n    first: 31s\n", "m.yaml:6: retry.max (30s) is shorter than retry.first (31s)\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {takes: int}}\n" URL,
         "m.yaml:3: takes: 'int' is not the type of a value; write namespace/name, as in "
         "io.statefun.types/int\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {takes: io.statefun.types/itn}}\n" URL,
         "m.yaml:3: takes: 'io.statefun.types/itn' is no type that its namespace has; did you mean "
         "io.statefun.types/int?\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {takes: proa/bytes}, c/d: {takes: proa/byte}}\n" URL,
         "m.yaml:3: takes: 'proa/byte' is no type that its namespace has; did you mean proa/bytes?\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {takes: proa/none}}\n" URL,
         "m.yaml:3: takes: 'proa/none' is no type that its namespace has; did you mean proa/json?\n"},
        {"kind: proa.v1/egress\nspec: {name: a/b, queue: {max_bytes: 1}}\n",
         "m.yaml:2: queue.max_bytes: 1 is out of range; it may be 1KiB to 1TiB\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void mistakes_in_certificates(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HEAD "  url: https://h/\n  tls: {cert: c}\n",
         "m.yaml:5: tls.cert is of no use without tls.key; write both or none\n"},
        {HEAD "  url: https://h/\n  tls: {key: k, key_password: p}\n",
         "m.yaml:5: tls.key is of no use without tls.cert; write both or none\n"},
        {HEAD "  url: https://h/\n  tls: {key_password: p}\n",
         "m.yaml:5: tls.key_password is of no use without tls.key; write both or none\n"},
        {HEAD URL "  tls:\n    ca: c\n    verify: true\n",
         "m.yaml:6: tls.ca: there are no certificates without https:// in the url\n"
         "m.yaml:7: tls.verify: there are no certificates without https:// in the url\n"},
        {HEAD "  url: https://h/\n  tls: {ca: c, verify: false}\n",
         "m.yaml:5: tls.ca: with tls.verify: false nothing is held against it; leave one of them out\n"},
        {HEAD "  url: https://h/\n  tls: {ca: }\n  call: {batch: 0}\n",
         "m.yaml:5: tls.ca: it is empty\nm.yaml:6: call.batch: 0 is out of range; it may be 1 to 10000\n"},
        {HEAD "  url: https://h/\n  http: h2c\n",
         "m.yaml:5: http: h2c is HTTP/2 without TLS; with https:// write 1.1\n"},
        {HEAD URL "  http: 2\n", "m.yaml:5: http: '2' is none of: 1.1 h2c\n"},
        {HEAD "  url: https://h/\n  tls: {ca: 'classpath:ca'}\n",
         "m.yaml:5: tls.ca: 'classpath:ca' lies on a Java class path, which there is none of here; name a file\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_example_of_the_page),
        TEST(the_defaults_are_those_of_the_example),
        TEST(every_key_has_its_place),
        TEST(certificates_are_files),
        TEST(versions_of_http),
        TEST(not_to_verify_is_warned_of),
        TEST(a_url_may_name_a_unix_socket),
        TEST(mistakes_in_values),
        TEST(mistakes_in_certificates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
