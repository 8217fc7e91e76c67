/* SPDX-License-Identifier: Apache-2.0
 *
 * test_options.c: the options of `proa serve`: precedence, bounds, mistakes, the reference page.
 */
#include "unit.h"

#include <stdio.h>

#include "options.h"
#include "page.h"

static struct arena *arena;
static struct buf messages;
static struct serve_options options;
static enum options_help help;
static const char *const *variables; /* pairs, ended by NULL */

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(1 << 20);
    buf_init(&messages, 1 << 16);
    variables = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    buf_done(&messages);
    return 0;
}

static const char *environment(void *context, const char *name)
{
    (void)context;
    for (const char *const *at = variables; at != NULL && *at != NULL; at += 2) {
        if (strcmp(at[0], name) == 0) {
            return at[1];
        }
    }
    return NULL;
}

static enum err_code parse_list(int count, const char *const *arguments)
{
    char *list[16];

    for (int i = 0; i < count; i++) {
        list[i] = (char *)(uintptr_t)arguments[i];
    }
    buf_clear(&messages);
    const struct options_input input = {.argument_count = count, .arguments = list, .getenv = environment};
    const enum err_code code = options_parse(&input, arena, &options, &help, &messages);
    buf_append_u8(&messages, 0);
    return code;
}

#define parse(...)                                                                       \
    parse_list((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), \
               (const char *const[]){__VA_ARGS__})
#define said() ((const char *)messages.data)

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("--data", "/d"), ERR_NONE);
    assert_string_equal(said(), "");
    assert_null(options.module_file);
    assert_string_equal(options.data_folder, "/d");
    assert_string_equal(options.listen, "127.0.0.1");
    assert_int_equal(options.ingress_port, 8090);
    assert_int_equal(options.admin_port, 8095);
    assert_int_equal(options.function_count, 0);
    assert_int_equal(options.stop_timeout_ms, 10000);
    assert_int_equal(options.commit_interval_ms, 5);
    assert_int_equal(options.commit_bytes, 16 << 20);
    assert_int_equal(options.store_bytes_max, UINT64_C(64) << 30);
    assert_true(options.store_map_bytes >= UINT64_C(16) << 30);
    assert_int_equal(options.memory_bytes, 512 << 20);
    assert_int_equal(options.messages_max, 10000000);
    assert_int_equal(options.parked_max, 100000);
    assert_int_equal(options.reader_threads, 1);
    assert_int_equal(options.helper_threads, 2);
    assert_int_equal(options.log_level, LOG_INFO);
    assert_int_equal(options.log_format, OPTIONS_LOG_AUTO);
    assert_false(options.allow_clock_ahead);
}

static void every_flag(void **state)
{
    (void)state;
    assert_int_equal(parse("--module=m.yaml", "--data=d", "--ingress-port", "0", "--admin-port=65535", "--listen",
                           "::1", "--stop-timeout=1m", "--commit-bytes", "64MiB", "--store-map-bytes=16MiB",
                           "--log-level", "error", "--log-format=json", "--allow-clock-ahead", "--parked-max=7"),
                     ERR_NONE);
    assert_string_equal(options.module_file, "m.yaml");
    assert_int_equal(options.ingress_port, 0);
    assert_int_equal(options.admin_port, 65535);
    assert_string_equal(options.listen, "::1");
    assert_int_equal(options.stop_timeout_ms, 60000);
    assert_int_equal(options.commit_bytes, 64 << 20);
    assert_int_equal(options.store_map_bytes, 16 << 20);
    assert_int_equal(options.log_level, LOG_ERROR);
    assert_int_equal(options.log_format, OPTIONS_LOG_JSON);
    assert_true(options.allow_clock_ahead);
    assert_int_equal(options.parked_max, 7);
    assert_int_equal(parse("--data=d", "--allow-clock-ahead=false"), ERR_NONE);
    assert_false(options.allow_clock_ahead);
}

static void lists(void **state)
{
    (void)state;
    assert_int_equal(
        parse("--data=d", "--function", "a/*=http://h/?x=1", "--function=b/c=http://i/", "--egress", "a/e"), ERR_NONE);
    assert_int_equal(options.function_count, 2);
    assert_string_equal(options.functions[0], "a/*=http://h/?x=1");
    assert_string_equal(options.functions[1], "b/c=http://i/");
    assert_int_equal(options.egress_count, 1);
    assert_string_equal(options.egresses[0], "a/e");
    variables = (const char *const[]){"PROA_FUNCTION", " a/b=http://h/  c/d=http://i/\n", NULL};
    assert_int_equal(parse("--data=d"), ERR_NONE);
    assert_int_equal(options.function_count, 2);
    assert_string_equal(options.functions[1], "c/d=http://i/");
    assert_int_equal(parse("--data=d", "--function=x/y=http://z/"), ERR_NONE);
    assert_int_equal(options.function_count, 1);
    assert_string_equal(options.functions[0], "x/y=http://z/");
}

