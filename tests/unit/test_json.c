/* SPDX-License-Identifier: Apache-2.0
 *
 * test_json.c: JSON at the borders: bodies to values and back.
 */
#include "unit.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "wire.h"

enum { OUT_MAX = 4 << 20 };

#define INT "io.statefun.types/int"
#define LONG "io.statefun.types/long"
#define FLOAT "io.statefun.types/float"
#define DOUBLE "io.statefun.types/double"
#define STRING "io.statefun.types/string"
#define BOOL "io.statefun.types/bool"

/* The value of a body as a client sees it when it comes back. */
static void goes_round(const char *body, const char *takes, const char *back)
{
    struct buf value;
    struct buf out;
    struct err err = {.text = ""};
    enum json_form form = JSON_NOTHING;
    struct slice typename_;
    buf_init(&value, OUT_MAX);
    buf_init(&out, OUT_MAX);
    if (json_get_value(slice_of(body), slice_of(takes), &value, &err) != ERR_NONE) {
        fail_msg("%s as %s: %s", body, takes, err.text);
    }
    assert_int_equal(json_put_value(buf_slice(&value), &out, &form, &typename_, &err), ERR_NONE);
    assert_int_equal(form, strncmp(takes, "example/", 8) == 0 ? JSON_RAW : JSON_TEXT);
    assert_true(slice_equal(typename_, takes[0] == 0 ? SLICE("proa/json") : slice_of(takes)));
    buf_append_u8(&out, 0);
    assert_string_equal((const char *)out.data, back);
    buf_done(&value);
    buf_done(&out);
}

static void bytes_are_refused(struct slice body, const char *takes, const char *hint)
{
    struct buf value;
    struct err err = {.text = ""};
    buf_init(&value, OUT_MAX);
    assert_int_equal(json_get_value(body, slice_of(takes), &value, &err), ERR_BAD_VALUE);
    if (strstr(err.text, hint) == NULL) {
        fail_msg("%.*s as %s: %s", (int)body.size, (const char *)body.data, takes, err.text);
    }
    assert_int_equal(value.size, 0);
    buf_done(&value);
}

static void is_refused(const char *body, const char *takes, const char *hint)
{
    bytes_are_refused(slice_of(body), takes, hint);
}

static void json_is_kept_verbatim(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        " {\"a\" : [1, 2.50,\n true]} ",
        "\"\\u0000\\ud83d\\ude00\"",
        "123456789012345678901234567890",
        "1e300",
        "{\"b\":1,\"b\":2}",
        "[[[[]]]]",
        "-0",
        "\"\xC3\xA9\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        goes_round(texts[i], "", texts[i]);
    }
    is_refused("", "", "send null");
    is_refused(" \r\n\t", "", "send null");
    is_refused("{", "", "line 1");
    is_refused("[1,]", "", "not JSON");
    is_refused("1 2", "", "not JSON");
    is_refused("{'a':1}", "", "not JSON");
    is_refused("\"\xFF\"", "", "not JSON");
    is_refused("NaN", "", "not JSON");
    is_refused("\xEF\xBB\xBF"
               "1",
               "", "not JSON");
    is_refused("1e999", "", "range");
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    static const struct slice texts[] = {
        SLICE("5\0"),         SLICE("true\0\0"),  SLICE("\0"),       SLICE("\0005"),
        SLICE("{\"a\":1}\0"), SLICE("[1,\0002]"), SLICE("\"a\0b\""), SLICE("5 \0 "),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bytes_are_refused(texts[i], "", "NUL");
        bytes_are_refused(texts[i], LONG, "NUL");
        bytes_are_refused(texts[i], "example/Order", "NUL");
    }
    goes_round("\"\\u0000\"", "", "\"\\u0000\"");
}

static void nesting_has_a_bound(void **state)
{
    (void)state;
    char *deep = malloc(1 << 20);
    memset(deep, '[', (1 << 20) - 1);
    deep[(1 << 20) - 1] = 0;
    is_refused(deep, "", "depth");
    free(deep);
}

