/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"

#include <stdlib.h>

#include "check.h"
#include "log.h"
#include "path.h"
#include "problem.h"

enum { METRICS_BYTES_MAX = 1 << 20 };

struct admin {
    struct admin_options options;
    struct http_server *server;
    bool is_stopping;
    struct buf page;
};

typedef void show(struct admin *admin, uint64_t id);

static void answer_text(struct admin *admin, uint64_t id, const char *type, struct slice body) LOOP_THREAD
{
    http_server_answer(admin->server, id, &(struct http_answer){.status = 200, .content_type = type, .body = body});
}

static void answer_error(struct admin *admin, uint64_t id, enum err_code code, const char *detail) LOOP_THREAD
{
    const struct http_header allow = {"Allow", "GET, HEAD"};

    problem_answer(admin->server, id, &(struct problem){.code = code, .detail = slice_of(detail)}, &allow,
                   code == ERR_METHOD_NOT_ALLOWED ? 1 : 0);
}

/* Being answered says it all: the loop turns. */
static void show_health(struct admin *admin, uint64_t id)
{
    thread_assume(&thread_loop);
    answer_text(admin, id, "text/plain; charset=utf-8", SLICE("ok\n"));
}

static void show_readiness(struct admin *admin, uint64_t id)
{
    thread_assume(&thread_loop);
    if (admin->is_stopping || engine_is_stopped(admin->options.engine)) {
        answer_error(admin, id, ERR_STOPPING, "the host is stopping and takes no more messages");
    } else if (!engine_is_ready(admin->options.engine)) {
        answer_error(admin, id, ERR_NOT_READY, "the host is reading its store back; it takes messages when it is done");
    } else {
        answer_text(admin, id, "text/plain; charset=utf-8", SLICE("ready\n"));
    }
}

static void show_metrics(struct admin *admin, uint64_t id)
{
    thread_assume(&thread_loop);
    engine_publish(admin->options.engine);
    metrics_set(admin->options.metrics, METRIC_LOG_DROPPED, log_dropped(admin->options.log));
    buf_clear(&admin->page);
    metrics_print(admin->options.metrics, &admin->page);
    check(!admin->page.overflow); /* the table of metrics is fixed, so its page has a largest size */
    answer_text(admin, id, "text/plain; version=0.0.4", buf_slice(&admin->page));
}

static const struct {
    const char *name;
    show *show;
} routes[] = {{"healthz", show_health}, {"readyz", show_readiness}, {"metrics", show_metrics}};

void admin_handle(void *context, const struct http_request *request)
{
    struct admin *admin = context;
    struct path path = {.count = 0};
    show *found = NULL;

    check(admin->server != NULL);
    if (request->trouble != ERR_NONE) {
        answer_error(admin, request->id, request->trouble,
                     request->trouble_text != NULL ? request->trouble_text : err_meaning(request->trouble));
        return;
    }
    (void)path_split(request->path, &path); /* what is no path has no segments */
    for (size_t i = 0; path.count == 1 && i < sizeof routes / sizeof routes[0]; i++) {
        if (slice_equal(path.segments[0], slice_of(routes[i].name))) {
            found = routes[i].show;
        }
    }
    if (found == NULL) {
        answer_error(admin, request->id, ERR_NOT_FOUND,
                     "there is nothing at this path; there are /healthz, /readyz and /metrics");
    } else if (!slice_equal(request->method, SLICE("GET")) && !slice_equal(request->method, SLICE("HEAD"))) {
        answer_error(admin, request->id, ERR_METHOD_NOT_ALLOWED, "this path takes GET and HEAD");
    } else {
        found(admin, request->id);
    }
}

struct admin *admin_create(const struct admin_options *options)
{
    struct admin *admin = calloc(1, sizeof *admin);

    check(admin != NULL);
    admin->options = *options;
    buf_init(&admin->page, METRICS_BYTES_MAX);
    return admin;
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL) {
        return;
    }
    buf_done(&admin->page);
    free(admin);
}

void admin_stop(struct admin *admin)
{
    admin->is_stopping = true;
}

void admin_serve(struct admin *admin, struct http_server *server)
{
    check(admin->server == NULL);
    admin->server = server;
}
