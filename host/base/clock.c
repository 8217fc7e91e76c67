/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <time.h>

#include "check.h"

enum {
    STEER_AFTER_US = 100 * 1000, /* a shorter stretch has no whole millisecond to give or take */
    STEER_SHARE = 100,           /* 1 ms in so many */
    STEER_MS_MAX = 10,           /* at once: after a suspend of hours, too, the clock is steered and never set */
};

static uint64_t read_us(clockid_t id)
{
    struct timespec now;

    check(clock_gettime(id, &now) == 0); /* fails only for a clock this kernel lacks */
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000; /* before 1970: 1970 */
}

struct clock_reading clock_os_read(void)
{
    return (struct clock_reading){.wall_ms = read_us(CLOCK_REALTIME) / 1000, .boot_us = read_us(CLOCK_BOOTTIME)};
}

uint64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

void clock_init(struct clock *clock, const struct clock_reading *reading)
{
    *clock = (struct clock){.base_ms = reading->wall_ms, .base_us = reading->boot_us, .now_ms = reading->wall_ms};
}

void clock_go_on_from(struct clock *clock, uint64_t now_ms)
{
    if (now_ms > clock->now_ms) {
        clock->base_ms += now_ms - clock->now_ms;
        clock->now_ms = now_ms;
    }
}

/* What to add to the time after `elapsed_ms` undisturbed milliseconds to come nearer to the wall clock. */
static int64_t steer_ms(uint64_t time_ms, uint64_t wall_ms, uint64_t elapsed_ms)
{
    const uint64_t share = elapsed_ms / STEER_SHARE;
    const uint64_t most = share < STEER_MS_MAX ? share : STEER_MS_MAX;

    if (wall_ms >= time_ms) {
        return (int64_t)(wall_ms - time_ms < most ? wall_ms - time_ms : most);
    }
    return -(int64_t)(time_ms - wall_ms < most ? time_ms - wall_ms : most);
}

uint64_t clock_advance(struct clock *clock, const struct clock_reading *reading)
{
    const uint64_t elapsed_us = reading->boot_us > clock->base_us ? reading->boot_us - clock->base_us : 0;
    uint64_t time_ms = clock->base_ms + elapsed_us / 1000;

    if (elapsed_us >= STEER_AFTER_US) {
        time_ms = (uint64_t)((int64_t)time_ms + steer_ms(time_ms, reading->wall_ms, elapsed_us / 1000));
        clock->base_ms = time_ms;
        clock->base_us += elapsed_us / 1000 * 1000; /* what is left of a millisecond counts next time */
    }
    if (time_ms > clock->now_ms) {
        clock->now_ms = time_ms; /* otherwise it was steered back under a time already told: stand still */
    }
    return clock->now_ms;
}
