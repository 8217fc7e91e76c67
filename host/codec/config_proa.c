/* SPDX-License-Identifier: Apache-2.0
 *
 * config_proa.c: our own kinds of documents: proa.v1/endpoint and proa.v1/egress, their keys and what becomes of them.
 */
#include <stdio.h>

#include "config_kind.h"
#include "config_name.h"
#include "config_registry.h"
#include "config_tls.h"
#include "limit.h"

enum {
    CONNECT_MS = 10000,            /* of one call's connecting */
    MAILBOX_MESSAGES_MAX = 100000, /* of one instance */
};

enum {
    KEY_ENDPOINT_FUNCTIONS,
    KEY_ENDPOINT_URL,
    KEY_ENDPOINT_TIMEOUT,
    KEY_ENDPOINT_IN_FLIGHT,
    KEY_ENDPOINT_BATCH,
    KEY_ENDPOINT_BATCH_BYTES,
    KEY_ENDPOINT_RUN_AHEAD,
    KEY_ENDPOINT_RETRY_FIRST,
    KEY_ENDPOINT_RETRY_FACTOR,
    KEY_ENDPOINT_RETRY_MAX,
    KEY_ENDPOINT_RETRY_ATTEMPTS,
    KEY_ENDPOINT_RETRY_THEN,
    KEY_ENDPOINT_HTTP,
    KEY_ENDPOINT_TLS_CA,
    KEY_ENDPOINT_TLS_CERT,
    KEY_ENDPOINT_TLS_KEY,
    KEY_ENDPOINT_TLS_KEY_PASSWORD,
    KEY_ENDPOINT_TLS_VERIFY,
    KEY_ENDPOINT_COUNT
};
enum { KEY_FUNCTION_TAKES, KEY_FUNCTION_COUNT };
enum { KEY_EGRESS_NAME, KEY_EGRESS_QUEUE_MAX_BYTES, KEY_EGRESS_COUNT };

