/* SPDX-License-Identifier: Apache-2.0
 *
 * test_statefun_module.c: StateFun's module files (sections 1.10 and 2 of its facts): what they make, and what is said
 * of the rest.
 */
#include "config_bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "limit.h"
#include "page.h"
#include "quantity.h"

/* The one endpoint a file makes, and what it was warned about. */
static const struct endpoint_config *take(const char *text, const char *says)
{
    begin_again();
    if (add(text) != ERR_NONE) {
        fail_msg("%s", said());
    }
    assert_string_equal(said(), says);
    assert_int_equal(config_take_registry(config, &registry, &messages), ERR_NONE);
    assert_int_equal(registry->endpoint_count, 1);
    return &registry->endpoints[0];
}

#define V2 "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/b\n  urlPathTemplate: http://h/\n"
#define V1 "kind: io.statefun.endpoints.v1/http\nspec:\n  functions: a/b\n  urlPathTemplate: http://h/\n"
#define ASYNC V2 "  transport:\n    type: io.statefun.transports.v1/async\n"
#define OKHTTP V2 "  transport:\n    type: io.statefun.transports.v1/okhttp\n"

/* ---- what it makes -------------------------------------------------------------------------------------- */

static void defaults_of_async(void **state)
{
    (void)state;
    const struct endpoint_config *endpoint = take(V2, "");

    assert_text(endpoint->url, "http://h/");
    assert_int_equal(endpoint->timeout_ms, 120000);
    assert_int_equal(endpoint->connect_ms, 20000);
    assert_int_equal(endpoint->answer_bytes_max, 33554432);
    assert_int_equal(endpoint->mailbox_messages_max, 1000);
    assert_int_equal(endpoint->in_flight, 0);
    assert_int_equal(endpoint->batch_messages_max, 100);
    assert_int_equal(endpoint->batch_bytes_max, 512 * 1024);
    assert_true(endpoint->run_ahead);
    assert_int_equal(endpoint->retry.first_ms, 50);
    assert_int_equal(endpoint->retry.max_ms, 30000);
    assert_int_equal(endpoint->retry.attempts, 20);
    assert_int_equal(endpoint->retry.then, RETRY_BLOCK);
    assert_int_equal(registry->function_count, 1);
    assert_text(registry->functions[0].space, "a");
    assert_text(registry->functions[0].name, "b");
    assert_int_equal(registry->functions[0].takes.size, 0);
    assert_int_equal(registry->functions[0].endpoint, 0);

    endpoint = take(V2 "  transport:\n", "");
    assert_int_equal(endpoint->timeout_ms, 120000);
    endpoint = take(ASYNC, "");
    assert_int_equal(endpoint->timeout_ms, 120000);
    endpoint = take(V2 "  transport: {call: 30 s}\n", ""); /* without a type it is async */
    assert_int_equal(endpoint->timeout_ms, 30000);
}

static void defaults_of_okhttp(void **state)
{
    (void)state;
    const char *const files[] = {OKHTTP, V1};

    for (size_t i = 0; i < 2; i++) {
        const struct endpoint_config *endpoint = take(files[i], "");
        assert_int_equal(endpoint->timeout_ms, 60000);
        assert_int_equal(endpoint->connect_ms, 10000);
        assert_int_equal(endpoint->answer_bytes_max, 33554432);
        assert_int_equal(endpoint->mailbox_messages_max, 1000);
        assert_int_equal(endpoint->retry.then, RETRY_BLOCK);
    }
}

