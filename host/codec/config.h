/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h: the text of a module file to a registry: multi-document YAML, every error at once.
 *
 * Reads no file and no environment itself: both are given. One table of keys makes this parser and the reference
 * page (config_print_reference). Thread: any; no state.
 *
 * A file becomes nodes (config_yaml.h), each document is given to its kind (config.c, config_kind.h), which reads its
 * keys by a table (config_table.h) of texts with a meaning (config_rule.h), and adds what they say to the registry
 * under construction (config_registry.h). What is wrong is said of the source (config_source.h).
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "registry.h"

/* The value of an environment variable, or NULL. */
typedef const char *config_getenv(void *context, const char *name);

struct config_input {
    struct slice text;
    const char *file_name; /* in messages: "module.yaml:12: …" */
    config_getenv *getenv;
    void *getenv_context;
};

/* What stands before the sentence of a message that is no error. */
#define CONFIG_WARNING "warning: "

/* A registry under construction. */
struct config;
/* An empty one. */
struct config *config_create(void);
void config_destroy(struct config *config); /* accepts NULL */
/* Adds what a module file says. Errors go to `messages`, one line each with file, line and the nearest known key;
 * warnings too, marked so. ERR_CONFIG if there was any error. */
MUST_USE enum err_code config_add_module(struct config *config, const struct config_input *input, struct buf *messages);
/* The text of --function: a function pattern, '=', the URL of its endpoint. */
MUST_USE enum err_code config_add_function(struct config *config, const char *text, struct buf *messages);
/* The text of --egress: namespace/name. */
MUST_USE enum err_code config_add_egress(struct config *config, const char *text, struct buf *messages);
/* Hands the finished registry over (registry_destroy frees it); ERR_CONFIG if nothing serves a function. */
MUST_USE enum err_code config_take_registry(struct config *config, struct registry **out, struct buf *messages);
/* Appends what was added so far, for people: endpoints, their functions, egresses. */
void config_print_summary(const struct config *config, struct buf *out);

/* The reference page of the module file, in Markdown, from the table of keys. */
void config_print_reference(struct buf *out);
/* What becomes of StateFun's kinds and their keys: tables in Markdown, from the same tables the reader uses. */
void config_print_statefun(struct buf *out);
/* A JSON Schema (draft-07) of one document of our own kinds, for editors. */
void config_print_schema(struct buf *out);
