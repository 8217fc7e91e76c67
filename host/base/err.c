/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

#include "check.h"

static const struct {
    const char *name;
    int http;
    bool retry;
    const char *meaning;
} table[] = {
#define X(name, code, http, retry, meaning) [ERR_##name] = {code, http, retry, meaning},
    ERR_TABLE(X)
#undef X
};

const char *err_code_name(enum err_code code)
{
    check(code < ERR_COUNT);
    return table[code].name;
}

int err_http_status(enum err_code code)
{
    check(code < ERR_COUNT);
    return table[code].http;
}

bool err_is_retryable(enum err_code code)
{
    check(code < ERR_COUNT);
    return table[code].retry;
}

const char *err_meaning(enum err_code code)
{
    check(code < ERR_COUNT);
    return table[code].meaning;
}

enum err_code err_set_at(struct err *err, enum err_code code, const char *where, const char *format, ...)
{
    check(code > ERR_NONE && code < ERR_COUNT);
    va_list arguments;

    err->code = code;
    err->where = where;
    va_start(arguments, format);
    (void)vsnprintf(err->text, sizeof err->text, format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    return code;
}

enum err_code err_wrap(struct err *err, const char *format, ...)
{
    char inner[LIMIT_ERR_TEXT_BYTES_MAX];
    char doing[LIMIT_ERR_TEXT_BYTES_MAX / 2];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(doing, sizeof doing, format, arguments);
    va_end(arguments);
    (void)snprintf(inner, sizeof inner, "%s", err->text);
    (void)snprintf(err->text, sizeof err->text, "%.*s: %.*s", (int)sizeof doing - 1, doing,
                   (int)(sizeof err->text - sizeof doing - 3), inner);
    return err->code;
}
