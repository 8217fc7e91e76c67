/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"

enum blame retry_blame(enum call_outcome outcome, int http_status, bool others_succeeded)
{
    switch (outcome) {
    case CALL_ANSWERED:
        return BLAME_NOBODY;
    case CALL_BAD_ANSWER:
        return BLAME_MESSAGE;
    case CALL_WRONG_TYPE:
    case CALL_UNREACHABLE:
        return BLAME_ENDPOINT;
    case CALL_TIMEOUT:
        return others_succeeded ? BLAME_INSTANCE : BLAME_ENDPOINT;
    case CALL_HTTP_STATUS:
        break;
    }
    if (http_status == 413) {
        return BLAME_INSTANCE;
    }
    if (http_status == 400 || http_status == 422) {
        return BLAME_MESSAGE; /* servers answer so to a body they cannot read: one message's doing */
    }
    if (http_status >= 500 && (http_status < 502 || http_status > 504)) {
        return BLAME_MESSAGE;
    }
    return BLAME_ENDPOINT;
}

bool retry_is_of_path(const struct input_result *input)
{
    return input->outcome == CALL_WRONG_TYPE || (input->outcome == CALL_HTTP_STATUS && input->http_status < 500 &&
                                                 input->http_status != 408 && input->http_status != 429);
}

uint64_t retry_delay_ms(const struct retry_policy *policy, uint32_t failures, uint64_t random)
{
    uint64_t delay_ms = policy->first_ms;

    for (uint32_t i = 1; i < failures && delay_ms < policy->max_ms; i++) {
        delay_ms = delay_ms * policy->factor_permille / 1000 + 1;
    }
    if (delay_ms > policy->max_ms) {
        delay_ms = policy->max_ms;
    }
    return delay_ms - random % (delay_ms / 5 + 1);
}
