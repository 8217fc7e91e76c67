/* SPDX-License-Identifier: Apache-2.0
 *
 * attributes.h: the compiler attributes the house style is written in.
 *
 * Why: ownership and thread rules are worth more when the compiler reads them too.
 */
#pragma once

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define NO_RETURN __attribute__((noreturn))
#define CLEANUP(function) __attribute__((cleanup(function)))

/* Moves a pointer out of a variable and leaves NULL behind: who reads the name next finds nothing to free. */
#define TAKE(pointer)                           \
    __extension__({                             \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })
