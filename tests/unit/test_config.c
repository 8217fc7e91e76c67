/* SPDX-License-Identifier: Apache-2.0
 *
 * The module file: what it makes, and every mistake with its line.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "config_kind.h"
#include "limit.h"
#include "page.h"
#include "registry.h"

static struct config *config;
static struct buf messages;
static struct registry *registry;

static int set_up(void **state)
{
    (void)state;
    config = config_create();
    registry = NULL;
    buf_init(&messages, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_destroy(config);
    registry_destroy(registry);
    buf_done(&messages);
    return 0;
}

static const char *environment(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "NAME") == 0) {
        return "counter";
    }
    if (strcmp(name, "BAD") == 0) {
        return "\xFF";
    }
    return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static enum err_code add(const char *text)
{
    return config_add_module(
        config, &(struct config_input){.text = slice_of(text), .file_name = "m.yaml", .getenv = environment},
        &messages);
}

static const char *said(void)
{
    static char text[1 << 16];

    assert_true(messages.size < sizeof text);
    if (messages.size > 0) {
        memcpy(text, messages.data, messages.size);
    }
    text[messages.size] = '\0';
    return text;
}

static void take(void)
{
    const enum err_code code = config_take_registry(config, &registry, &messages);

    assert_string_equal(said(), "");
    assert_int_equal(code, ERR_NONE);
}

static void assert_text(struct slice found, const char *expected)
{
    assert_true(slice_equal(found, slice_of(expected)));
}

#define HEAD "kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {}}\n"
#define URL "  url: http://h/\n"
#define TEN "1234567890"

/* ---- what it makes -------------------------------------------------------------------------------------- */

static void the_example_of_the_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_proa_kind_count; i++) {
        assert_int_equal(add(config_proa_kinds[i].example), ERR_NONE);
    }
    take();
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
    take();
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
    take();
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
    take();
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
    take();
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
    take();
    assert_true(registry->endpoints[0].tls.no_verify);
}

static void assert_socket(const char *url, const char *socket)
{
    char text[512];

    config_destroy(config);
    registry_destroy(registry);
    config = config_create();
    (void)snprintf(text, sizeof text, HEAD "  url: %s\n", url);
    assert_int_equal(add(text), ERR_NONE);
    take();
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

static void variables_stand_in_any_scalar(void **state)
{
    (void)state;
    assert_int_equal(add("kind: proa.v1/${KIND:-endpoint}\nspec:\n  functions: {'a/${NAME}': {}}\n"
                         "  url: http://${HOST:-h}${EMPTY}/${EMPTY:-x}/$HOME\n"
                         "  call: {batch: \"${BATCH:-3}\"}\n"),
                     ERR_NONE);
    take();
    assert_text(registry->functions[0].name, "counter");
    assert_text(registry->endpoints[0].url, "http://h/x/$HOME");
    assert_int_equal(registry->endpoints[0].batch_messages_max, 3);
}

static void flags_make_endpoints(void **state)
{
    (void)state;
    assert_int_equal(config_add_function(config, "a/*=http://h:1/", &messages), ERR_NONE);
    assert_int_equal(config_add_function(config, "b/c=http://h:2/?a=b", &messages), ERR_NONE);
    assert_int_equal(config_add_function(config, "b/d=http://h:1/", &messages), ERR_NONE);
    assert_int_equal(config_add_egress(config, "a/out", &messages), ERR_NONE);
    take();
    assert_int_equal(registry->endpoint_count, 2);
    assert_int_equal(registry->function_count, 3);
    assert_int_equal(registry->functions[2].endpoint, 0);
    assert_text(registry->endpoints[1].url, "http://h:2/?a=b");
    assert_int_equal(registry->egresses[0].bytes_max, 1 << 30);
    assert_int_equal(registry_egress(registry, SLICE("a"), SLICE("out")), 0);
}

/* ---- what it says --------------------------------------------------------------------------------------- */

struct wrong {
    const char *text;
    const char *says;
};

static void assert_wrong(const struct wrong *wrongs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        config_destroy(config);
        config = config_create();
        buf_clear(&messages);
        assert_int_equal(add(wrongs[i].text), ERR_CONFIG);
        assert_string_equal(said(), wrongs[i].says);
        assert_int_equal(config_take_registry(config, &registry, &messages), ERR_CONFIG);
    }
}

