/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h: compares a page under docs/ with what a table prints. Include unit.h before it.
 *
 * PROA_SOURCE_ROOT names the source tree. With PROA_WRITE_PAGES=1 in the environment the page is written
 * instead of compared: that is how pages are made anew after a table changed. Of a page written by hand only
 * the part between <!-- NAME: begin --> and <!-- NAME: end --> is compared or written (page_compare_part).
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static inline bool page_is_to_be_written(void)
{
    const char *write = getenv("PROA_WRITE_PAGES");

    return write != NULL && strcmp(write, "1") == 0;
}

static inline void page_write(const char *name, struct slice text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
    assert_int_equal(fclose(file), 0);
}

/* Reads a page of the source tree; what it is called stays in `out_name`. */
static inline struct slice page_read(const char *path, char out_name[4096])
{
    static char found[1 << 20];

    (void)snprintf(out_name, 4096, "%s/%s", PROA_SOURCE_ROOT, path);
    FILE *file = fopen(out_name, "r");
    if (file == NULL) {
        return SLICE_EMPTY;
    }
    const size_t size = fread(found, 1, sizeof found - 1, file);
    found[size] = '\0';
    (void)fclose(file);
    return (struct slice){(const uint8_t *)found, size};
}

static inline void page_compare(const char *path, struct slice expected)
{
    char name[4096];
    const struct slice found = page_read(path, name);

    if (page_is_to_be_written()) {
        page_write(name, expected);
    } else if (!slice_equal(found, expected)) {
        fail_msg("%s is not what its table prints; run this test with PROA_WRITE_PAGES=1 to make it anew", path);
    }
}

static inline void page_compare_part(const char *path, const char *part, struct slice expected)
{
    char name[4096];
    char mark[128];
    struct buf page;
    const struct slice found = page_read(path, name);

    assert_true(found.size > 0);
    (void)snprintf(mark, sizeof mark, "<!-- %s: begin -->\n", part);
    const char *begin = strstr((const char *)found.data, mark);
    assert_non_null(begin);
    begin += strlen(mark);
    (void)snprintf(mark, sizeof mark, "<!-- %s: end -->\n", part);
    const char *end = strstr(begin, mark);
    assert_non_null(end);
    if (page_is_to_be_written()) {
        buf_init(&page, 1 << 20);
        buf_append(&page, found.data, (size_t)(begin - (const char *)found.data));
        buf_append_slice(&page, expected);
        buf_append_text(&page, end);
        page_write(name, buf_slice(&page));
        buf_done(&page);
    } else if (!slice_equal((struct slice){(const uint8_t *)begin, (size_t)(end - begin)}, expected)) {
        fail_msg("%s is not what its table prints; run this test with PROA_WRITE_PAGES=1 to make it anew", path);
    }
}
