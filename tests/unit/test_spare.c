/* SPDX-License-Identifier: Apache-2.0
 *
 * test_spare.c: the functions mean what libc's mean, and what is given back is kept, within bounds, on one thread only.
 */
#include "unit.h"

#include <stdint.h>
#include <string.h>

#include "check.h"
#include "spare.h"
#include "thread.h"

static int set_up(void **state)
{
    (void)state;
    spare_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    spare_close();
    return 0;
}

static void a_piece_comes_back_to_who_asks_for_its_size(void **state)
{
    (void)state;
    void *first = spare_malloc(100);
    spare_free(first);
    assert_true(spare_bytes() >= 100);
    void *other = spare_malloc(200);
    assert_ptr_not_equal(other, first);
    void *again = spare_malloc(99);
    assert_ptr_equal(again, first);
    assert_int_equal(spare_bytes(), 0);
    spare_free(again);
    spare_free(other);
    spare_free(NULL);
}

static void every_size_is_writable_and_aligned(void **state)
{
    uint8_t *pieces[SPARE_SIZE_MAX + 100];
    const size_t count = sizeof(pieces) / sizeof(pieces[0]);
    (void)state;
    for (int round = 0; round < 2; round++) { /* from malloc, then from the lists */
        for (size_t size = 0; size < count; size++) {
            pieces[size] = spare_malloc(size);
            assert_non_null(pieces[size]);
            assert_int_equal((uintptr_t)pieces[size] % _Alignof(max_align_t), 0);
            memset(pieces[size], (int)(size & 0xFF), size);
        }
        for (size_t size = 0; size < count; size++) {
            assert_true(size == 0 || (pieces[size][0] == (size & 0xFF) && pieces[size][size - 1] == (size & 0xFF)));
            spare_free(pieces[size]);
        }
    }
}

static void calloc_clears_what_was_used(void **state)
{
    static const uint8_t zeros[96];
    (void)state;
    void *used = spare_malloc(sizeof(zeros));
    memset(used, 0xFF, sizeof(zeros));
    spare_free(used);
    void *cleared = spare_calloc(sizeof(zeros) / 8, 8);
    assert_ptr_equal(cleared, used);
    assert_memory_equal(cleared, zeros, sizeof(zeros));
    spare_free(cleared);
    assert_null(spare_calloc(SIZE_MAX / 2, 4));
    assert_null(spare_malloc(SIZE_MAX));
}

static void realloc_keeps_the_content(void **state)
{
    static const size_t sizes[] = {5, 40, SPARE_SIZE_MAX, SPARE_SIZE_MAX * 3, 100000, 200};
    char *grown = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        grown = spare_realloc(grown, sizes[i]);
        assert_non_null(grown);
        if (i == 0) {
            memcpy(grown, "text", 5);
        }
        assert_string_equal(grown, "text");
        memset(grown + 5, 0xFF, sizes[i] - 5);
    }
    assert_null(spare_realloc(grown, SIZE_MAX));
    char *copy = spare_strdup(grown);
    assert_string_equal(copy, "text");
    spare_free(copy);
    spare_free(grown);
}

static void what_is_kept_has_a_limit(void **state)
{
    enum { COUNT = SPARE_BYTES_MAX / SPARE_SIZE_MAX + 10 };
    static void *pieces[COUNT];
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = spare_malloc(SPARE_SIZE_MAX);
    }
    for (size_t i = 0; i < COUNT; i++) {
        spare_free(pieces[i]);
    }
    assert_int_equal(spare_bytes(), SPARE_BYTES_MAX);
    spare_free(spare_malloc(SPARE_SIZE_MAX + 1)); /* too large to be kept */
    assert_int_equal(spare_bytes(), SPARE_BYTES_MAX);
}

static void run_elsewhere(void *context)
{
    void **piece = context;
    spare_free(*piece);
    check(spare_bytes() == 0);
    *piece = spare_malloc(100);
}

static void other_threads_keep_nothing(void **state)
{
    struct thread thread;
    struct err err;
    void *piece = spare_malloc(100);
    (void)state;
    assert_int_equal(thread_start(&thread, "elsewhere", run_elsewhere, &piece, &err), ERR_NONE);
    thread_join(&thread);
    assert_int_equal(spare_bytes(), 0);
    spare_free(piece);
    assert_true(spare_bytes() >= 100);
}

static void nothing_is_kept_once_closed(void **state)
{
    (void)state;
    void *piece = spare_malloc(100);
    spare_free(spare_malloc(100));
    spare_close();
    assert_int_equal(spare_bytes(), 0);
    spare_free(piece);
    assert_int_equal(spare_bytes(), 0);
    spare_open();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_piece_comes_back_to_who_asks_for_its_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_size_is_writable_and_aligned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calloc_clears_what_was_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(realloc_keeps_the_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_has_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_threads_keep_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_kept_once_closed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
