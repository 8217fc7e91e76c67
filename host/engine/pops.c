/* SPDX-License-Identifier: Apache-2.0 */
#include "pops.h"

#include <stdlib.h>

#include "epochs.h"
#include "outbox.h"
#include "reads.h"

enum {
    PATIENCE_MS = 30000, /* a pop that got no record and no word by then is refused */
    PAGE_ROWS_MAX = 64,  /* of one read */
    PAGE_BYTES_MAX = 1 << 20,
};

static struct pop *oldest(const struct egress *egress)
{
    struct link *link = list_first(&egress->pops);

    return link == NULL ? NULL : container_of(link, struct pop, link);
}

static void forget(struct engine *engine, struct egress *egress, struct pop *pop)
{
    list_remove(&egress->pops, &pop->link);
    engine->pops_waiting--;
    free(pop);
}

/* Answers the oldest pop when all that the answer was derived from is on disk. */
static void promise(struct engine *engine, struct egress *egress, struct effect_answer *answer)
{
    struct pop *pop = oldest(egress);

    answer->waiter = pop->waiter;
    answer->invocation = pop->invocation;
    epochs_promise(engine, answer);
    forget(engine, egress, pop);
}

static void promise_error(struct engine *engine, struct egress *egress, enum err_code code, const char *text)
{
    struct effect_answer answer = {.kind = ANSWER_ERROR, .code = code, .text = slice_of(text)};

    promise(engine, egress, &answer);
}

static void refuse(struct engine *engine, struct egress *egress, enum err_code code, const char *text)
{
    struct pop *pop = oldest(egress);

    engine_refuse(engine, pop->waiter, &pop->invocation, code, text);
    forget(engine, egress, pop);
}

static void set_patience(struct engine *engine, struct egress *egress)
{
    const struct pop *pop = oldest(egress);

    if (pop == NULL) {
        engine_wake_clear(engine, &egress->patience);
    } else if (egress->patience.node.place == 0 || egress->patience.node.due != pop->since_ms + PATIENCE_MS) {
        engine_wake_at(engine, &egress->patience, pop->since_ms + PATIENCE_MS);
    }
}

static void wait_for_commit(struct engine *engine, struct egress *egress)
{
    if (!link_is_linked(&egress->syncing)) {
        list_push(&engine->pops_syncing, &egress->syncing);
    }
}

static void read_page(struct engine *engine, struct egress *egress)
{
    struct read *read = reads_create(engine, READ_RECORDS, egress, 1);

    key_outbox(&read->keys[0], egress->number, egress->next);
    read->ranges[0] = (struct read_range){.kind = RANGE_FROM, .table = STORE_OUTBOX};
    read->rows_max = egress->pops.count < PAGE_ROWS_MAX ? (uint32_t)egress->pops.count : PAGE_ROWS_MAX;
    read->bytes_max = PAGE_BYTES_MAX;
    egress->read = read;
    reads_start(engine, read);
}

/* Moves the pops of an egress on, as far as they get without an answer of the disk. */
static void advance(struct engine *engine, struct egress *egress)
{
    while (egress->count == 0 && egress->pops.count > 0) {
        promise_error(engine, egress, ERR_EMPTY, "no record waits in this topic; ask again later");
    }
    set_patience(engine, egress);
    if (egress->pops.count == 0 || egress->read != NULL || link_is_linked(&egress->syncing)) {
        return;
    }
    if (epochs_must_wait(engine)) {
        wait_for_commit(engine, egress);
    } else {
        read_page(engine, egress);
    }
}

void pops_take(struct engine *engine, const struct input_pop *input)
{
    enum err_code code = ERR_OVERLOADED;
    const char *why = engine_is_away(engine, &code);

    check(input->egress < engine->options.registry->egress_count);
    if (why == NULL && engine->pops_waiting >= engine->options.pops_max) {
        why = "too many requests wait for a record; send the request again later";
    }
    if (why != NULL) {
        engine_refuse(engine, input->waiter, &input->invocation, code, why);
        return;
    }
    struct egress *egress = &engine->egresses[input->egress];
    struct pop *pop = calloc(1, sizeof *pop);
    check(pop != NULL);
    pop->waiter = input->waiter;
    pop->invocation = input->invocation;
    pop->since_ms = engine->now_ms;
    list_push(&egress->pops, &pop->link);
    engine->pops_waiting++;
    advance(engine, egress);
}

/* False: the row cannot be read, and everybody who waits hears so. */
static bool hand_out(struct engine *engine, struct egress *egress, uint64_t number, const struct row *row)
{
    struct effect_answer answer = {.kind = ANSWER_POPPED};
    struct outbox_record record;
    struct key key;
    struct err err;

    if (record_get_outbox(row->value, &record, &err) != ERR_NONE) {
        engine_note(engine, NOTE_ERROR, "egress.corrupt", SLICE_EMPTY, "record %llu: %s", (unsigned long long)number,
                    err.text);
        while (egress->pops.count > 0) {
            promise_error(engine, egress, ERR_CORRUPT, "the oldest record of this topic cannot be read; see the log");
        }
        return false;
    }
    answer.value = record.value;
    promise(engine, egress, &answer);
    key_outbox(&key, egress->number, number);
    epochs_delete(engine, STORE_OUTBOX, &key);
    egress->next = number + 1;
    egress->count--;
    egress->bytes -= row->value.size;
    engine->outbox_count--;
    engine->outbox_bytes -= row->value.size;
    metric_add(engine, METRIC_EGRESS_POPPED, 1);
    return true;
}

void pops_rows(struct engine *engine, struct egress *egress, const struct input_rows *rows)
{
    bool is_over = false;
    uint32_t handed = 0;

    for (uint32_t i = 0; i < rows->row_count && egress->pops.count > 0 && !is_over; i++) {
        uint32_t owner = 0;
        uint64_t number = 0;
        check(key_read_outbox(rows->rows[i].key, &owner, &number));
        is_over =
            owner != egress->number || epochs_must_wait(engine) || !hand_out(engine, egress, number, &rows->rows[i]);
        handed += !is_over;
    }
    if (handed == 0 && egress->pops.count > 0 && egress->count > 0 && egress->put_epoch > engine->committed) {
        wait_for_commit(engine, egress); /* what waits is not on disk yet */
    }
    advance(engine, egress);
}

void pops_committed(struct engine *engine)
{
    for (size_t left = engine->pops_syncing.count; left > 0; left--) {
        advance(engine, container_of(list_pop(&engine->pops_syncing), struct egress, syncing));
    }
}

void pops_wake(struct engine *engine, struct egress *egress)
{
    const struct pop *pop = oldest(egress);

    while (pop != NULL && pop->since_ms + PATIENCE_MS <= engine->now_ms) {
        refuse(engine, egress, ERR_OVERLOADED,
               "the store took too long to look for a record, and none was taken; send the request again later");
        pop = oldest(egress);
    }
    set_patience(engine, egress);
}

void pops_stop(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->options.registry->egress_count; i++) {
        while (engine->egresses[i].pops.count > 0) {
            refuse(engine, &engine->egresses[i], ERR_STOPPING,
                   "the host is stopping, and no record was taken; send the request again when it is back");
        }
    }
}
