/* SPDX-License-Identifier: Apache-2.0 */
#include "config_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

enum { VARIABLE_BYTES_MAX = 128 };

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: that is the order they are tried in for printing. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit bytes_units[] = {
    {"TiB", UINT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1},
};
enum { UNIT_COUNT = 5 };

/* ---- numbers with units --------------------------------------------------------------------------------- */

/* Reads the digits `text` begins with; returns how many, 0 if there are none or they overflow. */
static size_t parse_digits(struct slice text, uint64_t *out_number)
{
    uint64_t number = 0;
    size_t at = 0;

    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        const uint64_t digit = (uint64_t)text.data[at] - '0';
        if (number > (UINT64_MAX - digit) / 10) {
            return 0;
        }
        number = number * 10 + digit;
    }
    *out_number = number;
    return at;
}

static bool parse_with_unit(struct slice text, const struct unit *units, uint64_t *out)
{
    uint64_t number = 0;
    const size_t digits = parse_digits(text, &number);
    const struct slice name = {text.data + digits, text.size - digits};

    for (size_t i = 0; digits > 0 && i < UNIT_COUNT; i++) {
        if (slice_equal(name, slice_of(units[i].name)) && number <= UINT64_MAX / units[i].factor) {
            *out = number * units[i].factor;
            return true;
        }
    }
    return false;
}

static void put_with_unit(uint64_t number, const struct unit *units, struct buf *out)
{
    size_t i = 0;

    while (i + 1 < UNIT_COUNT && (number == 0 || number % units[i].factor != 0)) {
        i++;
    }
    buf_appendf(out, "%" PRIu64 "%s", number / units[i].factor, units[i].name);
}

bool config_parse_duration(struct slice text, uint64_t *out_ms)
{
    return parse_with_unit(text, duration_units, out_ms);
}

/* The unit Flink calls by this name, in nanoseconds; 0: none. */
static uint64_t flink_unit_ns(struct slice name)
{
    static const struct {
        const char *name;
        bool has_plural;
        uint64_t ns;
    } units[] = {
        {"", false, 1000000},
        {"ns", false, 1},
        {"nano", true, 1},
        {"nanosecond", true, 1},
        {"\xC2\xB5s", false, 1000}, /* the micro sign */
        {"micro", true, 1000},
        {"microsecond", true, 1000},
        {"ms", false, 1000000},
        {"milli", true, 1000000},
        {"millisecond", true, 1000000},
        {"s", false, 1000000000},
        {"sec", true, 1000000000},
        {"second", true, 1000000000},
        {"m", false, UINT64_C(60000000000)},
        {"min", false, UINT64_C(60000000000)},
        {"minute", true, UINT64_C(60000000000)},
        {"h", false, UINT64_C(3600000000000)},
        {"hour", true, UINT64_C(3600000000000)},
        {"d", false, UINT64_C(86400000000000)},
        {"day", true, UINT64_C(86400000000000)},
    };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const struct slice unit = slice_of(units[i].name);
        const bool is_plural =
            units[i].has_plural && name.size == unit.size + 1 && byte_lower(name.data[name.size - 1]) == 's';
        size_t at = 0;
        while (at < unit.size && at < name.size && byte_lower(name.data[at]) == unit.data[at]) {
            at++;
        }
        if (at == unit.size && (name.size == unit.size || is_plural)) {
            return units[i].ns;
        }
    }
    return 0;
}

bool config_parse_flink_duration(struct slice text, uint64_t *out_ms)
{
    static const uint64_t ns_per_ms = 1000000;
    uint64_t number = 0;
    size_t at = parse_digits(text, &number);

    if (at == 0) {
        return false;
    }
    while (at < text.size && text.data[at] == ' ') {
        at++;
    }
    const uint64_t unit_ns = flink_unit_ns((struct slice){text.data + at, text.size - at});
    if (unit_ns == 0 || (unit_ns >= ns_per_ms && number > UINT64_MAX / (unit_ns / ns_per_ms))) {
        return false;
    }
    const uint64_t per_ms = unit_ns >= ns_per_ms ? 1 : ns_per_ms / unit_ns;
    *out_ms = unit_ns >= ns_per_ms ? number * (unit_ns / ns_per_ms) : number / per_ms + (number % per_ms != 0);
    return true;
}

