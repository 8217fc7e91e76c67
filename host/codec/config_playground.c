/* SPDX-License-Identifier: Apache-2.0
 *
 * config_playground.c: the kinds of StateFun's playground: ports at which messages come in, and at which records go
 * out.
 *
 * Its documents are taken as they are. What stands behind a port is the durable host, not a queue in memory.
 */
#include <string.h>

#include "config_kind.h"
#include "config_name.h"
#include "config_registry.h"
#include "limit.h"

enum { PORT_MAX = 65535 };

enum { KEY_INGRESS_PORT, KEY_INGRESS_COUNT };
enum { KEY_TOPICS_PORT, KEY_TOPICS_TOPICS, KEY_TOPICS_COUNT };

static const struct config_key ingress_keys[] = {
    [KEY_INGRESS_PORT] = {"port",
                          {CONFIG_NUMBER, 0, PORT_MAX, NULL},
                          NULL,
                          .help =
                              "Where `PUT /namespace/name/id` is taken, on the `--listen` address. The port of "
                              "`--ingress-port`: there, beside the host's own paths. 0: any free one, which the log "
                              "tells."},
};
static const struct config_key egress_keys[] = {
    [KEY_TOPICS_PORT] = {"port",
                         {CONFIG_NUMBER, 0, PORT_MAX, NULL},
                         NULL,
                         .help =
                             "Where `GET /topic` takes the oldest record of a topic; as the port of the ingress, which "
                             "it may be too."},
    [KEY_TOPICS_TOPICS] = {"topics",
                           {CONFIG_LIST, 0, 0, NULL},
                           NULL,
                           .help = "Names without a slash, each a queue of its own, in the order of the records. Once "
                                   "1 GiB of records wait in one, functions that send more are held up."},
};
_Static_assert(sizeof ingress_keys / sizeof ingress_keys[0] == KEY_INGRESS_COUNT, "one row for each key");
_Static_assert(sizeof egress_keys / sizeof egress_keys[0] == KEY_TOPICS_COUNT, "one row for each key");

const struct config_table config_playground_ingress_table = {ingress_keys, KEY_INGRESS_COUNT, true};
const struct config_table config_playground_egress_table = {egress_keys, KEY_TOPICS_COUNT, true};

void config_read_playground_ingress(struct config *config, struct config_source *source, const struct config_node *spec,
                                    const struct config_value *values)
{
    const struct playground_port port = {.port = (uint16_t)values[KEY_INGRESS_PORT].number};
    uint32_t index = 0;

    (void)spec;
    if (values[KEY_INGRESS_PORT].text.size > 0) {
        (void)config_put_port(config, source, port, values[KEY_INGRESS_PORT].line, &index); /* it complains */
    }
}

/* A topic stands among the egresses, in the playground's namespace. */
static void read_topic(struct config *config, struct config_source *source, const struct config_node *node,
                       uint32_t port)
{
    struct egress_config egress = {.bytes_max = config_egress_bytes_default(), .is_topic = true, .port = port};
    struct buf name;
    struct err err;

    if (node->kind == CONFIG_NODE_BAD) {
        return; /* complained about */
    }
    if (node->kind != CONFIG_NODE_SCALAR) {
        config_error(source, node->line, "a topic is a text, as in [greetings]");
        return;
    }
    buf_init(&name, LIMIT_MODULE_BYTES_MAX + 64);
    buf_append_slice(&name, PLAYGROUND_SPACE);
    buf_append_u8(&name, '/');
    buf_append_slice(&name, node->text);
    if (slice_has(node->text, '/')) {
        config_error(source, node->line, "a topic has no slash: it is one segment of a path");
    } else if (config_check_name(buf_slice(&name), &egress.space, &egress.name, &err) != ERR_NONE) {
        config_error(source, node->line, "a topic is one word of at most %d bytes, as in [greetings]",
                     LIMIT_NAMESPACE_BYTES_MAX);
    } else {
        config_put_egress(config, source, egress, node->line);
    }
    buf_done(&name);
}

void config_read_playground_egress(struct config *config, struct config_source *source, const struct config_node *spec,
                                   const struct config_value *values)
{
    const struct config_node *topics = values[KEY_TOPICS_TOPICS].node;
    const struct playground_port port = {.port = (uint16_t)values[KEY_TOPICS_PORT].number, .is_egress = true};
    uint32_t index = 0;

    (void)spec;
    if (values[KEY_TOPICS_PORT].text.size == 0 ||
        !config_put_port(config, source, port, values[KEY_TOPICS_PORT].line, &index) || topics == NULL ||
        topics->kind != CONFIG_NODE_LIST) {
        return; /* complained about */
    }
    if (topics->first == NULL) {
        config_error(source, topics->line, "topics is empty; name at least one, as in [greetings]");
    }
    for (const struct config_node *node = topics->first; node != NULL; node = node->next) {
        read_topic(config, source, node, index);
    }
}