static const struct config_key endpoint_keys[] = {
    [KEY_ENDPOINT_FUNCTIONS] =
        {"functions",
         {CONFIG_ENTRIES, 0, 0, NULL},
         NULL,
         .help = "The functions this endpoint serves: `namespace/name`, or `namespace/*` for every other "
                 "name of the namespace. Each has the keys of a function."},
    [KEY_ENDPOINT_URL] =
        {"url",
         {CONFIG_URL, 0, 0, NULL},
         NULL,
         .help = "Where calls go: `http://`, `https://`, or a Unix socket, `http+unix:///run/f.sock/path`, whose file "
                 "ends in `.sock`. `{function.name}` in the path is replaced by the name of the function."},
    [KEY_ENDPOINT_TIMEOUT] =
        {"call.timeout",
         {CONFIG_DURATION, 1, 86400000, NULL},
         "2m",
         .help = "How long one call may take. After it the call counts as failed and its answer as late."},
    [KEY_ENDPOINT_IN_FLIGHT] =
        {"call.in_flight",
         {CONFIG_NUMBER_OR_AUTO, 1, LIMIT_ENDPOINT_IN_FLIGHT_MAX, NULL},
         "auto",
         .help = "Calls under way at once. `auto` finds the limit: more while all are busy and answers "
                 "do not slow down."},
    [KEY_ENDPOINT_BATCH] = {"call.batch",
                            {CONFIG_NUMBER, 1, 10000, NULL},
                            "100",
                            .help = "The most messages of one instance in one call."},
    [KEY_ENDPOINT_BATCH_BYTES] = {"call.batch_bytes",
                                  {CONFIG_BYTES, 1, 64 << 20, NULL},
                                  "512KiB",
                                  .help = "The most bytes of messages in one call; one message alone may be larger."},
    [KEY_ENDPOINT_RUN_AHEAD] =
        {"call.run_ahead",
         {CONFIG_BOOL, 0, 0, NULL},
         "true",
         .help = "`false`: a call waits until its messages and its instance's last change are on disk, "
                 "so no function sees what a crash takes back."},
    [KEY_ENDPOINT_RETRY_FIRST] = {"retry.first",
                                  {CONFIG_DURATION, 1, 3600000, NULL},
                                  "50ms",
                                  .help = "Delay before the first repetition of a failed call."},
    [KEY_ENDPOINT_RETRY_FACTOR] = {"retry.factor",
                                   {CONFIG_FACTOR, 1000, 100000, NULL},
                                   "2",
                                   .help = "Each further delay is so many times the one before."},
    [KEY_ENDPOINT_RETRY_MAX] = {"retry.max",
                                {CONFIG_DURATION, 1, 86400000, NULL},
                                "30s",
                                .help = "The longest delay; at least `retry.first`."},
    [KEY_ENDPOINT_RETRY_ATTEMPTS] =
        {"retry.attempts",
         {CONFIG_NUMBER, 1, 1000000, NULL},
         "20",
         .help = "Failed attempts that count against a message before `retry.then` applies. Only "
                 "those count in which it was alone and the function itself failed."},
    [KEY_ENDPOINT_RETRY_THEN] =
        {"retry.then",
         {CONFIG_CHOICE, 0, 0, "block park drop"},
         "block",
         .help = "`block` goes on trying at the longest delay and holds the instance, `park` puts the "
                 "message aside for a person, `drop` forgets it."},
    [KEY_ENDPOINT_HTTP] =
        {"http",
         {CONFIG_CHOICE, 0, 0, "1.1 h2c"},
         "1.1",
         .help =
             "The version of HTTP. `h2c` is HTTP/2 without TLS, for a server that speaks it from the first byte on: "
             "many calls share a connection."},
    [KEY_ENDPOINT_TLS_CA] =
        {"tls.ca",
         {CONFIG_FILE, 0, 0, NULL},
         "",
         .help = "Of an `https://` endpoint: whom to trust, certificates in PEM. Left out, it is whom the machine "
                 "trusts: `SSL_CERT_FILE`, else ca-certificates."},
    [KEY_ENDPOINT_TLS_CERT] =
        {"tls.cert",
         {CONFIG_FILE, 0, 0, NULL},
         "",
         .help = "The certificate to show to the endpoint, in PEM, with those between it and its root behind it. Only "
                 "together with `tls.key`."},
    [KEY_ENDPOINT_TLS_KEY] = {"tls.key",
                              {CONFIG_FILE, 0, 0, NULL},
                              "",
                              .help = "The private key of that certificate, in PEM, encrypted or not."},
    [KEY_ENDPOINT_TLS_KEY_PASSWORD] =
        {"tls.key_password",
         {CONFIG_FILE, 0, 0, NULL},
         "",
         .help = "A file with the password of the key: all of its content, with or without a line end behind it."},
    [KEY_ENDPOINT_TLS_VERIFY] =
        {"tls.verify",
         {CONFIG_BOOL, 0, 0, NULL},
         "true",
         .help = "`false`: neither the endpoint's certificate nor the name in it is looked at, so anybody may pose as "
                 "it."},
};

static const struct config_key function_keys[] = {
    [KEY_FUNCTION_TAKES] = {"takes",
                            {CONFIG_TYPENAME, 0, 0, NULL},
                            "proa/json",
                            .help = "The type a JSON body of a client becomes on its way to the function."},
};

static const struct config_key egress_keys[] = {
    [KEY_EGRESS_NAME] = {"name",
                         {CONFIG_NAME, 0, 0, NULL},
                         NULL,
                         .help =
                             "The name functions send to. A record for a name that no document has is parked under its "
                             "sender."},
    [KEY_EGRESS_QUEUE_MAX_BYTES] =
        {"queue.max_bytes",
         {CONFIG_BYTES, 1024, UINT64_C(1) << 40, NULL},
         "1GiB",
         .help = "Once so many bytes of records wait in the outbox, functions that send more are held up."},
};

_Static_assert(sizeof endpoint_keys / sizeof endpoint_keys[0] == KEY_ENDPOINT_COUNT, "one row for each key");
_Static_assert(sizeof function_keys / sizeof function_keys[0] == KEY_FUNCTION_COUNT, "one row for each key");
_Static_assert(sizeof egress_keys / sizeof egress_keys[0] == KEY_EGRESS_COUNT, "one row for each key");

static const struct config_table endpoint_table = {endpoint_keys, KEY_ENDPOINT_COUNT, false};
static const struct config_table function_table = {function_keys, KEY_FUNCTION_COUNT, false};
static const struct config_table egress_table = {egress_keys, KEY_EGRESS_COUNT, false};

