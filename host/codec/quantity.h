/* SPDX-License-Identifier: Apache-2.0
 *
 * quantity.h: numbers, durations and sizes as people write them.
 *
 * Each `get` is false, and sets nothing, if the text is no such quantity or does not fit 64 bits. Nothing but the
 * quantity may stand in the text. Thread: any; no state.
 */
#pragma once

#include "bytes.h"

/* An integer and a unit: "10s", "500ms", "2m", "1h", "3d". */
bool quantity_get_duration(struct slice text, uint64_t *out_ms);
/* As Flink writes it: an integer, perhaps spaces, and a unit from ns to d in any of its spellings, in any case; without
 * a unit milliseconds. What is finer than a millisecond is rounded up. */
bool quantity_get_flink_duration(struct slice text, uint64_t *out_ms);
/* "512KiB", "1MiB", "1GiB", "100". */
bool quantity_get_bytes(struct slice text, uint64_t *out_bytes);
/* A whole decimal number without sign. */
bool quantity_get_number(struct slice text, uint64_t *out_number);
/* The same; one with a minus counts as 0. */
bool quantity_get_number_or_off(struct slice text, uint64_t *out_number);
/* A decimal number with at most three digits after the point, in thousandths: "1.5" is 1500. */
bool quantity_get_factor(struct slice text, uint64_t *out_permille);

/* Appends what the getter of that name reads back, in the largest unit that loses nothing. */
void quantity_put_duration(struct buf *out, uint64_t ms);
void quantity_put_bytes(struct buf *out, uint64_t bytes);
void quantity_put_number(struct buf *out, uint64_t number);
void quantity_put_factor(struct buf *out, uint64_t permille);
