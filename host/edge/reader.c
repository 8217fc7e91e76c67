/* SPDX-License-Identifier: Apache-2.0
 *
 * A job is one read: its copy of the ranges, then the rows, all in one arena, which is freed by the turn after
 * the one that took the answer.
 */
#include "reader.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"
#include "limit.h"
#include "store.h"

enum {
    THREADS_MAX = 16,
    TAKEN_MAX = 4,    /* jobs a thread takes at a time: few, so that the others have some too */
    IDLE_MS = 600000, /* a thread without work looks up so often; nothing depends on it */
};

struct job {
    struct arena *arena;
    struct effect_read read;
    struct input_rows rows;
    struct err err;
};

struct reader {
    /* shared */
    struct queue *jobs;
    struct queue *answers;

    /* owned by the loop */
    struct loop *loop;
    struct loop_watch watch;
    uint32_t under_way;
    struct job *taken[LIMIT_READS_IN_FLIGHT_MAX]; /* whose rows are being used */
    uint32_t taken_count;
    uint32_t thread_count;
    struct thread threads[THREADS_MAX];

    /* fixed while the threads run */
    struct store *store;
};

static void job_destroy(struct job *job)
{
    arena_destroy(job->arena); /* the job lives in it */
}

/* ---- the threads ---------------------------------------------------------------------------------------------- */

static void answer(struct reader *reader, struct job *job)
{
    job->rows.read = job->read.read;
    if (store_read(reader->store, &job->read, job->arena, &job->rows, &job->err) != ERR_NONE) {
        job->rows.has_failed = true;
        job->rows.text = job->err.text;
    }
    queue_push(reader->answers, job);
}

static void run(void *context)
{
    struct reader *reader = context;

    for (;;) {
        void *jobs[TAKEN_MAX];
        const size_t count = queue_wait(reader->jobs, jobs, TAKEN_MAX, IDLE_MS);
        const bool is_closed = queue_is_closed(reader->jobs);
        if (count == 0 && is_closed) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            if (is_closed) {
                job_destroy(jobs[i]); /* nobody waits for it any more */
            } else {
                answer(reader, jobs[i]);
            }
        }
    }
}

/* ---- the loop's side ------------------------------------------------------------------------------------------ */

static void on_answers(void *context, uint32_t events)
{
    struct reader *reader = context;

    (void)events;
    queue_event_clear(reader->watch.fd); /* the turn that was woken by it takes them */
}

static void forget_taken(struct reader *reader)
{
    for (uint32_t i = 0; i < reader->taken_count; i++) {
        job_destroy(reader->taken[i]);
    }
    reader->taken_count = 0;
}

/* With no thread running. */
static void destroy(struct reader *reader)
{
    void *job = NULL;

    forget_taken(reader);
    while (reader->answers != NULL && queue_take(reader->answers, &job, 1) == 1) {
        job_destroy(job);
    }
    queue_destroy(reader->jobs);
    queue_destroy(reader->answers);
    if (reader->watch.fd >= 0) {
        (void)close(reader->watch.fd);
    }
    free(reader);
}

static void stop_threads(struct reader *reader)
{
    queue_close(reader->jobs);
    for (uint32_t i = 0; i < reader->thread_count; i++) {
        thread_join(&reader->threads[i]);
    }
    reader->thread_count = 0;
}

enum err_code reader_start(struct loop *loop, struct store *store, uint32_t threads, struct reader **out,
                           struct err *err)
{
    struct reader *reader = calloc(1, sizeof *reader);

    thread_assume(&thread_loop);
    check(reader != NULL);
    check(threads >= 1 && threads <= THREADS_MAX);
    reader->loop = loop;
    reader->store = store;
    reader->watch = (struct loop_watch){.ready = on_answers, .context = reader, .fd = -1};
    enum err_code code = queue_event_open(&reader->watch.fd, err);
    if (code == ERR_NONE) {
        reader->jobs = queue_create(LIMIT_READS_IN_FLIGHT_MAX, -1);
        reader->answers = queue_create(LIMIT_READS_IN_FLIGHT_MAX, reader->watch.fd);
        code = loop_watch(loop, &reader->watch, EPOLLIN, err);
    }
    if (code != ERR_NONE) {
        destroy(reader);
        return code;
    }
    for (uint32_t i = 0; i < threads && code == ERR_NONE; i++) {
        code = thread_start(&reader->threads[i], "reader", run, reader, err);
        reader->thread_count += code == ERR_NONE ? 1 : 0;
    }
    if (code != ERR_NONE) {
        reader_stop(reader);
        return code;
    }
    *out = reader;
    return ERR_NONE;
}

/* The budget leaves room for one row of any size a host can have made, beyond what the read asks for. */
static struct job *job_create(const struct effect_read *read)
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
    queue_push(reader->jobs, job_create(read));
}

uint32_t reader_take(struct reader *reader, struct input *out_inputs, uint32_t max)
{
    void *jobs[LIMIT_READS_IN_FLIGHT_MAX];

    forget_taken(reader);
    const size_t count =
        queue_take(reader->answers, jobs, max < LIMIT_READS_IN_FLIGHT_MAX ? max : LIMIT_READS_IN_FLIGHT_MAX);
    for (size_t i = 0; i < count; i++) {
        struct job *job = jobs[i];
        out_inputs[i] = (struct input){.kind = INPUT_ROWS, .rows = job->rows};
        reader->taken[reader->taken_count++] = job;
    }
    check(reader->under_way >= count);
    reader->under_way -= (uint32_t)count;
    return (uint32_t)count;
}

void reader_stop(struct reader *reader)
{
    if (reader == NULL) {
        return;
    }
    stop_threads(reader);
    loop_unwatch(reader->loop, &reader->watch);
    destroy(reader);
}
