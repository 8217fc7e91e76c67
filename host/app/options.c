/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "config_rule.h"
#include "limit.h"
#include "nearest.h"
#include "store_lmdb.h"

enum {
    NAME_BYTES_MAX = 64,
    SHOWN_BYTES_MAX = 80,
};

struct option {
    const char *name; /* of the flag, without the two dashes */
    struct config_rule rule;
    const char *fallback; /* NULL: none */
    bool is_required;
    bool is_list;
    size_t offset; /* in struct serve_options; of a list: its texts */
    size_t size;
    size_t count_offset;     /* of a list */
    const char *placeholder; /* for its value in usage lines */
    const char *help;
};

#define FIELD(field) .offset = offsetof(struct serve_options, field), .size = sizeof(((struct serve_options *)0)->field)
#define LIST(field, count) .is_list = true, FIELD(field), .count_offset = offsetof(struct serve_options, count)

static const struct option options[] = {
    {"module",
     {CONFIG_TEXT, 0, 0, NULL},
     FIELD(module_file),
     .placeholder = "FILE",
     .help = "The module file: endpoints, functions and egresses (docs/module.md)."},
    {"data",
     {CONFIG_TEXT, 0, 0, NULL},
     .is_required = true,
     FIELD(data_folder),
     .placeholder = "DIR",
     .help = "The data folder. It is made if it is missing. One process at a time holds it."},
    {"ingress-port",
     {CONFIG_NUMBER, 0, 65535, NULL},
     "8090",
     FIELD(ingress_port),
     .placeholder = "PORT",
     .help = "The port for clients; 0 takes any free one and logs it."},
    {"admin-port",
     {CONFIG_NUMBER, 0, 65535, NULL},
     "8095",
     FIELD(admin_port),
     .placeholder = "PORT",
     .help = "The port for /healthz, /readyz and /metrics; 0 takes any free one and logs it."},
    {"listen",
     {CONFIG_TEXT, 0, 0, NULL},
     "127.0.0.1",
     FIELD(listen),
     .placeholder = "ADDRESS",
     .help = "The numeric address all ports listen on; 0.0.0.0 or :: for every address."},
    {"function",
     {CONFIG_TEXT, 0, 0, NULL},
     LIST(functions, function_count),
     .placeholder = "PATTERN=URL",
     .help =
         "An endpoint without a module file, as in example/*=http://localhost:8000/. May be given many times; in the "
         "environment, separated by spaces."},
    {"egress",
     {CONFIG_TEXT, 0, 0, NULL},
     LIST(egresses, egress_count),
     .placeholder = "NAME",
     .help = "An egress without a module file, as in example/receipts. May be given many times; in the environment, "
             "separated by spaces."},
    {"stop-timeout",
     {CONFIG_DURATION, 100, 3600000, NULL},
     "10s",
     FIELD(stop_timeout_ms),
     .placeholder = "TIME",
     .help = "How long a stop may take to answer everybody and finish the epoch before the process ends all the same."},
    {"commit-interval",
     {CONFIG_DURATION, 1, 10000, NULL},
     "5ms",
     FIELD(commit_interval_ms),
     .placeholder = "TIME",
     .help = "An epoch nobody waits for goes to disk at this age; one somebody waits for goes at once."},
    {"commit-bytes",
     {CONFIG_BYTES, 64 << 10, 64 << 20, NULL},
     "16MiB",
     FIELD(commit_bytes),
     .placeholder = "SIZE",
     .help = "An epoch goes to disk at this size; while the disk is behind, no more calls go out beyond it."},
    {"store-bytes-max",
     {CONFIG_BYTES, 1 << 20, UINT64_C(1) << 46, NULL},
     "64GiB",
     FIELD(store_bytes_max),
     .placeholder = "SIZE",
     .help = "Beyond so many bytes in the store, new messages are refused with 507; what is inside goes on."},
    {"store-map-bytes",
     {CONFIG_BYTES, 16 << 20, UINT64_C(1) << 46, NULL},
     "1TiB",
     FIELD(store_map_bytes),
     .placeholder = "SIZE",
     .help = "Address space reserved for the store: the most it can ever hold. It takes no disk space by itself."},
    {"memory-bytes",
     {CONFIG_BYTES, 1 << 20, UINT64_C(1) << 46, NULL},
     "512MiB",
     FIELD(memory_bytes),
     .placeholder = "SIZE",
     .help = "The budget for messages and idle instances held in memory; the rest stays on disk."},
    {"messages-max",
     {CONFIG_NUMBER, 1, UINT64_C(1) << 40, NULL},
     "10000000",
     FIELD(messages_max),
     .placeholder = "COUNT",
     .help = "Beyond so many waiting messages, new ones are refused with 503; what is inside goes on."},
    {"parked-max",
     {CONFIG_NUMBER, 1, 10000000, NULL},
     "100000",
     FIELD(parked_max),
     .placeholder = "COUNT",
     .help = "Beyond so many parked messages, an instance that would park one more is held up instead."},
    {"reader-threads",
     {CONFIG_NUMBER, 1, 16, NULL},
     "1",
     FIELD(reader_threads),
     .placeholder = "COUNT",
     .help = "Threads that read from the store."},
    {"helper-threads",
     {CONFIG_NUMBER, 1, 8, NULL},
     "2",
     FIELD(helper_threads),
     .placeholder = "COUNT",
     .help = "Threads that look up names and parse large bodies; with two, a dead name server holds up no parsing."},
    {"log-level",
     {CONFIG_CHOICE, 0, 0, "debug info warn error"},
     "info",
     FIELD(log_level),
     .placeholder = "LEVEL",
     .help = "The least level that is logged, to standard error."},
    {"log-format",
     {CONFIG_CHOICE, 0, 0, "auto text json"},
     "auto",
     FIELD(log_format),
     .placeholder = "FORMAT",
     .help = "auto is text on a terminal and JSON, one object a line, otherwise."},
    {"allow-clock-ahead",
     {CONFIG_BOOL, 0, 0, NULL},
     "false",
     FIELD(allow_clock_ahead),
     .placeholder = "BOOL",
     .help = "Start even if the store's time lies more than an hour ahead of the wall clock."},
};
enum { OPTION_COUNT = sizeof options / sizeof options[0] };
_Static_assert(LOG_DEBUG == 0 && LOG_INFO == 1 && LOG_WARN == 2 && LOG_ERROR == 3, "the choices of log-level");
_Static_assert(OPTIONS_LOG_AUTO == 0 && OPTIONS_LOG_TEXT == 1 && OPTIONS_LOG_JSON == 2, "the choices of log-format");

