/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.h: what the module file says: endpoints, the functions they serve, egresses. Immutable.
 *
 * Made by config, read by host (ports), ingress (which type a value is), engine (policies) and the edge (URLs).
 * Memory: everything lives in the registry's arena. Any thread may read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "arena.h"

enum retry_then { RETRY_BLOCK, RETRY_PARK, RETRY_DROP };

struct retry_policy {
    uint32_t first_ms;
    uint32_t factor_permille; /* 2000 doubles */
    uint32_t max_ms;
    uint32_t attempts; /* after so many a message is handled by `then` */
    enum retry_then then;
};

/* A file the host reads once, at its start. */
struct tls_file {
    struct slice path;  /* empty: none */
    struct slice where; /* it was asked for, for who says what is wrong with it: "module.yaml:12: tls.ca" */
};

/* What an endpoint behind https:// must show, and what it is shown. */
struct tls_config {
    struct tls_file ca; /* whom to trust; none: whom the machine trusts */
    struct tls_file cert;
    struct tls_file key; /* there if and only if `cert` is */
    struct tls_file key_password;
    bool no_verify; /* neither certificates nor the names in them are looked at */
};

enum http_version {
    HTTP_1_1,
    HTTP_H2C, /* HTTP/2 without TLS, spoken from the first byte on (prior knowledge, RFC 9113 3.3) */
};

struct endpoint_config {
    struct slice url;      /* template; {function.name} is substituted by the edge */
    struct slice socket;   /* the Unix socket that `url` names (http+unix://); empty: it names a host */
    struct tls_config tls; /* all zero without https:// */
    enum http_version http;
    uint32_t timeout_ms;         /* of one call */
    uint32_t connect_ms;         /* of connecting, part of the call */
    uint32_t in_flight;          /* calls at once; 0: adaptive */
    uint32_t batch_messages_max; /* messages in one call */
    uint32_t batch_bytes_max;    /* bytes of values in one call, beyond its first message */
    uint32_t answer_bytes_max;
    uint32_t mailbox_messages_max; /* soft limit of one instance: ingress gets 503 beyond it */
    bool run_ahead;
    struct retry_policy retry;
};

struct function_config {
    struct slice space;
    struct slice name;  /* "*" serves every name of the namespace */
    struct slice takes; /* typename of a JSON body; empty: proa/json */
    uint32_t endpoint;  /* index */
};

struct egress_config {
    struct slice space;
    struct slice name;
    uint64_t bytes_max; /* of records waiting in the outbox */
    bool is_topic;      /* a queue of the playground's egress: `name` is the topic */
    uint32_t port;      /* of a topic: index of the port it is popped at */
};

/* A port of StateFun's playground, beside our own. */
struct playground_port {
    uint16_t port;  /* 0: any free one */
    bool is_egress; /* records are popped there; else messages are taken */
};

/* The one egress by which functions reach topics. Topics themselves stand in its namespace. */
#define PLAYGROUND_SPACE SLICE("io.statefun.playground")
#define PLAYGROUND_EGRESS SLICE("egress")

struct registry {
    struct arena *arena;
    struct endpoint_config *endpoints;
    struct function_config *functions;
    struct egress_config *egresses;
    struct playground_port *ports;
    uint32_t endpoint_count;
    uint32_t function_count;
    uint32_t egress_count;
    uint32_t port_count;
};

void registry_destroy(struct registry *registry); /* accepts NULL */
/* The entry that serves namespace/name: the exact one first, then the wildcard. NULL: unknown function. */
const struct function_config *registry_function(const struct registry *registry, struct slice space, struct slice name);
/* The index of an egress that functions may name, or -1. */
int32_t registry_egress(const struct registry *registry, struct slice space, struct slice name);
/* True if this is the name of the playground's egress. */
bool registry_is_playground_name(struct slice space, struct slice name);
/* True if this is the playground's egress, and the module file has it: its records go to topics. */
bool registry_is_playground(const struct registry *registry, struct slice space, struct slice name);
/* True if this egress is a topic that is popped at one of `ports`, a bit set. */
bool registry_has_topic_at(const struct registry *registry, uint32_t egress, uint32_t ports);
/* The index of a topic among the egresses, or -1. */
int32_t registry_topic(const struct registry *registry, struct slice topic);
