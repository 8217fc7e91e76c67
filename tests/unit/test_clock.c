/* SPDX-License-Identifier: Apache-2.0
 *
 * test_clock.c: the engine's clock: monotonic, steered slowly, never set.
 */
#include "unit.h"

#include "clock.h"

enum { HOUR_MS = 3600 * 1000 };

static uint64_t advance(struct clock *clock, uint64_t wall_ms, uint64_t boot_us)
{
    return clock_advance(clock, &(struct clock_reading){wall_ms, boot_us});
}

static struct clock begin(uint64_t wall_ms, uint64_t boot_us)
{
    struct clock clock;

    clock_init(&clock, &(struct clock_reading){wall_ms, boot_us});
    return clock;
}

static void follows_boot_time(void **state)
{
    (void)state;
    struct clock clock = begin(1000000, 5000);

    assert_int_equal(clock.now_ms, 1000000);
    assert_int_equal(advance(&clock, 1000000, 5999), 1000000);
    assert_int_equal(advance(&clock, 1000001, 6000), 1000001);
    assert_int_equal(advance(&clock, 1000100, 105000), 1000100);
}

static void loses_nothing_to_rounding(void **state)
{
    (void)state;
    struct clock clock = begin(1000000, 0);

    /* 0.7 ms a reading: each stretch leaves a rest that must not get lost. */
    for (uint64_t i = 1; i <= 100000; i++) {
        (void)advance(&clock, 1000000 + i * 700 / 1000, i * 700);
    }
    assert_int_equal(clock.now_ms, 1070000);
}

static void a_step_forward_is_approached_slowly(void **state)
{
    (void)state;
    struct clock clock = begin(1000000, 0);

    for (uint64_t ms = 1; ms <= 10000; ms++) {
        const uint64_t now = advance(&clock, 1000000 + HOUR_MS + ms, ms * 1000);
        assert_in_range(now, 1000000 + ms, 1000000 + ms + ms / 100);
    }
    assert_int_equal(clock.now_ms, 1000000 + 10000 + 100);
}

static void a_step_back_slows_it_and_never_turns_it(void **state)
{
    (void)state;
    struct clock clock = begin(1000000 + HOUR_MS, 0);
    uint64_t before = clock.now_ms;

    for (uint64_t ms = 1; ms <= 10000; ms++) {
        const uint64_t now = advance(&clock, 1000000 + ms, ms * 1000);
        assert_true(now >= before);
        before = now;
    }
    assert_int_equal(clock.now_ms, 1000000 + HOUR_MS + 10000 - 100);
}

static void reaches_the_wall_clock_and_stays(void **state)
{
    (void)state;
    struct clock clock = begin(1000000, 0);

    for (uint64_t ms = 1; ms <= 20000; ms++) {
        (void)advance(&clock, 1000050 + ms, ms * 1000);
    }
    assert_int_equal(clock.now_ms, 1000050 + 20000);
}

static void a_long_gap_steers_little(void **state)
{
    (void)state;
    struct clock clock = begin(1000000, 0);

    /* Eight hours of suspend, and the wall clock an hour off at its end. */
    const uint64_t now = advance(&clock, 1000000 + 9 * HOUR_MS, UINT64_C(8) * HOUR_MS * 1000);
    assert_in_range(now, 1000000 + 8 * HOUR_MS, 1000000 + 8 * HOUR_MS + 10);
}

static void a_boot_clock_that_goes_back_is_ignored(void **state)
{
    (void)state;
    struct clock clock = begin(1000000, 500000);

    assert_int_equal(advance(&clock, 1, 0), 1000000);
    assert_int_equal(advance(&clock, 1000010, 510000), 1000010);
}

static void the_system_gives_sane_readings(void **state)
{
    (void)state;
    const struct clock_reading first = clock_os_read();
    const struct clock_reading second = clock_os_read();

    assert_true(first.wall_ms > UINT64_C(1600000000000));
    assert_true(second.boot_us >= first.boot_us);
    const uint64_t before = clock_monotonic_us();
    assert_true(clock_monotonic_us() >= before);
}

static void it_goes_on_from_a_later_time(void **state)
{
    (void)state;
    const struct clock_reading begin = {.wall_ms = 1000000, .boot_us = 5000000};
    const struct clock_reading later = {.wall_ms = 1000500, .boot_us = 5500000};
    struct clock clock;

    clock_init(&clock, &begin);
    clock_go_on_from(&clock, 1060000);
    assert_int_equal(clock.now_ms, 1060000);
    clock_go_on_from(&clock, 1000); /* never backwards */
    const uint64_t now_ms = clock_advance(&clock, &later);
    assert_in_range(now_ms, 1060490, 1060500); /* it runs, and is steered back slowly */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on_from_a_later_time),
        cmocka_unit_test(follows_boot_time),
        cmocka_unit_test(loses_nothing_to_rounding),
        cmocka_unit_test(a_step_forward_is_approached_slowly),
        cmocka_unit_test(a_step_back_slows_it_and_never_turns_it),
        cmocka_unit_test(reaches_the_wall_clock_and_stays),
        cmocka_unit_test(a_long_gap_steers_little),
        cmocka_unit_test(a_boot_clock_that_goes_back_is_ignored),
        cmocka_unit_test(the_system_gives_sane_readings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