/* One parse. */
struct parse {
    const struct options_input *input;
    struct arena *arena;
    struct serve_options *out;
    struct buf *messages;
    bool is_set[OPTION_COUNT]; /* by a flag */
    bool has_error;
};

/* PROA_INGRESS_PORT of ingress-port. */
static void environment_name(const struct option *option, char out[NAME_BYTES_MAX])
{
    const int size = snprintf(out, NAME_BYTES_MAX, "PROA_%s", option->name);

    check(size > 0 && size < NAME_BYTES_MAX);
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '-') {
            *at = '_';
        } else if (*at >= 'a' && *at <= 'z') {
            *at = (char)(*at - ('a' - 'A'));
        }
    }
}

/* Every message goes this way. `about` is the flag or variable as the caller wrote it. */
static void complain(struct parse *parse, const char *about, const char *sentence)
{
    const size_t from = parse->messages->size;

    parse->has_error = true;
    buf_appendf(parse->messages, "%s: %s", about, sentence);
    for (size_t i = from; i < parse->messages->size; i++) {
        if (parse->messages->data[i] < 0x20 || parse->messages->data[i] == 0x7F) {
            parse->messages->data[i] = '?'; /* a terminal obeys control characters */
        }
    }
    buf_append_u8(parse->messages, '\n');
}

static void store_number(const struct option *option, struct serve_options *out, uint64_t number)
{
    uint8_t *field = (uint8_t *)out + option->offset;

    switch (option->size) {
    case sizeof(bool): {
        const bool value = number == 1;
        memcpy(field, &value, sizeof value);
        return;
    }
    case sizeof(uint16_t): {
        const uint16_t value = (uint16_t)number;
        memcpy(field, &value, sizeof value);
        return;
    }
    case sizeof(uint32_t): {
        const uint32_t value = (uint32_t)number;
        memcpy(field, &value, sizeof value);
        return;
    }
    default:
        check(option->size == sizeof number);
        memcpy(field, &number, sizeof number);
    }
}

/* Adds one text to a list: a new array each time, since lists are short. */
static void store_text(struct parse *parse, const struct option *option, const char *text)
{
    uint8_t *field = (uint8_t *)parse->out + option->offset;

    if (!option->is_list) {
        memcpy(field, &text, sizeof text);
        return;
    }
    uint8_t *count_field = (uint8_t *)parse->out + option->count_offset;
    const char *const *old = NULL;
    uint32_t count = 0;
    memcpy(&old, field, sizeof old);
    memcpy(&count, count_field, sizeof count);
    const char **grown =
        count < LIMIT_MODULE_ENTRIES_MAX ? arena_alloc(parse->arena, (count + 1) * sizeof *grown) : NULL;
    if (grown == NULL) {
        complain(parse, option->name, "this option is given too many times; write a module file");
        return;
    }
    if (count > 0) {
        memcpy(grown, old, count * sizeof *grown);
    }
    grown[count++] = text;
    memcpy(field, &grown, sizeof grown);
    memcpy(count_field, &count, sizeof count);
}