/* ---- endpoints and their functions ---------------------------------------------------------------------- */

static struct endpoint_config endpoint_of(const struct config_value *values)
{
    const uint32_t timeout_ms = (uint32_t)values[KEY_ENDPOINT_TIMEOUT].number;

    return (struct endpoint_config){
        .timeout_ms = timeout_ms,
        .connect_ms = timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS,
        .in_flight = (uint32_t)values[KEY_ENDPOINT_IN_FLIGHT].number,
        .batch_messages_max = (uint32_t)values[KEY_ENDPOINT_BATCH].number,
        .batch_bytes_max = (uint32_t)values[KEY_ENDPOINT_BATCH_BYTES].number,
        .answer_bytes_max = LIMIT_ANSWER_BYTES_DEFAULT,
        .mailbox_messages_max = MAILBOX_MESSAGES_MAX,
        .run_ahead = values[KEY_ENDPOINT_RUN_AHEAD].number == 1,
        .http = (enum http_version)values[KEY_ENDPOINT_HTTP].number,
        .retry =
            {
                .first_ms = (uint32_t)values[KEY_ENDPOINT_RETRY_FIRST].number,
                .factor_permille = (uint32_t)values[KEY_ENDPOINT_RETRY_FACTOR].number,
                .max_ms = (uint32_t)values[KEY_ENDPOINT_RETRY_MAX].number,
                .attempts = (uint32_t)values[KEY_ENDPOINT_RETRY_ATTEMPTS].number,
                .then = (enum retry_then)values[KEY_ENDPOINT_RETRY_THEN].number,
            },
    };
}
_Static_assert(HTTP_1_1 == 0 && HTTP_H2C == 1, "the order of the choices of http");
_Static_assert(RETRY_BLOCK == 0 && RETRY_PARK == 1 && RETRY_DROP == 2, "the order of the choices of retry.then");

void config_endpoint_default(struct endpoint_config *out_endpoint)
{
    struct config_value values[KEY_ENDPOINT_COUNT];

    config_table_default(&endpoint_table, values);
    *out_endpoint = endpoint_of(values);
}

static void read_function(struct config *config, struct config_source *source, const struct config_node *node,
                          uint32_t endpoint)
{
    struct config_value values[KEY_FUNCTION_COUNT];
    struct function_config function = {.endpoint = endpoint};
    char what[CONFIG_SHOWN_BYTES_MAX + 1];
    struct err err;

    if (node->key.size == 0) {
        return; /* complained about when it was read */
    }
    (void)snprintf(what, sizeof what, "%.*s", config_shown(node->key), node->key.data);
    const bool is_read = config_table_read(source, &function_table, node, what, values);
    if (config_check_pattern(node->key, &function.space, &function.name, &err) != ERR_NONE) {
        config_error(source, node->key_line, "%s", err.text);
        return;
    }
    if (is_read) {
        function.takes = values[KEY_FUNCTION_TAKES].line == 0 ? SLICE_EMPTY : values[KEY_FUNCTION_TAKES].text;
        config_put_function(config, source, function, node->key_line);
    }
}

/* What the keys about certificates say of each other and of the URL. */
static void read_tls(struct config_source *source, const struct config_value *values, struct endpoint_config *endpoint)
{
    static const struct config_tls_keys keys = {KEY_ENDPOINT_TLS_CA, KEY_ENDPOINT_TLS_CERT, KEY_ENDPOINT_TLS_KEY,
                                                KEY_ENDPOINT_TLS_KEY_PASSWORD};

    config_read_tls(source, &endpoint_table, values, &keys, &endpoint->tls);
    endpoint->tls.no_verify = values[KEY_ENDPOINT_TLS_VERIFY].number == 0;
    for (size_t i = KEY_ENDPOINT_TLS_CA; i <= KEY_ENDPOINT_TLS_VERIFY; i++) {
        if (values[i].line > 0 && endpoint->url.size > 0 && !config_is_https(endpoint->url)) {
            config_error(source, values[i].line, "%s: there are no certificates without https:// in the url",
                         endpoint_table.keys[i].path);
        }
    }
    if (endpoint->tls.no_verify && endpoint->tls.ca.path.size > 0) {
        config_error(source, values[KEY_ENDPOINT_TLS_CA].line,
                     "tls.ca: with tls.verify: false nothing is held against it; leave one of them out");
    } else if (endpoint->tls.no_verify) {
        config_warn(source, values[KEY_ENDPOINT_TLS_VERIFY].line,
                    "tls.verify: false: whoever answers at this address is taken for the endpoint");
    }
}

