/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.h: cmocka, with the headers it wants before it. Include it first.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* This blank line keeps the order. */
#include <cmocka.h>
