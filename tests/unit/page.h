/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h: compares a page under docs/ with what a table prints. Include unit.h before it.
 *
 * PROA_SOURCE_ROOT names the source tree. With PROA_WRITE_PAGES=1 in the environment the page is written
 * instead of compared: that is how pages are made anew after a table changed.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static inline void page_compare(const char *path, struct slice expected)
{
    static char found[1 << 20];
    char name[4096];
    const char *write = getenv("PROA_WRITE_PAGES");
    const bool is_written = write != NULL && strcmp(write, "1") == 0;

    (void)snprintf(name, sizeof name, "%s/%s", PROA_SOURCE_ROOT, path);
    FILE *file = fopen(name, is_written ? "w" : "r");
    if (file == NULL) {
        fail_msg("%s cannot be opened; run this test with PROA_WRITE_PAGES=1 to make it", name);
        return;
    }
    if (is_written) {
        assert_int_equal(fwrite(expected.data, 1, expected.size, file), expected.size);
        assert_int_equal(fclose(file), 0);
        return;
    }
    const size_t size = fread(found, 1, sizeof found, file);
    (void)fclose(file);
    if (size != expected.size || memcmp(found, expected.data, size) != 0) {
        fail_msg("%s is not what its table prints; run this test with PROA_WRITE_PAGES=1 to make it anew", path);
    }
}
