/* SPDX-License-Identifier: Apache-2.0
 *
 * test_config_yaml.c: the text of a module file: what is not YAML, and how large it may be.
 */
#include "config_bench.h"

#include <stdlib.h>

static void mistakes_in_yaml(void **state)
{
    (void)state;
    static const struct wrong wrongs[] = {
        {EGRESS("a/b") "---\na: b: c\n",
         "m.yaml:4: this is not YAML: mapping values are not allowed in this context\n"},
        {EGRESS("a/x/y") "---\nkind: [\n",
         "m.yaml:5: this is not YAML: while parsing a flow node, did not find expected "
         "node content\n"
         "m.yaml:2: name: 'a/x/y' does not name an egress; write namespace/name, as in "
         "example/receipts\n"},
        {"kind: proa.v1/egress\nspec:\n\tname: a/b\n",
         "m.yaml:3: this is not YAML: while scanning for the next token, found character that cannot start any token; "
         "indent with spaces, not tabs\n"},
        {"a: 1\nb: \x01\n", "m.yaml:2: this is not YAML: control characters are not allowed\n"},
        {"kind: &k proa.v1/egress\nspec: {name: a/b}\n",
         "m.yaml:1: anchors (&name) are not taken; write each value out\n"},
        {"kind: proa.v1/egress\nspec: {name: *n}\n", "m.yaml:2: aliases (*name) are not taken; write the value out\n"},
        {"kind: proa.v1/egress\nspec: {name: !!str a/b}\n", "m.yaml:2: tags (!name) are not taken; leave it out\n"},
        {"kind: proa.v1/egress\n? [a]\n: b\n", "m.yaml:2: a key is a text, not a mapping or a list\n"},
        {HEAD URL "  call: {batch: ${NAME}}\n",
         "m.yaml:5: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'; within braces, a "
         "text that holds braces needs quotes\n"},
        {"? *a\n: b\n", "m.yaml:1: aliases (*name) are not taken; write the value out\n"},
    };

    assert_wrong(wrongs, sizeof wrongs / sizeof wrongs[0]);
}

static char *repeat(const char *head, const char *part, size_t count, const char *tail)
{
    struct buf buf;

    buf_init(&buf, 4 << 20);
    buf_append_text(&buf, head);
    for (size_t i = 0; i < count; i++) {
        buf_append_text(&buf, part);
    }
    buf_append_text(&buf, tail);
    buf_append_u8(&buf, 0);
    assert_false(buf.overflow);
    return (char *)buf.data;
}

static void assert_bounded(char *text, const char *says)
{
    begin_again();
    assert_int_equal(add(text), ERR_CONFIG);
    if (strstr(said(), says) == NULL) {
        fail_msg("'%s' is not in '%.300s'", says, said());
    }
    free(text);
}

static void files_are_bounded(void **state)
{
    (void)state;
    assert_bounded(repeat("", "#234567890123456789012345678901\n", 32769, ""), "m.yaml: the file has 1048608 bytes");
    assert_bounded(repeat("", "[", 100, ""), "m.yaml:1: the file is nested too deeply");
    assert_bounded(repeat("", "{a: ", 100, ""), "m.yaml:1: the file is nested too deeply");
    assert_bounded(repeat("a: [", "b,", 70000, "]"), "m.yaml:1: the file has too many entries");
    assert_bounded(repeat("", "---\na: b\n", 1025, ""), "m.yaml:2049: the file has too many documents");
    assert_bounded(repeat("a: ${A:-", "x", 65537, "}\n"), "m.yaml:1: this text is longer than 65536 bytes");
    assert_bounded(repeat("- &a [x]\n", "- *a\n", 100, ""), "m.yaml:2: aliases (*name) are not taken");
    assert_bounded(repeat("", "- &a [x]\n", 300, ""), "m.yaml: there are more errors, which are not shown");

    struct buf keys;
    buf_init(&keys, 1 << 20);
    for (int i = 0; i < 5000; i++) {
        buf_appendf(&keys, "k%d: 1\n", i);
    }
    buf_append_u8(&keys, 0);
    assert_bounded((char *)keys.data, "m.yaml:4097: this mapping has too many keys");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, config_set_up, config_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(mistakes_in_yaml),
        TEST(files_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