static void every_key_of_async(void **state)
{
    (void)state;
    const struct endpoint_config *endpoint = take(
        "kind: io.statefun.endpoints.v2/http\n"
        "spec:\n"
        "  functions: com.example/*\n"
        "  urlPathTemplate: https://${FUNCTIONS}:8080/{function.name}?n={function.name}\n"
        "  maxNumBatchRequests: 10000\n"
        "  failureMode: DROP\n"
        "  transport:\n"
        "    type: io.statefun.transports.v1/async\n"
        "    call: 3 min\n"
        "    connect: 5s\n"
        "    pool_ttl: 0\n"
        "    pool_size: 10\n"
        "    payload_max_bytes: 1000\n",
        "m.yaml:11: warning: transport.pool_ttl has no effect: the host keeps idle connections by its own measure, "
        "and makes a call whose connection was closed meanwhile on a new one\n"
        "m.yaml:12: warning: transport.pool_size has no effect: there are as many connections as calls under way, "
        "and the host finds out how many calls an endpoint can take; proa.v1/endpoint has call.in_flight\n");

    assert_text(endpoint->url, "https://functions:8080/{function.name}?n={function.name}");
    assert_int_equal(endpoint->mailbox_messages_max, 10000);
    assert_int_equal(endpoint->retry.then, RETRY_DROP);
    assert_int_equal(endpoint->retry.attempts, 20);
    assert_int_equal(endpoint->timeout_ms, 180000);
    assert_int_equal(endpoint->connect_ms, 5000);
    assert_int_equal(endpoint->answer_bytes_max, 1000);
    assert_text(registry->functions[0].space, "com.example");
    assert_text(registry->functions[0].name, "*");
}

#define NO_EFFECT " has no effect: only the whole call has a deadline; waiting and sending are parts of it\n"

static void every_key_of_okhttp(void **state)
{
    (void)state;
    const struct endpoint_config *endpoint =
        take(OKHTTP "    timeouts:\n      call: 3 min\n      connect: 5s\n      read: 1s\n      write: 2s\n",
             "m.yaml:10: warning: transport.timeouts.read" NO_EFFECT
             "m.yaml:11: warning: transport.timeouts.write" NO_EFFECT);
    assert_int_equal(endpoint->timeout_ms, 180000);
    assert_int_equal(endpoint->connect_ms, 5000);

    endpoint = take(V1 "  maxNumBatchRequests: 5\n  timeouts:\n    call: 3 min\n    connect: 5s\n    read: 1s\n"
                       "    write: 2s\n",
                    "m.yaml:9: warning: timeouts.read" NO_EFFECT "m.yaml:10: warning: timeouts.write" NO_EFFECT);
    assert_int_equal(endpoint->timeout_ms, 180000);
    assert_int_equal(endpoint->connect_ms, 5000);
    assert_int_equal(endpoint->mailbox_messages_max, 5);
}

static void which_deadlines_count(void **state)
{
    (void)state;
    const struct endpoint_config *endpoint =
        take(ASYNC "    call: 3m\n    connect: 1s\n    timeouts: {call: 4m}\n",
             "m.yaml:7: warning: transport.call has no effect: transport.timeouts wins over it\n"
             "m.yaml:8: warning: transport.connect has no effect: transport.timeouts wins over it\n");
    assert_int_equal(endpoint->timeout_ms, 240000);
    assert_int_equal(endpoint->connect_ms, 10000);

    endpoint = take(ASYNC "    timeouts: {connect: 3s}\n", "");
    assert_int_equal(endpoint->timeout_ms, 60000);
    assert_int_equal(endpoint->connect_ms, 3000);

    endpoint = take(OKHTTP "    call: 3m\n    payload_max_bytes: 7\n",
                    "m.yaml:7: warning: transport.call is no key of okhttp and has no effect; write it under "
                    "transport.timeouts\n"
                    "m.yaml:8: warning: transport.payload_max_bytes is no key of okhttp and has no effect\n");
    assert_int_equal(endpoint->timeout_ms, 60000);
    assert_int_equal(endpoint->answer_bytes_max, 33554432);

    endpoint = take(ASYNC "    call: 5s\n", ""); /* the default of connect is longer, and nobody said it */
    assert_int_equal(endpoint->connect_ms, 5000);
    endpoint = take(ASYNC "    call: 5s\n    connect: 6s\n",
                    "m.yaml:8: warning: transport.connect is longer than the whole call, and is taken to be as long\n");
    assert_int_equal(endpoint->connect_ms, 5000);
    endpoint = take(ASYNC "    call: 365 days\n",
                    "m.yaml:7: warning: transport.call is taken as 1d, the longest deadline of a call\n");
    assert_int_equal(endpoint->timeout_ms, 86400000);
}