static void flag_before_environment_before_default(void **state)
{
    (void)state;
    variables = (const char *const[]){
        "PROA_DATA", "/e", "PROA_INGRESS_PORT", "1", "PROA_ADMIN_PORT", "2", "PROA_LOG_LEVEL", "", NULL};
    assert_int_equal(parse("--admin-port", "3"), ERR_NONE);
    assert_string_equal(options.data_folder, "/e");
    assert_int_equal(options.ingress_port, 1);
    assert_int_equal(options.admin_port, 3);
    assert_int_equal(options.log_level, LOG_INFO);
}

static void help_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(parse("--nonsense", "--help"), ERR_NONE);
    assert_int_equal(help, OPTIONS_HELP_TEXT);
    assert_int_equal(parse("--help=markdown"), ERR_NONE);
    assert_int_equal(help, OPTIONS_HELP_MARKDOWN);
    assert_int_equal(parse("--data=d"), ERR_NONE);
    assert_int_equal(help, OPTIONS_HELP_NONE);
    buf_clear(&messages);
    options_print_help(&messages);
    buf_append_u8(&messages, 0);
    assert_non_null(strstr(said(), "--store-bytes-max SIZE"));
    assert_non_null(strstr(said(), "Default: 64GiB. Environment: PROA_STORE_BYTES_MAX"));
}

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *argument;
        const char *says;
    } rows[] = {
        {"--ingres-port=1", "--ingres-port: there is no such option; did you mean --ingress-port?\n"},
        {"-data", "-data: there is no such option; did you mean --data?\n"},
        {"--zzzzzzzz", "--zzzzzzzz: there is no such option; proa serve --help lists them\n"},
        {"m.yaml", "m.yaml: proa serve takes options only; they begin with --\n"},
        {"--module", "--module: it needs a value: --module FILE\n"},
        {"--module=", "--module: it is empty\n"},
        {"--data=e", "--data: it is given twice; leave one out\n"},
        {"--admin-port=65536", "--admin-port: 65536 is out of range; it may be 0 to 65535\n"},
        {"--admin-port=x", "--admin-port: 'x' cannot be read; write a whole number, as in 100\n"},
        {"--admin-port=8090", "--admin-port: it is the ingress port too; give each its own\n"},
        {"--commit-bytes=65MiB", "--commit-bytes: 65MiB is out of range; it may be 64KiB to 64MiB\n"},
        {"--log-level=loud", "--log-level: 'loud' is none of: debug info warn error\n"},
        {"--allow-clock-ahead=yes", "--allow-clock-ahead: 'yes' cannot be read; write true or false\n"},
        {"--listen=localhost", "--listen: it is not a numeric address; write one such as 127.0.0.1, 0.0.0.0 or ::1\n"},
        {"--a\x1B[m", "--a?[m: there is no such option; proa serve --help lists them\n"},
        {"", ": proa serve takes options only; they begin with --\n"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse("--data", "d", rows[i].argument), ERR_CONFIG);
        assert_string_equal(said(), rows[i].says);
    }
    assert_int_equal(parse("--module", "--data"), ERR_CONFIG);
    assert_string_equal(said(), "--module: it needs a value: --module FILE\n--data: it needs a value: --data DIR\n");
    variables = (const char *const[]){"PROA_STOP_TIMEOUT", "10", NULL};
    assert_int_equal(parse("--log-format", "json"), ERR_CONFIG);
    assert_string_equal(said(),
                        "--data: it is missing; give --data DIR or set PROA_DATA\n"
                        "PROA_STOP_TIMEOUT: '10' cannot be read; write an integer and one of ms, s, m, h and d, as "
                        "in 30s\n");
}

static void the_page_is_current(void **state)
{
    (void)state;
    struct buf page;

    buf_init(&page, 1 << 20);
    options_print_reference(&page);
    page_compare("docs/configuration.md", buf_slice(&page));
    buf_done(&page);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(every_flag),
        TEST(lists),
        TEST(flag_before_environment_before_default),
        TEST(help_is_asked_for),
        TEST(mistakes),
        TEST(the_page_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