static void store_value(struct parse *parse, const struct option *option, const char *about, const char *text)
{
    uint64_t number = 0;
    struct err err;

    if (config_rule_parse(&option->rule, slice_of(text), &number, &err) != ERR_NONE) {
        complain(parse, about, err.text);
    } else if (option->rule.type == CONFIG_TEXT) {
        store_text(parse, option, text);
    } else {
        store_number(option, parse->out, number);
    }
}

/* A list in the environment: texts between spaces. */
static void store_words(struct parse *parse, const struct option *option, const char *about, const char *text)
{
    static const char spaces[] = " \t\n";

    for (const char *at = text + strspn(text, spaces); *at != '\0';) {
        const size_t size = strcspn(at, spaces);
        char *word = arena_alloc(parse->arena, size + 1);
        if (word == NULL) {
            complain(parse, about, "it is too long");
            return;
        }
        memcpy(word, at, size);
        store_value(parse, option, about, word);
        at += size;
        at += strspn(at, spaces);
    }
}

static void unknown_flag(struct parse *parse, const char *argument, struct slice name)
{
    struct nearest nearest = nearest_to(name);
    const char *meant = nearest_offer(&nearest, SLICE("help")) ? "help" : NULL;
    char sentence[128];

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        meant = nearest_offer(&nearest, slice_of(options[i].name)) ? options[i].name : meant;
    }
    if (meant == NULL) {
        (void)snprintf(sentence, sizeof sentence, "there is no such option; proa serve --help lists them");
    } else {
        (void)snprintf(sentence, sizeof sentence, "there is no such option; did you mean --%s?", meant);
    }
    char about[SHOWN_BYTES_MAX + 1];
    (void)snprintf(about, sizeof about, "%.*s", (int)strcspn(argument, "="), argument);
    complain(parse, about, sentence);
}

/* One argument, and the one after it if that is its value; returns how many were used. */
static int take_argument(struct parse *parse, int at)
{
    const char *argument = parse->input->arguments[at];
    const bool has_next = at + 1 < parse->input->argument_count;
    const size_t dashes = strspn(argument, "-");
    const struct slice name = {(const uint8_t *)argument + dashes, strcspn(argument + dashes, "=")};
    char about[NAME_BYTES_MAX + 2];
    char sentence[160];
    size_t index = 0;

    if (dashes == 0) {
        complain(parse, argument, "proa serve takes options only; they begin with --");
        return 1;
    }
    while (index < OPTION_COUNT && !slice_equal(name, slice_of(options[index].name))) {
        index++;
    }
    if (dashes != 2 || index == OPTION_COUNT) {
        unknown_flag(parse, argument, name);
        return 1;
    }
    const struct option *option = &options[index];
    const char *value = argument[dashes + name.size] == '=' ? argument + dashes + name.size + 1 : NULL;
    int used = 1;
    (void)snprintf(about, sizeof about, "--%s", option->name);
    if (value == NULL && option->rule.type == CONFIG_BOOL) {
        value = "true";
    } else if (value == NULL && has_next && strncmp(parse->input->arguments[at + 1], "--", 2) != 0) {
        value = parse->input->arguments[at + 1];
        used = 2;
    }
    if (value == NULL) {
        (void)snprintf(sentence, sizeof sentence, "it needs a value: --%s %s", option->name, option->placeholder);
        complain(parse, about, sentence);
    } else if (parse->is_set[index] && !option->is_list) {
        complain(parse, about, "it is given twice; leave one out");
    } else {
        store_value(parse, option, about, value);
    }
    parse->is_set[index] = true;
    return used;
}

/* What no flag set comes from the environment, or is the default. */
static void fill(struct parse *parse, size_t index)
{
    const struct options_input *input = parse->input;
    const struct option *option = &options[index];
    char name[NAME_BYTES_MAX];

    if (parse->is_set[index]) {
        return;
    }
    environment_name(option, name);
    const char *value = input->getenv == NULL ? NULL : input->getenv(input->getenv_context, name);
    if (value != NULL && *value != '\0') { /* as for a shell, empty is unset */
        if (option->is_list) {
            store_words(parse, option, name, value);
        } else {
            store_value(parse, option, name, value);
        }
        parse->is_set[index] = true;
    } else if (option->fallback != NULL) {
        store_value(parse, option, name, option->fallback);
    } else if (option->is_required) {
        char about[NAME_BYTES_MAX + 2];
        char sentence[160];
        (void)snprintf(about, sizeof about, "--%s", option->name);
        (void)snprintf(sentence, sizeof sentence, "it is missing; give --%s %s or set %s", option->name,
                       option->placeholder, name);
        complain(parse, about, sentence);
    }
}

