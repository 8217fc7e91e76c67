/* SPDX-License-Identifier: Apache-2.0
 *
 * config_flag.c: the flags that stand for a document: --function and --egress. What else a document may say is as its
 * kind leaves it.
 */
#include <string.h>

#include "config_kind.h"
#include "config_name.h"
#include "config_registry.h"

enum err_code config_add_function(struct config *config, const char *text, struct buf *messages)
{
    struct config_input input = {.file_name = "--function"};
    struct config_source source = {.input = &input, .messages = messages};
    struct function_config function = {0};
    uint32_t index = 0;
    struct err err;

    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        config_error(&source, 0, "'%.*s' has no '='; write it as in example/*=http://localhost:8000/",
                     CONFIG_SHOWN_BYTES_MAX, text);
        return config_end_source(config, &source);
    }
    const struct slice pattern = {(const uint8_t *)text, (size_t)(equals - text)};
    const struct slice url = slice_of(equals + 1);
    if (config_check_pattern(pattern, &function.space, &function.name, &err) != ERR_NONE) {
        config_error(&source, 0, "%s", err.text);
    }
    if (config_check_url(url, &err) != ERR_NONE) {
        config_error(&source, 0, "%s", err.text);
    }
    if (source.error_count > 0) {
        return config_end_source(config, &source);
    }
    if (!config_find_flag_endpoint(config, url, &index)) {
        struct endpoint_config endpoint;
        config_endpoint_default(&endpoint);
        endpoint.url = url;
        if (!config_put_endpoint(config, &source, &endpoint, 0, &index)) {
            return config_end_source(config, &source);
        }
    }
    function.endpoint = index;
    config_put_function(config, &source, function, 0);
    return config_end_source(config, &source);
}

enum err_code config_add_egress(struct config *config, const char *text, struct buf *messages)
{
    struct config_input input = {.file_name = "--egress"};
    struct config_source source = {.input = &input, .messages = messages};
    struct egress_config egress = {.bytes_max = config_egress_bytes_default()};
    struct err err;

    if (config_check_name(slice_of(text), &egress.space, &egress.name, &err) != ERR_NONE) {
        config_error(&source, 0, "%s", err.text);
        return config_end_source(config, &source);
    }
    config_put_egress(config, &source, egress, 0);
    return config_end_source(config, &source);
}
