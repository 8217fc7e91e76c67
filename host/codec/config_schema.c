/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of keys of our own kinds, and the one reader that knows how to use tables.
 *
 * A new key is a row here and a line in config.c that uses its value; a new kind of document is a table and
 * a row in `config_kinds`. Defaults are texts and go through the same parser as what a person wrote.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "config_internal.h"
#include "limit.h"

enum {
    PATH_BYTES_MAX = 64,
    SHOWN_BYTES_MAX = 80,
};

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
         .help = "The most bytes of records that wait in the outbox; beyond it, functions that send "
                 "more are held up."},
};

_Static_assert(sizeof endpoint_keys / sizeof endpoint_keys[0] == KEY_ENDPOINT_COUNT, "one row for each key");
_Static_assert(sizeof function_keys / sizeof function_keys[0] == KEY_FUNCTION_COUNT, "one row for each key");
_Static_assert(sizeof egress_keys / sizeof egress_keys[0] == KEY_EGRESS_COUNT, "one row for each key");

const struct config_table config_endpoint_table = {endpoint_keys, KEY_ENDPOINT_COUNT, false};
const struct config_table config_function_table = {function_keys, KEY_FUNCTION_COUNT, false};
const struct config_table config_egress_table = {egress_keys, KEY_EGRESS_COUNT, false};

void config_table_default(const struct config_table *table, struct config_value *out_values)
{
    struct err err;

    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        out_values[i] = (struct config_value){0};
        if (key->fallback != NULL && key->fallback[0] != '\0') {
            out_values[i].text = slice_of(key->fallback);
            check(config_rule_parse(&key->rule, out_values[i].text, &out_values[i].number, &err) == ERR_NONE);
        }
    }
}

/* One mapping while it is read by its table. */
struct reading {
    struct config_source *source;
    const struct config_table *table;
    const char *what;
    struct config_value *values;
};

/* The name a path has right under `prefix` ("call." or ""), or empty if it does not lie there. */
static struct slice name_under(const char *path, const char *prefix)
{
    const size_t size = strlen(prefix);

    if (strncmp(path, prefix, size) != 0) {
        return SLICE_EMPTY;
    }
    return (struct slice){(const uint8_t *)path + size, strcspn(path + size, ".")};
}

/* Says what is wrong with a key no row has: an error, or in a foreign kind a warning. */
static void say_unknown(struct reading *reading, const struct config_node *node, const char *sentence)
{
    if (reading->table->is_foreign) {
        config_warn(reading->source, node->key_line, "%s; it is passed over", sentence);
    } else {
        config_error(reading->source, node->key_line, "%s", sentence);
    }
}

/* The name in the table most like a key that stands under `prefix`, or NULL. */
static const char *nearest_key(const struct reading *reading, struct slice key, const char *prefix,
                               char out[PATH_BYTES_MAX])
{
    char names[CONFIG_KEYS_MAX][PATH_BYTES_MAX];
    const char *list[CONFIG_KEYS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < reading->table->count; i++) {
        const struct slice name = name_under(reading->table->keys[i].path, prefix);
        if (name.size > 0) {
            (void)snprintf(names[count], PATH_BYTES_MAX, "%.*s", (int)name.size, name.data);
            list[count] = names[count];
            count++;
        }
    }
    const char *nearest = config_nearest(key, list, count);
    if (nearest == NULL) {
        return NULL;
    }
    (void)snprintf(out, PATH_BYTES_MAX, "%s", nearest);
    return out;
}

/* Complains about a key no row has, and names what may have been meant. */
static void complain_unknown(struct reading *reading, const struct config_node *node, const char *prefix)
{
    const int shown = node->key.size < SHOWN_BYTES_MAX ? (int)node->key.size : SHOWN_BYTES_MAX;
    char sentence[LIMIT_ERR_TEXT_BYTES_MAX];
    char name[PATH_BYTES_MAX];

    const char *nearest = nearest_key(reading, node->key, prefix, name);
    if (nearest != NULL) {
        (void)snprintf(sentence, sizeof sentence, "%s%.*s is not a known key; did you mean %s%s?", prefix, shown,
                       node->key.data, prefix, nearest);
        say_unknown(reading, node, sentence);
        return;
    }
    for (size_t i = 0; i < reading->table->count; i++) { /* perhaps it stands in the wrong place */
        const char *path = reading->table->keys[i].path;
        const char *dot = strrchr(path, '.');
        if (slice_equal(slice_of(dot == NULL ? path : dot + 1), node->key)) {
            (void)snprintf(sentence, sizeof sentence, "%s%.*s is not a known key here; did you mean %s.%s?", prefix,
                           shown, node->key.data, reading->what, path);
            say_unknown(reading, node, sentence);
            return;
        }
    }
    (void)snprintf(sentence, sizeof sentence, "%s%.*s is not a known key of %s", prefix, shown, node->key.data,
                   reading->what);
    say_unknown(reading, node, sentence);
}

