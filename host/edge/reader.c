/* SPDX-License-Identifier: Apache-2.0
 *
 * A read is a job of a helper of the reader's own: a copy of the ranges, then the rows, all in one arena, which is
 * freed by the turn after the one that took the answer.
 */
#include "reader.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "helper.h"
#include "limit.h"
#include "list.h"
#include "store.h"

struct job {
    struct helper_job helper_job;
    struct link link; /* in one of the reader's lists */
    struct reader *reader;
    struct arena *arena;
    struct effect_read read;
    struct input_rows rows;
    struct err err;
};

struct reader {
    struct helper *helper;
    struct store *store;     /* fixed while the threads run */
    atomic_bool is_stopping; /* shared: nobody waits for answers any more */
    uint32_t under_way;      /* this and what follows is owned by the loop */
    struct list answered;    /* jobs, oldest first */
    struct list taken;       /* jobs whose rows are being used */
};

/* On a thread of the helper. */
static void work(struct helper_job *helper_job)
{
    struct job *job = container_of(helper_job, struct job, helper_job);

    if (atomic_load_explicit(&job->reader->is_stopping, memory_order_relaxed)) {
        return;
    }
    job->rows.read = job->read.read;
    if (store_read(job->reader->store, &job->read, job->arena, &job->rows, &job->err) != ERR_NONE) {
        job->rows.has_failed = true;
        job->rows.text = job->err.text;
    }
}

/* On the loop; the turn under way takes the answer. */
static void done(struct helper_job *helper_job)
{
    struct job *job = container_of(helper_job, struct job, helper_job);

    list_push(&job->reader->answered, &job->link);
}

static void destroy_jobs(struct list *jobs)
{
    struct link *link = NULL;

    while ((link = list_pop(jobs)) != NULL) {
        arena_destroy(container_of(link, struct job, link)->arena); /* the job lives in it */
    }
}

enum err_code reader_start(struct loop *loop, struct store *store, uint32_t threads, struct reader **out,
                           struct err *err)
{
    struct reader *reader = calloc(1, sizeof *reader);

    thread_assume(&thread_loop);
    check(reader != NULL);
    reader->store = store;
    if (helper_start(loop, "reader", threads, LIMIT_READS_IN_FLIGHT_MAX, &reader->helper, err) != ERR_NONE) {
        free(reader);
        return err->code;
    }
    *out = reader;
    return ERR_NONE;
}

/* The budget leaves room for one row of any size a host can have made, beyond what the read asks for. */
static struct job *job_create(struct reader *reader, const struct effect_read *read)
{
    struct arena *arena = arena_create((size_t)LIMIT_ARENA_BYTES_MAX + read->bytes_max);

    check(arena != NULL);
    struct job *job = arena_alloc(arena, sizeof *job);
    struct read_range *ranges = arena_alloc(arena, read->range_count * sizeof *ranges);
    check(job != NULL);
    check(ranges != NULL || read->range_count == 0);
    for (uint32_t i = 0; i < read->range_count; i++) {
        ranges[i] = read->ranges[i];
        ranges[i].key = arena_copy(arena, read->ranges[i].key);
        check(ranges[i].key.data != NULL || ranges[i].key.size == 0);
    }
    job->helper_job = (struct helper_job){.work = work, .done = done};
    job->reader = reader;
    job->arena = arena;
    job->read = *read;
    job->read.ranges = ranges;
    return job;
}

void reader_read(struct reader *reader, const struct effect_read *read)
{
    check(reader->under_way < LIMIT_READS_IN_FLIGHT_MAX);
    check(read->range_count <= LIMIT_READ_RANGES_MAX);
    check(read->rows_max <= LIMIT_READ_ROWS_MAX && read->bytes_max <= LIMIT_READ_BYTES_MAX);
    reader->under_way++;
    struct job *job = job_create(reader, read);
    check(helper_push(reader->helper, &job->helper_job)); /* its capacity is the credit */
}

uint32_t reader_take(struct reader *reader, struct input *out_inputs, uint32_t max)
{
    uint32_t count = 0;
    struct link *link = NULL;

    destroy_jobs(&reader->taken);
    while (count < max && (link = list_pop(&reader->answered)) != NULL) {
        out_inputs[count++] = (struct input){.kind = INPUT_ROWS, .rows = container_of(link, struct job, link)->rows};
        list_push(&reader->taken, link);
    }
    check(reader->under_way >= count);
    reader->under_way -= count;
    return count;
}

void reader_stop(struct reader *reader)
{
    if (reader == NULL) {
        return;
    }
    atomic_store_explicit(&reader->is_stopping, true, memory_order_relaxed);
    helper_stop(reader->helper);
    destroy_jobs(&reader->answered);
    destroy_jobs(&reader->taken);
    free(reader);
}
