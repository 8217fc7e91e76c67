/* SPDX-License-Identifier: Apache-2.0
 *
 * nearest.h: which of some names a person may have meant by a text that is none of them.
 *
 * The names are offered one by one, and who offers keeps what it needs of the one that was nearest last:
 *
 *   struct nearest nearest = nearest_to(text);
 *   for (…) {
 *       found = nearest_offer(&nearest, names[i]) ? &names[i] : found;
 *   }
 *
 * The work for a name is bounded, that for many is for the caller to bound. Any thread; no state.
 */
#pragma once

#include "bytes.h"

enum { NEAREST_BYTES_MAX = 64 }; /* longer texts are near to nothing */

struct nearest {
    struct slice text; /* borrowed */
    size_t distance;   /* of the nearest name so far; SIZE_MAX: none was near */
};

/* No name was offered yet. */
struct nearest nearest_to(struct slice text);
/* True if the name is like enough to be meant, and more so than all before it. */
bool nearest_offer(struct nearest *nearest, struct slice name);
