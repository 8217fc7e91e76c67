/* SPDX-License-Identifier: Apache-2.0
 *
 * config_statefun.c: StateFun's kinds of documents: what the host takes of them, and what it says of the rest.
 *
 * A module file of StateFun 3.1 and later is read as it is. What the host does in its own way is taken, what
 * has no counterpart is a warning, and what it cannot do is an error that names what to do instead: nothing is
 * passed over in silence. Here as there, unknown keys are no errors.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "config_kind.h"
#include "config_name.h"
#include "config_registry.h"
#include "config_tls.h"
#include "limit.h"
#include "quantity.h"

enum {
    CALL_MS_MAX = 86400000, /* as call.timeout of our own kind */
    NUMBER_MAX = INT32_MAX, /* what a Java int holds */
};

/* Version 1 has the first of these, directly under spec; version 2 has all, most of them under transport. */
enum {
    KEY_HTTP_FUNCTIONS,
    KEY_HTTP_URL,
    KEY_HTTP_MAILBOX,
    KEY_HTTP_FAILURE_MODE,
    KEY_HTTP_TIMEOUTS_CALL,
    KEY_HTTP_TIMEOUTS_CONNECT,
    KEY_HTTP_TIMEOUTS_READ,
    KEY_HTTP_TIMEOUTS_WRITE,
    KEY_HTTP_V1_COUNT,
    KEY_HTTP_TYPE = KEY_HTTP_V1_COUNT,
    KEY_HTTP_CALL,
    KEY_HTTP_CONNECT,
    KEY_HTTP_POOL_TTL,
    KEY_HTTP_POOL_SIZE,
    KEY_HTTP_ANSWER_BYTES,
    KEY_HTTP_TRUST_CACERTS,
    KEY_HTTP_CLIENT_CERT,
    KEY_HTTP_CLIENT_KEY,
    KEY_HTTP_CLIENT_KEY_PASSWORD,
    KEY_HTTP_V2_COUNT,
};

static const char help_functions[] = "The functions this endpoint serves: one name, or a star for every other name of "
                                     "the namespace. A name wins over a star.";
static const char help_url[] = "Where calls go; `http+unix://` with either transport. `{function.name}` is replaced by "
                               "the name of the function; it may stand only after the host's name or the socket.";
static const char help_mailbox[] =
    "The soft limit of one instance's mailbox: while so many messages wait for it, clients get 503 for this instance, "
    "and only for it. 0 or less: no limit of its own. How many messages go into one call is another matter: at most "
    "100 and 512 KiB.";
static const char help_failure[] =
    "A key of a fork. `FAIL`: a message that fails 20 times holds its instance and is tried on, every 30 s; nothing "
    "else stops. `DROP`: it is dropped instead. Lower case is taken too.";
static const char help_call[] = "The deadline of one attempt. It does not bound the attempts: those go on.";
static const char help_connect[] = "The part of an attempt that connecting may take.";
static const char help_read_write[] = "only the whole call has a deadline; waiting and sending are parts of it";