bool config_parse_bytes(struct slice text, uint64_t *out_bytes)
{
    return parse_with_unit(text, bytes_units, out_bytes);
}

bool config_parse_number(struct slice text, uint64_t *out_number)
{
    uint64_t number = 0;

    if (text.size == 0 || parse_digits(text, &number) != text.size) {
        return false;
    }
    *out_number = number;
    return true;
}

bool config_parse_factor(struct slice text, uint64_t *out_permille)
{
    uint64_t whole = 0;
    const size_t digits = parse_digits(text, &whole);
    uint64_t permille = 0;

    if (digits == 0 || whole > UINT64_MAX / 1000 - 1) {
        return false;
    }
    if (digits < text.size) {
        struct slice rest = {text.data + digits + 1, text.size - digits - 1};
        if (text.data[digits] != '.' || rest.size > 3 || !config_parse_number(rest, &permille)) {
            return false;
        }
        for (size_t i = rest.size; i < 3; i++) {
            permille *= 10;
        }
    }
    *out_permille = whole * 1000 + permille;
    return true;
}

/* ---- rules ---------------------------------------------------------------------------------------------- */

static void put_number(enum config_type type, uint64_t number, struct buf *out)
{
    if (type == CONFIG_DURATION || type == CONFIG_FLINK_DURATION) {
        put_with_unit(number, duration_units, out);
    } else if (type == CONFIG_BYTES) {
        put_with_unit(number, bytes_units, out);
    } else if (type == CONFIG_FACTOR && number % 1000 != 0) {
        buf_appendf(out, "%" PRIu64 ".%03" PRIu64, number / 1000, number % 1000);
    } else {
        buf_appendf(out, "%" PRIu64, type == CONFIG_FACTOR ? number / 1000 : number);
    }
}

/* What a text of the type looks like, to go after "write ". */
static const char *how_to_write(enum config_type type)
{
    switch (type) {
    case CONFIG_DURATION:
        return "an integer and one of ms, s, m, h and d, as in 30s";
    case CONFIG_BYTES:
        return "an integer, alone or with one of KiB, MiB, GiB and TiB, as in 512KiB";
    case CONFIG_NUMBER:
        return "a whole number, as in 100";
    case CONFIG_NUMBER_OR_AUTO:
        return "auto or a whole number";
    case CONFIG_FACTOR:
        return "a decimal number with at most three digits after the point, as in 1.5";
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_FLINK_DURATION:
        return "an integer and a unit, as in 2m, 30 s or 500ms";
    case CONFIG_NUMBER_OR_OFF:
        return "a whole number, as in 1000; 0 or less switches it off";
    case CONFIG_PATTERN:
    case CONFIG_FILE:
    case CONFIG_TYPENAME:
    case CONFIG_NAME:
    case CONFIG_CHOICE:
    case CONFIG_TEXT:
    case CONFIG_URL:
    case CONFIG_ENTRIES:
    case CONFIG_LIST:
        break;
    }
    return "something";
}

static bool parse_choice(const char *choices, struct slice text, uint64_t *out_index)
{
    uint64_t index = 0;

    for (const char *word = choices; *word != '\0'; index++) {
        const size_t size = strcspn(word, " ");
        if (size == text.size && memcmp(word, text.data, size) == 0) {
            *out_index = index;
            return true;
        }
        word += size;
        word += *word == ' ';
    }
    return false;
}

/* A number without a sign, or 0 for one with a minus. */
static bool parse_number_or_off(struct slice text, uint64_t *out)
{
    const bool is_negative = text.size > 0 && text.data[0] == '-';

    if (is_negative) {
        text = (struct slice){text.data + 1, text.size - 1};
    }
    if (!config_parse_number(text, out)) {
        return false;
    }
    *out = is_negative ? 0 : *out;
    return true;
}

