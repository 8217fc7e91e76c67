/* SPDX-License-Identifier: Apache-2.0
 *
 * config_bench.h: a registry under construction and what was said of its sources, for the tests of config*.c.
 */
#pragma once

#include "unit.h"

#include "config.h"
#include "registry.h"

extern struct config *config;
extern struct buf messages;
extern struct registry *registry; /* what `take_registry` took; NULL before */

int config_set_up(void **state);
int config_tear_down(void **state);
void begin_again(void); /* with nothing added and nothing said */
/* Knows NAME, FUNCTIONS, BAD (not UTF-8) and EMPTY. */
const char *environment(void *context, const char *name);
enum err_code add(const char *text); /* a module file, m.yaml */
const char *said(void);              /* all that was said, until the next call */
void take_registry(void);            /* with nothing said */
void assert_text(struct slice found, const char *expected);

/* A module file, and all that is said of it. */
struct wrong {
    const char *text;
    const char *says;
};
void assert_wrong(const struct wrong *wrongs, size_t count);

/* The beginning of an endpoint's document, three lines; its URL; and the document of an egress. */
#define HEAD "kind: proa.v1/endpoint\nspec:\n  functions: {a/b: {}}\n"
#define URL "  url: http://h/\n"
#define EGRESS(name) "kind: proa.v1/egress\nspec: {name: " name "}\n"
/* The document of an endpoint with one function, on its line 4. */
#define FUNCTION(pattern) "kind: proa.v1/endpoint\nspec:\n  functions:\n    " pattern ": {}\n" URL
