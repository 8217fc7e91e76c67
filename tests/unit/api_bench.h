/* SPDX-License-Identifier: Apache-2.0
 *
 * api_bench.h: clients and operators on real servers, with the runner and the engine played by the test.
 *
 * What a request becomes is kept in `bench.posted`, and answered at once unless `is_holding`.
 */
#pragma once

#include "unit.h"

#include "admin.h"
#include "arena.h"
#include "ingress.h"

enum { POSTED_MAX = 16, TEXT_MAX = 4 << 20, TURNS_MAX = 10000, LARGE = 300 * 1000 };

struct posted {
    struct input_message message;
    char space[200];
    char name[200];
    char id[5000];
    char traceparent[100];
    char typename_[600];
    bool has_value;
    size_t value_size;
    char value[100];
};

struct bench {
    struct loop *loop;
    struct helper *helper;
    struct http_server *server;     /* the ingress port */
    struct http_server *playground; /* a port of the playground */
    struct http_server *topics;     /* a port with the topic greetings */
    struct http_server *shared;     /* an ingress port with all that the playground has, the topic receipts too */
    struct http_server *admin_server;
    struct ingress *ingress;
    struct admin *admin;
    struct metrics *metrics;
    struct registry registry;
    struct posted posted[POSTED_MAX];
    uint32_t posted_count;
    struct input_pop popped[POSTED_MAX];
    uint32_t popped_count;
    struct slice record; /* what a pop gets; empty: nothing waits */
    bool is_full;
    bool is_ready;
    bool is_holding; /* messages are not answered by themselves */
};
extern struct bench bench;

extern char bench_text[]; /* the newest answer, whole */

int bench_set_up(void **state);
int bench_tear_down(void **state);
struct http_server *open_server(http_handler *handler, void *context) LOOP_THREAD;
void turn(void) LOOP_THREAD;
/* Sends a request, its first line and header fields and its body; returns the connection. */
int tell(const struct http_server *server, const char *request, const char *body, size_t body_size) LOOP_THREAD;
int hear(int fd) LOOP_THREAD;                   /* the status of the answer, which is then in `bench_text` */
int ask(const char *request, const char *body); /* both, at the ingress port */
int ask_at(const struct http_server *server, const char *request, const char *body);
void has(const char *what); /* fails the test if the answer has it not */
const char *body_of(const char *answer);
/* The request is refused with such a problem, and nothing is posted. */
void is_problem(const char *request, const char *body, int status, const char *code, const char *hint);
void is_problem_at(const struct http_server *server, const char *request, const char *body, int status,
                   const char *code, const char *hint);
