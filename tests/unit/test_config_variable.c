/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_variable.c: variables in the texts of a module file.
 */
#include "config_bench.h"

#include "config_variable.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(variables_stand_in_any_scalar),
        TEST(mistakes_in_variables),
        TEST(a_dollar_brace_can_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
