/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h: assertions that stay on in production.
 *
 * For our own bugs only. Nothing that came from a socket, a file, the environment or a function is ever
 * checked: that is an error (err.h). A failed check ends the process; start-up is recovery.
 */
#pragma once

#include "attributes.h"

/* Prints expression and place to standard error and aborts. Any thread. */
NO_RETURN void check_failed(const char *expression, const char *file, int line);

/* Ends the process unless `expression` holds. */
#define check(expression) ((expression) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

/* For walks that cost more than a few instructions: on in debug and simulation builds. */
#ifdef PROA_CHECK_SLOW
#define check_slow(expression) check(expression)
#else
#define check_slow(expression) ((void)0)
#endif