static void scalars_are_converted(void **state)
{
    (void)state;
    goes_round("5", INT, "5");
    goes_round(" 0\n", INT, "0");
    goes_round("-2147483648", INT, "-2147483648");
    goes_round("2147483647", INT, "2147483647");
    goes_round("9007199254740992", LONG, "9007199254740992");
    goes_round("9007199254740993", LONG, "\"9007199254740993\"");
    goes_round("\"9223372036854775807\"", LONG, "\"9223372036854775807\"");
    goes_round("-9223372036854775808", LONG, "\"-9223372036854775808\"");
    goes_round("\"-9223372036854775808\"", LONG, "\"-9223372036854775808\"");
    goes_round("\"-12\"", LONG, "-12");
    goes_round("true", BOOL, "true");
    goes_round("false", BOOL, "false");
    goes_round("\"\"", STRING, "\"\"");
    goes_round("\"a\\u0000\\n\\\"\\\\\\u001f\xE2\x82\xAC\"", STRING, "\"a\\u0000\\n\\\"\\\\\\u001f\xE2\x82\xAC\"");
    goes_round("{\"x\":1}", "example/Order", "{\"x\":1}");
}

static void numbers_come_back_shortest(void **state)
{
    (void)state;
    goes_round("0.1", DOUBLE, "0.1");
    goes_round("0.30000000000000004", DOUBLE, "0.30000000000000004");
    goes_round("5", DOUBLE, "5.0");
    goes_round("-0.0", DOUBLE, "-0.0");
    goes_round("1e300", DOUBLE, "1e+300");
    goes_round("5e-324", DOUBLE, "4.94065645841247e-324");
    goes_round("123456789012345678901234567890", DOUBLE, "1.2345678901234568e+29");
    goes_round("0.1", FLOAT, "0.1");
    goes_round("16777216", FLOAT, "16777216.0");
    goes_round("3.4028235e38", FLOAT, "3.4028235e+38");
    goes_round("\"NaN\"", DOUBLE, "\"NaN\"");
    goes_round("\"-Infinity\"", FLOAT, "\"-Infinity\"");
    goes_round("\"Infinity\"", DOUBLE, "\"Infinity\"");
}

static void numbers_care_for_no_locale(void **state)
{
    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL) {
        skip(); /* not installed here */
    }
    goes_round("0.5", DOUBLE, "0.5");
    goes_round("[0.5]", "", "[0.5]");
    assert_non_null(setlocale(LC_NUMERIC, "C"));
}

static void wrong_scalars_say_what_to_send(void **state)
{
    (void)state;
    is_refused("\"5\"", INT, "send an integer, not a string");
    is_refused("5.5", INT, "not a fraction");
    is_refused("2147483648", INT, "32 bits");
    is_refused("9223372036854775808", LONG, "as a string");
    is_refused("\"9223372036854775808\"", LONG, "within 64 bits");
    is_refused("\"-9223372036854775809\"", LONG, "within 64 bits");
    is_refused("\"-\"", LONG, "within 64 bits");
    is_refused("\"1 \"", LONG, "within 64 bits");
    is_refused("1", BOOL, "send true or false, not an integer");
    is_refused("[]", STRING, "not an array");
    is_refused("{}", DOUBLE, "not an object");
    is_refused("1e39", FLOAT, "32 bits");
    is_refused("bob", STRING, "not JSON");
    is_refused("", INT, "empty");
}

static enum err_code put(struct typed_value value, struct buf *out, enum json_form *form, struct slice *typename_)
{
    struct buf bytes;
    struct err err;
    buf_init(&bytes, OUT_MAX);
    wire_put_typed_value(&bytes, &value);
    const enum err_code code = json_put_value(buf_slice(&bytes), out, form, typename_, &err);
    buf_done(&bytes);
    return code;
}

