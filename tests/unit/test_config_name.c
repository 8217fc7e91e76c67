/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_name.c: the names and URLs of a module file.
 */
#include "config_bench.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mistakes_in_names),
        TEST(mistakes_in_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
