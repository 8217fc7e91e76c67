/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "config_internal.h"
#include "limit.h"

enum {
    MESSAGES_SHOWN_MAX = 100,      /* errors of one file; and as many warnings */
    REGISTRY_BYTES_MAX = 64 << 20, /* far above what a file at its limits comes to */
    NODES_BYTES_MAX = 32 << 20,    /* of one file while it is read */
    CONNECT_MS = 10000,            /* of one call's connecting */
    MAILBOX_MESSAGES_MAX = 100000, /* of one instance */
    SHOWN_BYTES_MAX = 80,
    KINDS_MAX = 16,
};

/* Where something was said, for who says it again. */
struct place {
    struct slice file;
    uint32_t line; /* 0: a flag */
};

struct function_entry {
    struct function_entry *next;
    struct function_config function;
    struct place place;
};

struct egress_entry {
    struct egress_entry *next;
    struct egress_config egress;
    struct place place;
};

struct port_entry {
    struct port_entry *next;
    struct playground_port port;
    struct place place;
};

struct endpoint_entry {
    struct endpoint_entry *next;
    struct endpoint_config endpoint;
    bool is_flag; /* functions of later flags with the same URL join it */
};

struct config {
    struct arena *arena; /* becomes the registry's */
    struct function_entry *functions;
    struct function_entry **functions_end;
    struct endpoint_entry *endpoints;
    struct endpoint_entry **endpoints_end;
    struct egress_entry *egresses;
    struct egress_entry **egresses_end;
    struct port_entry *ports;
    struct port_entry **ports_end;
    uint32_t function_count;
    uint32_t endpoint_count;
    uint32_t egress_count;
    uint32_t port_count;
    bool has_error; /* what was added is not whole: no registry comes of it */
};

struct config *config_create(void)
{
    struct config *config = calloc(1, sizeof *config);

    check(config != NULL);
    config->arena = arena_create(REGISTRY_BYTES_MAX);
    check(config->arena != NULL);
    config->functions_end = &config->functions;
    config->endpoints_end = &config->endpoints;
    config->egresses_end = &config->egresses;
    config->ports_end = &config->ports;
    return config;
}

void config_destroy(struct config *config)
{
    if (config != NULL) {
        arena_destroy(config->arena);
        free(config);
    }
}

/* Adds one line; `mark` stands before the sentence. */
static void say(struct config_source *source, uint32_t line, const char *mark, const char *sentence)
{
    buf_append_text(source->messages, source->input->file_name);
    if (line > 0) {
        buf_appendf(source->messages, ":%u", line);
    }
    buf_appendf(source->messages, ": %s", mark);
    for (const char *at = sentence; *at != '\0'; at++) {
        const bool is_control = (unsigned char)*at < 0x20 || *at == 0x7F;
        buf_append_u8(source->messages, is_control ? '?' : (uint8_t)*at); /* a terminal obeys control characters */
    }
    buf_append_u8(source->messages, '\n');
}

