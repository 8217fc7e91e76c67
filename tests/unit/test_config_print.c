/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_print.c: what the tables of keys say to people and editors.
 */
#include "config_bench.h"

#include "page.h"

static void the_page_is_current(void **state)
{
    (void)state;
    struct buf page;

    buf_init(&page, 1 << 20);
    config_print_reference(&page);
    page_compare("docs/module.md", buf_slice(&page));
    buf_done(&page);
}

static void the_schema_is_current(void **state)
{
    (void)state;
    struct buf schema;

    buf_init(&schema, 1 << 20);
    config_print_schema(&schema);
    page_compare("docs/module.schema.json", buf_slice(&schema));
    buf_done(&schema);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_page_is_current),
        TEST(the_schema_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