static void numbers_beyond_our_bounds(void **state)
{
    (void)state;
    const char *const off[] = {V2 "  maxNumBatchRequests: 0\n", V2 "  maxNumBatchRequests: -1\n"};

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(take(off[i], "")->mailbox_messages_max, UINT32_MAX);
    }
    assert_int_equal(take(V2 "  maxNumBatchRequests: 2147483647\n", "")->mailbox_messages_max, INT32_MAX);
    assert_int_equal(
        take(ASYNC "    payload_max_bytes: 67108865\n",
             "m.yaml:7: warning: transport.payload_max_bytes is taken as 67108864, the most an answer may have\n")
            ->answer_bytes_max,
        LIMIT_ANSWER_BYTES_MAX);
    assert_int_equal(take(ASYNC "    payload_max_bytes: 67108864\n", "")->answer_bytes_max, LIMIT_ANSWER_BYTES_MAX);
}

static void failure_modes_of_the_fork(void **state)
{
    (void)state;
    assert_int_equal(take(V2 "  failureMode: FAIL\n", "")->retry.then, RETRY_BLOCK);
    assert_int_equal(take(V2 "  failureMode: fail\n", "")->retry.then, RETRY_BLOCK);
    assert_int_equal(take(V2 "  failureMode: DROP\n", "")->retry.then, RETRY_DROP);
    assert_int_equal(take(V1 "  failureMode: drop\n", "")->retry.then, RETRY_DROP);
}

/* A name wins over a star wherever they stand, and our kinds and StateFun's live in one file. */
static void files_are_mixed(void **state)
{
    (void)state;
    assert_int_equal(add("---\n" V2 "---\nkind: io.statefun.endpoints.v1/http\nspec: {functions: a/*, urlPathTemplate: "
                         "http://i/}\n---\nkind: proa.v1/endpoint\nspec: {functions: {c/d: {}, c/*: {}}, url: "
                         "http://j/}\n---\nkind: proa.v1/egress\nspec: {name: a/out}\n---\n"),
                     ERR_NONE);
    assert_string_equal(said(), "");
    struct buf summary;
    buf_init(&summary, 1 << 16);
    config_print_summary(config, &summary);
    assert_text(buf_slice(&summary), "3 endpoints, 4 functions, 1 egress\n"
                                     "endpoint http://h/\n"
                                     "  function a/b\n"
                                     "endpoint http://i/\n"
                                     "  function a/*\n"
                                     "endpoint http://j/\n"
                                     "  function c/d\n"
                                     "  function c/*\n"
                                     "egress a/out\n");
    buf_done(&summary);
    assert_int_equal(config_take_registry(config, &registry, &messages), ERR_NONE);
    assert_int_equal(registry_function(registry, SLICE("a"), SLICE("b"))->endpoint, 0);
    assert_int_equal(registry_function(registry, SLICE("a"), SLICE("c"))->endpoint, 1);
    assert_int_equal(registry_function(registry, SLICE("c"), SLICE("x"))->endpoint, 2);
}

/* ---- what it says --------------------------------------------------------------------------------------- */

static void unknown_keys_are_warnings(void **state)
{
    (void)state;
    (void)take(
        "version: 5\nmetadata: {a: b}\n" V2 "  retries: 5\n  transport:\n    cal: 5s\n    timeouts: {al: {b: c}}\n"
        "    timeoots: {call: 5s}\n  call: 1s\n",
        "m.yaml:1: warning: version is not a known key; a document has kind and spec; it is passed over\n"
        "m.yaml:2: warning: metadata is not a known key; a document has kind and spec; it is passed over\n"
        "m.yaml:7: warning: retries is not a known key of spec; it is passed over\n"
        "m.yaml:9: warning: transport.cal is not a known key; did you mean transport.call?; it is passed over\n"
        "m.yaml:10: warning: transport.timeouts.al is not a known key; did you mean transport.timeouts.call?; it "
        "is passed over\n"
        "m.yaml:11: warning: transport.timeoots is not a known key; did you mean transport.timeouts?; it is "
        "passed over\n"
        "m.yaml:12: warning: call is not a known key here; did you mean spec.transport.timeouts.call?; it is "
        "passed over\n");
}

static void warnings_are_bounded(void **state)
{
    (void)state;
    struct buf text;

    buf_init(&text, 1 << 16);
    buf_append_text(&text, V2);
    for (int i = 0; i < 300; i++) {
        buf_appendf(&text, "  key%d: 1\n", i);
    }
    buf_append_u8(&text, 0);
    assert_int_equal(add((const char *)text.data), ERR_NONE);
    assert_non_null(strstr(said(), "m.yaml:104: warning: key99 is not"));
    assert_null(strstr(said(), "key100"));
    assert_non_null(strstr(said(), "m.yaml: warning: there are more warnings, which are not shown\n"));
    buf_done(&text);
}

#define FUNCTIONS(pattern) \
    "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: " pattern "\n  urlPathTemplate: http://h/\n"
#define TEMPLATE(url) "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/b\n  urlPathTemplate: " url "\n"

