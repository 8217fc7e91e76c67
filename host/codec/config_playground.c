/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of StateFun's playground: ports at which messages come in.
 *
 * Its documents are taken as they are. What stands behind a port is the durable host, not a queue in memory.
 */
#include "config_internal.h"

enum { PORT_MAX = 65535 };

enum { KEY_INGRESS_PORT, KEY_INGRESS_COUNT };

static const struct config_key ingress_keys[] = {
    [KEY_INGRESS_PORT] = {"port",
                          {CONFIG_NUMBER, 0, PORT_MAX, NULL},
                          NULL,
                          .help =
                              "Where `PUT /namespace/name/id` is taken, on the `--listen` address. The port of "
                              "`--ingress-port`: there, beside the host's own paths. 0: any free one, which the log "
                              "tells."},
};
_Static_assert(sizeof ingress_keys / sizeof ingress_keys[0] == KEY_INGRESS_COUNT, "one row for each key");

const struct config_table config_playground_ingress_table = {ingress_keys, KEY_INGRESS_COUNT, true};

void config_read_playground_ingress(struct config *config, struct config_source *source, const struct config_node *spec,
                                    const struct config_value *values)
{
    (void)spec;
    if (values[KEY_INGRESS_PORT].text.size > 0) {
        config_put_port(config, source, (struct playground_port){(uint16_t)values[KEY_INGRESS_PORT].number},
                        values[KEY_INGRESS_PORT].line);
    }
}
