/* SPDX-License-Identifier: Apache-2.0 */
#include "committer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "store.h"

enum {
    RETRY_MS = 250,        /* between tries of an epoch that does not fit */
    LOOK_MS = 1000,        /* between looks at the loop, when there is nothing to commit */
    STALL_US = 5000000,    /* no turn for so long is worth a warning */
    EPOCHS_MAX = 1,        /* one at a time, by contract */
    ANSWERS_MAX = 2,       /* that it does not fit; that it is on disk */
    TAKEN_MAX = EPOCHS_MAX /* by the thread, at a time */
};

struct committer {
    /* shared */
    struct queue *epochs;           /* to the thread */
    struct queue *answers;          /* from it: pointers to the two below */
    atomic_bool is_full_told;       /* `full` is in the queue, or being read: the thread leaves it alone */
    _Atomic uint64_t turn_us;       /* when the last turn ended; 0: none yet */
    struct input_committed full;    /* the thread's until pushed, then the loop's until taken */
    struct input_committed on_disk; /* likewise; the next epoch comes only after it was taken */

    /* owned by the thread */
    uint64_t stalled_turn_us; /* the turn after which a stall was reported */

    /* owned by the loop */
    struct loop *loop;
    struct loop_watch watch;
    struct thread thread;
    uint32_t under_way;

    /* fixed while the thread runs */
    struct store *store;
    struct log *log;
    void (*on_failure)(const struct err *err);
};

/* ---- the thread ----------------------------------------------------------------------------------------------- */

static void look_at_loop(struct committer *committer)
{
    const uint64_t turn_us = atomic_load_explicit(&committer->turn_us, memory_order_relaxed);
    const uint64_t now_us = clock_monotonic_us();

    if (turn_us == 0 || now_us < turn_us + STALL_US || committer->stalled_turn_us == turn_us) {
        return;
    }
    committer->stalled_turn_us = turn_us; /* once a stall */
    log_event(committer->log, LOG_WARN, "loop.stalled", LOG_NUMBER("since_ms", (now_us - turn_us) / 1000));
}

/* Says that the epoch does not fit. If the loop has not read the last time yet, that still says it. */
static void tell_full(struct committer *committer, const struct input_committed *answer) COMMITTER_THREAD
{
    if (!atomic_exchange_explicit(&committer->is_full_told, true, memory_order_acquire)) {
        committer->full = *answer;
        queue_push(committer->answers, &committer->full);
    }
}

/* Waits until the next try. False: the committer is being stopped. */
static bool wait_for_retry(struct committer *committer) COMMITTER_THREAD
{
    void *none = NULL;

    look_at_loop(committer);
    /* Nothing can be handed over while an epoch is under way, so only time or the end ends this wait. */
    check(queue_wait(committer->epochs, &none, 1, RETRY_MS) == 0);
    return !queue_is_closed(committer->epochs);
}

/* Applies one epoch, however often it takes. False: the thread is to end. */
static bool commit(struct committer *committer, struct epoch *epoch) COMMITTER_THREAD
{
    struct err err;
    struct input_committed answer = {.epoch = epoch->number};
    uint64_t full_since_us = 0;

    epoch_sort(epoch);
    for (uint32_t tries = 0;; tries++) {
        const uint64_t begun_us = clock_monotonic_us();
        const enum store_apply applied = store_apply(committer->store, epoch, &err);
        const uint64_t spent_us = clock_monotonic_us() - begun_us;
        if (applied == STORE_FAILED) {
            committer->on_failure(&err);
            return false;
        }
        answer.is_full = applied == STORE_IS_FULL;
        answer.duration_us = spent_us > UINT32_MAX ? UINT32_MAX : (uint32_t)spent_us;
        answer.figures = store_figures(committer->store);
        if (!answer.is_full) {
            if (tries > 0) {
                log_event(committer->log, LOG_INFO, "store.room", LOG_NUMBER("epoch", epoch->number),
                          LOG_NUMBER("full_ms", (begun_us - full_since_us) / 1000));
            }
            committer->on_disk = answer;
            queue_push(committer->answers, &committer->on_disk);
            return true;
        }
        if (tries == 0) { /* once; `store.room` ends it */
            full_since_us = begun_us;
            log_event(committer->log, LOG_WARN, "store.full", LOG_NUMBER("epoch", epoch->number),
                      LOG_STRING("text", err.text));
        }
        tell_full(committer, &answer);
        if (!wait_for_retry(committer)) {
            return false;
        }
    }
}

