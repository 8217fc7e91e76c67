/* SPDX-License-Identifier: Apache-2.0
 *
 * config_variable.h: variables of the environment in the texts of a module file. Included by config*.c only.
 */
#pragma once

#include "config.h"

/* Appends `text` with each ${NAME} and ${NAME:-default} replaced; "$${" stands for "${". An empty variable counts as
 * unset, as in a shell. */
MUST_USE enum err_code config_expand(struct slice text, config_getenv *lookup, void *lookup_context, struct buf *out,
                                     struct err *err);