static void values_have_three_forms(void **state)
{
    (void)state;
    struct buf out;
    enum json_form form = JSON_TEXT;
    struct slice type;
    buf_init(&out, OUT_MAX);
    assert_int_equal(put((struct typed_value){SLICE("proa/none"), false, SLICE_EMPTY}, &out, &form, &type), ERR_NONE);
    assert_int_equal(form, JSON_NOTHING);
    form = JSON_TEXT;
    assert_int_equal(put((struct typed_value){SLICE(INT), false, SLICE("\x08\x05")}, &out, &form, &type), ERR_NONE);
    assert_int_equal(form, JSON_NOTHING);
    assert_int_equal(put((struct typed_value){SLICE("a/B"), true, SLICE("\0\1")}, &out, &form, &type), ERR_NONE);
    assert_int_equal(form, JSON_RAW);
    assert_true(slice_equal(buf_slice(&out), SLICE("\0\1")));
    buf_clear(&out);
    assert_int_equal(put((struct typed_value){SLICE(INT), true, SLICE_EMPTY}, &out, &form, &type), ERR_NONE);
    assert_true(slice_equal(buf_slice(&out), SLICE("0")));
    assert_int_equal(put((struct typed_value){SLICE(INT), true, SLICE("\xFF")}, &out, &form, &type), ERR_BAD_ANSWER);
    assert_int_equal(put((struct typed_value){SLICE("proa/json"), true, SLICE_EMPTY}, &out, &form, &type),
                     ERR_BAD_ANSWER);
    buf_done(&out);
}

static void strings_are_always_json(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, OUT_MAX);
    json_put_string(&out, SLICE("a\xFF\xE2\x82z\x7F\r\0\xF0\x9F\x98\x80"));
    assert_true(
        slice_equal(buf_slice(&out), SLICE("\"a\\ufffd\\ufffd\\ufffdz\\u007f\\u000d\\u0000\xF0\x9F\x98\x80\"")));
    buf_done(&out);
}

static void objects_of_texts_are_taken_apart(void **state)
{
    (void)state;
    static const char *const names[] = {"topic", "payload"};
    static const struct {
        const char *text;
        const char *says;
    } wrongs[] = {
        {"", "it is empty"},
        {"{", "not JSON"},
        {"[]", "not a JSON object"},
        {"{\"topic\":\"a\"}", "no member \"payload\""},
        {"{\"topic\":\"a\",\"payload\":5}", "\"payload\" is not a string"},
        {"{\"topic\":null,\"payload\":\"b\"}", "\"topic\" is not a string"},
        {"{\"topic\":\"a\",\"payload\":\"b\",\"key\":1}", "a member \"key\""},
        {"{\"topic\":\"a\",\"payload\":\"b\",\"topic\":\"c\"}", "duplicate"},
        {"{\"topic\":\"a\",\"payload\":\"\\ud800\"}", "not JSON"},
    };
    struct arena *arena = arena_create(1 << 20);
    struct slice texts[2];
    struct err err;

    assert_int_equal(
        json_get_texts(SLICE("{\"payload\":\"\",\"topic\":\"\\u00e4\\u0000\"}"), names, 2, arena, texts, &err),
        ERR_NONE);
    assert_true(slice_equal(texts[0], SLICE("\xc3\xa4\0")));
    assert_int_equal(texts[1].size, 0);
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        assert_int_equal(json_get_texts(slice_of(wrongs[i].text), names, 2, arena, texts, &err), ERR_BAD_VALUE);
        if (strstr(err.text, wrongs[i].says) == NULL) {
            fail_msg("%s: %s", wrongs[i].text, err.text);
        }
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_kept_verbatim),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(nesting_has_a_bound),
        cmocka_unit_test(scalars_are_converted),
        cmocka_unit_test(numbers_come_back_shortest),
        cmocka_unit_test(numbers_care_for_no_locale),
        cmocka_unit_test(wrong_scalars_say_what_to_send),
        cmocka_unit_test(values_have_three_forms),
        cmocka_unit_test(strings_are_always_json),
        cmocka_unit_test(objects_of_texts_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
