/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_table.c: mappings read by their tables: keys that no row has, and nodes of the wrong kind.
 */
#include "config_bench.h"

static void mistakes_in_keys(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {HEAD URL "  cal: {timeout: 2m}\n", "m.yaml:5: cal is not a known key; did you mean call?\n"},
        {HEAD URL "  call:\n    timeuot: 2m\n",
         "m.yaml:6: call.timeuot is not a known key; did you mean call.timeout?\n"},
        {HEAD URL "  timeout: 2m\n", "m.yaml:5: timeout is not a known key here; did you mean spec.call.timeout?\n"},
        {HEAD URL "  call.timeout: 2m\n", "m.yaml:5: call.timeout is not a known key of spec\n"},
        {HEAD URL "  zzzzzz: 1\n", "m.yaml:5: zzzzzz is not a known key of spec\n"},
        {HEAD URL "  \"a\\eb\": 1\n", "m.yaml:5: a?b is not a known key of spec\n"},
        {HEAD URL "  url: http://i/\n", "m.yaml:5: the key 'url' stands here again; it is first on line 4\n"},
        {HEAD URL "kind: proa.v1/egress\nspec: {name: a/b}\n",
         "m.yaml:5: the key 'kind' stands here again; it is first on line 1; a document begins with a line ---\n"
         "m.yaml:6: the key 'spec' stands here again; it is first on line 2; a document begins with a line ---\n"},
        {HEAD URL "  '': 1\n", "m.yaml:5: a key is empty\n"},
        {HEAD, "m.yaml:2: spec has no key url, which must be there\n"},
        {"kind: proa.v1/endpoint\nspec:\n", "m.yaml:2: spec has no key functions, which must be there\n"
                                            "m.yaml:2: spec has no key url, which must be there\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions:\n" URL,
         "m.yaml:3: functions is empty; name at least one, as in example/*: {}\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {takse: x/y}}\n" URL,
         "m.yaml:3: takse is not a known key; did you mean takes?\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void mistakes_in_kinds_of_nodes(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {"kind: proa.v1/egress\nspec: 5\n", "m.yaml:2: spec is a mapping of keys, not a single value\n"},
        {"kind: proa.v1/egress\nspec: [5]\n", "m.yaml:2: spec is a mapping of keys, not a list\n"},
        {HEAD URL "  call: 5\n", "m.yaml:5: call is a mapping of its own keys, not a single value\n"},
        {HEAD URL "  call:\n    - 5\n", "m.yaml:6: call is a mapping of its own keys, not a list\n"},
        {HEAD URL "  call:\n    batch: {a: 5}\n", "m.yaml:6: call.batch is a single value, not a mapping\n"},
        {HEAD URL "  call: {batch: [5]}\n", "m.yaml:5: call.batch is a single value, not a list\n"},
        {HEAD URL "  call: {batch: }\n", "m.yaml:5: call.batch: it is empty\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: [a/b]\n" URL,
         "m.yaml:3: functions is a mapping; write one key a line, each with a colon\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: a/b\n" URL,
         "m.yaml:3: functions is a mapping; write one key a line, each with a colon\n"},
        {"kind: proa.v1/endpoint\nspec:\n  functions: {a/b: x/y}\n" URL,
         "m.yaml:3: a/b is a mapping of keys, not a single value\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mistakes_in_keys),
        TEST(mistakes_in_kinds_of_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
