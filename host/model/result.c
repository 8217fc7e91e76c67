/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

void result_destroy(struct result *result)
{
    if (result != NULL) {
        arena_destroy(result->arena);
    }
}
