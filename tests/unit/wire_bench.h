/* SPDX-License-Identifier: Apache-2.0
 *
 * wire_bench.h: what the tests of the wire share.
 */
#pragma once

#include "unit.h"

#include "arena.h"
#include "wire.h"

extern const char wire_store_id[];
extern struct arena *arena; /* empty at the beginning of a test */
extern struct buf buf;      /* likewise */
extern struct err err;

int wire_set_up(void **state);
int wire_tear_down(void **state);
void assert_slice(struct slice got, struct slice wanted, const char *what);
/* wire_get_result on an exact copy that is freed at once: a read beyond it, or after it, shows. */
enum err_code wire_get_copied(struct slice body, uint32_t message_count, struct result **out);
