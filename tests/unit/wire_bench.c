/* SPDX-License-Identifier: Apache-2.0
 *
 * wire_bench.c: what the tests of the wire share.
 */
#include "wire_bench.h"

#include <stdlib.h>

const char wire_store_id[] = "0123456789abcdef0123456789abcdef";

struct arena *arena;
struct buf buf;
struct err err;

int wire_set_up(void **state)
{
    (void)state;
    arena = arena_create(64 << 20);
    buf_init(&buf, 16 << 20);
    return arena == NULL;
}

int wire_tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    buf_done(&buf);
    return 0;
}

void assert_slice(struct slice got, struct slice wanted, const char *what)
{
    if (!slice_equal(got, wanted)) {
        fail_msg("%s: got %zu bytes, wanted %zu, or they differ", what, got.size, wanted.size);
    }
}

enum err_code wire_get_copied(struct slice body, uint32_t message_count, struct result **out)
{
    uint8_t *copy = malloc(body.size + 1);

    if (body.size > 0) {
        memcpy(copy + 1, body.data, body.size);
    }
    const enum err_code code = wire_get_result((struct slice){copy + 1, body.size}, message_count, out, &err);
    free(copy);
    return code;
}
