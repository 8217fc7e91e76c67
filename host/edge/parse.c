/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <stdlib.h>

#include "check.h"
#include "list.h"
#include "wire.h"

struct parse {
    struct helper_job job;
    parse_done *done; /* loop only; NULL: nobody waits any more */
    void *context;
    struct buf body;
    uint32_t message_count;
    enum err_code code;
    struct result *result;
    struct err err;
};

/* On a helper thread. */
static void work(struct helper_job *job)
{
    struct parse *parse = container_of(job, struct parse, job);
    parse->code = wire_get_result(buf_slice(&parse->body), parse->message_count, &parse->result, &parse->err);
}

static void end(struct helper_job *job)
{
    thread_assume(&thread_loop);
    struct parse *parse = container_of(job, struct parse, job);

    if (parse->done == NULL) {
        result_destroy(parse->result);
    } else {
        parse->done(parse->context, parse->code, parse->result, &parse->err);
    }
    buf_done(&parse->body);
    free(parse);
}

struct parse *parse_start(struct helper *helper, struct buf *body, uint32_t message_count, parse_done *done,
                          void *context)
{
    struct parse *parse = calloc(1, sizeof(*parse));
    check(parse != NULL);
    parse->job = (struct helper_job){.work = work, .done = end};
    parse->done = done;
    parse->context = context;
    parse->body = *body;
    parse->message_count = message_count;
    if (!helper_push(helper, &parse->job)) {
        free(parse);
        return NULL;
    }
    *body = (struct buf){0};
    return parse;
}

void parse_forget(struct parse *parse)
{
    parse->done = NULL;
}