static void run(void *context)
{
    struct committer *committer = context;
    bool goes_on = true;

    thread_assume(&thread_committer);
    while (goes_on) {
        void *epochs[TAKEN_MAX];
        const size_t count = queue_wait(committer->epochs, epochs, TAKEN_MAX, LOOK_MS);
        look_at_loop(committer);
        goes_on = count > 0 ? commit(committer, epochs[0]) : !queue_is_closed(committer->epochs);
    }
}

/* ---- the loop's side ------------------------------------------------------------------------------------------ */

static void on_answers(void *context, uint32_t events)
{
    struct committer *committer = context;

    (void)events;
    queue_event_clear(committer->watch.fd); /* the turn that was woken by it takes them */
}

static void destroy(struct committer *committer)
{
    queue_destroy(committer->answers);
    queue_destroy(committer->epochs);
    if (committer->watch.fd >= 0) {
        (void)close(committer->watch.fd);
    }
    free(committer);
}

enum err_code committer_start(const struct committer_options *options, struct committer **out, struct err *err)
{
    struct committer *committer = calloc(1, sizeof *committer);

    thread_assume(&thread_loop);
    check(committer != NULL);
    check(options->on_failure != NULL);
    committer->loop = options->loop;
    committer->store = options->store;
    committer->log = options->log;
    committer->on_failure = options->on_failure;
    committer->watch = (struct loop_watch){.ready = on_answers, .context = committer, .fd = -1};
    enum err_code code = queue_event_open(&committer->watch.fd, err);
    if (code == ERR_NONE) {
        committer->epochs = queue_create(EPOCHS_MAX, -1);
        committer->answers = queue_create(ANSWERS_MAX, committer->watch.fd);
        code = loop_watch(committer->loop, &committer->watch, EPOLLIN, err);
    }
    if (code != ERR_NONE) {
        destroy(committer);
        return code;
    }
    code = thread_start(&committer->thread, "committer", run, committer, err);
    if (code != ERR_NONE) {
        loop_unwatch(committer->loop, &committer->watch);
        destroy(committer);
        return code;
    }
    *out = committer;
    return ERR_NONE;
}

void committer_commit(struct committer *committer, struct epoch *epoch)
{
    check(committer->under_way == 0);
    committer->under_way = 1;
    queue_push(committer->epochs, epoch);
}

uint32_t committer_take(struct committer *committer, struct input *out_inputs, uint32_t max)
{
    void *answers[ANSWERS_MAX];
    const size_t count = queue_take(committer->answers, answers, max < ANSWERS_MAX ? max : ANSWERS_MAX);

    for (size_t i = 0; i < count; i++) {
        out_inputs[i] =
            (struct input){.kind = INPUT_COMMITTED, .committed = *(const struct input_committed *)answers[i]};
        if (answers[i] == &committer->full) {
            atomic_store_explicit(&committer->is_full_told, false, memory_order_release);
        } else {
            check(committer->under_way == 1);
            committer->under_way = 0;
        }
    }
    return (uint32_t)count;
}

void committer_saw_turn(struct committer *committer, uint64_t now_us)
{
    atomic_store_explicit(&committer->turn_us, now_us, memory_order_relaxed);
}

void committer_stop(struct committer *committer)
{
    if (committer == NULL) {
        return;
    }
    queue_close(committer->epochs);
    thread_join(&committer->thread);
    loop_unwatch(committer->loop, &committer->watch);
    destroy(committer);
}
