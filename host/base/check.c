/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "proa: check failed: %s at %s:%d\n", expression, file, line);
    abort();
}