static void mistakes_in_endpoints(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {"kind: io.statefun.endpoints.v2/http\nspec:\n", "m.yaml:2: spec has no key functions, which must be there\n"
                                                         "m.yaml:2: spec has no key urlPathTemplate, which must be "
                                                         "there\n"},
        {"kind: io.statefun.endpoints.v2/http\n", "m.yaml:1: this document has no key spec, which must be there\n"},
        {FUNCTIONS("a"), "m.yaml:3: functions: 'a' does not name functions; write namespace/name or namespace/*\n"},
        {FUNCTIONS("a/b/c"),
         "m.yaml:3: functions: 'a/b/c' does not name functions; write namespace/name or namespace/*\n"},
        {FUNCTIONS("a/b*"), "m.yaml:3: functions: 'a/b*': a star stands only for the whole name, as in namespace/*\n"},
        {FUNCTIONS("v1/b"), "m.yaml:3: functions: the namespace v1 belongs to the host; choose another\n"},
        {FUNCTIONS("proa/*"), "m.yaml:3: functions: the namespace proa belongs to the host; choose another\n"},
        {FUNCTIONS("[a/b]"), "m.yaml:3: functions is a single value, not a list\n"},
        {FUNCTIONS("{a/b: {}}"), "m.yaml:3: functions is a single value, not a mapping\n"},
        {TEMPLATE("http+unix:///var/f/{function.name}"),
         "m.yaml:4: urlPathTemplate: 'http+unix:///var/f/{function.name}' names no Unix socket; write three slashes "
         "and "
         "a path with a file that ends in .sock, as in http+unix:///run/functions.sock/path\n"},
        {TEMPLATE("http://h/{function.namespace}"),
         "m.yaml:4: urlPathTemplate: 'http://h/{function.namespace}' has a brace that is not part of {function.name}, "
         "the one thing substituted\n"},
        {V2 "---\n" V1, "m.yaml:8: a/b already has an endpoint, given at m.yaml:3\n"},
        {V2 "  transport: {type: io.statefun.transports.v1/nio}\n",
         "m.yaml:5: transport.type: 'io.statefun.transports.v1/nio' is none of: io.statefun.transports.v1/async "
         "io.statefun.transports.v1/okhttp\n"},
        {V2 "  transport: async\n", "m.yaml:5: transport is a mapping of its own keys, not a single value\n"},
        {V2 "  maxNumBatchRequests: many\n", "m.yaml:5: maxNumBatchRequests: 'many' cannot be read; write a whole "
                                             "number, as in 1000; 0 or less switches it off\n"},
        {V2 "  maxNumBatchRequests: 2147483648\n",
         "m.yaml:5: maxNumBatchRequests: 2147483648 is out of range; it may be 0 to 2147483647\n"},
        {V2 "  failureMode: skip\n", "m.yaml:5: failureMode: 'skip' is none of: FAIL DROP fail drop\n"},
        {ASYNC "    call: soon\n",
         "m.yaml:7: transport.call: 'soon' cannot be read; write an integer and a unit, as in "
         "2m, 30 s or 500ms\n"},
        {ASYNC "    call: 0\n", "m.yaml:7: transport.call: it is no time at all; write at least 1ms\n"},
        {ASYNC "    payload_max_bytes: 0\n",
         "m.yaml:7: transport.payload_max_bytes: 0 is out of range; it may be 1 to 2147483647\n"},
        {OKHTTP "    timeouts: {read: -1s}\n",
         "m.yaml:7: transport.timeouts.read: '-1s' cannot be read; write an integer and "
         "a unit, as in 2m, 30 s or 500ms\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

#define HTTPS                                                                                       \
    "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/b\n  urlPathTemplate: https://h/\n" \
    "  transport:\n"

static void certificates_are_files(void **state)
{
    (void)state;
    const struct tls_config *tls = &take(HTTPS, "")->tls;

    assert_int_equal(tls->ca.path.size + tls->cert.path.size + tls->key.path.size + tls->key_password.path.size, 0);
    assert_false(tls->no_verify);
    tls = &take(HTTPS "    trust_cacerts: /ca.pem\n    client_cert: file:/c.pem\n    client_key: file:///k/k.pem\n"
                      "    client_key_password: p\n",
                "")
               ->tls;
    assert_text(tls->ca.path, "/ca.pem");
    assert_text(tls->ca.where, "m.yaml:6: transport.trust_cacerts");
    assert_text(tls->cert.path, "/c.pem");
    assert_text(tls->cert.where, "m.yaml:7: transport.client_cert");
    assert_text(tls->key.path, "/k/k.pem");
    assert_text(tls->key.where, "m.yaml:8: transport.client_key");
    assert_text(tls->key_password.path, "p");
    assert_text(tls->key_password.where, "m.yaml:9: transport.client_key_password");
    assert_false(tls->no_verify);
    tls = &take(ASYNC "    trust_cacerts: /ca.pem\n",
                "m.yaml:7: warning: transport.trust_cacerts has no effect: there are no certificates without https:// "
                "in urlPathTemplate\n")
               ->tls;
    assert_int_equal(tls->ca.path.size, 0);
    tls = &take(HTTPS "    type: io.statefun.transports.v1/okhttp\n    client_key: k\n",
                "m.yaml:7: warning: transport.client_key is no key of okhttp and has no effect\n")
               ->tls;
    assert_int_equal(tls->key.path.size, 0);
}

static void sockets_with_either_transport(void **state)
{
    (void)state;
    const char *const transports[] = {"async", "okhttp"};

    for (size_t i = 0; i < 2; i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/*\n"
                       "  urlPathTemplate: http+unix:///x.sock/{function.name}\n"
                       "  transport: {type: io.statefun.transports.v1/%s}\n",
                       transports[i]);
        const struct endpoint_config *endpoint = take(text, "");
        assert_text(endpoint->url, "http+unix:///x.sock/{function.name}");
        assert_text(endpoint->socket, "/x.sock");
    }
}

static void mistakes_in_certificates(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HTTPS "    client_cert: c\n",
         "m.yaml:6: transport.client_cert is of no use without transport.client_key; write both or none\n"},
        {HTTPS "    client_key: c\n",
         "m.yaml:6: transport.client_key is of no use without transport.client_cert; write both or none\n"},
        {HTTPS "    client_key_password: c\n",
         "m.yaml:6: transport.client_key_password is of no use without transport.client_key; write both or none\n"},
        {HTTPS "    trust_cacerts: classpath:certs/ca.pem\n",
         "m.yaml:6: transport.trust_cacerts: 'classpath:certs/ca.pem' lies on a Java class path, which there is none "
         "of here; name a file\n"},
        {HTTPS "    trust_cacerts: file://elsewhere/ca.pem\n",
         "m.yaml:6: transport.trust_cacerts: 'file://elsewhere/ca.pem' names no file of this machine; write a path, as "
         "in /etc/proa/ca.pem\n"},
        {HTTPS "    trust_cacerts: 'file:'\n",
         "m.yaml:6: transport.trust_cacerts: 'file:' names no file of this machine; write a path, as in "
         "/etc/proa/ca.pem\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {"kind: io.statefun.kafka.v1/egress\n",
         "m.yaml:1: kind io.statefun.kafka.v1/egress: the host does not write to Kafka yet; declare a proa.v1/egress "
         "with the same name, where the records wait\n"},
        {"kind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: 'k:9092'}\n---\n"
         "kind: io.statefun.kafka.v1/egress\nspec: {id: a/b}\n",
         "m.yaml:1: kind io.statefun.kafka.v1/ingress: the host does not read Kafka yet; let a consumer send each "
         "record to /v1/send/namespace/name/key of the ingress port\n"
         "m.yaml:4: kind io.statefun.kafka.v1/egress: the host does not write to Kafka yet; declare a proa.v1/egress "
         "with the same name, where the records wait\n"},
        {"kind: io.statefun.kinesis.v1/ingress\nspec:\n---\nkind: io.statefun.kinesis.v1/egress\nspec: {id: a/b}\n",
         "m.yaml:1: kind io.statefun.kinesis.v1/ingress: the host does not speak Kinesis; let a consumer send each "
         "record to /v1/send/namespace/name/key of the ingress port\n"
         "m.yaml:4: kind io.statefun.kinesis.v1/egress: the host does not speak Kinesis; declare a proa.v1/egress with "
         "the same name, where the records wait\n"},
        {"kind: io.statefun.endpoints.v3/http\nspec: {}\n",
         "m.yaml:1: kind: 'io.statefun.endpoints.v3/http' is not a known kind; did you mean "
         "io.statefun.endpoints.v2/http?\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

#define LEGACY                                                                                                 \
    "m.yaml:1: this is a module file of StateFun 3.0 or older (it has a version); write one document of kind " \
    "io.statefun.endpoints.v2/http for each of its endpoints, as StateFun 3.1 and later have it\n"

#define INGRESS(port) "kind: io.statefun.playground.v1/ingress\nspec: {port: " port "}\n---\n"

static void ports_of_the_playground(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {INGRESS("8090") INGRESS("8090"), "m.yaml:5: the port 8090 is already taken, given at m.yaml:2\n"},
        {"kind: io.statefun.playground.v1/ingress\nspec: {}\n",
         "m.yaml:2: spec has no key port, which must be there\n"},
        {INGRESS("65536"), "m.yaml:2: port: 65536 is out of range; it may be 0 to 65535\n"},
        {INGRESS("0") INGRESS("0") INGRESS("0") INGRESS("0") INGRESS("0") INGRESS("0") INGRESS("0") INGRESS("0")
             INGRESS("0"),
         "m.yaml:26: there are more than 8 ports of the playground\n"},
        {"kind: io.statefun.endpoints.v2/http\nspec: {functions: v1/*, urlPathTemplate: 'http://h/'}\n---\n"
         "kind: io.statefun.endpoints.v2/http\nspec: {functions: proa/*, urlPathTemplate: 'http://h/'}\n",
         "m.yaml:2: functions: the namespace v1 belongs to the host; choose another\n"
         "m.yaml:5: functions: the namespace proa belongs to the host; choose another\n"},
    };

    (void)take(V2 "---\n" INGRESS("8090") INGRESS("0"), "");
    assert_int_equal(registry->port_count, 2);
    assert_int_equal(registry->ports[0].port, 8090);
    assert_int_equal(registry->ports[1].port, 0);
    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

#define TOPICS(spec) "kind: io.statefun.playground.v1/egress\nspec: {" spec "}\n---\n"
#define OURS "kind: proa.v1/egress\nspec: {name: io.statefun.playground/egress}\n---\n"

static void topics_of_the_playground(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {TOPICS("port: 1, topics: [a]") TOPICS("port: 2, topics: [b, a]"),
         "m.yaml:5: the topic io.statefun.playground/a is already there, given at m.yaml:2\n"},
        {TOPICS("port: 1, topics: [a]") TOPICS("port: 1, topics: [b]"),
         "m.yaml:5: the port 1 is already taken, given at m.yaml:2\n"},
        {TOPICS("topics: [a]"), "m.yaml:2: spec has no key port, which must be there\n"},
        {TOPICS("port: 1"), "m.yaml:2: spec has no key topics, which must be there\n"},
        {TOPICS("port: 1, topics: []"), "m.yaml:2: topics is empty; name at least one, as in [greetings]\n"},
        {TOPICS("port: 1, topics: a"), "m.yaml:2: topics is a list; write it as in [one, two]\n"},
        {TOPICS("port: 1, topics: [[a], a/b, '', 'a b', '*']"),
         "m.yaml:2: a topic is a text, as in [greetings]\n"
         "m.yaml:2: a topic has no slash: it is one segment of a path\n"
         "m.yaml:2: a topic is one word of at most 128 bytes, as in [greetings]\n"
         "m.yaml:2: a topic is one word of at most 128 bytes, as in [greetings]\n"
         "m.yaml:2: a topic is one word of at most 128 bytes, as in [greetings]\n"},
        {OURS TOPICS("port: 1, topics: [a]"),
         "m.yaml:5: the egress io.statefun.playground/egress is already there, given at m.yaml:2\n"},
        {TOPICS("port: 1, topics: [a]") OURS,
         "m.yaml:5: the egress io.statefun.playground/egress is that of the playground, given at m.yaml:2\n"},
    };
    const struct slice space = SLICE("io.statefun.playground");

    (void)take(V2 "---\n" INGRESS("8090") TOPICS("port: 8091, topics: [greetings, receipts]")
                   TOPICS("port: 8090, topics: [late]"),
               "");
    assert_int_equal(registry->port_count, 3);
    assert_false(registry->ports[0].is_egress);
    assert_true(registry->ports[1].is_egress && registry->ports[2].is_egress);
    assert_int_equal(registry->egress_count, 3);
    assert_int_equal(registry->egresses[2].port, 2);
    assert_int_equal(registry->egresses[0].bytes_max, 1 << 30);
    assert_int_equal(registry_topic(registry, SLICE("receipts")), 1);
    assert_int_equal(registry_topic(registry, SLICE("other")), -1);
    assert_int_equal(registry_egress(registry, space, SLICE("receipts")), -1); /* functions name the egress only */
    assert_true(registry_is_playground(registry, space, SLICE("egress")));
    assert_false(registry_is_playground(registry, space, SLICE("receipts")));
    (void)take(V2 "---\n" OURS, "");
    assert_false(registry_is_playground(registry, space, SLICE("egress")));
    assert_int_equal(registry_egress(registry, space, SLICE("egress")), 0);
    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void the_form_of_3_0_is_refused(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {"version: \"3.0\"\nmodule:\n  meta: {type: remote}\n  spec:\n    endpoints:\n      - endpoint:\n"
         "          meta: {kind: http}\n          spec: {functions: a/*, urlPathTemplate: http://h/}\n",
         LEGACY},
        {"version: '1.0'\n", LEGACY},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

/* ---- texts ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    uint64_t ms;
} good_durations[] = {
    {"0", 0},
    {"500", 500},
    {"10ms", 10},
    {"10 ms", 10},
    {"10   milli", 10},
    {"10millis", 10},
    {"1 millisecond", 1},
    {"2 milliseconds", 2},
    {"3s", 3000},
    {"3 sec", 3000},
    {"3secs", 3000},
    {"3 second", 3000},
    {"3 seconds", 3000},
    {"2m", 120000},
    {"2min", 120000},
    {"2 minute", 120000},
    {"2 Minutes", 120000},
    {"1h", 3600000},
    {"1 HOUR", 3600000},
    {"2 hours", 7200000},
    {"1d", 86400000},
    {"1 day", 86400000},
    {"2 days", 172800000},
    {"1000000ns", 1},
    {"1000001 nanos", 2},
    {"1 nano", 1},
    {"1nanosecond", 1},
    {"0 nanoseconds", 0},
    {"1000\xC2\xB5s", 1},
    {"1001 micro", 2},
    {"1 micros", 1},
    {"1 microsecond", 1},
    {"2000 microseconds", 2},
    {"18446744073709551615 ns", UINT64_C(18446744073710)},
    {"18446744073709551615", UINT64_MAX},
};
static const char *const bad_durations[] = {"",
                                            "s",
                                            "1.5s",
                                            "-1s",
                                            "1 x",
                                            "1mins",
                                            "1hs",
                                            "1ss",
                                            "1mss",
                                            "1 s ",
                                            "1m 30s",
                                            "0x10",
                                            "18446744073709551616",
                                            "18446744073709551615 s",
                                            "1 days2",
                                            "1\xC2s",
                                            "1 \t s"};

static void durations_in_flinks_forms(void **state)
{
    (void)state;
    uint64_t ms = 0;

    for (size_t i = 0; i < sizeof good_durations / sizeof good_durations[0]; i++) {
        if (!quantity_get_flink_duration(slice_of(good_durations[i].text), &ms) || ms != good_durations[i].ms) {
            fail_msg("'%s' is read as %llu", good_durations[i].text, (unsigned long long)ms);
        }
    }
    for (size_t i = 0; i < sizeof bad_durations / sizeof bad_durations[0]; i++) {
        if (quantity_get_flink_duration(slice_of(bad_durations[i]), &ms)) {
            fail_msg("'%s' is read as %llu", bad_durations[i], (unsigned long long)ms);
        }
    }
}

static void the_page_is_current(void **state)
{
    (void)state;
    struct buf tables;

    buf_init(&tables, 1 << 20);
    config_print_statefun(&tables);
    page_compare_part("docs/statefun.md", "keys", buf_slice(&tables));
    buf_done(&tables);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_of_async),         TEST(defaults_of_okhttp),
        TEST(every_key_of_async),        TEST(every_key_of_okhttp),
        TEST(which_deadlines_count),     TEST(numbers_beyond_our_bounds),
        TEST(failure_modes_of_the_fork), TEST(files_are_mixed),
        TEST(unknown_keys_are_warnings), TEST(warnings_are_bounded),
        TEST(mistakes_in_endpoints),     TEST(certificates_are_files),
        TEST(mistakes_in_certificates),  TEST(sockets_with_either_transport),
        TEST(other_kinds_are_refused),   TEST(the_form_of_3_0_is_refused),
        TEST(durations_in_flinks_forms), TEST(the_page_is_current),
        TEST(ports_of_the_playground),   TEST(topics_of_the_playground),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
