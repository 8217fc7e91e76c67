/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nearest.c: the name that was meant.
 */
#include "unit.h"

#include "nearest.h"

/* The one of four names that a text is nearest to, or NULL. */
static const char *meant(struct slice text)
{
    static const char *const names[] = {"timeout", "in_flight", "batch", "batch_bytes"};
    struct nearest nearest = nearest_to(text);
    const char *found = NULL;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        found = nearest_offer(&nearest, slice_of(names[i])) ? names[i] : found;
    }
    return found;
}

static void the_nearest_name(void **state)
{
    (void)state;
    assert_string_equal(meant(SLICE("timeuot")), "timeout");
    assert_string_equal(meant(SLICE("TimeOut")), "timeout");
    assert_string_equal(meant(SLICE("inflight")), "in_flight");
    assert_string_equal(meant(SLICE("batchbytes")), "batch_bytes");
    assert_string_equal(meant(SLICE("btch")), "batch");
    assert_string_equal(meant(SLICE("batch")), "batch");
}

static void nothing_near(void **state)
{
    (void)state;
    assert_null(meant(SLICE("concurrency")));
    assert_null(meant(SLICE_EMPTY));
}

static void what_is_long_is_near_to_nothing(void **state)
{
    (void)state;
    char text[NEAREST_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    const struct slice longest = {(const uint8_t *)text, NEAREST_BYTES_MAX};
    const struct slice longer = {(const uint8_t *)text, NEAREST_BYTES_MAX + 1};
    struct nearest nearest = nearest_to(longest);
    assert_false(nearest_offer(&nearest, longer));
    assert_true(nearest_offer(&nearest, longest));
    nearest = nearest_to(longer);
    assert_false(nearest_offer(&nearest, longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_name),
        cmocka_unit_test(nothing_near),
        cmocka_unit_test(what_is_long_is_near_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