static enum options_help wanted_help(const struct options_input *input)
{
    for (int i = 0; i < input->argument_count; i++) {
        if (strcmp(input->arguments[i], "--help") == 0 || strcmp(input->arguments[i], "-h") == 0) {
            return OPTIONS_HELP_TEXT;
        }
        if (strcmp(input->arguments[i], "--help=markdown") == 0) {
            return OPTIONS_HELP_MARKDOWN;
        }
    }
    return OPTIONS_HELP_NONE;
}

/* A name would have to be looked up, and could have several addresses. */
static void check_listen(struct parse *parse)
{
    struct in6_addr address;

    if (!parse->has_error && inet_pton(AF_INET, parse->out->listen, &address) != 1 &&
        inet_pton(AF_INET6, parse->out->listen, &address) != 1) {
        complain(parse, "--listen", "it is not a numeric address; write one such as 127.0.0.1, 0.0.0.0 or ::1");
    }
}

enum err_code options_parse(const struct options_input *input, struct arena *arena, struct serve_options *out,
                            enum options_help *out_help, struct buf *messages)
{
    struct serve_options parsed = {0};
    struct parse parse = {.input = input, .arena = arena, .out = &parsed, .messages = messages};

    *out_help = wanted_help(input);
    if (*out_help != OPTIONS_HELP_NONE) {
        return ERR_NONE;
    }
    for (int at = 0; at < input->argument_count;) {
        at += take_argument(&parse, at);
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        fill(&parse, i);
        if (options[i].offset == offsetof(struct serve_options, store_map_bytes) && !parse.is_set[i]) {
            parsed.store_map_bytes = STORE_LMDB_MAP_BYTES; /* smaller in instrumented builds */
        }
    }
    check_listen(&parse);
    if (!parse.has_error && parsed.ingress_port != 0 && parsed.ingress_port == parsed.admin_port) {
        complain(&parse, "--admin-port", "it is the ingress port too; give each its own");
    }
    if (parse.has_error) {
        return ERR_CONFIG;
    }
    *out = parsed;
    return ERR_NONE;
}

bool options_is_log_json(const struct serve_options *serve)
{
    return serve->log_format == OPTIONS_LOG_JSON ||
           (serve->log_format == OPTIONS_LOG_AUTO && isatty(STDERR_FILENO) == 0);
}

void options_print_help(struct buf *out)
{
    buf_append_text(out, "Usage: proa serve --data DIR (--module FILE | --function PATTERN=URL) [options]\n\n"
                         "Each option is a flag, or an environment variable; the flag wins.\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        char name[NAME_BYTES_MAX];
        environment_name(option, name);
        buf_appendf(out, "\n  --%s %s\n      %s\n      ", option->name, option->placeholder, option->help);
        if (option->fallback != NULL) {
            buf_appendf(out, "Default: %s. ", option->fallback);
        }
        buf_appendf(out, "Environment: %s\n", name);
    }
}

void options_print_reference(struct buf *out)
{
    buf_append_text(out,
                    "# Configuration of the host\n\n"
                    "Options of `proa serve`. Each is a flag, `--name value` or `--name=value`, or an environment "
                    "variable; `--name` alone switches a true-or-false one on. The flag "
                    "wins over the variable, and the variable over the default. What the host serves stands in the "
                    "[module file](module.md).\n\n"
                    "A duration is an integer and one of `ms`, `s`, `m`, `h` and `d`; a size is an integer, alone for "
                    "bytes or with "
                    "one of `KiB`, `MiB`, `GiB` and `TiB`.\n\n"
                    "| Flag | Environment | Takes | Default | Meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        char name[NAME_BYTES_MAX];
        environment_name(option, name);
        buf_appendf(out, "| `--%s` | `%s` | ", option->name, name);
        config_rule_describe(&option->rule, out);
        if (option->fallback != NULL) {
            buf_appendf(out, " | `%s`", option->fallback);
        } else {
            buf_append_text(out, option->is_required ? " | must be given" : " | none");
        }
        buf_appendf(out, " | %s |\n", option->help);
    }
}
