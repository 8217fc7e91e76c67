/* SPDX-License-Identifier: Apache-2.0
 *
 * test_retry.c: who is to blame for a failed call at first sight, status by status, and how long the next attempt
 * waits.
 */
#include "unit.h"

#include "retry.h"

static void answers_that_count_blame_nobody(void **state)
{
    (void)state;
    assert_int_equal(retry_blame(CALL_ANSWERED, 200, false), BLAME_NOBODY);
    assert_int_equal(retry_blame(CALL_ANSWERED, 0, true), BLAME_NOBODY);
}

static void outcomes_without_a_status(void **state)
{
    (void)state;
    for (int others = 0; others < 2; others++) {
        assert_int_equal(retry_blame(CALL_BAD_ANSWER, 200, others == 1), BLAME_MESSAGE);
        assert_int_equal(retry_blame(CALL_WRONG_TYPE, 200, others == 1), BLAME_ENDPOINT);
        assert_int_equal(retry_blame(CALL_UNREACHABLE, 0, others == 1), BLAME_ENDPOINT);
    }
    assert_int_equal(retry_blame(CALL_TIMEOUT, 0, false), BLAME_ENDPOINT);
    assert_int_equal(retry_blame(CALL_TIMEOUT, 0, true), BLAME_INSTANCE);
}

static void every_status(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        enum blame wanted = BLAME_ENDPOINT;
        if (status == 413) {
            wanted = BLAME_INSTANCE;
        } else if (status == 400 || status == 422 || status == 500 || status == 501 || status >= 505) {
            wanted = BLAME_MESSAGE;
        }
        if (retry_blame(CALL_HTTP_STATUS, status, status % 2 == 0) != wanted) {
            fail_msg("%d blames another than %d", status, (int)wanted);
        }
    }
}

static void what_may_be_the_path_of_one_function(void **state)
{
    (void)state;
    const int statuses[] = {301, 308, 400, 403, 404, 405, 415};
    const int others[] = {408, 429, 500, 502, 503, 504};
    struct input_result input = {.outcome = CALL_HTTP_STATUS};

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        input.http_status = statuses[i];
        assert_true(retry_is_of_path(&input));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        input.http_status = others[i];
        assert_false(retry_is_of_path(&input));
    }
    assert_true(retry_is_of_path(&(struct input_result){.outcome = CALL_WRONG_TYPE}));
    assert_false(retry_is_of_path(&(struct input_result){.outcome = CALL_UNREACHABLE}));
    assert_false(retry_is_of_path(&(struct input_result){.outcome = CALL_TIMEOUT}));
}

/* The least and the most that a delay can be. */
static void is_between(const struct retry_policy *policy, uint32_t failures, uint64_t least, uint64_t most)
{
    uint64_t shortest = UINT64_MAX;
    uint64_t longest = 0;

    for (uint64_t random = 0; random < 30000; random++) {
        const uint64_t delay_ms = retry_delay_ms(policy, failures, random);
        shortest = delay_ms < shortest ? delay_ms : shortest;
        longest = delay_ms > longest ? delay_ms : longest;
    }
    assert_in_range(shortest, least, least + failures);
    assert_in_range(longest, most, most + failures); /* growing rounds up, by a millisecond a time at most */
}

static void delays_grow_to_their_limit_less_a_fifth(void **state)
{
    (void)state;
    const struct retry_policy twice = {.first_ms = 50, .factor_permille = 2000, .max_ms = 30000};
    const struct retry_policy steady = {.first_ms = 100, .factor_permille = 1000, .max_ms = 100};
    const struct retry_policy slow = {.first_ms = 1000, .factor_permille = 1500, .max_ms = 86400000};

    is_between(&twice, 1, 40, 50);
    is_between(&twice, 2, 80, 100);
    is_between(&twice, 3, 160, 200);
    is_between(&twice, 11, 24000, 30000);
    assert_in_range(retry_delay_ms(&twice, UINT32_MAX, UINT64_MAX), 24000, 30000);
    is_between(&steady, 1, 80, 100);
    is_between(&steady, 9, 80, 100);
    is_between(&slow, 3, 1800, 2250);
    assert_int_equal(retry_delay_ms(&slow, 1000, 0), 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_count_blame_nobody),
        cmocka_unit_test(outcomes_without_a_status),
        cmocka_unit_test(every_status),
        cmocka_unit_test(what_may_be_the_path_of_one_function),
        cmocka_unit_test(delays_grow_to_their_limit_less_a_fifth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
