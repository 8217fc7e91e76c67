/* SPDX-License-Identifier: Apache-2.0
 *
 * test_quantity.c: numbers with units, read and written. Flink's durations are in test_statefun_module.c.
 */
#include "unit.h"

#include "quantity.h"

static void durations_and_sizes(void **state)
{
    (void)state;
    uint64_t number = 0;

    assert_true(quantity_get_duration(SLICE("10s"), &number) && number == 10000);
    assert_true(quantity_get_duration(SLICE("500ms"), &number) && number == 500);
    assert_true(quantity_get_duration(SLICE("2m"), &number) && number == 120000);
    assert_true(quantity_get_duration(SLICE("1h"), &number) && number == 3600000);
    assert_true(quantity_get_duration(SLICE("3d"), &number) && number == 3 * 86400000);
    assert_true(quantity_get_bytes(SLICE("100"), &number) && number == 100);
    assert_true(quantity_get_bytes(SLICE("512KiB"), &number) && number == 524288);
    assert_true(quantity_get_bytes(SLICE("16777215TiB"), &number) && number == UINT64_C(16777215) << 40);
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
        assert_false(quantity_get_duration(slice_of(durations[i]), &number));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_false(quantity_get_bytes(slice_of(sizes[i]), &number));
    }
    assert_true(quantity_get_factor(SLICE("2"), &number) && number == 2000);
    assert_true(quantity_get_factor(SLICE("1.05"), &number) && number == 1050);
    assert_false(quantity_get_factor(SLICE("1.0005"), &number));
    assert_false(quantity_get_factor(SLICE(".5"), &number));
    assert_false(quantity_get_factor(SLICE("1,5"), &number));
}

static void what_was_read_is_written(void **state)
{
    (void)state;
    struct buf out;

    buf_init(&out, 200);
    quantity_put_duration(&out, 0);
    buf_append_u8(&out, ' ');
    quantity_put_duration(&out, 90000);
    buf_append_u8(&out, ' ');
    quantity_put_duration(&out, 86400000);
    buf_append_u8(&out, ' ');
    quantity_put_bytes(&out, 1);
    buf_append_u8(&out, ' ');
    quantity_put_bytes(&out, UINT64_C(1) << 40);
    buf_append_u8(&out, ' ');
    quantity_put_factor(&out, 2000);
    buf_append_u8(&out, ' ');
    quantity_put_factor(&out, 1050);
    buf_append_u8(&out, ' ');
    quantity_put_number(&out, UINT64_MAX);
    assert_true(slice_equal(buf_slice(&out), SLICE("0ms 90s 1d 1 1TiB 2 1.050 18446744073709551615")));
    buf_done(&out);
}

static void less_than_nothing_is_off(void **state)
{
    (void)state;
    uint64_t number = 7;

    assert_true(quantity_get_number_or_off(SLICE("-3"), &number) && number == 0);
    assert_true(quantity_get_number_or_off(SLICE("3"), &number) && number == 3);
    assert_false(quantity_get_number_or_off(SLICE("-"), &number));
    assert_false(quantity_get_number_or_off(SLICE("--3"), &number));
    assert_false(quantity_get_number(SLICE("-3"), &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_and_sizes),
        cmocka_unit_test(what_was_read_is_written),
        cmocka_unit_test(less_than_nothing_is_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
