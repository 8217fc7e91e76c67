/* SPDX-License-Identifier: Apache-2.0
 *
 * parse.h: a large answer on its way through a helper thread: bytes in, a result out.
 *
 * Why: protobuf-c parses in one piece, and 1 MiB takes 10 ms, which would hold the loop.
 * Thread: loop. Memory: a parse belongs to its helper once it was started, and frees itself.
 */
#pragma once

#include "bytes.h"
#include "helper.h"
#include "result.h"

struct parse;

/* `result` passes to the callee and is NULL unless code is ERR_NONE; *err is borrowed. */
typedef void parse_done(void *context, enum err_code code, struct result *result, const struct err *err);

/* Takes the body's memory and parses it. NULL: no helper is free, the body is still the caller's. */
struct parse *parse_start(struct helper *helper, struct buf *body, uint32_t message_count, parse_done *done,
                          void *context) LOOP_THREAD;
/* `done` will not be called. */
void parse_forget(struct parse *parse) LOOP_THREAD;