static bool parse_number(const struct config_rule *rule, struct slice text, uint64_t *out)
{
    switch (rule->type) {
    case CONFIG_DURATION:
        return config_parse_duration(text, out);
    case CONFIG_BYTES:
        return config_parse_bytes(text, out);
    case CONFIG_NUMBER:
        return config_parse_number(text, out);
    case CONFIG_NUMBER_OR_AUTO:
        *out = 0;
        return slice_equal(text, SLICE("auto")) || (config_parse_number(text, out) && *out > 0);
    case CONFIG_FACTOR:
        return config_parse_factor(text, out);
    case CONFIG_BOOL:
        *out = slice_equal(text, SLICE("true"));
        return *out == 1 || slice_equal(text, SLICE("false"));
    case CONFIG_CHOICE:
        return parse_choice(rule->choices, text, out);
    case CONFIG_FLINK_DURATION:
        return config_parse_flink_duration(text, out);
    case CONFIG_NUMBER_OR_OFF:
        return parse_number_or_off(text, out);
    case CONFIG_TEXT:
    case CONFIG_URL:
    case CONFIG_TYPENAME:
    case CONFIG_NAME:
    case CONFIG_PATTERN:
    case CONFIG_FILE:
    case CONFIG_ENTRIES:
    case CONFIG_LIST:
        break;
    }
    check_failed("a type with a number", __FILE__, __LINE__);
}

static enum err_code check_text(enum config_type type, struct slice text, struct err *err)
{
    struct slice space;
    struct slice name;

    switch (type) {
    case CONFIG_URL:
        return config_check_url(text, err);
    case CONFIG_NAME:
        return config_check_name(text, &space, &name, err);
    case CONFIG_TYPENAME:
        return config_check_typename(text, err);
    case CONFIG_PATTERN:
        return config_check_pattern(text, &space, &name, err);
    case CONFIG_FILE:
        return config_check_file(text, err);
    case CONFIG_TEXT:
        return ERR_NONE;
    case CONFIG_FLINK_DURATION:
    case CONFIG_NUMBER_OR_OFF:
    case CONFIG_DURATION:
    case CONFIG_BYTES:
    case CONFIG_NUMBER:
    case CONFIG_NUMBER_OR_AUTO:
    case CONFIG_FACTOR:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
    case CONFIG_ENTRIES:
    case CONFIG_LIST:
        break;
    }
    check_failed("a type of text", __FILE__, __LINE__);
}

static bool has_number(enum config_type type)
{
    return type != CONFIG_TEXT && type != CONFIG_URL && type != CONFIG_TYPENAME && type != CONFIG_NAME &&
           type != CONFIG_ENTRIES && type != CONFIG_LIST && type != CONFIG_PATTERN && type != CONFIG_FILE;
}

static enum err_code out_of_range(const struct config_rule *rule, struct slice text, struct err *err)
{
    struct buf range;

    buf_init(&range, 128);
    put_number(rule->type, rule->min, &range);
    buf_append_text(&range, " to ");
    put_number(rule->type, rule->max, &range);
    (void)err_set(err, ERR_CONFIG, "%.*s is out of range; it may be %.*s", config_shown(text), text.data,
                  (int)range.size, range.data);
    buf_done(&range);
    return ERR_CONFIG;
}

enum err_code config_rule_parse(const struct config_rule *rule, struct slice text, uint64_t *out_number,
                                struct err *err)
{
    uint64_t number = 0;

    if (text.size == 0) {
        return err_set(err, ERR_CONFIG, "it is empty");
    }
    if (!slice_is_utf8_text(text)) {
        return err_set(err, ERR_CONFIG, "it is not UTF-8 text without NUL");
    }
    if (!has_number(rule->type)) {
        return check_text(rule->type, text, err);
    }
    if (!parse_number(rule, text, &number)) {
        if (rule->type == CONFIG_CHOICE) {
            return err_set(err, ERR_CONFIG, "'%.*s' is none of: %s", config_shown(text), text.data, rule->choices);
        }
        return err_set(err, ERR_CONFIG, "'%.*s' cannot be read; write %s", config_shown(text), text.data,
                       how_to_write(rule->type));
    }
    const bool is_auto = rule->type == CONFIG_NUMBER_OR_AUTO && number == 0;
    if (rule->max != 0 && !is_auto && (number < rule->min || number > rule->max)) {
        return out_of_range(rule, text, err);
    }
    *out_number = number;
    return ERR_NONE;
}

