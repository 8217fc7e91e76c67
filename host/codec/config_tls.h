/* SPDX-License-Identifier: Apache-2.0
 *
 * config_tls.h: the keys about certificates, which our own kind of endpoint and StateFun's have in common but for
 * their names.
 *
 * Only what can be said of them by themselves: the files are read at the start of the host (edge/tls.h).
 * Included by config*.c only.
 */
#pragma once

#include "config_table.h"

/* Which keys of a table are about certificates. */
struct config_tls_keys {
    size_t ca;
    size_t cert;
    size_t key;
    size_t key_password;
};
/* Takes the keys about certificates, and complains about those that stand alone. Texts live as long as the source. */
void config_read_tls(struct config_source *source, const struct config_table *table, const struct config_value *values,
                     const struct config_tls_keys *keys, struct tls_config *out);
