/* SPDX-License-Identifier: Apache-2.0
 *
 * test_log.c: the log: both formats, escaping, the bound of a line, levels, and a reader that has stopped reading.
 */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "limit.h"
#include "log.h"

static int ends[2];
static char line[LIMIT_LOG_LINE_BYTES_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (ends[0] >= 0) {
        (void)close(ends[0]);
    }
    (void)close(ends[1]);
    return 0;
}

/* What one write brought, without its time of day. */
static const char *read_after(const char *marker)
{
    const ssize_t size = read(ends[0], line, sizeof line - 1);

    assert_true(size > 0);
    line[size] = '\0';
    const char *at = strstr(line, marker);
    assert_non_null(at);
    return at;
}

static void text_lines(void **state)
{
    (void)state;
    struct log *log = log_create(ends[1], LOG_INFO, false);

    log_event(log, LOG_WARN, "host.ready", LOG_NUMBER("port", 8090), LOG_STRING("url", "http://a:1/"),
              LOG_STRING("text", "two words"), LOG_STRING("none", ""), LOG_NUMBER("low", INT64_MIN));
    assert_string_equal(read_after("warn"), "warn  host.ready port=8090 url=http://a:1/ text=\"two words\" none=\"\" "
                                            "low=-9223372036854775808\n");
    assert_int_equal(strspn(line, "0123456789:."), strlen("12:34:56.789"));
    log_destroy(log);
}

static void json_lines(void **state)
{
    (void)state;
    struct log *log = log_create(ends[1], LOG_DEBUG, true);

    log_event(log, LOG_DEBUG, "a", LOG_STRING("s", "x"), LOG_NUMBER("n", -1));
    assert_string_equal(read_after("Z\""), "Z\",\"level\":\"debug\",\"event\":\"a\",\"s\":\"x\",\"n\":-1}\n");
    assert_memory_equal(line, "{\"time\":\"2", 10);
    log_write(log, LOG_ERROR, "bare", NULL, 0);
    assert_string_equal(read_after("Z\""), "Z\",\"level\":\"error\",\"event\":\"bare\"}\n");
    log_destroy(log);
}

static void foreign_bytes_are_escaped(void **state)
{
    (void)state;
    struct log *log = log_create(ends[1], LOG_INFO, true);

    log_event(log, LOG_INFO, "e", LOG_TEXT("t", SLICE("q\" b\\ n\n nul\0 esc\x1B del\x7F")));
    assert_string_equal(read_after("\"t\""), "\"t\":\"q\\\" b\\\\ n\\n nul\\u0000 esc\\u001b del\\u007f\"}\n");
    log_event(log, LOG_INFO, "e", LOG_TEXT("t", SLICE("\xC3\xA9 \xFF \xE2\x82 \xC2\x9B")));
    assert_string_equal(read_after("\"t\""), "\"t\":\"\xC3\xA9 \\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\"}\n");
    log_destroy(log);
    log = log_create(ends[1], LOG_INFO, false);
    log_event(log, LOG_INFO, "e", LOG_TEXT("t", SLICE("a\nlevel=error")));
    assert_string_equal(read_after("t="), "t=\"a\\nlevel=error\"\n");
    log_destroy(log);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    static uint8_t big[2 * LIMIT_LOG_LINE_BYTES_MAX];
    memset(big, '\n', sizeof big);

    for (size_t size = LIMIT_LOG_LINE_BYTES_MAX / 2 - 100; size < LIMIT_LOG_LINE_BYTES_MAX / 2 + 100; size++) {
        for (int is_json = 0; is_json <= 1; is_json++) {
            struct log *log = log_create(ends[1], LOG_INFO, is_json == 1);
            log_event(log, LOG_INFO, "e", LOG_TEXT("text", ((struct slice){big, size})), LOG_NUMBER("n", 123456),
                      LOG_STRING("last", "word"));
            (void)read_after("text");
            const size_t got = strlen(line);
            assert_true(got <= LIMIT_LOG_LINE_BYTES_MAX);
            assert_int_equal(line[got - 1], '\n');
            if (is_json == 1) {
                assert_int_equal(line[got - 2], '}');
            }
            const bool is_cut = strstr(line, is_json == 1 ? ",\"cut\":true}\n" : " cut=true\n") != NULL;
            const bool is_whole = strstr(line, "word") != NULL;
            assert_true(is_cut != is_whole);
            assert_int_equal(log_dropped(log), 0);
            log_destroy(log);
        }
    }
}

static void levels_and_no_log(void **state)
{
    (void)state;
    struct log *log = log_create(ends[1], LOG_WARN, true);

    log_event(log, LOG_INFO, "quiet", LOG_NUMBER("n", 1));
    log_event(NULL, LOG_ERROR, "nobody", LOG_NUMBER("n", 1));
    log_event(log, LOG_WARN, "loud", LOG_NUMBER("n", 1));
    (void)read_after("\"loud\"");
    assert_null(strstr(line, "quiet"));
    log_destroy(log);
}

static void a_stalled_reader_costs_lines_and_no_time(void **state)
{
    (void)state;
    struct log *log = log_create(ends[1], LOG_INFO, true);

    for (int i = 0; i < 10000; i++) {
        log_event(log, LOG_INFO, "flood", LOG_STRING("text", "nobody reads this"));
    }
    assert_true(log_dropped(log) > 0);
    assert_true(log_dropped(log) < 10000);
    const uint64_t dropped = log_dropped(log);
    static char drain[1 << 20];
    assert_true(read(ends[0], drain, sizeof drain) > 0);
    log_event(log, LOG_INFO, "after", LOG_NUMBER("n", 1));
    assert_int_equal(log_dropped(log), dropped);
    log_destroy(log);
}

static void a_reader_that_left_is_counted(void **state)
{
    (void)state;
    struct log *log = log_create(ends[1], LOG_INFO, false);

    (void)close(ends[0]);
    ends[0] = -1;
    log_event(log, LOG_INFO, "gone", LOG_NUMBER("n", 1));
    assert_int_equal(log_dropped(log), 1);
    log_destroy(log);
}

static void *flood(void *log)
{
    for (int i = 0; i < 200; i++) {
        log_event(log, LOG_INFO, "thread", LOG_STRING("text", "abcdefghijklmnopqrstuvwxyz"));
    }
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    char name[] = "/tmp/proa-test-log-XXXXXX";
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    struct log *log = log_create(fd, LOG_INFO, false);
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, flood, log), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    FILE *file = fdopen(fd, "r");
    int lines = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        assert_string_equal(line + strlen("12:34:56.789"), " info  thread text=abcdefghijklmnopqrstuvwxyz\n");
        lines++;
    }
    assert_int_equal(lines, 800);
    (void)fclose(file);
    (void)unlink(name);
    log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_bytes_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_and_no_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stalled_reader_costs_lines_and_no_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_left_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_lines, set_up, tear_down),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
