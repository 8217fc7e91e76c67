/* SPDX-License-Identifier: Apache-2.0
 *
 * config_bench.c: the registry under construction of a test.
 */
#include "config_bench.h"

struct config *config;
struct buf messages;
struct registry *registry;

int config_set_up(void **state)
{
    (void)state;
    config = config_create();
    registry = NULL;
    buf_init(&messages, 1 << 20);
    return 0;
}

int config_tear_down(void **state)
{
    (void)state;
    config_destroy(config);
    registry_destroy(registry);
    buf_done(&messages);
    return 0;
}

void begin_again(void)
{
    registry_destroy(registry);
    registry = NULL;
    config_destroy(config);
    config = config_create();
    buf_clear(&messages);
}

const char *environment(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "NAME") == 0) {
        return "counter";
    }
    if (strcmp(name, "FUNCTIONS") == 0) {
        return "functions";
    }
    if (strcmp(name, "BAD") == 0) {
        return "\xFF";
    }
    return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

enum err_code add(const char *text)
{
    return config_add_module(
        config, &(struct config_input){.text = slice_of(text), .file_name = "m.yaml", .getenv = environment},
        &messages);
}

const char *said(void)
{
    static char text[1 << 16];

    assert_true(messages.size < sizeof text);
    if (messages.size > 0) {
        memcpy(text, messages.data, messages.size);
    }
    text[messages.size] = '\0';
    return text;
}

void take_registry(void)
{
    const enum err_code code = config_take_registry(config, &registry, &messages);

    assert_string_equal(said(), "");
    assert_int_equal(code, ERR_NONE);
}

void assert_text(struct slice found, const char *expected)
{
    assert_true(slice_equal(found, slice_of(expected)));
}

void assert_wrong(const struct wrong *wrongs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        begin_again();
        assert_int_equal(add(wrongs[i].text), ERR_CONFIG);
        assert_string_equal(said(), wrongs[i].says);
        assert_int_equal(config_take_registry(config, &registry, &messages), ERR_CONFIG);
    }
}
