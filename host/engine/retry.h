/* SPDX-License-Identifier: Apache-2.0
 *
 * retry.h: who is to blame for a failed call, and how long to wait. Pure functions.
 */
#pragma once

#include "port.h"
#include "registry.h"

/* Whose fault a failed call was. */
enum blame { BLAME_NOBODY, BLAME_ENDPOINT, BLAME_TYPE, BLAME_INSTANCE, BLAME_MESSAGE };
/* Who is to blame at first sight; blame.c knows more. `http_status` counts with CALL_HTTP_STATUS only;
 * `others_succeeded`: the endpoint answered other calls while this one was under way. */
enum blame retry_blame(enum call_outcome outcome, int http_status, bool others_succeeded);
/* True if the failure may be that of one function's path rather than of the whole endpoint. */
bool retry_is_of_path(const struct input_result *input);
/* Milliseconds until the next attempt: first * factor^(failures - 1), at most max; then up to a fifth off, by `random`
 * (any value). */
uint64_t retry_delay_ms(const struct retry_policy *policy, uint32_t failures, uint64_t random);
