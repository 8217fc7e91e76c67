/* SPDX-License-Identifier: Apache-2.0 */
#include "nearest.h"

#include "check.h"

/* How many letters must be added, left out, exchanged or swapped with their neighbour to make `a` of `b`. */
static size_t distance(struct slice a, struct slice b)
{
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];

    check(a.size <= NEAREST_BYTES_MAX && b.size <= NEAREST_BYTES_MAX);
    for (size_t j = 0; j <= b.size; j++) {
        above[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            const bool is_same = byte_lower(a.data[i - 1]) == byte_lower(b.data[j - 1]);
            const bool is_swap = i > 1 && j > 1 && byte_lower(a.data[i - 1]) == byte_lower(b.data[j - 2]) &&
                                 byte_lower(a.data[i - 2]) == byte_lower(b.data[j - 1]);
            size_t least = above[j - 1] + !is_same;
            least = above[j] + 1 < least ? above[j] + 1 : least;
            least = row[j - 1] + 1 < least ? row[j - 1] + 1 : least;
            row[j] = is_swap && before[j - 2] + 1 < least ? before[j - 2] + 1 : least;
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.size];
}

struct nearest nearest_to(struct slice text)
{
    return (struct nearest){.text = text, .distance = SIZE_MAX};
}

bool nearest_offer(struct nearest *nearest, struct slice name)
{
    const struct slice text = nearest->text;
    const size_t longer = name.size > text.size ? name.size : text.size;

    if (text.size == 0 || longer > NEAREST_BYTES_MAX) {
        return false;
    }
    const size_t far = distance(text, name);
    if (far >= nearest->distance || far > (longer + 2) / 3) {
        return false;
    }
    nearest->distance = far;
    return true;
}
