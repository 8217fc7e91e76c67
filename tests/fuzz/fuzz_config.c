/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_config.c: the module file: any bytes end as a registry or as messages, each a line with the file's name. What
 * was taken keeps the bounds the host relies on.
 */
#include "fuzz.h"

#include <string.h>

#include "check.h"
#include "config.h"
#include "limit.h"

static const char file_name[] = "m.yaml";

static const char *environment(void *context, const char *name)
{
    (void)context;
    return name[0] == 'A' ? "value" : name[0] == 'B' ? "" : NULL;
}

/* "m.yaml:12: warning: …" */
static bool is_warning(struct slice line)
{
    static const char mark[] = ": " CONFIG_WARNING;
    size_t at = sizeof file_name - 1;

    if (line.size > at + 1 && line.data[at + 1] != ' ') { /* a number of a line */
        for (at++; at < line.size && line.data[at] != ':';) {
            at++;
        }
    }
    return line.size - at > sizeof mark - 1 && memcmp(line.data + at, mark, sizeof mark - 1) == 0;
}

/* Every line begins with the file's name and holds no control character; errors are there if they must be. */
static void check_messages(const struct buf *messages, bool has_error)
{
    const size_t size = sizeof file_name - 1;
    size_t error_count = 0;
    size_t end = 0;

    check(!messages->overflow);
    for (size_t at = 0; at < messages->size; at = end + 1) {
        for (end = at; end < messages->size && messages->data[end] != '\n';) {
            check(messages->data[end] >= 0x20);
            end++;
        }
        check(end < messages->size);
        const struct slice line = {messages->data + at, end - at};
        check(line.size > size && memcmp(line.data, file_name, size) == 0);
        error_count += !is_warning(line);
    }
    check(has_error == (error_count > 0));
}

static void check_registry(const struct registry *registry)
{
    check(registry->function_count > 0 && registry->endpoint_count > 0);
    for (uint32_t i = 0; i < registry->function_count; i++) {
        const struct function_config *function = &registry->functions[i];
        const struct address address = {function->space, function->name, SLICE("id")};
        struct err err;
        check(address_check(&address, &err) == ERR_NONE);
        check(!address_is_host_namespace(function->space));
        check(function->endpoint < registry->endpoint_count);
    }
    for (uint32_t i = 0; i < registry->endpoint_count; i++) {
        const struct endpoint_config *endpoint = &registry->endpoints[i];
        check(endpoint->url.size > 0 && endpoint->url.size <= LIMIT_URL_BYTES_MAX);
        check(endpoint->timeout_ms > 0 && endpoint->connect_ms > 0 && endpoint->batch_messages_max > 0);
        check(endpoint->timeout_ms <= 86400000 && endpoint->connect_ms <= endpoint->timeout_ms);
        check(endpoint->mailbox_messages_max > 0);
        check(endpoint->answer_bytes_max > 0 && endpoint->answer_bytes_max <= LIMIT_ANSWER_BYTES_MAX);
        check(endpoint->retry.first_ms > 0 && endpoint->retry.first_ms <= endpoint->retry.max_ms);
        check(endpoint->retry.factor_permille >= 1000 && endpoint->retry.attempts > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct config_input input = {.text = {data, size}, .file_name = file_name, .getenv = environment};
    struct config *config = config_create();
    struct registry *registry = NULL;
    struct buf messages;
    struct buf summary;

    buf_init(&messages, 1 << 20);
    buf_init(&summary, 4 << 20);
    const enum err_code code = config_add_module(config, &input, &messages);
    check_messages(&messages, code != ERR_NONE);
    config_print_summary(config, &summary);
    if (code != ERR_NONE) {
        check(config_take_registry(config, &registry, &messages) != ERR_NONE);
    } else if (config_take_registry(config, &registry, &messages) == ERR_NONE) {
        check_registry(registry);
    }
    registry_destroy(registry);
    config_destroy(config);
    buf_done(&messages);
    buf_done(&summary);
    return 0;
}