static void read_endpoint(struct config *config, struct config_source *source, const struct config_node *spec,
                          const struct config_value *values)
{
    const struct config_node *functions = values[KEY_ENDPOINT_FUNCTIONS].node;
    struct endpoint_config endpoint = endpoint_of(values);
    uint32_t index = 0;

    if (endpoint.retry.first_ms > endpoint.retry.max_ms) {
        const uint32_t max_line = values[KEY_ENDPOINT_RETRY_MAX].line;
        config_error(source, max_line > 0 ? max_line : values[KEY_ENDPOINT_RETRY_FIRST].line,
                     "retry.max (%.*s) is shorter than retry.first (%.*s)",
                     config_shown(values[KEY_ENDPOINT_RETRY_MAX].text), values[KEY_ENDPOINT_RETRY_MAX].text.data,
                     config_shown(values[KEY_ENDPOINT_RETRY_FIRST].text), values[KEY_ENDPOINT_RETRY_FIRST].text.data);
    }
    endpoint.url = values[KEY_ENDPOINT_URL].text;
    read_tls(source, values, &endpoint);
    if (endpoint.http == HTTP_H2C && config_is_https(endpoint.url)) {
        config_error(source, values[KEY_ENDPOINT_HTTP].line,
                     "http: h2c is HTTP/2 without TLS; with https:// write 1.1");
    }
    if (!config_put_endpoint(config, source, &endpoint, spec->line, &index)) {
        return;
    }
    if (functions != NULL && functions->kind == CONFIG_NODE_MAP) {
        for (const struct config_node *node = functions->first; node != NULL; node = node->next) {
            read_function(config, source, node, index);
        }
    }
    if (functions != NULL && functions->first == NULL && functions->kind != CONFIG_NODE_SCALAR) {
        config_error(source, functions->key_line, "functions is empty; name at least one, as in example/*: {}");
    }
}

/* ---- egresses ------------------------------------------------------------------------------------------- */

uint64_t config_egress_bytes_default(void)
{
    struct config_value values[KEY_EGRESS_COUNT];

    config_table_default(&egress_table, values);
    return values[KEY_EGRESS_QUEUE_MAX_BYTES].number;
}

static void read_egress(struct config *config, struct config_source *source, const struct config_node *spec,
                        const struct config_value *values)
{
    struct egress_config egress = {.bytes_max = values[KEY_EGRESS_QUEUE_MAX_BYTES].number};
    struct err err;

    (void)spec;
    if (values[KEY_EGRESS_NAME].text.size > 0 &&
        config_check_name(values[KEY_EGRESS_NAME].text, &egress.space, &egress.name, &err) == ERR_NONE) {
        config_put_egress(config, source, egress, values[KEY_EGRESS_NAME].line);
    }
}

/* ---- kinds ---------------------------------------------------------------------------------------------- */

const struct config_kind config_proa_kinds[] = {
    {"proa.v1/endpoint", &endpoint_table, &function_table, read_endpoint,
     "An HTTP service and the functions it serves. A function that is named wins over a star.",
     "kind: proa.v1/endpoint\n"
     "spec:\n"
     "  functions:\n"
     "    example/counter: {takes: io.statefun.types/int}\n"
     "    example/*: {}\n"
     "  url: ${FUNCTIONS_URL:-http://functions:8000/}\n"
     "  call: {timeout: 2m, in_flight: auto, batch: 100, batch_bytes: 512KiB, run_ahead: true}\n"
     "  retry: {first: 50ms, factor: 2, max: 30s, attempts: 20, then: block}\n"},
    {"proa.v1/egress", &egress_table, NULL, read_egress,
     "A way out: records that functions send to it wait in its outbox, in order, until they are taken.",
     "kind: proa.v1/egress\n"
     "spec: {name: example/receipts, queue: {max_bytes: 1GiB}}\n"},
};
const size_t config_proa_kind_count = sizeof config_proa_kinds / sizeof config_proa_kinds[0];
