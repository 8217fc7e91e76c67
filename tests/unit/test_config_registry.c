/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_registry.c: the registry under construction: what is said of it as a whole.
 */
#include "config_bench.h"

static void names_are_said_once(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {FUNCTION("a/b") "---\n" FUNCTION("a/b"), "m.yaml:10: a/b already has an endpoint, given at m.yaml:4\n"},
        {EGRESS("a/b") "---\n" EGRESS("a/b"), "m.yaml:5: the egress a/b is already there, given at m.yaml:2\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static void nothing_serves_a_function(void **state)
{
    (void)state;
    assert_int_equal(add(EGRESS("a/b")), ERR_NONE);
    assert_int_equal(config_take_registry(config, &registry, &messages), ERR_CONFIG);
    assert_string_equal(said(), "no endpoint serves a function; give --module FILE, or --function as in --function "
                                "'example/*=http://localhost:8000/'\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(names_are_said_once),
        TEST(nothing_serves_a_function),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