static const struct config_key http_v1_keys[] = {
    [KEY_HTTP_FUNCTIONS] = {"functions", {CONFIG_PATTERN, 0, 0, NULL}, NULL, .help = help_functions},
    [KEY_HTTP_URL] = {"urlPathTemplate", {CONFIG_URL, 0, 0, NULL}, NULL, .help = help_url},
    [KEY_HTTP_MAILBOX] = {"maxNumBatchRequests",
                          {CONFIG_NUMBER_OR_OFF, 0, NUMBER_MAX, NULL},
                          "1000",
                          .help = help_mailbox},
    [KEY_HTTP_FAILURE_MODE] = {"failureMode",
                               {CONFIG_CHOICE, 0, 0, "FAIL DROP fail drop"},
                               "FAIL",
                               .help = help_failure},
    [KEY_HTTP_TIMEOUTS_CALL] = {"timeouts.call", {CONFIG_FLINK_DURATION, 0, 0, NULL}, "1m", .help = help_call},
    [KEY_HTTP_TIMEOUTS_CONNECT] = {"timeouts.connect",
                                   {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                   "10s",
                                   .help = help_connect},
    [KEY_HTTP_TIMEOUTS_READ] = {"timeouts.read",
                                {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                "10s",
                                .help = help_read_write,
                                .fate = CONFIG_WITHOUT_EFFECT},
    [KEY_HTTP_TIMEOUTS_WRITE] = {"timeouts.write",
                                 {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                 "10s",
                                 .help = help_read_write,
                                 .fate = CONFIG_WITHOUT_EFFECT},
};

static const struct config_key http_v2_keys[] = {
    [KEY_HTTP_FUNCTIONS] = {"functions", {CONFIG_PATTERN, 0, 0, NULL}, NULL, .help = help_functions},
    [KEY_HTTP_URL] = {"urlPathTemplate", {CONFIG_URL, 0, 0, NULL}, NULL, .help = help_url},
    [KEY_HTTP_MAILBOX] = {"maxNumBatchRequests",
                          {CONFIG_NUMBER_OR_OFF, 0, NUMBER_MAX, NULL},
                          "1000",
                          .help = help_mailbox},
    [KEY_HTTP_FAILURE_MODE] = {"failureMode",
                               {CONFIG_CHOICE, 0, 0, "FAIL DROP fail drop"},
                               "FAIL",
                               .help = help_failure},
    [KEY_HTTP_TYPE] = {"transport.type",
                       {CONFIG_CHOICE, 0, 0, "io.statefun.transports.v1/async io.statefun.transports.v1/okhttp"},
                       "io.statefun.transports.v1/async",
                       .help = "Says which of the other keys count, as in StateFun; the host calls in the same way for "
                               "both."},
    [KEY_HTTP_CALL] = {"transport.call", {CONFIG_FLINK_DURATION, 0, 0, NULL}, "2m", .help = help_call},
    [KEY_HTTP_CONNECT] = {"transport.connect", {CONFIG_FLINK_DURATION, 0, 0, NULL}, "20s", .help = help_connect},
    [KEY_HTTP_TIMEOUTS_CALL] = {"transport.timeouts.call",
                                {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                "1m",
                                .help = "The same as `transport.call`, which it wins over."},
    [KEY_HTTP_TIMEOUTS_CONNECT] = {"transport.timeouts.connect",
                                   {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                   "10s",
                                   .help = "The same as `transport.connect`, which it wins over."},
    [KEY_HTTP_TIMEOUTS_READ] = {"transport.timeouts.read",
                                {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                "10s",
                                .help = help_read_write,
                                .fate = CONFIG_WITHOUT_EFFECT},
    [KEY_HTTP_TIMEOUTS_WRITE] = {"transport.timeouts.write",
                                 {CONFIG_FLINK_DURATION, 0, 0, NULL},
                                 "10s",
                                 .help = help_read_write,
                                 .fate = CONFIG_WITHOUT_EFFECT},
    [KEY_HTTP_POOL_TTL] = {"transport.pool_ttl",
                           {CONFIG_FLINK_DURATION, 0, 0, NULL},
                           "15s",
                           .help = "the host keeps idle connections by its own measure, and makes a call whose "
                                   "connection was closed meanwhile on a new one",
                           .fate = CONFIG_WITHOUT_EFFECT},
    [KEY_HTTP_POOL_SIZE] = {"transport.pool_size",
                            {CONFIG_NUMBER_OR_OFF, 0, NUMBER_MAX, NULL},
                            "1024",
                            .help = "there are as many connections as calls under way, and the host finds out how many "
                                    "calls an endpoint can take; proa.v1/endpoint has call.in_flight",
                            .fate = CONFIG_WITHOUT_EFFECT},
    [KEY_HTTP_ANSWER_BYTES] = {"transport.payload_max_bytes",
                               {CONFIG_NUMBER, 1, NUMBER_MAX, NULL},
                               "33554432",
                               .help =
                                   "The most bytes of an answer, at most 67108864. A larger answer is a bad answer, "
                                   "and counts as the function's failure."},
    [KEY_HTTP_TRUST_CACERTS] = {"transport.trust_cacerts",
                                {CONFIG_FILE, 0, 0, NULL},
                                "",
                                .help = "Whom to trust, certificates in PEM: a path, or `file:` and a path. Left out, "
                                        "it is whom the machine trusts."},
    [KEY_HTTP_CLIENT_CERT] = {"transport.client_cert",
                              {CONFIG_FILE, 0, 0, NULL},
                              "",
                              .help = "The certificate to show to the endpoint, in PEM. Only together with "
                                      "`client_key`."},
    [KEY_HTTP_CLIENT_KEY] = {"transport.client_key",
                             {CONFIG_FILE, 0, 0, NULL},
                             "",
                             .help = "The private key of that certificate, in PEM, encrypted or not."},
    [KEY_HTTP_CLIENT_KEY_PASSWORD] = {"transport.client_key_password",
                                      {CONFIG_FILE, 0, 0, NULL},
                                      "",
                                      .help = "A file with the password of the key: all of its content. If that does "
                                              "not open the key, its content without the line end behind it."},
};

_Static_assert(sizeof http_v1_keys / sizeof http_v1_keys[0] == KEY_HTTP_V1_COUNT, "one row for each key");
_Static_assert(sizeof http_v2_keys / sizeof http_v2_keys[0] == KEY_HTTP_V2_COUNT, "one row for each key");

static const struct config_table http_v1_table = {http_v1_keys, KEY_HTTP_V1_COUNT, true};
static const struct config_table http_v2_table = {http_v2_keys, KEY_HTTP_V2_COUNT, true};

/* ---- endpoints ------------------------------------------------------------------------------------------ */

/* One document while it is made an endpoint. */
struct reading {
    struct config_source *source;
    const struct config_table *table;
    const struct config_value *values;
};

static bool is_said(const struct reading *reading, size_t key)
{
    return key < reading->table->count && reading->values[key].line > 0;
}

static void warn(const struct reading *reading, size_t key, const char *sentence)
{
    config_warn(reading->source, reading->values[key].line, "%s %s", reading->table->keys[key].path, sentence);
}

/* A duration that may be over after no time is none; one longer than a call may take is cut. */
static uint32_t duration_of(const struct reading *reading, size_t key)
{
    const uint64_t duration_ms = reading->values[key].number;

    if (duration_ms == 0) {
        config_error(reading->source, reading->values[key].line, "%s: it is no time at all; write at least 1ms",
                     reading->table->keys[key].path);
        return 1;
    }
    if (duration_ms > CALL_MS_MAX) {
        warn(reading, key, "is taken as 1d, the longest deadline of a call");
        return CALL_MS_MAX;
    }
    return (uint32_t)duration_ms;
}

/* Which of the keys for deadlines count depends on the transport, as in StateFun. */
static void read_deadlines(const struct reading *reading, bool is_okhttp, struct endpoint_config *endpoint)
{
    static const size_t async_keys[] = {KEY_HTTP_CALL, KEY_HTTP_CONNECT};
    const bool has_timeouts = is_said(reading, KEY_HTTP_TIMEOUTS_CALL) || is_said(reading, KEY_HTTP_TIMEOUTS_CONNECT) ||
                              is_said(reading, KEY_HTTP_TIMEOUTS_READ) || is_said(reading, KEY_HTTP_TIMEOUTS_WRITE);
    const bool in_timeouts = is_okhttp || has_timeouts;

    for (size_t i = 0; i < sizeof async_keys / sizeof async_keys[0] && in_timeouts; i++) {
        if (is_said(reading, async_keys[i])) {
            warn(reading, async_keys[i],
                 is_okhttp ? "is no key of okhttp and has no effect; write it under transport.timeouts"
                           : "has no effect: transport.timeouts wins over it");
        }
    }
    endpoint->timeout_ms = duration_of(reading, in_timeouts ? KEY_HTTP_TIMEOUTS_CALL : KEY_HTTP_CALL);
    const size_t connect = in_timeouts ? KEY_HTTP_TIMEOUTS_CONNECT : KEY_HTTP_CONNECT;
    endpoint->connect_ms = duration_of(reading, connect);
    if (endpoint->connect_ms > endpoint->timeout_ms) {
        endpoint->connect_ms = endpoint->timeout_ms;
        if (is_said(reading, connect)) {
            warn(reading, connect, "is longer than the whole call, and is taken to be as long");
        }
    }
}

static void read_answer_bytes(const struct reading *reading, bool is_okhttp, struct endpoint_config *endpoint)
{
    uint64_t bytes = 0;

    check(quantity_get_number(slice_of(http_v2_keys[KEY_HTTP_ANSWER_BYTES].fallback), &bytes));
    if (is_said(reading, KEY_HTTP_ANSWER_BYTES)) {
        if (is_okhttp) {
            warn(reading, KEY_HTTP_ANSWER_BYTES, "is no key of okhttp and has no effect");
        } else if (reading->values[KEY_HTTP_ANSWER_BYTES].number > LIMIT_ANSWER_BYTES_MAX) {
            warn(reading, KEY_HTTP_ANSWER_BYTES, "is taken as 67108864, the most an answer may have");
            bytes = LIMIT_ANSWER_BYTES_MAX;
        } else {
            bytes = reading->values[KEY_HTTP_ANSWER_BYTES].number;
        }
    }
    endpoint->answer_bytes_max = (uint32_t)bytes;
}
_Static_assert(LIMIT_ANSWER_BYTES_MAX == 67108864, "the figure in the sentences");

/* Keys of async, about calls that are encrypted. */
static void read_certificates(const struct reading *reading, bool is_okhttp, struct endpoint_config *endpoint)
{
    static const struct config_tls_keys keys = {KEY_HTTP_TRUST_CACERTS, KEY_HTTP_CLIENT_CERT, KEY_HTTP_CLIENT_KEY,
                                                KEY_HTTP_CLIENT_KEY_PASSWORD};

    for (size_t i = KEY_HTTP_TRUST_CACERTS; i <= KEY_HTTP_CLIENT_KEY_PASSWORD; i++) {
        if (is_said(reading, i) && is_okhttp) {
            warn(reading, i, "is no key of okhttp and has no effect");
        } else if (is_said(reading, i) && !config_is_https(endpoint->url)) {
            warn(reading, i, "has no effect: there are no certificates without https:// in urlPathTemplate");
        }
    }
    if (!is_okhttp && config_is_https(endpoint->url)) {
        config_read_tls(reading->source, reading->table, reading->values, &keys, &endpoint->tls);
    }
}

static void read_http(struct config *config, const struct reading *reading, const struct config_node *spec)
{
    const struct config_value *values = reading->values;
    const bool is_v1 = reading->table->count == KEY_HTTP_V1_COUNT;
    const bool is_okhttp = is_v1 || values[KEY_HTTP_TYPE].number == 1;
    const uint64_t mailbox = values[KEY_HTTP_MAILBOX].number;
    struct function_config function = {0};
    struct endpoint_config endpoint;
    struct err err;

    config_endpoint_default(&endpoint);
    endpoint.url = values[KEY_HTTP_URL].text;
    endpoint.mailbox_messages_max = mailbox == 0 ? UINT32_MAX : (uint32_t)mailbox;
    endpoint.retry.then = values[KEY_HTTP_FAILURE_MODE].number % 2 == 1 ? RETRY_DROP : RETRY_BLOCK;
    read_deadlines(reading, is_okhttp, &endpoint);
    read_answer_bytes(reading, is_okhttp, &endpoint);
    read_certificates(reading, is_okhttp, &endpoint);
    const struct slice pattern = values[KEY_HTTP_FUNCTIONS].text;
    if (!config_put_endpoint(config, reading->source, &endpoint, spec->line, &function.endpoint) || pattern.size == 0) {
        return;
    }
    check(config_check_pattern(pattern, &function.space, &function.name, &err) == ERR_NONE); /* its rule did so */
    config_put_function(config, reading->source, function, values[KEY_HTTP_FUNCTIONS].line);
}

static void read_http_v1(struct config *config, struct config_source *source, const struct config_node *spec,
                         const struct config_value *values)
{
    read_http(config, &(struct reading){source, &http_v1_table, values}, spec);
}

static void read_http_v2(struct config *config, struct config_source *source, const struct config_node *spec,
                         const struct config_value *values)
{
    read_http(config, &(struct reading){source, &http_v2_table, values}, spec);
}

/* ---- kinds ---------------------------------------------------------------------------------------------- */

#define NO_KINESIS "the host does not speak Kinesis; "

const struct config_kind config_statefun_kinds[] = {
    {"io.statefun.endpoints.v2/http", &http_v2_table, NULL, read_http_v2, "", NULL},
    {"io.statefun.endpoints.v1/http", &http_v1_table, NULL, read_http_v1, "", NULL},
    {"io.statefun.playground.v1/ingress", &config_playground_ingress_table, NULL, config_read_playground_ingress, "",
     NULL},
    {"io.statefun.playground.v1/egress", &config_playground_egress_table, NULL, config_read_playground_egress, "",
     NULL},
    {"io.statefun.kafka.v1/ingress", NULL, NULL, NULL,
     "the host does not read Kafka yet; let a consumer send each record to /v1/send/namespace/name/key of the ingress "
     "port",
     NULL},
    {"io.statefun.kafka.v1/egress", NULL, NULL, NULL,
     "the host does not write to Kafka yet; declare a proa.v1/egress with the same name, where the records wait", NULL},
    {"io.statefun.kinesis.v1/ingress", NULL, NULL, NULL,
     NO_KINESIS "let a consumer send each record to /v1/send/namespace/name/key of the ingress port", NULL},
    {"io.statefun.kinesis.v1/egress", NULL, NULL, NULL,
     NO_KINESIS "declare a proa.v1/egress with the same name, where the records wait", NULL},
};
const size_t config_statefun_kind_count = sizeof config_statefun_kinds / sizeof config_statefun_kinds[0];

bool config_refuse_legacy(struct config_source *source, const struct config_node *document)
{
    const struct config_node *version = NULL;

    for (const struct config_node *node = document->first; node != NULL; node = node->next) {
        if (slice_equal(node->key, SLICE("kind"))) {
            return false;
        }
        version = slice_equal(node->key, SLICE("version")) ? node : version;
    }
    if (version == NULL) {
        return false;
    }
    config_error(source, version->key_line,
                 "this is a module file of StateFun 3.0 or older (it has a version); write one document of kind "
                 "io.statefun.endpoints.v2/http for each of its endpoints, as StateFun 3.1 and later have it");
    return true;
}