void config_rule_describe(const struct config_rule *rule, struct buf *out)
{
    static const char *const names[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_DURATION] = "duration",
        [CONFIG_BYTES] = "size",
        [CONFIG_NUMBER] = "number",
        [CONFIG_NUMBER_OR_AUTO] = "`auto` or a number",
        [CONFIG_FACTOR] = "decimal number",
        [CONFIG_BOOL] = "`true` or `false`",
        [CONFIG_CHOICE] = "one of",
        [CONFIG_URL] = "URL",
        [CONFIG_TYPENAME] = "type of a value",
        [CONFIG_NAME] = "`namespace/name`",
        [CONFIG_ENTRIES] = "mapping",
        [CONFIG_PATTERN] = "`namespace/name` or `namespace/*`",
        [CONFIG_FILE] = "path of a file",
        [CONFIG_FLINK_DURATION] = "duration",
        [CONFIG_NUMBER_OR_OFF] = "number",
        [CONFIG_LIST] = "list",
    };

    buf_append_text(out, names[rule->type]);
    for (const char *word = rule->choices; word != NULL && *word != '\0';) {
        const size_t size = strcspn(word, " ");
        buf_appendf(out, "%s `%.*s`", word == rule->choices ? "" : ",", (int)size, word);
        word += size;
        word += *word == ' ';
    }
    if (rule->max != 0) {
        buf_append_text(out, ", ");
        put_number(rule->type, rule->min, out);
        buf_append_text(out, " to ");
        put_number(rule->type, rule->max, out);
    }
}

/* ---- variables ------------------------------------------------------------------------------------------ */

static bool is_name_byte(uint8_t byte, bool is_first)
{
    const uint8_t small = byte_lower(byte);

    return (small >= 'a' && small <= 'z') || byte == '_' || (!is_first && byte >= '0' && byte <= '9');
}

/* What stands between "${" and "}": a name, and perhaps a default. */
static enum err_code expand_one(struct slice inside, config_getenv *lookup, void *context, struct buf *out,
                                struct err *err)
{
    char name[VARIABLE_BYTES_MAX];
    size_t size = 0;

    while (size < inside.size && is_name_byte(inside.data[size], size == 0)) {
        size++;
    }
    const struct slice rest = {inside.data + size, inside.size - size};
    const bool has_default = rest.size >= 2 && memcmp(rest.data, ":-", 2) == 0;
    if (size == 0 || size >= sizeof name || (rest.size > 0 && !has_default)) {
        return err_set(err, ERR_CONFIG, "${%.*s} cannot be read; write ${NAME} or ${NAME:-default}",
                       config_shown(inside), inside.data);
    }
    memcpy(name, inside.data, size);
    name[size] = '\0';
    const char *value = lookup == NULL ? NULL : lookup(context, name);
    if (value != NULL && (*value != '\0' || !has_default)) {
        buf_append_text(out, value);
        return ERR_NONE;
    }
    if (!has_default) {
        return err_set(err, ERR_CONFIG, "the environment variable %s is not set; set it or write ${%s:-default}", name,
                       name);
    }
    buf_append(out, rest.data + 2, rest.size - 2);
    return ERR_NONE;
}

enum err_code config_expand(struct slice text, config_getenv *lookup, void *lookup_context, struct buf *out,
                            struct err *err)
{
    size_t at = 0;

    while (at < text.size) {
        const struct slice left = {text.data + at, text.size - at};
        if (left.size >= 3 && memcmp(left.data, "$${", 3) == 0) {
            buf_append_text(out, "${");
            at += 3;
            continue;
        }
        if (left.size < 2 || memcmp(left.data, "${", 2) != 0) {
            buf_append_u8(out, left.data[0]);
            at++;
            continue;
        }
        const uint8_t *end = memchr(left.data, '}', left.size);
        if (end == NULL) {
            return err_set(err, ERR_CONFIG, "'%.*s' has no closing brace; write $${ for the characters themselves",
                           config_shown(left), left.data);
        }
        const struct slice inside = {left.data + 2, (size_t)(end - left.data) - 2};
        if (inside.size > 0 && memchr(inside.data, '$', inside.size) != NULL) {
            return err_set(err, ERR_CONFIG, "${%.*s}: a default cannot hold a variable", config_shown(inside),
                           inside.data);
        }
        if (expand_one(inside, lookup, lookup_context, out, err) != ERR_NONE) {
            return err->code;
        }
        at += inside.size + 3;
    }
    return ERR_NONE;
}
