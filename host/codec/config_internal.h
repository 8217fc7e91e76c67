/* SPDX-License-Identifier: Apache-2.0
 *
 * config_internal.h: what the parts of config share: the nodes of a file, its messages, its tables of keys.
 *
 *   config.c           builds the registry from what a file, a flag or an environment variable said
 *   config_statefun.c  StateFun's kinds of documents: what the host takes of them, and what it says of the rest
 *   config_playground.c  StateFun's playground: its ports
 *   config_tls.c       the keys about certificates, which both kinds of endpoints have
 *   config_schema.c    the tables of keys, and the reader of a node by its table
 *   config_print.c     what the tables say to people and editors: reference pages, JSON Schema
 *   config_yaml.c      libyaml: the text of a file to nodes
 *   config_text.c      texts to numbers; config_name.c: texts that are names
 *
 * Included by config*.c and its test only.
 */
#pragma once

#include "arena.h"
#include "config_text.h"

/* ---- messages ------------------------------------------------------------------------------------------- */

/* One source of configuration while it is read. */
struct config_source {
    const struct config_input *input; /* its text is empty when a flag is read */
    struct arena *arena;              /* of nodes; freed with the source */
    struct buf *messages;
    uint32_t error_count;
    uint32_t warning_count;
};

/* Adds one line "file:line: sentence"; line 0: only the file. Beyond a hundred they are counted, not written. */
void config_error(struct config_source *source, uint32_t line, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with "warning: " before the sentence; the source stays good. */
void config_warn(struct config_source *source, uint32_t line, const char *format, ...) PRINTF_LIKE(3, 4);

/* ---- nodes ---------------------------------------------------------------------------------------------- */

enum config_node_kind {
    CONFIG_NODE_SCALAR,
    CONFIG_NODE_NOTHING, /* a scalar that is not there: `key:` alone, null or ~ */
    CONFIG_NODE_MAP,
    CONFIG_NODE_LIST,
    CONFIG_NODE_BAD, /* already complained about */
};

struct config_node {
    enum config_node_kind kind;
    uint32_t line;
    uint32_t key_line;
    uint32_t child_count;
    struct slice key;  /* of an entry of a mapping, expanded */
    struct slice text; /* of a scalar, expanded */
    struct config_node *first;
    struct config_node *last;
    struct config_node *next;
};

/* Reads the source's text: a list of documents, linked by `next`. Complains about what is not YAML or goes beyond
 * a bound; the documents before it are returned all the same. */
struct config_node *config_yaml_read(struct config_source *source);

/* ---- tables of keys ------------------------------------------------------------------------------------- */

/* What becomes of a key. */
enum config_fate {
    CONFIG_TAKEN,
    CONFIG_WITHOUT_EFFECT, /* checked, then a warning: "PATH has no effect: HELP" */
};

struct config_key {
    const char *path; /* within its mapping: "call.timeout" */
    struct config_rule rule;
    const char *fallback; /* NULL: the key must be there; empty: it may be missing, and has no default */
    const char *help;     /* a sentence; of a key that is not taken the second half of one */
    enum config_fate fate;
};

struct config_value {
    uint32_t line; /* 0: the default */
    uint64_t number;
    struct slice text;
    const struct config_node *node; /* of CONFIG_ENTRIES and CONFIG_LIST; NULL: none */
};

enum { CONFIG_KEYS_MAX = 32 };

/* A mapping with known keys. */
struct config_table {
    const struct config_key *keys;
    size_t count;
    bool is_foreign; /* StateFun's: its readers pass over unknown keys, so those are warnings */
};

enum {
    KEY_ENDPOINT_FUNCTIONS,
    KEY_ENDPOINT_URL,
    KEY_ENDPOINT_TIMEOUT,
    KEY_ENDPOINT_IN_FLIGHT,
    KEY_ENDPOINT_BATCH,
    KEY_ENDPOINT_BATCH_BYTES,
    KEY_ENDPOINT_RUN_AHEAD,
    KEY_ENDPOINT_RETRY_FIRST,
    KEY_ENDPOINT_RETRY_FACTOR,
    KEY_ENDPOINT_RETRY_MAX,
    KEY_ENDPOINT_RETRY_ATTEMPTS,
    KEY_ENDPOINT_RETRY_THEN,
    KEY_ENDPOINT_HTTP,
    KEY_ENDPOINT_TLS_CA,
    KEY_ENDPOINT_TLS_CERT,
    KEY_ENDPOINT_TLS_KEY,
    KEY_ENDPOINT_TLS_KEY_PASSWORD,
    KEY_ENDPOINT_TLS_VERIFY,
    KEY_ENDPOINT_COUNT
};
enum { KEY_FUNCTION_TAKES, KEY_FUNCTION_COUNT };
enum { KEY_EGRESS_NAME, KEY_EGRESS_QUEUE_MAX_BYTES, KEY_EGRESS_COUNT };

extern const struct config_table config_endpoint_table;
extern const struct config_table config_function_table;
extern const struct config_table config_egress_table;

/* Sets every value to its default. */
void config_table_default(const struct config_table *table, struct config_value *out_values);
/* Reads a mapping: defaults, then what stands there. `what` names the mapping in messages ("spec"). Keys that must be
 * there and are not, and whatever is wrong, are complained about; false if anything was. */
bool config_table_read(struct config_source *source, const struct config_table *table, const struct config_node *node,
                       const char *what, struct config_value *out_values);

/* A kind of document. */
struct config_kind {
    const char *name;
    const struct config_table *table;       /* NULL: the host has nothing to make of this kind yet */
    const struct config_table *entry_table; /* of its CONFIG_ENTRIES key; NULL: it has none */
    void (*add)(struct config *config, struct config_source *source, const struct config_node *spec,
                const struct config_value *values);
    const char *help;    /* without a table: what to do instead */
    const char *example; /* a whole document; NULL: none */
};
extern const struct config_kind config_kinds[]; /* our own */
extern const size_t config_kind_count;
extern const struct config_kind config_statefun_kinds[];
extern const size_t config_statefun_kind_count;

extern const struct config_table config_playground_ingress_table;
extern const struct config_table config_playground_egress_table;
/* Each adds the port of a document of the playground, and an egress its topics. */
void config_read_playground_ingress(struct config *config, struct config_source *source, const struct config_node *spec,
                                    const struct config_value *values);
void config_read_playground_egress(struct config *config, struct config_source *source, const struct config_node *spec,
                                   const struct config_value *values);

/* True if the document is a whole module of StateFun 3.0, which had a form of its own; complained about. */
bool config_refuse_legacy(struct config_source *source, const struct config_node *document);

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
/* True if calls to this URL are encrypted. */
bool config_is_https(struct slice url);
/* The path of the Unix socket in a URL that was checked: of http+unix:///run/f.sock/a/b it is /run/f.sock. Empty: the
 * URL names a host. */
struct slice config_socket_of(struct slice url);

/* ---- what config.c keeps -------------------------------------------------------------------------------- */

/* An endpoint as it is when nothing but its URL is said. */
void config_endpoint_default(struct endpoint_config *out_endpoint);
/* Adds an endpoint and says which it is. False, after complaining, if there are too many. */
bool config_put_endpoint(struct config *config, struct config_source *source, const struct endpoint_config *endpoint,
                         uint32_t line, uint32_t *out_index);
/* Adds a function, unless there is one of that name, which is complained about. */
void config_put_function(struct config *config, struct config_source *source, struct function_config function,
                         uint32_t line);
/* Adds a port of the playground and says which it is. False, after complaining, if a document before has it for the
 * same, or an egress of ours has the name of the playground's. */
bool config_put_port(struct config *config, struct config_source *source, struct playground_port port, uint32_t line,
                     uint32_t *out_index);
/* Adds an egress, or a topic, unless there is one of that name, which is complained about. */
void config_put_egress(struct config *config, struct config_source *source, struct egress_config egress, uint32_t line);
/* The bytes that may wait in an egress of which nothing else is said. */
uint64_t config_egress_bytes_default(void);
