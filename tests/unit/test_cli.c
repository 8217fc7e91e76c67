/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cli.c: the command line: verbs, exit codes, and what reaches the host. Output goes to files while a line runs.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

static char folder[] = "/tmp/proa-test-cli-XXXXXX";
static char module_file[64];
static char output[1 << 16];
static char errors[1 << 16];
static uint32_t served_functions; /* of the last registry that reached the host; 0: none did */

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(module_file, sizeof module_file, "%s/m.yaml", folder);
    return 0;
}

static int tear_down(void **state)
{
    char name[64];

    (void)state;
    (void)unlink(module_file);
    for (const char *const *at = (const char *const[]){"out", "err", NULL}; *at != NULL; at++) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, *at);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static int stand_in(const struct serve_options *options, struct registry *registry)
{
    assert_string_equal(options->data_folder, "/data");
    served_functions = registry->function_count;
    registry_destroy(registry);
    return 42;
}

/* Sends a descriptor to a file of the folder; returns what it was. */
static int redirect(int fd, const char *name)
{
    char path[64];
    const int before = dup(fd);

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(before >= 0 && file >= 0);
    assert_int_equal(dup2(file, fd), fd);
    (void)close(file);
    return before;
}

/* Ends a redirection and reads what went to the file. */
static void restore(int fd, int before, char *text)
{
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    const ssize_t size = read(fd, text, sizeof output - 1);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_int_equal(dup2(before, fd), fd);
    (void)close(before);
}

