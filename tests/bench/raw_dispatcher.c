/* SPDX-License-Identifier: Apache-2.0
 *
 * raw_dispatcher: what the host's own dispatcher makes of libcurl: calls of one message and one state value, so
 * many at a time, made, sent, answered and parsed; no engine, no store.
 *
 * Usage: raw_dispatcher URL IN_FLIGHT MILLISECONDS; prints {"calls_per_s": N, "cpu_us_per_call": N}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "dispatcher.h"

enum { TAKE_MAX = 256 };

static const char store_id[] = "00112233445566778899aabbccddeeff";

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void begin(struct dispatcher *dispatcher) LOOP_THREAD
{
    static uint64_t number;
    static const struct call_state state = {
        SLICE("total"), SLICE("\x0A\x16io.statefun.types/long\x10\x01\x1A\x09\x09\0\0\0\0\0\0\0\0")};
    struct call_message message = {.caller = {SLICE("proa"), SLICE("reply"), SLICE("0123456789abcdef0123456789abcdef")},
                                   .value = SLICE("\x0A\x09proa/json\x10\x01\x1A\x01"
                                                  "1"),
                                   .number = ++number};
    struct effect_call effect = {.call = number,
                                 .timeout_ms = 120000,
                                 .with_extensions = true,
                                 .target = {SLICE("example"), SLICE("counter"), SLICE("1234")},
                                 .states = &state,
                                 .messages = &message,
                                 .state_count = 1,
                                 .message_count = 1};
    dispatcher_call(dispatcher, &effect, store_id);
}

static uint32_t take(struct dispatcher *dispatcher) LOOP_THREAD
{
    struct input inputs[TAKE_MAX];
    uint32_t count = dispatcher_take(dispatcher, inputs, TAKE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (inputs[i].result.outcome != CALL_ANSWERED) {
            (void)fprintf(stderr, "raw_dispatcher: %s\n", inputs[i].result.text);
            exit(1);
        }
        result_destroy(inputs[i].result.take_result);
    }
    return count;
}

int main(int argc, char **argv)
{
    thread_assume(&thread_loop);
    struct loop *loop = NULL;
    struct helper *helper = NULL;
    struct dispatcher *dispatcher = NULL;
    struct err err;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: raw_dispatcher URL IN_FLIGHT MILLISECONDS\n");
        return 2;
    }
    struct endpoint_config endpoint = {
        .url = slice_of(argv[1]), .connect_ms = 5000, .answer_bytes_max = LIMIT_ANSWER_BYTES_DEFAULT};
    struct registry registry = {.endpoints = &endpoint, .endpoint_count = 1};
    uint32_t in_flight = (uint32_t)strtoul(argv[2], NULL, 10);
    double seconds = (double)strtoul(argv[3], NULL, 10) / 1000;
    check(loop_create(&loop, &err) == ERR_NONE);
    check(helper_start(loop, 2, 16, &helper, &err) == ERR_NONE);
    struct dispatcher_options options = {loop, helper, &registry, metrics_create(), LIMIT_CALLS_IN_FLIGHT_MAX};
    check(dispatcher_create(&options, &dispatcher, &err) == ERR_NONE);

    uint64_t count = 0;
    double begun_s = seconds_of(CLOCK_MONOTONIC);
    double cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (uint32_t i = 0; i < in_flight; i++) {
        begin(dispatcher);
    }
    while (seconds_of(CLOCK_MONOTONIC) - begun_s < seconds) {
        dispatcher_run(dispatcher);
        loop_poll(loop, dispatcher_timeout_ms(dispatcher));
        uint32_t ended = take(dispatcher);
        count += ended;
        for (uint32_t i = 0; i < ended; i++) {
            begin(dispatcher);
        }
    }
    seconds = seconds_of(CLOCK_MONOTONIC) - begun_s;
    cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
    dispatcher_destroy(dispatcher);
    helper_stop(helper);
    loop_destroy(loop);
    metrics_destroy(options.metrics);
    (void)printf("{\"calls_per_s\": %.0f, \"cpu_us_per_call\": %.1f}\n", (double)count / seconds,
                 count == 0 ? 0 : cpu_s * 1e6 / (double)count);
    return 0;
}
