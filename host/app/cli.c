/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "egress_print.h"
#include "limit.h"
#include "log.h"
#include "nearest.h"
#include "tls.h"

enum {
    MESSAGES_BYTES_MAX = 256 << 10,
    PAGE_BYTES_MAX = 1 << 20,
    OPTIONS_ARENA_BYTES = 16 << 20,
};

/* What a verb gets: the arguments after it. */
struct command_line {
    int argument_count;
    char *const *arguments;
    cli_serve *serve;
};

struct verb {
    const char *name;
    const char *usage;
    const char *help;
    int (*run)(const struct command_line *line);
};

static const char *environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

static void print(FILE *out, const struct buf *text)
{
    if (text->size > 0) {
        (void)fwrite(text->data, 1, text->size, out); /* who closed it reads nothing */
    }
    (void)fflush(out);
}

/* A page that one of the tables below prints. */
static int print_page(void (*put)(struct buf *out))
{
    struct buf page;

    buf_init(&page, PAGE_BYTES_MAX);
    put(&page);
    print(stdout, &page);
    buf_done(&page);
    return CLI_OK;
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

/* Says what is wrong with a command line, and how it is written. */
static int misuse(const char *verb, const char *usage, const char *sentence, const char *text)
{
    (void)fprintf(stderr, "proa %s: %s%s\n%s", verb, sentence, text, usage);
    return CLI_USAGE;
}

/* ---- serve ---------------------------------------------------------------------------------------------- */

/* Reads a whole file of at most LIMIT_MODULE_BYTES_MAX bytes. */
static enum err_code read_file(const char *name, struct buf *out, struct err *err)
{
    FILE *file = fopen(name, "rb");
    enum err_code code = ERR_NONE;

    if (file == NULL) {
        return err_set(err, ERR_CONFIG, "the module file %.200s cannot be opened: %s", name, strerror(errno));
    }
    uint8_t *at = buf_reserve(out, LIMIT_MODULE_BYTES_MAX + 1);
    check(at != NULL);
    out->size = fread(at, 1, LIMIT_MODULE_BYTES_MAX + 1, file);
    if (ferror(file) != 0) {
        code = err_set(err, ERR_CONFIG, "the module file %.200s cannot be read: %s", name, strerror(errno));
    } else if (out->size > LIMIT_MODULE_BYTES_MAX) {
        code = err_set(err, ERR_CONFIG, "the module file %.200s is over %d bytes", name, LIMIT_MODULE_BYTES_MAX);
    }
    (void)fclose(file);
    return code;
}

static void add_module(struct config *config, const char *name, struct buf *messages, bool *has_error)
{
    struct config_input input = {.file_name = name, .getenv = environment};
    struct buf text;
    struct err err;

    buf_init(&text, LIMIT_MODULE_BYTES_MAX + 1);
    if (read_file(name, &text, &err) != ERR_NONE) {
        buf_appendf(messages, "%s\n", err.text);
        *has_error = true;
    } else {
        input.text = buf_slice(&text);
        *has_error |= config_add_module(config, &input, messages) != ERR_NONE;
    }
    buf_done(&text);
}

/* Everything the options name becomes one registry; all mistakes are told together. */
static enum err_code build_registry(const struct serve_options *options, struct registry **out, struct buf *messages)
{
    struct config *config = config_create();
    enum err_code code = ERR_CONFIG;
    bool has_error = false;

    if (options->module_file != NULL) {
        add_module(config, options->module_file, messages, &has_error);
    }
    for (uint32_t i = 0; i < options->function_count; i++) {
        has_error |= config_add_function(config, options->functions[i], messages) != ERR_NONE;
    }
    for (uint32_t i = 0; i < options->egress_count; i++) {
        has_error |= config_add_egress(config, options->egresses[i], messages) != ERR_NONE;
    }
    if (!has_error) {
        code = config_take_registry(config, out, messages);
    }
    config_destroy(config);
    return code;
}

/* Reads the files about certificates as the host will, and tells what is wrong with them. */
static enum err_code try_tls(const struct registry *registry, struct buf *messages)
{
    struct tls_set *set = NULL;
    const enum err_code code = tls_load(registry, &set, messages);

    tls_unload(set);
    return code;
}

/* What a good module file was warned about, one event a line, in the host's own log format. */
static void log_warnings(const struct serve_options *options, const struct buf *messages)
{
    struct log *log =
        messages->size == 0 ? NULL : log_create(STDERR_FILENO, options->log_level, options_is_log_json(options));
    size_t end = 0;

    for (size_t at = 0; at < messages->size; at = end + 1) {
        end = at;
        while (end < messages->size && messages->data[end] != '\n') {
            end++;
        }
        log_event(log, LOG_WARN, "module.warning", LOG_TEXT("text", ((struct slice){messages->data + at, end - at})));
    }
    log_destroy(log);
}

static int serve_with(const struct command_line *line, struct arena *arena, struct buf *messages)
{
    const struct options_input input = {
        .argument_count = line->argument_count, .arguments = line->arguments, .getenv = environment};
    enum options_help help = OPTIONS_HELP_NONE;
    struct registry *registry = NULL;
    struct serve_options options;

    if (options_parse(&input, arena, &options, &help, messages) != ERR_NONE) {
        print(stderr, messages);
        (void)fprintf(stderr, "proa serve --help lists all options\n");
        return CLI_USAGE;
    }
    if (help != OPTIONS_HELP_NONE) {
        return print_page(help == OPTIONS_HELP_TEXT ? options_print_help : options_print_reference);
    }
    if (build_registry(&options, &registry, messages) != ERR_NONE || try_tls(registry, messages) != ERR_NONE) {
        print(stderr, messages);
        registry_destroy(registry);
        return CLI_FAILED;
    }
    log_warnings(&options, messages);
    return line->serve(&options, registry);
}

static int run_serve(const struct command_line *line)
{
    struct arena *arena = arena_create(OPTIONS_ARENA_BYTES);
    struct buf messages;

    check(arena != NULL);
    buf_init(&messages, MESSAGES_BYTES_MAX);
    const int code = serve_with(line, arena, &messages);
    buf_done(&messages);
    arena_destroy(arena);
    return code;
}

/* ---- check ---------------------------------------------------------------------------------------------- */

static const char check_usage[] =
    "Usage: proa check FILE\n"
    "       proa check --schema\n\n"
    "Reads a module file as proa serve does, variables of the environment included, and\n"
    "prints what is wrong with it, line by line, and what it declares. Certificates and\n"
    "keys it names are read too. A warning is no mistake: the file is good, but does not\n"
    "say all that its author may have meant.\n"
    "--schema prints a JSON Schema of the file's documents, for editors.\n"
    "Ends with 0 if the file is good and with 1 if it is not.\n";

static int check_file(const char *name)
{
    struct config *config = config_create();
    struct registry *registry = NULL;
    struct buf messages;
    struct buf summary;
    struct buf missing; /* what a host would need beside this file */
    bool has_error = false;

    buf_init(&messages, MESSAGES_BYTES_MAX);
    buf_init(&summary, PAGE_BYTES_MAX * 16);
    buf_init(&missing, MESSAGES_BYTES_MAX);
    add_module(config, name, &messages, &has_error);
    config_print_summary(config, &summary);
    if (!has_error && config_take_registry(config, &registry, &missing) == ERR_NONE) {
        has_error = try_tls(registry, &messages) != ERR_NONE;
    }
    print(stderr, &messages);
    if (!has_error) {
        (void)printf("%s: ", name);
        print(stdout, &summary);
    }
    registry_destroy(registry);
    buf_done(&missing);
    buf_done(&summary);
    buf_done(&messages);
    config_destroy(config);
    return has_error ? CLI_FAILED : CLI_OK;
}

static int run_check(const struct command_line *line)
{
    const char *argument = line->argument_count == 0 ? NULL : line->arguments[0];

    if (argument == NULL) {
        return misuse("check", check_usage, "the module file is missing", "");
    }
    if (is_help(argument)) {
        (void)fputs(check_usage, stdout);
        return CLI_OK;
    }
    if (line->argument_count > 1) {
        return misuse("check", check_usage, "one file at a time; there is also ", line->arguments[1]);
    }
    if (strcmp(argument, "--schema") == 0) {
        return print_page(config_print_schema);
    }
    return argument[0] == '-' ? misuse("check", check_usage, "no such option: ", argument) : check_file(argument);
}

/* ---- egress --------------------------------------------------------------------------------------------- */

static const char egress_usage[] = "Usage: proa egress NAME --data DIR\n\n"
                                   "Prints what waits in the outbox of a stopped host, one JSON object a line.\n"
                                   "NAME is namespace/name; PROA_DATA stands in for --data.\n";

static int run_egress(const struct command_line *line)
{
    static const char data_flag[] = "--data";
    const char *folder = NULL;
    const char *name = NULL;
    struct err err;

    for (int i = 0; i < line->argument_count; i++) {
        const char *argument = line->arguments[i];
        const size_t size = sizeof data_flag - 1;
        if (is_help(argument)) {
            (void)fputs(egress_usage, stdout);
            return CLI_OK;
        }
        if (strcmp(argument, data_flag) == 0 && i + 1 < line->argument_count) {
            folder = line->arguments[++i];
        } else if (strncmp(argument, data_flag, size) == 0 && argument[size] == '=') {
            folder = argument + size + 1;
        } else if (argument[0] == '-') {
            return misuse(
                "egress", egress_usage,
                strcmp(argument, data_flag) == 0 ? "a value is missing after " : "no such option: ", argument);
        } else if (name != NULL) {
            return misuse("egress", egress_usage, "one name at a time; there is also ", argument);
        } else {
            name = argument;
        }
    }
    folder = folder != NULL ? folder : getenv("PROA_DATA");
    if (name == NULL) {
        return misuse("egress", egress_usage, "the name of the egress is missing", "");
    }
    if (folder == NULL || *folder == '\0') {
        return misuse("egress", egress_usage, "--data DIR is missing", "");
    }
    if (egress_print(folder, name, stdout, &err) != ERR_NONE) {
        (void)fprintf(stderr, "proa egress: %s\n", err.text);
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* ---- verbs ---------------------------------------------------------------------------------------------- */

static const struct verb verbs[] = {
    {"serve", "serve --data DIR [options]", "run the host; serve --help lists its options", run_serve},
    {"check", "check FILE", "tell what is wrong with a module file, and what it declares", run_check},
    {"egress", "egress NAME --data DIR", "print what waits in the outbox of a stopped host", run_egress},
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static void print_usage(FILE *out)
{
    (void)fprintf(out, "proa %s: a host for stateful functions\n\nUsage: proa VERB …\n\n", PROA_VERSION);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        (void)fprintf(out, "  proa %-28s  %s\n", verbs[i].usage, verbs[i].help);
    }
    (void)fprintf(out, "  proa %-28s  %s\n", "--version", "print the version");
}

static int unknown_verb(const char *text)
{
    struct nearest nearest = nearest_to(slice_of(text));
    const char *meant = NULL;

    for (size_t i = 0; i < VERB_COUNT; i++) {
        meant = nearest_offer(&nearest, slice_of(verbs[i].name)) ? verbs[i].name : meant;
    }
    if (meant != NULL) {
        (void)fprintf(stderr, "proa: there is no verb %.80s; did you mean %s?\n\n", text, meant);
    } else {
        (void)fprintf(stderr, "proa: there is no verb %.80s\n\n", text);
    }
    print_usage(stderr);
    return CLI_USAGE;
}

int cli_main(int argument_count, char *const *argument_list, cli_serve *serve)
{
    if (argument_count < 2 || is_help(argument_list[1])) {
        print_usage(stdout);
        return CLI_OK;
    }
    if (strcmp(argument_list[1], "--version") == 0) {
        (void)printf("proa %s\n", PROA_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argument_list[1], verbs[i].name) == 0) {
            const struct command_line line = {argument_count - 2, argument_list + 2, serve};
            return verbs[i].run(&line);
        }
    }
    return unknown_verb(argument_list[1]);
}
