/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h: the engine's time: milliseconds since 1970, never backwards.
 *
 * The wall clock at start plus CLOCK_BOOTTIME (which runs on through suspend), steered slowly (at most 1 ms
 * in 100) towards the wall clock, so that a step of the wall clock neither fires timers early nor stops them.
 * Pure but for clock_os_read: tests pass their own readings. Thread: loop.
 */
#pragma once

#include <stdint.h>

struct clock_reading {
    uint64_t wall_ms;
    uint64_t boot_us;
};

struct clock {
    uint64_t base_ms; /* engine time at base_us */
    uint64_t base_us; /* boot time of the last advance */
    uint64_t now_ms;
};

/* Reads CLOCK_REALTIME and CLOCK_BOOTTIME. */
struct clock_reading clock_os_read(void);
void clock_init(struct clock *clock, const struct clock_reading *reading);
/* Takes a reading, returns the engine's time. */
uint64_t clock_advance(struct clock *clock, const struct clock_reading *reading);
/* Goes on from a later time, from which the clock is steered back to the wall clock; an earlier one is ignored. */
void clock_go_on_from(struct clock *clock, uint64_t now_ms);
/* CLOCK_MONOTONIC in microseconds, for durations only. */
uint64_t clock_monotonic_us(void);
