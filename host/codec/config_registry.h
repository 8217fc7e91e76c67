/* SPDX-License-Identifier: Apache-2.0
 *
 * config_registry.h: the registry under construction: what the sources said so far, and that it fits together.
 *
 * Takes endpoints, functions, egresses and ports from whatever kind of document or flag they come from, keeps where
 * each was said, and complains about what is said twice or is too much. Copies what it keeps.
 * Its life, and how the finished registry is taken from it, is in config.h. Included by config*.c only.
 */
#pragma once

#include "config_source.h"

/* Adds an endpoint and says which it is; `line` 0: a flag said it. False, after complaining, if there are too many. */
bool config_put_endpoint(struct config *config, struct config_source *source, const struct endpoint_config *endpoint,
                         uint32_t line, uint32_t *out_index);
/* Finds the endpoint that a flag before made of this URL. */
bool config_find_flag_endpoint(const struct config *config, struct slice url, uint32_t *out_index);
/* Adds a function, unless there is one of that name, which is complained about. */
void config_put_function(struct config *config, struct config_source *source, struct function_config function,
                         uint32_t line);
/* Adds a port of the playground and says which it is. False, after complaining, if a document before has it for the
 * same, or an egress of ours has the name of the playground's. */
bool config_put_port(struct config *config, struct config_source *source, struct playground_port port, uint32_t line,
                     uint32_t *out_index);
/* Adds an egress, or a topic, unless there is one of that name, which is complained about. */
void config_put_egress(struct config *config, struct config_source *source, struct egress_config egress, uint32_t line);
/* The source was read to its end. ERR_CONFIG if there was any error in it: no registry comes of `config` then. */
MUST_USE enum err_code config_end_source(struct config *config, const struct config_source *source);
