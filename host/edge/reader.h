/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.h: threads that answer reads, each from a short snapshot of its own.
 *
 * At most LIMIT_READS_IN_FLIGHT_MAX reads are under way (the engine's credit). Rows arrive in arenas that
 * live until the next reader_take.
 */
#pragma once

#include "loop.h"
#include "port.h"

struct store;
struct reader;

/* Starts 1 to 16 threads; the store outlives them. */
MUST_USE enum err_code reader_start(struct loop *loop, struct store *store, uint32_t threads, struct reader **out,
                                    struct err *err);
/* Begins a read; copies its ranges. At most LIMIT_READ_ROWS_MAX rows and LIMIT_READ_BYTES_MAX bytes. */
void reader_read(struct reader *reader, const struct effect_read *read) LOOP_THREAD;
/* Answers so far, at most `max`, as INPUT_ROWS; their rows are valid until the next call. */
uint32_t reader_take(struct reader *reader, struct input *out_inputs, uint32_t max) LOOP_THREAD;
void reader_stop(struct reader *reader) LOOP_THREAD; /* accepts NULL */
