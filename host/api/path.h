/* SPDX-License-Identifier: Apache-2.0
 *
 * path.h: the target of a request, raw as it came: segments, percent-decoding, query parameters.
 *
 * Why: a%2Fb is one segment and a/b is two, so a path is cut before it is decoded. Any thread; no state.
 */
#pragma once

#include <stdbool.h>

#include "bytes.h"
#include "err.h"

enum { PATH_SEGMENTS_MAX = 16 };

struct path {
    struct slice segments[PATH_SEGMENTS_MAX]; /* raw; borrowed */
    uint32_t count;                           /* may be larger than PATH_SEGMENTS_MAX: how many there were */
};

/* Cuts "/a/b/c" into its raw segments; of an absolute target (http://host/a) only the path counts. False unless it
 * begins with a slash. "/" has one empty segment. */
bool path_split(struct slice raw, struct path *out);
/* Appends the decoded segment and gives it in *out. `what` names it in the sentence. Refuses what is empty, is not
 * UTF-8, holds NUL or a broken escape: ERR_BAD_PATH. *out is valid until `buf` grows: reserve before. */
MUST_USE enum err_code path_decode(struct slice raw, const char *what, struct buf *buf, struct slice *out,
                                   struct err *err);
/* Moves the next "name=value" off the front of a raw query; false at its end. A missing '=' gives an empty value. */
bool path_query_next(struct slice *query, struct slice *out_name, struct slice *out_value);