static void read_value(struct reading *reading, size_t index, const struct config_node *node)
{
    const struct config_key *key = &reading->table->keys[index];
    struct config_value *value = &reading->values[index];
    struct err err;

    value->line = node->line;
    if (node->kind == CONFIG_NODE_BAD) {
        return;
    }
    if (key->rule.type == CONFIG_ENTRIES) {
        value->node = node;
        if (node->kind != CONFIG_NODE_MAP && node->kind != CONFIG_NODE_NOTHING) {
            config_error(reading->source, node->line, "%s is a mapping; write one key a line, each with a colon",
                         key->path);
        }
        return;
    }
    if (key->rule.type == CONFIG_LIST) {
        value->node = node;
        if (node->kind != CONFIG_NODE_LIST) {
            config_error(reading->source, node->line, "%s is a list; write it as in [one, two]", key->path);
        }
        return;
    }
    if (node->kind == CONFIG_NODE_MAP || node->kind == CONFIG_NODE_LIST) {
        config_error(reading->source, node->line, "%s is a single value, not a %s", key->path,
                     node->kind == CONFIG_NODE_MAP ? "mapping" : "list");
        return;
    }
    if (config_rule_parse(&key->rule, node->text, &value->number, &err) != ERR_NONE) {
        config_error(reading->source, node->line, "%s: %s", key->path, err.text);
        return;
    }
    if (key->fate == CONFIG_WITHOUT_EFFECT) {
        config_warn(reading->source, node->key_line, "%s has no effect: %s", key->path, key->help);
    }
    value->text = node->text;
}

/* Reads what stands under `prefix`. Goes as deep as the table's paths do. */
static void read_map(struct reading *reading, const struct config_node *map, const char *prefix)
{
    for (const struct config_node *node = map->first; node != NULL; node = node->next) {
        char path[PATH_BYTES_MAX];
        bool is_known = false;
        const int size = snprintf(path, sizeof path, "%s%.*s", prefix, (int)(node->key.size < 32 ? node->key.size : 32),
                                  node->key.data);
        if (node->key.size == 0) {
            continue; /* complained about when it was read */
        }
        if (memchr(node->key.data, '.', node->key.size) != NULL) {
            complain_unknown(reading, node, prefix); /* the dot in our paths is a step into a mapping */
            continue;
        }
        for (size_t i = 0; i < reading->table->count && !is_known && size + 1 < PATH_BYTES_MAX; i++) {
            const char *known = reading->table->keys[i].path;
            if (strcmp(known, path) == 0) {
                is_known = true;
                read_value(reading, i, node);
            } else if (strncmp(known, path, (size_t)size) == 0 && known[size] == '.') {
                is_known = true;
                if (node->kind == CONFIG_NODE_MAP) {
                    path[size] = '.';
                    path[size + 1] = '\0';
                    read_map(reading, node, path);
                } else if (node->kind == CONFIG_NODE_SCALAR || node->kind == CONFIG_NODE_LIST) {
                    config_error(reading->source, node->line, "%s is a mapping of its own keys, not a %s", path,
                                 node->kind == CONFIG_NODE_LIST ? "list" : "single value");
                }
            }
        }
        if (!is_known) {
            complain_unknown(reading, node, prefix);
        }
    }
}

bool config_table_read(struct config_source *source, const struct config_table *table, const struct config_node *node,
                       const char *what, struct config_value *out_values)
{
    struct reading reading = {source, table, what, out_values};
    const uint32_t errors_before = source->error_count;

    check(table->count <= CONFIG_KEYS_MAX);
    config_table_default(table, out_values);
    if (node->kind == CONFIG_NODE_BAD) {
        return false;
    }
    if (node->kind == CONFIG_NODE_SCALAR || node->kind == CONFIG_NODE_LIST) {
        config_error(source, node->line, "%s is a mapping of keys, not a %s", what,
                     node->kind == CONFIG_NODE_LIST ? "list" : "single value");
        return false;
    }
    read_map(&reading, node, "");
    for (size_t i = 0; i < table->count; i++) {
        if (table->keys[i].fallback == NULL && out_values[i].line == 0) {
            config_error(source, node->key_line, "%s has no key %s, which must be there", what, table->keys[i].path);
        }
    }
    return source->error_count == errors_before;
}
