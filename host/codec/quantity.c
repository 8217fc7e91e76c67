/* SPDX-License-Identifier: Apache-2.0 */
#include "quantity.h"

#include <inttypes.h>

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
    const struct slice name = slice_from(text, digits);

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

bool quantity_get_duration(struct slice text, uint64_t *out_ms)
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

bool quantity_get_flink_duration(struct slice text, uint64_t *out_ms)
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
    const uint64_t unit_ns = flink_unit_ns(slice_from(text, at));
    if (unit_ns == 0 || (unit_ns >= ns_per_ms && number > UINT64_MAX / (unit_ns / ns_per_ms))) {
        return false;
    }
    const uint64_t per_ms = unit_ns >= ns_per_ms ? 1 : ns_per_ms / unit_ns;
    *out_ms = unit_ns >= ns_per_ms ? number * (unit_ns / ns_per_ms) : number / per_ms + (number % per_ms != 0);
    return true;
}

bool quantity_get_bytes(struct slice text, uint64_t *out_bytes)
{
    return parse_with_unit(text, bytes_units, out_bytes);
}

bool quantity_get_number(struct slice text, uint64_t *out_number)
{
    uint64_t number = 0;

    if (text.size == 0 || parse_digits(text, &number) != text.size) {
        return false;
    }
    *out_number = number;
    return true;
}

bool quantity_get_number_or_off(struct slice text, uint64_t *out_number)
{
    const bool is_negative = text.size > 0 && text.data[0] == '-';

    if (is_negative) {
        text = slice_from(text, 1);
    }
    if (!quantity_get_number(text, out_number)) {
        return false;
    }
    *out_number = is_negative ? 0 : *out_number;
    return true;
}

bool quantity_get_factor(struct slice text, uint64_t *out_permille)
{
    uint64_t whole = 0;
    const size_t digits = parse_digits(text, &whole);
    uint64_t permille = 0;

    if (digits == 0 || whole > UINT64_MAX / 1000 - 1) {
        return false;
    }
    if (digits < text.size) {
        const struct slice rest = slice_from(text, digits + 1);
        if (text.data[digits] != '.' || rest.size > 3 || !quantity_get_number(rest, &permille)) {
            return false;
        }
        for (size_t i = rest.size; i < 3; i++) {
            permille *= 10;
        }
    }
    *out_permille = whole * 1000 + permille;
    return true;
}

void quantity_put_duration(struct buf *out, uint64_t ms)
{
    put_with_unit(ms, duration_units, out);
}

void quantity_put_bytes(struct buf *out, uint64_t bytes)
{
    put_with_unit(bytes, bytes_units, out);
}

void quantity_put_number(struct buf *out, uint64_t number)
{
    buf_appendf(out, "%" PRIu64, number);
}

void quantity_put_factor(struct buf *out, uint64_t permille)
{
    quantity_put_number(out, permille / 1000);
    if (permille % 1000 != 0) {
        buf_appendf(out, ".%03" PRIu64, permille % 1000);
    }
}