static int run_list(int count, const char *const *arguments)
{
    char *list[16] = {(char *)(uintptr_t) "proa"};

    for (int i = 0; i < count; i++) {
        list[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    served_functions = 0;
    (void)fflush(stdout);
    const int out = redirect(STDOUT_FILENO, "out");
    const int err = redirect(STDERR_FILENO, "err");
    const int code = cli_main(count + 1, list, stand_in);
    (void)fflush(stdout);
    restore(STDOUT_FILENO, out, output);
    restore(STDERR_FILENO, err, errors);
    return code;
}

#define run(...)                                                                       \
    run_list((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), \
             (const char *const[]){__VA_ARGS__})

static void write_module(const char *text)
{
    FILE *file = fopen(module_file, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void verbs_are_listed(void **state)
{
    (void)state;
    assert_int_equal(run_list(0, NULL), CLI_OK);
    assert_non_null(strstr(output, "proa serve --data DIR"));
    assert_non_null(strstr(output, "proa check FILE"));
    assert_non_null(strstr(output, "proa egress NAME --data DIR"));
    assert_string_equal(errors, "");
    assert_int_equal(run("--help"), CLI_OK);
    assert_int_equal(run("--version"), CLI_OK);
    assert_string_equal(output, "proa " PROA_VERSION "\n");
    assert_int_equal(run("egres"), CLI_USAGE);
    assert_string_equal(output, "");
    assert_non_null(strstr(errors, "there is no verb egres; did you mean egress?"));
    assert_int_equal(run("zzzz"), CLI_USAGE);
    assert_non_null(strstr(errors, "there is no verb zzzz\n"));
}

static void serve_reaches_the_host(void **state)
{
    (void)state;
    write_module("kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {}, a/*: {}}\n  url: http://h/\n");
    assert_int_equal(run("serve", "--data", "/data", "--module", module_file, "--function=c/d=http://i/"), 42);
    assert_int_equal(served_functions, 3);
    assert_string_equal(errors, "");
}

static void serve_tells_all_mistakes(void **state)
{
    (void)state;
    char expected[512];

    write_module("kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {}}\n  url: nowhere\n");
    assert_int_equal(run("serve", "--data=/data", "--module", module_file, "--function=c", "--egress=d"), CLI_FAILED);
    (void)snprintf(
        expected, sizeof expected,
        "%s:4: url: 'nowhere' is not a URL of a function; it begins with http://, https:// or http+unix:///\n"
        "--function: 'c' has no '='; write it as in example/*=http://localhost:8000/\n"
        "--egress: 'd' does not name an egress; write namespace/name, as in example/receipts\n",
        module_file);
    assert_string_equal(errors, expected);
    assert_int_equal(run("serve", "--data=/data"), CLI_FAILED);
    assert_non_null(strstr(errors, "no endpoint serves a function"));
    assert_int_equal(run("serve", "--data=/data", "--module=/nowhere/m.yaml"), CLI_FAILED);
    assert_string_equal(errors, "the module file /nowhere/m.yaml cannot be opened: No such file or directory\n");
    assert_int_equal(run("serve", "--data=/data", "--module=/tmp"), CLI_FAILED);
    assert_string_equal(errors, "the module file /tmp cannot be read: Is a directory\n");
    assert_int_equal(run("serve", "--dat=/data"), CLI_USAGE);
    assert_non_null(strstr(errors, "did you mean --data?"));
    assert_int_equal(served_functions, 0);
}

static void serve_prints_its_help(void **state)
{
    (void)state;
    assert_int_equal(run("serve", "--help"), CLI_OK);
    assert_non_null(strstr(output, "--commit-interval TIME"));
    assert_int_equal(run("serve", "--help=markdown"), CLI_OK);
    assert_memory_equal(output, "# Configuration", 15);
}

#define STATEFUN "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/b\n  urlPathTemplate: http://h/\n"

static void serve_logs_warnings(void **state)
{
    (void)state;
    char expected[512];

    write_module(STATEFUN "  transport: {pool_size: 4}\n  retries: 5\n");
    assert_int_equal(run("serve", "--data=/data", "--module", module_file, "--log-format=json"), 42);
    assert_int_equal(served_functions, 1);
    assert_non_null(strstr(errors, "\"level\":\"warn\",\"event\":\"module.warning\""));
    (void)snprintf(expected, sizeof expected, "%s:5: warning: transport.pool_size has no effect", module_file);
    assert_non_null(strstr(errors, expected));
    (void)snprintf(expected, sizeof expected, "%s:6: warning: retries is not a known key", module_file);
    assert_non_null(strstr(errors, expected));
    assert_int_equal(run("serve", "--data=/data", "--module", module_file, "--log-level=error"), 42);
    assert_string_equal(errors, "");
}

static void check_tells_what_is_there(void **state)
{
    (void)state;
    char expected[1024];

    write_module("kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {}, a/*: {}}\n  url: http://${PROA_TEST_HOST:-h}/\n"
                 "---\nkind: proa.v1/egress\nspec: {name: a/out}\n");
    assert_int_equal(run("check", module_file), CLI_OK);
    (void)snprintf(expected, sizeof expected,
                   "%s: 1 endpoint, 2 functions, 1 egress\nendpoint http://h/\n  function a/b\n  function a/*\n"
                   "egress a/out\n",
                   module_file);
    assert_string_equal(output, expected);
    assert_string_equal(errors, "");
    assert_int_equal(setenv("PROA_TEST_HOST", "i", 1), 0);
    assert_int_equal(run("check", module_file), CLI_OK);
    assert_non_null(strstr(output, "endpoint http://i/\n"));
    assert_int_equal(unsetenv("PROA_TEST_HOST"), 0);

    write_module(STATEFUN "  retries: 5\n"); /* warnings are no mistakes */
    assert_int_equal(run("check", module_file), CLI_OK);
    (void)snprintf(expected, sizeof expected, "%s:5: warning: retries is not a known key of spec; it is passed over\n",
                   module_file);
    assert_string_equal(errors, expected);
    assert_non_null(strstr(output, ": 1 endpoint, 1 function, 0 egresses\n"));
}

static void check_tells_all_mistakes(void **state)
{
    (void)state;
    char expected[512];

    write_module(STATEFUN "  retries: 5\n---\nkind: proa.v1/egress\nspec: {nam: a/out}\n");
    assert_int_equal(run("check", module_file), CLI_FAILED);
    (void)snprintf(expected, sizeof expected,
                   "%s:5: warning: retries is not a known key of spec; it is passed over\n"
                   "%s:8: nam is not a known key; did you mean name?\n"
                   "%s:8: spec has no key name, which must be there\n",
                   module_file, module_file, module_file);
    assert_string_equal(errors, expected);
    assert_string_equal(output, "");
    assert_int_equal(run("check", "/nowhere/m.yaml"), CLI_FAILED);
    assert_string_equal(errors, "the module file /nowhere/m.yaml cannot be opened: No such file or directory\n");
    write_module("");
    assert_int_equal(run("check", module_file), CLI_OK);
    assert_non_null(strstr(output, ": 0 endpoints, 0 functions, 0 egresses\n"));
}

static void check_takes_one_file(void **state)
{
    (void)state;
    assert_int_equal(run("check"), CLI_USAGE);
    assert_non_null(strstr(errors, "proa check: the module file is missing\nUsage: proa check FILE\n"));
    assert_int_equal(run("check", "a", "b"), CLI_USAGE);
    assert_non_null(strstr(errors, "there is also b"));
    assert_int_equal(run("check", "--shema"), CLI_USAGE);
    assert_non_null(strstr(errors, "no such option: --shema"));
    assert_int_equal(run("check", "--help"), CLI_OK);
    assert_non_null(strstr(output, "JSON Schema"));
    assert_int_equal(run("check", "--schema"), CLI_OK);
    assert_non_null(strstr(output, "draft-07"));
    assert_string_equal(errors, "");
}

static void egress_is_checked(void **state)
{
    (void)state;
    (void)unsetenv("PROA_DATA");
    assert_int_equal(run("egress"), CLI_USAGE);
    assert_int_equal(run("egress", "a/b"), CLI_USAGE);
    assert_non_null(strstr(errors, "--data DIR is missing"));
    assert_int_equal(run("egress", "a/b", "--data"), CLI_USAGE);
    assert_non_null(strstr(errors, "a value is missing after --data"));
    assert_int_equal(run("egress", "a/b", "c/d", "--data=x"), CLI_USAGE);
    assert_int_equal(run("egress", "a/b", "--date=x"), CLI_USAGE);
    assert_int_equal(run("egress", "--help"), CLI_OK);
    assert_int_equal(run("egress", "a/b", "--data", "/nowhere/data"), CLI_FAILED);
    assert_string_equal(errors, "proa egress: there is no data folder /nowhere/data\n");
    assert_int_equal(run("egress", "a/b", "--data", folder), CLI_FAILED);
    assert_non_null(strstr(errors, "holds no store"));
    assert_string_equal(output, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_are_listed),          cmocka_unit_test(serve_reaches_the_host),
        cmocka_unit_test(serve_tells_all_mistakes),  cmocka_unit_test(serve_prints_its_help),
        cmocka_unit_test(egress_is_checked),         cmocka_unit_test(serve_logs_warnings),
        cmocka_unit_test(check_tells_what_is_there), cmocka_unit_test(check_tells_all_mistakes),
        cmocka_unit_test(check_takes_one_file),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
