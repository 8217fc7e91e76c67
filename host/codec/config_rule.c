/* SPDX-License-Identifier: Apache-2.0 */
#include "config_rule.h"

#include <string.h>

#include "check.h"
#include "config_name.h"
#include "config_source.h"
#include "quantity.h"

static bool get_bool(struct slice text, uint64_t *out)
{
    *out = slice_equal(text, SLICE("true"));
    return *out == 1 || slice_equal(text, SLICE("false"));
}

static bool get_number_or_auto(struct slice text, uint64_t *out)
{
    *out = 0;
    return slice_equal(text, SLICE("auto")) || (quantity_get_number(text, out) && *out > 0);
}

static enum err_code check_any(struct slice text, struct err *err)
{
    (void)text;
    (void)err;
    return ERR_NONE;
}

static enum err_code check_name(struct slice text, struct err *err)
{
    struct slice space;
    struct slice name;

    return config_check_name(text, &space, &name, err);
}

static enum err_code check_pattern(struct slice text, struct err *err)
{
    struct slice space;
    struct slice name;

    return config_check_pattern(text, &space, &name, err);
}

/* What is particular to a type: either it has a number, with `get` and, if it may have bounds, `put`, or it is a text,
 * with `judge`. A choice has a number that depends on its rule; entries and lists are no single texts. */
static const struct {
    const char *name;  /* in reference pages */
    const char *write; /* of a number: what a person should write */
    bool (*get)(struct slice text, uint64_t *out_number);
    void (*put)(struct buf *out, uint64_t number);
    enum err_code (*judge)(struct slice text, struct err *err);
} types[] = {
    [CONFIG_TEXT] = {.name = "text", .judge = check_any},
    [CONFIG_DURATION] = {.name = "duration",
                         .write = "an integer and one of ms, s, m, h and d, as in 30s",
                         .get = quantity_get_duration,
                         .put = quantity_put_duration},
    [CONFIG_BYTES] = {.name = "size",
                      .write = "an integer, alone or with one of KiB, MiB, GiB and TiB, as in 512KiB",
                      .get = quantity_get_bytes,
                      .put = quantity_put_bytes},
    [CONFIG_NUMBER] = {.name = "number",
                       .write = "a whole number, as in 100",
                       .get = quantity_get_number,
                       .put = quantity_put_number},
    [CONFIG_NUMBER_OR_AUTO] = {.name = "`auto` or a number",
                               .write = "auto or a whole number",
                               .get = get_number_or_auto,
                               .put = quantity_put_number},
    [CONFIG_FACTOR] = {.name = "decimal number",
                       .write = "a decimal number with at most three digits after the point, as in 1.5",
                       .get = quantity_get_factor,
                       .put = quantity_put_factor},
    [CONFIG_BOOL] = {.name = "`true` or `false`", .write = "true or false", .get = get_bool},
    [CONFIG_CHOICE] = {.name = "one of"},
    [CONFIG_URL] = {.name = "URL", .judge = config_check_url},
    [CONFIG_TYPENAME] = {.name = "type of a value", .judge = config_check_typename},
    [CONFIG_NAME] = {.name = "`namespace/name`", .judge = check_name},
    [CONFIG_ENTRIES] = {.name = "mapping"},
    [CONFIG_PATTERN] = {.name = "`namespace/name` or `namespace/*`", .judge = check_pattern},
    [CONFIG_FILE] = {.name = "path of a file", .judge = config_check_file},
    [CONFIG_FLINK_DURATION] = {.name = "duration",
                               .write = "an integer and a unit, as in 2m, 30 s or 500ms",
                               .get = quantity_get_flink_duration,
                               .put = quantity_put_duration},
    [CONFIG_NUMBER_OR_OFF] = {.name = "number",
                              .write = "a whole number, as in 1000; 0 or less switches it off",
                              .get = quantity_get_number_or_off,
                              .put = quantity_put_number},
    [CONFIG_LIST] = {.name = "list"},
};
_Static_assert(sizeof types / sizeof types[0] == CONFIG_TYPE_COUNT, "a row for each type");

/* Moves the first word off a list of choices. */
static struct slice take_choice(const char **choices)
{
    const struct slice word = {(const uint8_t *)*choices, strcspn(*choices, " ")};

    *choices += word.size;
    *choices += **choices == ' ';
    return word;
}

static bool find_choice(const char *choices, struct slice text, uint64_t *out_index)
{
    for (uint64_t index = 0; *choices != '\0'; index++) {
        if (slice_equal(take_choice(&choices), text)) {
            *out_index = index;
            return true;
        }
    }
    return false;
}

static void put_range(const struct config_rule *rule, struct buf *out)
{
    types[rule->type].put(out, rule->min);
    buf_append_text(out, " to ");
    types[rule->type].put(out, rule->max);
}

static enum err_code out_of_range(const struct config_rule *rule, struct slice text, struct err *err)
{
    struct buf range;

    buf_init(&range, 128);
    put_range(rule, &range);
    (void)err_set(err, ERR_CONFIG, "%.*s is out of range; it may be %.*s", config_shown(text), text.data,
                  (int)range.size, range.data);
    buf_done(&range);
    return ERR_CONFIG;
}

static enum err_code get_number(const struct config_rule *rule, struct slice text, uint64_t *out_number,
                                struct err *err)
{
    uint64_t number = 0;

    if (rule->type == CONFIG_CHOICE) {
        return find_choice(rule->choices, text, out_number)
                   ? ERR_NONE
                   : err_set(err, ERR_CONFIG, "'%.*s' is none of: %s", config_shown(text), text.data, rule->choices);
    }
    check(types[rule->type].get != NULL);
    if (!types[rule->type].get(text, &number)) {
        return err_set(err, ERR_CONFIG, "'%.*s' cannot be read; write %s", config_shown(text), text.data,
                       types[rule->type].write);
    }
    const bool is_auto = rule->type == CONFIG_NUMBER_OR_AUTO && number == 0;
    if (rule->max != 0 && !is_auto && (number < rule->min || number > rule->max)) {
        return out_of_range(rule, text, err);
    }
    *out_number = number;
    return ERR_NONE;
}

enum err_code config_rule_parse(const struct config_rule *rule, struct slice text, uint64_t *out_number,
                                struct err *err)
{
    if (text.size == 0) {
        return err_set(err, ERR_CONFIG, "it is empty");
    }
    if (!slice_is_utf8_text(text)) {
        return err_set(err, ERR_CONFIG, "it is not UTF-8 text without NUL");
    }
    if (types[rule->type].judge != NULL) {
        return types[rule->type].judge(text, err);
    }
    return get_number(rule, text, out_number, err);
}

void config_rule_describe(const struct config_rule *rule, struct buf *out)
{
    const char *left = rule->choices;

    buf_append_text(out, types[rule->type].name);
    while (left != NULL && *left != '\0') {
        buf_append_text(out, left == rule->choices ? " `" : ", `");
        buf_append_slice(out, take_choice(&left));
        buf_append_u8(out, '`');
    }
    if (rule->max != 0) {
        buf_append_text(out, ", ");
        put_range(rule, out);
    }
}