void config_error(struct config_source *source, uint32_t line, const char *format, ...)
{
    char sentence[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;

    source->error_count++;
    if (source->error_count > MESSAGES_SHOWN_MAX) {
        if (source->error_count == MESSAGES_SHOWN_MAX + 1) {
            say(source, 0, "", "there are more errors, which are not shown");
        }
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    say(source, line, "", sentence);
}

void config_warn(struct config_source *source, uint32_t line, const char *format, ...)
{
    char sentence[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;

    source->warning_count++;
    if (source->warning_count > MESSAGES_SHOWN_MAX) {
        if (source->warning_count == MESSAGES_SHOWN_MAX + 1) {
            say(source, 0, CONFIG_WARNING, "there are more warnings, which are not shown");
        }
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    say(source, line, CONFIG_WARNING, sentence);
}

/* The end of one source. */
static enum err_code finish(struct config *config, const struct config_source *source)
{
    config->has_error |= source->error_count > 0;
    return source->error_count > 0 ? ERR_CONFIG : ERR_NONE;
}

static int shown(struct slice text)
{
    return text.size < SHOWN_BYTES_MAX ? (int)text.size : SHOWN_BYTES_MAX;
}

/* Memory of the registry. Its budget is far above what the bounds of files and entries allow. */
static void *allocate(struct config *config, size_t size)
{
    void *memory = arena_alloc(config->arena, size);

    check(memory != NULL);
    return memory;
}

static struct slice copy(struct config *config, struct slice text)
{
    const struct slice copied = arena_copy(config->arena, text);

    check(text.size == 0 || copied.data != NULL);
    return copied;
}

static void describe_place(const struct place *place, char *out, size_t size)
{
    if (place->line == 0) {
        (void)snprintf(out, size, "by %.*s", shown(place->file), place->file.data);
    } else {
        (void)snprintf(out, size, "at %.*s:%u", shown(place->file), place->file.data, place->line);
    }
}

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

    config_table_default(&config_endpoint_table, values);
    *out_endpoint = endpoint_of(values);
}

void config_put_function(struct config *config, struct config_source *source, struct function_config function,
                         uint32_t line)
{
    for (const struct function_entry *other = config->functions; other != NULL; other = other->next) {
        char place[2 * SHOWN_BYTES_MAX];
        if (slice_equal(other->function.space, function.space) && slice_equal(other->function.name, function.name)) {
            describe_place(&other->place, place, sizeof place);
            config_error(source, line, "%.*s/%.*s already has an endpoint, given %s", shown(function.space),
                         function.space.data, shown(function.name), function.name.data, place);
            return;
        }
    }
    if (config->function_count == LIMIT_MODULE_ENTRIES_MAX) {
        config_error(source, line, "there are more than %d functions", LIMIT_MODULE_ENTRIES_MAX);
        return;
    }
    struct function_entry *entry = allocate(config, sizeof *entry);
    entry->function = function;
    entry->function.space = copy(config, function.space);
    entry->function.name = copy(config, function.name);
    entry->function.takes = copy(config, function.takes);
    entry->place = (struct place){copy(config, slice_of(source->input->file_name)), line};
    *config->functions_end = entry;
    config->functions_end = &entry->next;
    config->function_count++;
}

static void copy_file(struct config *config, struct tls_file *file)
{
    file->path = copy(config, file->path);
    file->where = copy(config, file->where);
}

bool config_put_endpoint(struct config *config, struct config_source *source, const struct endpoint_config *endpoint,
                         uint32_t line, uint32_t *out_index)
{
    if (config->endpoint_count == LIMIT_MODULE_ENTRIES_MAX) {
        config_error(source, line, "there are more than %d endpoints", LIMIT_MODULE_ENTRIES_MAX);
        return false;
    }
    struct endpoint_entry *entry = allocate(config, sizeof *entry);
    entry->endpoint = *endpoint;
    entry->endpoint.url = copy(config, endpoint->url);
    entry->endpoint.socket = config_socket_of(entry->endpoint.url);
    copy_file(config, &entry->endpoint.tls.ca);
    copy_file(config, &entry->endpoint.tls.cert);
    copy_file(config, &entry->endpoint.tls.key);
    copy_file(config, &entry->endpoint.tls.key_password);
    entry->is_flag = line == 0;
    *config->endpoints_end = entry;
    config->endpoints_end = &entry->next;
    *out_index = config->endpoint_count++;
    return true;
}

static void read_function(struct config *config, struct config_source *source, const struct config_node *node,
                          uint32_t endpoint)
{
    struct config_value values[KEY_FUNCTION_COUNT];
    struct function_config function = {.endpoint = endpoint};
    char what[SHOWN_BYTES_MAX + 1];
    struct err err;

    if (node->key.size == 0) {
        return; /* complained about when it was read */
    }
    (void)snprintf(what, sizeof what, "%.*s", shown(node->key), node->key.data);
    const bool is_read = config_table_read(source, &config_function_table, node, what, values);
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

    config_read_tls(source, &config_endpoint_table, values, &keys, &endpoint->tls);
    endpoint->tls.no_verify = values[KEY_ENDPOINT_TLS_VERIFY].number == 0;
    for (size_t i = KEY_ENDPOINT_TLS_CA; i <= KEY_ENDPOINT_TLS_VERIFY; i++) {
        if (values[i].line > 0 && endpoint->url.size > 0 && !config_is_https(endpoint->url)) {
            config_error(source, values[i].line, "%s: there are no certificates without https:// in the url",
                         config_endpoint_table.keys[i].path);
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
                     "retry.max (%.*s) is shorter than retry.first (%.*s)", shown(values[KEY_ENDPOINT_RETRY_MAX].text),
                     values[KEY_ENDPOINT_RETRY_MAX].text.data, shown(values[KEY_ENDPOINT_RETRY_FIRST].text),
                     values[KEY_ENDPOINT_RETRY_FIRST].text.data);
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

enum err_code config_add_function(struct config *config, const char *text, struct buf *messages)
{
    struct config_input input = {.file_name = "--function"};
    struct config_source source = {.input = &input, .messages = messages};
    struct function_config function = {0};
    uint32_t index = 0;
    struct err err;

    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        config_error(&source, 0, "'%.*s' has no '='; write it as in example/*=http://localhost:8000/", SHOWN_BYTES_MAX,
                     text);
        return finish(config, &source);
    }
    const struct slice pattern = {(const uint8_t *)text, (size_t)(equals - text)};
    const struct slice url = slice_of(equals + 1);
    if (config_check_pattern(pattern, &function.space, &function.name, &err) != ERR_NONE) {
        config_error(&source, 0, "%s", err.text);
    }
    if (config_check_url(url, &err) != ERR_NONE) {
        config_error(&source, 0, "%s", err.text);
    }
    if (source.error_count > 0) {
        return finish(config, &source);
    }
    const struct endpoint_entry *entry = config->endpoints;
    while (entry != NULL && !(entry->is_flag && slice_equal(entry->endpoint.url, url))) {
        entry = entry->next;
        index++;
    }
    if (entry == NULL) {
        struct endpoint_config endpoint;
        config_endpoint_default(&endpoint);
        endpoint.url = url;
        if (!config_put_endpoint(config, &source, &endpoint, 0, &index)) {
            return finish(config, &source);
        }
    }
    function.endpoint = index;
    config_put_function(config, &source, function, 0);
    return finish(config, &source);
}

/* ---- egresses ------------------------------------------------------------------------------------------- */

uint64_t config_egress_bytes_default(void)
{
    struct config_value values[KEY_EGRESS_COUNT];

    config_table_default(&config_egress_table, values);
    return values[KEY_EGRESS_QUEUE_MAX_BYTES].number;
}

/* The first port at which records are popped, or NULL. */
static const struct port_entry *find_egress_port(const struct config *config)
{
    const struct port_entry *entry = config->ports;

    while (entry != NULL && !entry->port.is_egress) {
        entry = entry->next;
    }
    return entry;
}

void config_put_egress(struct config *config, struct config_source *source, struct egress_config egress, uint32_t line)
{
    const struct port_entry *port = find_egress_port(config);
    char taken[2 * SHOWN_BYTES_MAX];

    if (port != NULL && !egress.is_topic && registry_is_playground_name(egress.space, egress.name)) {
        describe_place(&port->place, taken, sizeof taken);
        config_error(source, line, "the egress io.statefun.playground/egress is that of the playground, given %s",
                     taken);
        return;
    }
    for (const struct egress_entry *other = config->egresses; other != NULL; other = other->next) {
        char place[2 * SHOWN_BYTES_MAX];
        if (slice_equal(other->egress.space, egress.space) && slice_equal(other->egress.name, egress.name)) {
            describe_place(&other->place, place, sizeof place);
            config_error(source, line, "the %s %.*s/%.*s is already there, given %s",
                         egress.is_topic ? "topic" : "egress", shown(egress.space), egress.space.data,
                         shown(egress.name), egress.name.data, place);
            return;
        }
    }
    if (config->egress_count == LIMIT_MODULE_ENTRIES_MAX) {
        config_error(source, line, "there are more than %d egresses and topics", LIMIT_MODULE_ENTRIES_MAX);
        return;
    }
    struct egress_entry *entry = allocate(config, sizeof *entry);
    entry->egress = egress;
    entry->egress.space = copy(config, egress.space);
    entry->egress.name = copy(config, egress.name);
    entry->place = (struct place){copy(config, slice_of(source->input->file_name)), line};
    *config->egresses_end = entry;
    config->egresses_end = &entry->next;
    config->egress_count++;
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

enum err_code config_add_egress(struct config *config, const char *text, struct buf *messages)
{
    struct config_input input = {.file_name = "--egress"};
    struct config_source source = {.input = &input, .messages = messages};
    struct egress_config egress = {.bytes_max = config_egress_bytes_default()};
    struct err err;

    if (config_check_name(slice_of(text), &egress.space, &egress.name, &err) != ERR_NONE) {
        config_error(&source, 0, "%s", err.text);
        return finish(config, &source);
    }
    config_put_egress(config, &source, egress, 0);
    return finish(config, &source);
}

/* ---- ports ---------------------------------------------------------------------------------------------- */

/* An egress of ours that has the name of the playground's, or NULL. */
static const struct egress_entry *find_namesake(const struct config *config)
{
    const struct egress_entry *entry = config->egresses;

    while (entry != NULL &&
           (entry->egress.is_topic || !registry_is_playground_name(entry->egress.space, entry->egress.name))) {
        entry = entry->next;
    }
    return entry;
}

bool config_put_port(struct config *config, struct config_source *source, struct playground_port port, uint32_t line,
                     uint32_t *out_index)
{
    const struct egress_entry *namesake = port.is_egress ? find_namesake(config) : NULL;
    char place[2 * SHOWN_BYTES_MAX];

    if (namesake != NULL) {
        describe_place(&namesake->place, place, sizeof place);
        config_error(source, line, "the egress io.statefun.playground/egress is already there, given %s", place);
        return false;
    }
    for (const struct port_entry *other = config->ports; other != NULL; other = other->next) {
        if (port.port != 0 && other->port.port == port.port && other->port.is_egress == port.is_egress) {
            describe_place(&other->place, place, sizeof place);
            config_error(source, line, "the port %u is already taken, given %s", port.port, place);
            return false;
        }
    }
    if (config->port_count == LIMIT_PLAYGROUND_PORTS_MAX) {
        config_error(source, line, "there are more than %d ports of the playground", LIMIT_PLAYGROUND_PORTS_MAX);
        return false;
    }
    struct port_entry *entry = allocate(config, sizeof *entry);
    entry->port = port;
    entry->place = (struct place){copy(config, slice_of(source->input->file_name)), line};
    *config->ports_end = entry;
    config->ports_end = &entry->next;
    *out_index = config->port_count++;
    return true;
}

/* ---- kinds and documents -------------------------------------------------------------------------------- */

const struct config_kind config_kinds[] = {
    {"proa.v1/endpoint", &config_endpoint_table, &config_function_table, read_endpoint,
     "An HTTP service and the functions it serves. A function that is named wins over a star.",
     "kind: proa.v1/endpoint\n"
     "spec:\n"
     "  functions:\n"
     "    example/counter: {takes: io.statefun.types/int}\n"
     "    example/*: {}\n"
     "  url: ${FUNCTIONS_URL:-http://functions:8000/}\n"
     "  call: {timeout: 2m, in_flight: auto, batch: 100, batch_bytes: 512KiB, run_ahead: true}\n"
     "  retry: {first: 50ms, factor: 2, max: 30s, attempts: 20, then: block}\n"},
    {"proa.v1/egress", &config_egress_table, NULL, read_egress,
     "A way out: records that functions send to it wait in its outbox, in order, until they are taken.",
     "kind: proa.v1/egress\n"
     "spec: {name: example/receipts, queue: {max_bytes: 1GiB}}\n"},
};
const size_t config_kind_count = sizeof config_kinds / sizeof config_kinds[0];

static const struct config_kind *find_kind(const struct config_node *node)
{
    for (size_t i = 0; node->kind == CONFIG_NODE_SCALAR && i < config_kind_count; i++) {
        if (slice_equal(node->text, slice_of(config_kinds[i].name))) {
            return &config_kinds[i];
        }
    }
    for (size_t i = 0; node->kind == CONFIG_NODE_SCALAR && i < config_statefun_kind_count; i++) {
        if (slice_equal(node->text, slice_of(config_statefun_kinds[i].name))) {
            return &config_statefun_kinds[i];
        }
    }
    return NULL;
}

static void complain_kind(struct config_source *source, const struct config_node *node)
{
    const char *names[KINDS_MAX];
    size_t count = 0;

    if (node->kind == CONFIG_NODE_BAD) {
        return;
    }
    check(config_kind_count + config_statefun_kind_count <= KINDS_MAX);
    for (size_t i = 0; i < config_kind_count; i++) {
        names[count++] = config_kinds[i].name;
    }
    for (size_t i = 0; i < config_statefun_kind_count; i++) {
        names[count++] = config_statefun_kinds[i].name;
    }
    const char *nearest = node->kind == CONFIG_NODE_SCALAR ? config_nearest(node->text, names, count) : NULL;
    config_error(source, node->line, "kind: '%.*s' is not a known kind; did you mean %s?", shown(node->text),
                 node->text.size == 0 ? (const uint8_t *)"" : node->text.data, nearest == NULL ? names[0] : nearest);
}

/* A key beside kind and spec. */
static void complain_key(struct config_source *source, const struct config_node *node, bool is_foreign)
{
    static const char *const names[] = {"kind", "spec"};
    const char *nearest = config_nearest(node->key, names, 2);

    if (is_foreign) {
        config_warn(source, node->key_line, "%.*s is not a known key; a document has kind and spec; it is passed over",
                    shown(node->key), node->key.data);
    } else if (nearest == NULL) {
        config_error(source, node->key_line, "%.*s is not a known key; a document has kind and spec", shown(node->key),
                     node->key.data);
    } else {
        config_error(source, node->key_line, "%.*s is not a known key; did you mean %s?", shown(node->key),
                     node->key.data, nearest);
    }
}

static void read_spec(struct config *config, struct config_source *source, const struct config_kind *kind,
                      const struct config_node *kind_node, const struct config_node *spec)
{
    struct config_value values[CONFIG_KEYS_MAX];

    if (kind->table == NULL) {
        config_error(source, kind_node->line, "kind %s: %s", kind->name, kind->help);
    } else if (spec != NULL) {
        /* What could be read is added even after errors, so that doubles are found in the same pass. */
        (void)config_table_read(source, kind->table, spec, "spec", values);
        kind->add(config, source, spec, values);
    }
}

static void read_document(struct config *config, struct config_source *source, const struct config_node *document)
{
    const struct config_node *kind_node = NULL;
    const struct config_node *spec = NULL;

    if (document->kind == CONFIG_NODE_NOTHING || document->kind == CONFIG_NODE_BAD) {
        return; /* an empty document: a file may begin or end with --- */
    }
    if (document->kind != CONFIG_NODE_MAP) {
        config_error(source, document->line, "a document is a mapping with the keys kind and spec");
        return;
    }
    if (config_refuse_legacy(source, document)) {
        return;
    }
    for (const struct config_node *node = document->first; node != NULL; node = node->next) {
        kind_node = slice_equal(node->key, SLICE("kind")) ? node : kind_node;
        spec = slice_equal(node->key, SLICE("spec")) ? node : spec;
    }
    const struct config_kind *kind = kind_node == NULL ? NULL : find_kind(kind_node);
    const bool is_foreign = kind != NULL && (kind->table == NULL || kind->table->is_foreign);
    for (const struct config_node *node = document->first; node != NULL; node = node->next) {
        if (node != kind_node && node != spec && node->key.size > 0) {
            complain_key(source, node, is_foreign);
        }
    }
    if (kind_node == NULL) {
        config_error(source, document->line, "this document has no key kind, which must be there");
    } else if (kind == NULL) {
        complain_kind(source, kind_node);
    }
    if (spec == NULL && (kind == NULL || kind->table != NULL)) {
        config_error(source, document->line, "this document has no key spec, which must be there");
    }
    if (kind != NULL) {
        read_spec(config, source, kind, kind_node, spec);
    }
}

enum err_code config_add_module(struct config *config, const struct config_input *input, struct buf *messages)
{
    struct config_source source = {.input = input, .messages = messages};

    source.arena = arena_create(NODES_BYTES_MAX);
    check(source.arena != NULL);
    const struct config_node *document = config_yaml_read(&source);
    for (; document != NULL; document = document->next) {
        read_document(config, &source, document);
    }
    arena_destroy(source.arena);
    return finish(config, &source);
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void print_ports(const struct config *config, struct buf *out)
{
    uint32_t index = 0;

    for (const struct port_entry *port = config->ports; port != NULL; port = port->next, index++) {
        buf_appendf(out, "playground %s on port %u\n", port->port.is_egress ? "egress" : "ingress", port->port.port);
        for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
            if (entry->egress.is_topic && entry->egress.port == index) {
                buf_appendf(out, "  topic %.*s\n", (int)entry->egress.name.size, entry->egress.name.data);
            }
        }
    }
}

void config_print_summary(const struct config *config, struct buf *out)
{
    const struct function_entry *function = config->functions;
    uint32_t egress_count = 0;
    uint32_t index = 0;

    for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
        egress_count += !entry->egress.is_topic;
    }
    buf_appendf(out, "%u endpoint%s, %u function%s, %u egress%s\n", config->endpoint_count,
                plural(config->endpoint_count), config->function_count, plural(config->function_count), egress_count,
                egress_count == 1 ? "" : "es");
    for (const struct endpoint_entry *entry = config->endpoints; entry != NULL; entry = entry->next, index++) {
        buf_appendf(out, "endpoint %.*s\n", (int)entry->endpoint.url.size, entry->endpoint.url.data);
        for (; function != NULL && function->function.endpoint == index; function = function->next) {
            buf_appendf(out, "  function %.*s/%.*s\n", (int)function->function.space.size,
                        function->function.space.data, (int)function->function.name.size, function->function.name.data);
        }
    }
    for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
        if (!entry->egress.is_topic) {
            buf_appendf(out, "egress %.*s/%.*s\n", (int)entry->egress.space.size, entry->egress.space.data,
                        (int)entry->egress.name.size, entry->egress.name.data);
        }
    }
    print_ports(config, out);
}

enum err_code config_take_registry(struct config *config, struct registry **out, struct buf *messages)
{
    uint32_t at = 0;

    if (config->has_error) {
        return ERR_CONFIG; /* said already */
    }
    if (config->function_count == 0) {
        buf_append_text(messages, "no endpoint serves a function; give --module FILE, or --function as in "
                                  "--function 'example/*=http://localhost:8000/'\n");
        return ERR_CONFIG;
    }
    struct registry *registry = allocate(config, sizeof *registry);
    registry->endpoints = allocate(config, config->endpoint_count * sizeof *registry->endpoints);
    registry->functions = allocate(config, config->function_count * sizeof *registry->functions);
    registry->egresses = allocate(config, config->egress_count * sizeof *registry->egresses);
    registry->ports = allocate(config, config->port_count * sizeof *registry->ports);
    for (const struct endpoint_entry *entry = config->endpoints; entry != NULL; entry = entry->next) {
        registry->endpoints[at++] = entry->endpoint;
    }
    check(at == config->endpoint_count);
    at = 0;
    for (const struct function_entry *entry = config->functions; entry != NULL; entry = entry->next) {
        registry->functions[at++] = entry->function;
    }
    check(at == config->function_count);
    at = 0;
    for (const struct egress_entry *entry = config->egresses; entry != NULL; entry = entry->next) {
        registry->egresses[at++] = entry->egress;
    }
    check(at == config->egress_count);
    at = 0;
    for (const struct port_entry *entry = config->ports; entry != NULL; entry = entry->next) {
        registry->ports[at++] = entry->port;
    }
    check(at == config->port_count);
    registry->endpoint_count = config->endpoint_count;
    registry->function_count = config->function_count;
    registry->egress_count = config->egress_count;
    registry->port_count = config->port_count;
    registry->arena = TAKE(config->arena);
    *out = registry;
    return ERR_NONE;
}
