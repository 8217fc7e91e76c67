/* SPDX-License-Identifier: Apache-2.0
 *
 * What texts mean: numbers with units, names, URLs, variables.
 */
#include "config_bench.h"

#include "config_text.h"

#define TEN "1234567890"

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

static void variables_stand_in_any_scalar(void **state)
{
    (void)state;
    assert_int_equal(add("kind: proa.v1/${KIND:-endpoint}\nspec:\n  functions: {'a/${NAME}': {}}\n"
                         "  url: http://${HOST:-h}${EMPTY}/${EMPTY:-x}/$HOME\n"
                         "  call: {batch: \"${BATCH:-3}\"}\n"),
                     ERR_NONE);
    take_registry();
    assert_text(registry->functions[0].name, "counter");
    assert_text(registry->endpoints[0].url, "http://h/x/$HOME");
    assert_int_equal(registry->endpoints[0].batch_messages_max, 3);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mistakes_in_names),
        TEST(mistakes_in_urls),
        TEST(variables_stand_in_any_scalar),
        TEST(mistakes_in_variables),
        TEST(a_dollar_brace_can_be_written),
        TEST(durations_and_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
