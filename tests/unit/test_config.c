/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config.c: the documents of a module file: their kind and spec, and every mistake of a file at once.
 */
#include "config_bench.h"

static void mistakes_in_documents(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {"just text\n", "m.yaml:1: a document is a mapping with the keys kind and spec\n"},
        {"- a\n", "m.yaml:1: a document is a mapping with the keys kind and spec\n"},
        {"spec: {}\n", "m.yaml:1: this document has no key kind, which must be there\n"},
        {"\nkind: proa.v1/egress\n", "m.yaml:2: this document has no key spec, which must be there\n"},
        {"kind: proa.v1/egress\nspce: {}\nspec: {name: a/b}\n",
         "m.yaml:2: spce is not a known key; did you mean spec?\n"},
        {"kind: proa.v1/egress\nmetadata: {}\nspec: {name: a/b}\n",
         "m.yaml:2: metadata is not a known key; a document has kind and spec\n"},
        {"kind: proa.v1/egres\nspec: {name: a/b}\n",
         "m.yaml:1: kind: 'proa.v1/egres' is not a known kind; did you mean proa.v1/egress?\n"},
        {"kind: [a]\nspec: {name: a/b}\n", "m.yaml:1: kind: '' is not a known kind; did you mean proa.v1/endpoint?\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void all_mistakes_at_once(void **state)
{
    (void)state;
    assert_int_equal(add("kind: proa.v1/endpoint\n"
                         "spec:\n"
                         "  functions:\n"
                         "    proa/x: {}\n"
                         "    a/b: {takes: 5}\n"
                         "  url: nowhere\n"
                         "  call: {timeout: soon, batch: \"${N}\"}\n"
                         "  retries: {}\n"
                         "---\n"
                         "kind: proa.v1/egress\n"
                         "spec: {nam: a/b}\n"),
                     ERR_CONFIG);
    const char *text = said();
    static const char *const begins[] = {
        "m.yaml:4: ",
        "m.yaml:5: ",
        "m.yaml:6: ",
        "m.yaml:7: call.timeout",
        "m.yaml:7: the environment",
        "m.yaml:8: retries is not a known key; did you mean retry?",
        "m.yaml:11: nam is",
        "m.yaml:11: spec has no key name",
    };
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        assert_non_null(strstr(text, begins[i]));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mistakes_in_documents),
        TEST(all_mistakes_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
