/* SPDX-License-Identifier: Apache-2.0
 *
 * The module file: any bytes end as a registry or as messages, each a line with the file's name. What was taken
 * keeps the bounds the host relies on.
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

static void check_messages(const struct buf *messages)
{
    const size_t size = sizeof file_name - 1;

    check(messages->size > size && messages->data[messages->size - 1] == '\n');
    for (size_t i = 0; i + 1 < messages->size; i++) {
        const bool is_start = i == 0 || messages->data[i - 1] == '\n';
        check(!is_start || (messages->size - i > size && memcmp(messages->data + i, file_name, size) == 0));
        check(messages->data[i] >= 0x20 || messages->data[i] == '\n');
    }
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

    buf_init(&messages, 1 << 20);
    const enum err_code code = config_add_module(config, &input, &messages);
    check((code != ERR_NONE) == (messages.size > 0));
    if (code != ERR_NONE) {
        check(!messages.overflow);
        check_messages(&messages);
        check(config_take_registry(config, &registry, &messages) != ERR_NONE);
    } else if (config_take_registry(config, &registry, &messages) == ERR_NONE) {
        check_registry(registry);
    }
    registry_destroy(registry);
    config_destroy(config);
    buf_done(&messages);
    return 0;
}