static void mistakes_in_keys(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HEAD URL "  cal: {timeout: 2m}\n", "m.yaml:5: cal is not a known key; did you mean call?\n"},
        {HEAD URL "  call:\n    timeuot: 2m\n",
         "m.yaml:6: call.timeuot is not a known key; did you mean call.timeout?\n"},
        {HEAD URL "  timeout: 2m\n", "m.yaml:5: timeout is not a known key here; did you mean spec.call.timeout?\n"},
        {HEAD URL "  call.timeout: 2m\n", "m.yaml:5: call.timeout is not a known key of spec\n"},
        {HEAD URL "  zzzzzz: 1\n", "m.yaml:5: zzzzzz is not a known key of spec\n"},
        {HEAD URL "  \"a\\eb\": 1\n", "m.yaml:5: a?b is not a known key of spec\n"},
        {HEAD URL "  url: http://i/\n", "m.yaml:5: the key 'url' stands here again; it is first on line 4\n"},
        {HEAD URL "  '': 1\n", "m.yaml:5: a key is empty\n"},
        {HEAD, "m.yaml:2: spec has no key url, which must be there\n"},
        {"kind: proa.v1/endpoint\nspec:\n", "m.yaml:2: spec has no key functions, which must be there\n"
                                            "m.yaml:2: spec has no key url, which must be there\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions:\n" URL,
         "m.yaml:3: functions is empty; name at least one, as in example/*: {}\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {takse: x/y}}\n" URL,
         "m.yaml:3: takse is not a known key; did you mean takes?\n"},
        {"spec: {}\n", "m.yaml:1: this document has no key kind, which must be there\n"},
        {"\nkind: proa.v1/egress\n", "m.yaml:2: this document has no key spec, which must be there\n"},
        {"kind: proa.v1/egress\nspce: {}\nspec: {name: a/b}\n",
         "m.yaml:2: spce is not a known key; did you mean spec?\n"},
        {"kind: proa.v1/egress\nmetadata: {}\nspec: {name: a/b}\n",
         "m.yaml:2: metadata is not a known key; a document has kind and spec\n"},
        {"kind: proa.v1/egres\nspec: {name: a/b}\n",
         "m.yaml:1: kind: 'proa.v1/egres' is not a known kind; did you mean proa.v1/egress?\n"},
        {"kind: [a]\nspec: {name: a/b}\n", "m.yaml:1: kind: '' is not a known kind; did you mean proa.v1/endpoint?\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void mistakes_in_kinds_of_nodes(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {"just text\n", "m.yaml:1: a document is a mapping with the keys kind and spec\n"},
        {"- a\n", "m.yaml:1: a document is a mapping with the keys kind and spec\n"},
        {"kind: proa.v1/egress\nspec: 5\n", "m.yaml:2: spec is a mapping of keys, not a single value\n"},
        {"kind: proa.v1/egress\nspec: [5]\n", "m.yaml:2: spec is a mapping of keys, not a list\n"},
        {HEAD URL "  call: 5\n", "m.yaml:5: call is a mapping of its own keys, not a single value\n"},
        {HEAD URL "  call:\n    - 5\n", "m.yaml:6: call is a mapping of its own keys, not a list\n"},
        {HEAD URL "  call:\n    batch: {a: 5}\n", "m.yaml:6: call.batch is a single value, not a mapping\n"},
        {HEAD URL "  call: {batch: [5]}\n", "m.yaml:5: call.batch is a single value, not a list\n"},
        {HEAD URL "  call: {batch: }\n", "m.yaml:5: call.batch: it is empty\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: [a/b]\n" URL,
         "m.yaml:3: functions is a mapping; write one key a line, each with a colon\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: a/b\n" URL,
         "m.yaml:3: functions is a mapping; write one key a line, each with a colon\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: x/y}\n" URL,
         "m.yaml:3: a/b is a mapping of keys, not a single value\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
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

#define FUNCTION(pattern) "kind: proa.v1/endpoint\nspec:\n  functions:\n    " pattern ": {}\n" URL
#define EGRESS(name) "kind: proa.v1/egress\nspec: {name: " name "}\n"

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

static void mistakes_in_names(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {FUNCTION("counter"), "m.yaml:4: 'counter' does not name functions; write namespace/name or namespace/*\n"},
        {FUNCTION("a/b/c"), "m.yaml:4: 'a/b/c' does not name functions; write namespace/name or namespace/*\n"},
        {FUNCTION("a/b c"), "m.yaml:4: 'a/b c' does not name functions; write namespace/name or namespace/*\n"},
        {FUNCTION("a/b*"), "m.yaml:4: 'a/b*': a star stands only for the whole name, as in namespace/*\n"},
        {FUNCTION("'*/b'"), "m.yaml:4: '*/b': a star stands only for the whole name, as in namespace/*\n"},
        {FUNCTION("proa/*"), "m.yaml:4: the namespace proa belongs to the host; choose another\n"},
        {FUNCTION("proa/reply"), "m.yaml:4: the namespace proa belongs to the host; choose another\n"},
        {FUNCTION("v1/x"), "m.yaml:4: the namespace v1 belongs to the host; choose another\n"},
        {EGRESS("receipts"), "m.yaml:2: name: 'receipts' does not name an egress; write namespace/name, as in "
                             "example/receipts\n"},
        {EGRESS("a/*"),
         "m.yaml:2: name: 'a/*' does not name an egress; write namespace/name, as in example/receipts\n"},
        {EGRESS("proa/x"), "m.yaml:2: name: the namespace proa belongs to the host; choose another\n"},
        {EGRESS("v1/x"), "m.yaml:2: name: the namespace v1 belongs to the host; choose another\n"},
        {FUNCTION("a/b") "---\n" FUNCTION("a/b"), "m.yaml:10: a/b already has an endpoint, given at m.yaml:4\n"},
        {EGRESS("a/b") "---\n" EGRESS("a/b"), "m.yaml:5: the egress a/b is already there, given at m.yaml:2\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

#define NO_SOCKET                                                                                                  \
    "names no Unix socket; write three slashes and a path with a file that ends in .sock, as in http+unix:///run/" \
    "functions.sock/path\n"

static void mistakes_in_urls(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HEAD "  url: http+unix:///f\n", "m.yaml:4: url: 'http+unix:///f' " NO_SOCKET},
        {HEAD "  url: http+unix:///f.sock2/.soc\n", "m.yaml:4: url: 'http+unix:///f.sock2/.soc' " NO_SOCKET},
        {HEAD "  url: http+unix:///f?x.sock\n", "m.yaml:4: url: 'http+unix:///f?x.sock' " NO_SOCKET},
        {HEAD "  url: http+unix://h/f.sock/\n", "m.yaml:4: url: 'http+unix://h/f.sock/' " NO_SOCKET},
        {HEAD "  url: http+unix:/f.sock/\n",
         "m.yaml:4: url: 'http+unix:/f.sock/' is not a URL of a function; it begins with http://, https:// or "
         "http+unix:///\n"},
        {HEAD "  url: http+unix:///{function.name}/f.sock\n",
         "m.yaml:4: url: 'http+unix:///{function.name}/f.sock' has {function.name} in the path of its socket; it may "
         "stand only behind it\n"},
        {HEAD "  url: http+unix:///a%20b.sock/\n",
         "m.yaml:4: url: 'http+unix:///a%20b.sock/': the path of a socket is taken as it stands; write it without %\n"},
        {HEAD "  url: http+unix:///" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123.sock/\n",
         "m.yaml:4: url: 'http+unix:///" TEN TEN TEN TEN TEN TEN
         "1234567…' is too long for a Unix socket; its path has at most 107 bytes\n"},
        {HEAD "  url: localhost:8000\n", "m.yaml:4: url: 'localhost:8000' is not a URL of a function; it begins with "
                                         "http://, https:// or http+unix:///\n"},
        {HEAD "  url: ftp://h/\n", "m.yaml:4: url: 'ftp://h/' is not a URL of a function; it begins with http://, "
                                   "https:// or http+unix:///\n"},
        {HEAD "  url: http:///x\n", "m.yaml:4: url: 'http:///x' names no host; write http://host:port/path\n"},
        {HEAD "  url: http://h:/x\n", "m.yaml:4: url: 'http://h:/x' has no port between 1 and 65535 after the host\n"},
        {HEAD "  url: http://h:65536\n",
         "m.yaml:4: url: 'http://h:65536' has no port between 1 and 65535 after the host\n"},
        {HEAD "  url: http://h:x/\n", "m.yaml:4: url: 'http://h:x/' has no port between 1 and 65535 after the host\n"},
        {HEAD "  url: http://[::1/\n", "m.yaml:4: url: 'http://[::1/' names no host; write http://host:port/path\n"},
        {HEAD "  url: http://[::1]8/\n",
         "m.yaml:4: url: 'http://[::1]8/' names no host; write http://host:port/path\n"},
        {HEAD "  url: http://a,b/\n", "m.yaml:4: url: 'http://a,b/' names no host; write http://host:port/path\n"},
        {HEAD "  url: http://u:p@h/\n", "m.yaml:4: url: the URL holds a user name or password; those are not sent to "
                                        "functions\n"},
        {HEAD "  url: http://h/a b\n", "m.yaml:4: url: 'http://h/a b' holds a space or a control character; write it "
                                       "percent-encoded\n"},
        {HEAD "  url: http://h/#a\n", "m.yaml:4: url: 'http://h/#a' has a fragment (#), which is never sent; leave it "
                                      "out\n"},
        {HEAD "  url: http://h/{function.id}\n",
         "m.yaml:4: url: 'http://h/{function.id}' has a brace that is not part of "
         "{function.name}, the one thing substituted\n"},
        {HEAD "  url: http://{function.name}/\n", "m.yaml:4: url: 'http://{function.name}/' has {function.name} in its "
                                                  "host; it may stand only in the path\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void mistakes_in_variables(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HEAD "  url: ${GONE}\n", "m.yaml:4: the environment variable GONE is not set; set it or write "
                                  "${GONE:-default}\n"},
        {HEAD "  url: http://h/${NAME\n",
         "m.yaml:4: '${NAME' has no closing brace; write $${ for the characters themselves\n"},
        {HEAD "  url: ${NAME-x}\n", "m.yaml:4: ${NAME-x} cannot be read; write ${NAME} or ${NAME:-default}\n"},
        {HEAD "  url: ${}\n", "m.yaml:4: ${} cannot be read; write ${NAME} or ${NAME:-default}\n"},
        {HEAD "  url: ${1A}\n", "m.yaml:4: ${1A} cannot be read; write ${NAME} or ${NAME:-default}\n"},
        {HEAD "  url: ${A:-${NAME}}\n", "m.yaml:4: ${A:-${NAME}: a default cannot hold a variable\n"},
        {HEAD "  url: ${BAD}\n", "m.yaml:4: this text is not UTF-8 without NUL\n"},
        {HEAD "  url: ${EMPTY}\n", "m.yaml:4: url: it is empty\n"},
        {HEAD "  url: \"http://h/\\0\"\n", "m.yaml:4: this text is not UTF-8 without NUL\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void mistakes_in_yaml(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {EGRESS("a/b") "---\na: b: c\n",
         "m.yaml:4: this is not YAML: mapping values are not allowed in this context\n"},
        {EGRESS("a/x/y") "---\nkind: [\n",
         "m.yaml:5: this is not YAML: while parsing a flow node, did not find expected "
         "node content\n"
         "m.yaml:2: name: 'a/x/y' does not name an egress; write namespace/name, as in "
         "example/receipts\n"},
        {"kind: proa.v1/egress\nspec:\n\tname: a/b\n",
         "m.yaml:3: this is not YAML: while scanning for the next token, found character that cannot start any token; "
         "indent with spaces, not tabs\n"},
        {"a: 1\nb: \x01\n", "m.yaml:2: this is not YAML: control characters are not allowed\n"},
        {"kind: &k proa.v1/egress\nspec: {name: a/b}\n",
         "m.yaml:1: anchors (&name) are not taken; write each value out\n"},
        {"kind: proa.v1/egress\nspec: {name: *n}\n", "m.yaml:2: aliases (*name) are not taken; write the value out\n"},
        {"kind: proa.v1/egress\nspec: {name: !!str a/b}\n", "m.yaml:2: tags (!name) are not taken; leave it out\n"},
        {"kind: proa.v1/egress\n? [a]\n: b\n", "m.yaml:2: a key is a text, not a mapping or a list\n"},
        {HEAD URL "  call: {batch: ${NAME}}\n",
         "m.yaml:5: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'; within braces, a "
         "text that holds braces needs quotes\n"},
        {"? *a\n: b\n", "m.yaml:1: aliases (*name) are not taken; write the value out\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void all_mistakes_at_once(void **state)
{
    (void)state;
    assert_int_equal(add("kind: proa.v1/endpoint\n"
                         "spec:\n"
                         "  functions:\n"
                         "    proa/x: {}\n"
                         "    a/b: {takes: 5}\n"
                         "  url: nowhere\n"
                         "  call: {timeout: soon, batch: \"${N}\"}\n"
                         "  retries: {}\n"
                         "---\n"
                         "kind: proa.v1/egress\n"
                         "spec: {nam: a/b}\n"),
                     ERR_CONFIG);
    const char *text = said();
    static const char *const begins[] = {
        "m.yaml:4: ",
        "m.yaml:5: ",
        "m.yaml:6: ",
        "m.yaml:7: call.timeout",
        "m.yaml:7: the environment",
        "m.yaml:8: retries is not a known key; did you mean retry?",
        "m.yaml:11: nam is",
        "m.yaml:11: spec has no key name",
    };
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        assert_non_null(strstr(text, begins[i]));
    }
}

/* ---- bounds --------------------------------------------------------------------------------------------- */

static char *repeat(const char *head, const char *part, size_t count, const char *tail)
{
    struct buf buf;

    buf_init(&buf, 4 << 20);
    buf_append_text(&buf, head);
    for (size_t i = 0; i < count; i++) {
        buf_append_text(&buf, part);
    }
    buf_append_text(&buf, tail);
    buf_append_u8(&buf, 0);
    assert_false(buf.overflow);
    return (char *)buf.data;
}

static void assert_bounded(char *text, const char *says)
{
    config_destroy(config);
    config = config_create();
    buf_clear(&messages);
    assert_int_equal(add(text), ERR_CONFIG);
    if (strstr(said(), says) == NULL) {
        fail_msg("'%s' is not in '%.300s'", says, said());
    }
    free(text);
}

static void files_are_bounded(void **state)
{
    (void)state;
    assert_bounded(repeat("", "#234567890123456789012345678901\n", 32769, ""), "m.yaml: the file has 1048608 bytes");
    assert_bounded(repeat("", "[", 100, ""), "m.yaml:1: the file is nested too deeply");
    assert_bounded(repeat("", "{a: ", 100, ""), "m.yaml:1: the file is nested too deeply");
    assert_bounded(repeat("a: [", "b,", 70000, "]"), "m.yaml:1: the file has too many entries");
    assert_bounded(repeat("", "---\na: b\n", 1025, ""), "m.yaml:2049: the file has too many documents");
    assert_bounded(repeat("a: ${A:-", "x", 65537, "}\n"), "m.yaml:1: this text is longer than 65536 bytes");
    assert_bounded(repeat("- &a [x]\n", "- *a\n", 100, ""), "m.yaml:2: aliases (*name) are not taken");
    assert_bounded(repeat("", "- &a [x]\n", 300, ""), "m.yaml: there are more errors, which are not shown");

    struct buf keys;
    buf_init(&keys, 1 << 20);
    for (int i = 0; i < 5000; i++) {
        buf_appendf(&keys, "k%d: 1\n", i);
    }
    buf_append_u8(&keys, 0);
    assert_bounded((char *)keys.data, "m.yaml:4097: this mapping has too many keys");
}

static void flags_are_checked(void **state)
{
    (void)state;
    assert_int_equal(config_add_function(config, "a/b", &messages), ERR_CONFIG);
    assert_int_equal(config_add_function(config, "b=localhost", &messages), ERR_CONFIG);
    assert_int_equal(config_add_function(config, "a/b=http://h/", &messages), ERR_NONE);
    assert_int_equal(config_add_function(config, "a/b=http://h/", &messages), ERR_CONFIG);
    assert_int_equal(config_add_egress(config, "x", &messages), ERR_CONFIG);
    assert_int_equal(config_add_egress(config, "x/y", &messages), ERR_NONE);
    assert_int_equal(config_add_egress(config, "x/y", &messages), ERR_CONFIG);
    assert_string_equal(said(), "--function: 'a/b' has no '='; write it as in example/*=http://localhost:8000/\n"
                                "--function: 'b' does not name functions; write namespace/name or namespace/*\n"
                                "--function: 'localhost' is not a URL of a function; it begins with http://, "
                                "https:// or http+unix:///\n"
                                "--function: a/b already has an endpoint, given by --function\n"
                                "--egress: 'x' does not name an egress; write namespace/name, as in example/receipts\n"
                                "--egress: the egress x/y is already there, given by --egress\n");
}

static void nothing_serves_a_function(void **state)
{
    (void)state;
    assert_int_equal(add(EGRESS("a/b")), ERR_NONE);
    assert_int_equal(config_take_registry(config, &registry, &messages), ERR_CONFIG);
    assert_string_equal(said(), "no endpoint serves a function; give --module FILE, or --function as in --function "
                                "'example/*=http://localhost:8000/'\n");
}

/* ---- texts ---------------------------------------------------------------------------------------------- */

static void durations_and_sizes(void **state)
{
    (void)state;
    uint64_t number = 0;

    assert_true(config_parse_duration(SLICE("10s"), &number) && number == 10000);
    assert_true(config_parse_duration(SLICE("500ms"), &number) && number == 500);
    assert_true(config_parse_duration(SLICE("2m"), &number) && number == 120000);
    assert_true(config_parse_duration(SLICE("1h"), &number) && number == 3600000);
    assert_true(config_parse_duration(SLICE("3d"), &number) && number == 3 * 86400000);
    assert_true(config_parse_bytes(SLICE("100"), &number) && number == 100);
    assert_true(config_parse_bytes(SLICE("512KiB"), &number) && number == 524288);
    assert_true(config_parse_bytes(SLICE("16777215TiB"), &number) && number == UINT64_C(16777215) << 40);
    static const char *const durations[] = {"",
                                            "s",
                                            "10",
                                            "10 s",
                                            "1.5s",
                                            "-1s",
                                            "+1s",
                                            "10sec",
                                            "10S",
                                            "1m30s",
                                            "18446744073709551616ms",
                                            "18446744073709551615s"};
    static const char *const sizes[] = {"", "KiB", "1KB", "1kib", "1.5MiB", " 1", "0x10", "16777216TiB"};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        assert_false(config_parse_duration(slice_of(durations[i]), &number));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_false(config_parse_bytes(slice_of(sizes[i]), &number));
    }
    assert_true(config_parse_factor(SLICE("2"), &number) && number == 2000);
    assert_true(config_parse_factor(SLICE("1.05"), &number) && number == 1050);
    assert_false(config_parse_factor(SLICE("1.0005"), &number));
    assert_false(config_parse_factor(SLICE(".5"), &number));
    assert_false(config_parse_factor(SLICE("1,5"), &number));
}

static void the_nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"timeout", "in_flight", "batch", "batch_bytes"};

    assert_string_equal(config_nearest(SLICE("timeuot"), names, 4), "timeout");
    assert_string_equal(config_nearest(SLICE("TimeOut"), names, 4), "timeout");
    assert_string_equal(config_nearest(SLICE("inflight"), names, 4), "in_flight");
    assert_string_equal(config_nearest(SLICE("batchbytes"), names, 4), "batch_bytes");
    assert_string_equal(config_nearest(SLICE("btch"), names, 4), "batch");
    assert_null(config_nearest(SLICE("concurrency"), names, 4));
    assert_null(config_nearest(SLICE(""), names, 4));
    assert_null(config_nearest(SLICE("x"), names, 0));
}

static void a_dollar_brace_can_be_written(void **state)
{
    (void)state;
    struct buf out;
    struct err err;

    buf_init(&out, 100);
    assert_int_equal(config_expand(SLICE("a$${NAME} ${NAME}$ {x} ${A:-}"), environment, NULL, &out, &err), ERR_NONE);
    assert_text(buf_slice(&out), "a${NAME} counter$ {x} ");
    buf_done(&out);
}

static void the_page_is_current(void **state)
{
    (void)state;
    struct buf page;

    buf_init(&page, 1 << 20);
    config_print_reference(&page);
    page_compare("docs/module.md", buf_slice(&page));
    buf_done(&page);
}

static void the_schema_is_current(void **state)
{
    (void)state;
    struct buf schema;

    buf_init(&schema, 1 << 20);
    config_print_schema(&schema);
    page_compare("docs/module.schema.json", buf_slice(&schema));
    buf_done(&schema);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_example_of_the_page),
        TEST(the_defaults_are_those_of_the_example),
        TEST(every_key_has_its_place),
        TEST(certificates_are_files),
        TEST(versions_of_http),
        TEST(not_to_verify_is_warned_of),
        TEST(a_url_may_name_a_unix_socket),
        TEST(variables_stand_in_any_scalar),
        TEST(flags_make_endpoints),
        TEST(mistakes_in_keys),
        TEST(mistakes_in_kinds_of_nodes),
        TEST(mistakes_in_values),
        TEST(mistakes_in_certificates),
        TEST(mistakes_in_names),
        TEST(mistakes_in_urls),
        TEST(mistakes_in_variables),
        TEST(mistakes_in_yaml),
        TEST(all_mistakes_at_once),
        TEST(files_are_bounded),
        TEST(flags_are_checked),
        TEST(nothing_serves_a_function),
        TEST(durations_and_sizes),
        TEST(the_nearest_name),
        TEST(a_dollar_brace_can_be_written),
        TEST(the_page_is_current),
        TEST(the_schema_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
