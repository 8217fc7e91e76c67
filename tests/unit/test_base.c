/* SPDX-License-Identifier: Apache-2.0
 *
 * test_base.c: the base kit: slices and UTF-8, buffers, arenas, lists, heaps, tables.
 */
#include "unit.h"

#include <stdlib.h>

#include "arena.h"
#include "bytes.h"
#include "err.h"
#include "heap.h"
#include "list.h"
#include "table.h"

static void utf8_text(void **state)
{
    (void)state;
    assert_true(slice_is_utf8_text(SLICE("a/b \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x9A\xA4")));
    assert_false(slice_is_utf8_text(SLICE("a\0b")));
    assert_true(slice_is_utf8(SLICE("\0a\0\0b\0")));
    assert_false(slice_is_utf8(SLICE("a\0\x80")));
    assert_false(slice_is_utf8_text(SLICE("\xC0\xAF")));         /* overlong */
    assert_false(slice_is_utf8_text(SLICE("\xED\xA0\x80")));     /* surrogate */
    assert_false(slice_is_utf8_text(SLICE("\xF4\x90\x80\x80"))); /* beyond U+10FFFF */
    assert_false(slice_is_utf8_text(SLICE("\xE2\x82")));         /* cut */
}

static void slices_are_cut_and_compared(void **state)
{
    (void)state;
    const struct slice text = SLICE("Key: value");
    assert_true(slice_equal(slice_from(text, 5), SLICE("value")));
    assert_int_equal(slice_from(text, text.size).size, 0);
    assert_int_equal(slice_find(text, ':'), 3);
    assert_int_equal(slice_find(text, '#'), text.size);
    assert_int_equal(slice_find(SLICE_EMPTY, ':'), 0);
    assert_true(slice_has(text, ' '));
    assert_false(slice_has(text, '#'));
    assert_false(slice_has(SLICE_EMPTY, 0));
    assert_true(slice_begins_with(text, SLICE("Key:")));
    assert_true(slice_begins_with(text, SLICE_EMPTY));
    assert_true(slice_begins_with(SLICE_EMPTY, SLICE_EMPTY));
    assert_false(slice_begins_with(text, SLICE("key:")));
    assert_false(slice_begins_with(SLICE("Ke"), SLICE("Key:")));
    assert_true(slice_begins_with_nocase(text, SLICE("kEY:")));
    assert_false(slice_begins_with_nocase(SLICE("ke"), SLICE("key:")));
    assert_true(slice_equal_nocase(SLICE("Chunked"), SLICE("chunKED")));
    assert_false(slice_equal_nocase(SLICE("chunked"), SLICE("chunkee")));
    assert_false(slice_equal_nocase(SLICE("a\0b"), SLICE("a\0c"))); /* a slice may hold any byte */
    assert_false(slice_equal_nocase(SLICE("@"), SLICE("`")));       /* letters only */
    assert_int_equal(slice_shown(text, 4), 4);
    assert_int_equal(slice_shown(text, 80), 10);
}

static void slices_are_trimmed(void **state)
{
    (void)state;
    assert_true(slice_equal(slice_trim(SLICE(" \ta b\t "), " \t"), SLICE("a b")));
    assert_true(slice_equal(slice_trim(SLICE("\0a\0"), " "), SLICE("\0a\0")));
    assert_int_equal(slice_trim(SLICE("   "), " ").size, 0);
    assert_int_equal(slice_trim(SLICE_EMPTY, " ").size, 0);
}

static void buffers_have_a_maximum(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    buf_append_text(&buf, "12345");
    buf_appendf(&buf, "%d", 678);
    assert_int_equal(buf.size, 8);
    buf_append_text(&buf, "9ab");
    assert_true(buf.overflow);
    buf_append_text(&buf, "x"); /* the mark is sticky */
    assert_true(buf.overflow);
    buf_done(&buf);
}

static void arenas_have_a_budget(void **state)
{
    (void)state;
    struct arena *arena = arena_create(10000);
    for (int i = 0; i < 9; i++) {
        assert_non_null(arena_alloc(arena, 1000));
    }
    assert_null(arena_alloc(arena, 2000));
    assert_null(arena_alloc(arena, SIZE_MAX));
    arena_destroy(arena);
}

static void heaps_order_by_due_then_sequence(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct heap_node nodes[200] = {0};
    for (size_t i = 0; i < 200; i++) {
        nodes[i].due = (i * 7919) % 13;
        nodes[i].sequence = i;
        heap_push(&heap, &nodes[i]);
    }
    for (size_t i = 0; i < 200; i += 3) {
        heap_remove(&heap, &nodes[i]);
    }
    uint64_t due = 0;
    uint64_t sequence = 0;
    for (const struct heap_node *node = heap_pop(&heap); node != NULL; node = heap_pop(&heap)) {
        assert_true(node->due > due || (node->due == due && node->sequence >= sequence));
        assert_int_not_equal(node->sequence % 3, 0);
        due = node->due;
        sequence = node->sequence;
    }
    heap_done(&heap);
}

struct member {
    struct table_node node;
    uint64_t key;
};

static bool is_key(const struct table_node *node, const void *key)
{
    return container_of(node, const struct member, node)->key == *(const uint64_t *)key;
}

static void tables_grow_without_losing(void **state)
{
    (void)state;
    enum { MEMBERS = 5000 };
    struct table table = {0};
    struct member *members = calloc(MEMBERS, sizeof *members);
    for (uint64_t i = 0; i < MEMBERS; i++) {
        members[i].key = i;
        table_insert(&table, &members[i].node, i * 0x9E3779B97F4A7C15u);
        const uint64_t some = i / 2;
        assert_ptr_equal(table_find(&table, some * 0x9E3779B97F4A7C15u, is_key, &some), &members[some].node);
    }
    for (uint64_t i = 0; i < MEMBERS; i += 2) {
        table_remove(&table, &members[i].node);
    }
    for (uint64_t i = 0; i < MEMBERS; i++) {
        const struct table_node *found = table_find(&table, i * 0x9E3779B97F4A7C15u, is_key, &i);
        assert_true((found != NULL) == (i % 2 == 1));
    }
    assert_int_equal(table.count, MEMBERS / 2);
    table_done(&table);
    free(members);
}

static void errors_wrap(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ERR_OVERLOADED, "it holds %d", 3), ERR_OVERLOADED);
    assert_int_equal(err_wrap(&err, "delivering message %d", 4), ERR_OVERLOADED);
    assert_string_equal(err.text, "delivering message 4: it holds 3");
    assert_int_equal(err_http_status(err.code), 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_text),
        cmocka_unit_test(slices_are_cut_and_compared),
        cmocka_unit_test(slices_are_trimmed),
        cmocka_unit_test(buffers_have_a_maximum),
        cmocka_unit_test(arenas_have_a_budget),
        cmocka_unit_test(heaps_order_by_due_then_sequence),
        cmocka_unit_test(tables_grow_without_losing),
        cmocka_unit_test(errors_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
