/* SPDX-License-Identifier: Apache-2.0
 *
 * test_path.c: request targets: cutting, decoding, parameters.
 */
#include "unit.h"

#include "path.h"

static void paths_are_cut_before_they_are_decoded(void **state)
{
    (void)state;
    struct path path;
    assert_true(path_split(SLICE("/v1/ask/a%2Fb//c/"), &path));
    assert_int_equal(path.count, 6);
    assert_true(slice_equal(path.segments[2], SLICE("a%2Fb")));
    assert_int_equal(path.segments[3].size, 0);
    assert_int_equal(path.segments[5].size, 0);
    assert_true(path_split(SLICE("/"), &path));
    assert_int_equal(path.count, 1);
    assert_false(path_split(SLICE("*"), &path));
    assert_false(path_split(SLICE_EMPTY, &path));
    assert_true(path_split(SLICE("http://host:80/x/y"), &path));
    assert_int_equal(path.count, 2);
    assert_true(slice_equal(path.segments[1], SLICE("y")));
    static const struct slice absolute[] = {SLICE("HTTP://host/x/y"), SLICE("https://host/x/y"),
                                            SLICE("hTTpS://h:1/x/y")};
    for (size_t i = 0; i < sizeof absolute / sizeof absolute[0]; i++) {
        assert_true(path_split(absolute[i], &path));
        assert_int_equal(path.count, 2);
        assert_true(slice_equal(path.segments[1], SLICE("y")));
    }
    assert_false(path_split(SLICE("ftp://host/x/y"), &path));
    assert_true(path_split(SLICE("http://"), &path));
    assert_int_equal(path.count, 1);
    assert_true(path_split(SLICE("http://host"), &path));
    assert_int_equal(path.count, 1);
    assert_true(path_split(SLICE("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"), &path));
    assert_int_equal(path.count, 18);
}

static void segments_are_decoded_strictly(void **state)
{
    (void)state;
    static const struct {
        struct slice raw;
        struct slice text; /* empty: refused */
        const char *hint;
    } cases[] = {
#define GOOD(raw, text) {{(const uint8_t *)(raw), sizeof(raw) - 1}, {(const uint8_t *)(text), sizeof(text) - 1}, NULL}
#define BAD(raw, hint)                                             \
    {                                                              \
        {(const uint8_t *)(raw), sizeof(raw) - 1}, {NULL, 0}, hint \
    }
        GOOD("bob", "bob"),
        GOOD("a%2Fb%2fc", "a/b/c"),
        GOOD("%25", "%"),
        GOOD("a+b", "a+b"),
        GOOD("%E2%82%AC", "\xE2\x82\xAC"),
        GOOD("\xE2\x82\xAC", "\xE2\x82\xAC"),
        GOOD("%41%42", "AB"),
        BAD("", "empty"),
        BAD("%", "hex digits"),
        BAD("a%4", "hex digits"),
        BAD("%4x", "hex digits"),
        BAD("a%zz", "hex digits"),
        BAD("a%00b", "NUL"),
        BAD("%C3%28", "UTF-8"),
        BAD("%FF", "UTF-8"),
        BAD("%ED%A0%80", "UTF-8"),
        BAD("%C0%AF", "UTF-8"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf buf;
        struct err err;
        struct slice out;
        buf_init(&buf, 100);
        const enum err_code code = path_decode(cases[i].raw, "id", &buf, &out, &err);
        if (cases[i].hint == NULL) {
            assert_int_equal(code, ERR_NONE);
            assert_true(slice_equal(out, cases[i].text));
        } else {
            assert_int_equal(code, ERR_BAD_PATH);
            assert_non_null(strstr(err.text, cases[i].hint));
            assert_non_null(strstr(err.text, "the id"));
        }
        buf_done(&buf);
    }
    struct buf small;
    struct err err;
    struct slice out;
    buf_init(&small, 3);
    assert_int_equal(path_decode(SLICE("four"), "id", &small, &out, &err), ERR_BAD_PATH);
    buf_done(&small);
}

static void queries_come_pair_by_pair(void **state)
{
    (void)state;
    struct slice query = SLICE("&a=1&&b&c==&");
    struct slice name;
    struct slice value;
    assert_true(path_query_next(&query, &name, &value));
    assert_true(slice_equal(name, SLICE("a")) && slice_equal(value, SLICE("1")));
    assert_true(path_query_next(&query, &name, &value));
    assert_true(slice_equal(name, SLICE("b")) && value.size == 0);
    assert_true(path_query_next(&query, &name, &value));
    assert_true(slice_equal(name, SLICE("c")) && slice_equal(value, SLICE("=")));
    assert_false(path_query_next(&query, &name, &value));
    query = SLICE_EMPTY;
    assert_false(path_query_next(&query, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_cut_before_they_are_decoded),
        cmocka_unit_test(segments_are_decoded_strictly),
        cmocka_unit_test(queries_come_pair_by_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
