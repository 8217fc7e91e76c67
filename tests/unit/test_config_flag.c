/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_flag.c: the flags that stand for a document: what they make, and what is said of them.
 */
#include "config_bench.h"

static void flags_make_endpoints(void **state)
{
    (void)state;
    assert_int_equal(config_add_function(config, "a/*=http://h:1/", &messages), ERR_NONE);
    assert_int_equal(config_add_function(config, "b/c=http://h:2/?a=b", &messages), ERR_NONE);
    assert_int_equal(config_add_function(config, "b/d=http://h:1/", &messages), ERR_NONE);
    assert_int_equal(config_add_egress(config, "a/out", &messages), ERR_NONE);
    take_registry();
    assert_int_equal(registry->endpoint_count, 2);
    assert_int_equal(registry->function_count, 3);
    assert_int_equal(registry->functions[2].endpoint, 0);
    assert_text(registry->endpoints[1].url, "http://h:2/?a=b");
    assert_int_equal(registry->egresses[0].bytes_max, 1 << 30);
    assert_int_equal(registry_egress(registry, SLICE("a"), SLICE("out")), 0);
}

static void flags_are_checked(void **state)
{
    (void)state;
    assert_int_equal(config_add_function(config, "a/b", &messages), ERR_CONFIG);
    assert_int_equal(config_add_function(config, "b=localhost", &messages), ERR_CONFIG);
    assert_int_equal(config_add_function(config, "a/b=http://h/", &messages), ERR_NONE);
    assert_int_equal(config_add_function(config, "a/b=http://h/", &messages), ERR_CONFIG);
    assert_int_equal(config_add_egress(config, "x", &messages), ERR_CONFIG);
    assert_int_equal(config_add_egress(config, "x/y", &messages), ERR_NONE);
    assert_int_equal(config_add_egress(config, "x/y", &messages), ERR_CONFIG);
    assert_string_equal(said(), "--function: 'a/b' has no '='; write it as in example/*=http://localhost:8000/\n"
                                "--function: 'b' does not name functions; write namespace/name or namespace/*\n"
                                "--function: 'localhost' is not a URL of a function; it begins with http://, "
                                "https:// or http+unix:///\n"
                                "--function: a/b already has an endpoint, given by --function\n"
                                "--egress: 'x' does not name an egress; write namespace/name, as in example/receipts\n"
                                "--egress: the egress x/y is already there, given by --egress\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(flags_make_endpoints),
        TEST(flags_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
