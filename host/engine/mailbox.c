/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox.h"

#include <stdlib.h>

#include "calls.h"
#include "epochs.h"
#include "instance.h"
#include "invocations.h"
#include "reads.h"
#include "types.h"

enum {
    BODIES_READ_BYTES = 1 << 20, /* of one read; many may be under way */
    SETTLED_PER_RUN = 256,
};

static struct body *body_create(struct engine *engine, const struct instance *instance, const struct envelope *envelope)
{
    const size_t bytes =
        sizeof(struct body) + address_bytes(&envelope->caller) + envelope->value.size + envelope->traceparent.size;
    struct body *body = calloc(1, bytes);
    check(body != NULL);
    uint8_t *at = (uint8_t *)(body + 1);

    body->bytes = bytes;
    body->envelope.number = envelope->number;
    body->envelope.time_ms = envelope->time_ms;
    body->envelope.target = instance_address(instance);
    body->envelope.caller = address_pack(&at, &envelope->caller);
    body->envelope.value = slice_pack(&at, envelope->value);
    body->envelope.traceparent = slice_pack(&at, envelope->traceparent);
    engine->mail_bytes += bytes;
    engine->memory_bytes += bytes;
    return body;
}

static void body_free(struct engine *engine, struct message *message)
{
    engine->mail_bytes -= message->body->bytes;
    engine->memory_bytes -= message->body->bytes;
    free(TAKE(message->body));
}

static struct message *append(struct engine *engine, struct instance *instance, uint64_t number)
{
    struct mailbox *mailbox = &instance->mailbox;
    struct message *message = calloc(1, sizeof *message);

    check(message != NULL);
    check(mailbox->tail == NULL || mailbox->tail->number < number); /* law 2: the order is that of the numbers */
    message->number = number;
    if (mailbox->tail == NULL) {
        mailbox->head = message;
    } else {
        mailbox->tail->next = message;
    }
    mailbox->tail = message;
    mailbox->count++;
    engine->mail_count++;
    engine->memory_bytes += sizeof *message;
    return message;
}

/* Counts the last message as warm if there is room; false: it begins or lengthens the rest. */
static bool extend_warm(const struct engine *engine, struct mailbox *mailbox)
{
    if (mailbox->cold != NULL || mailbox->warm_count >= engine->options.mailbox_resident_max) {
        return false;
    }
    mailbox->warm_count++;
    return true;
}

static void enter_epoch(struct engine *engine, struct body *body)
{
    body->epoch = engine->open->number;
    list_push(&engine->open->fresh_messages, &body->fresh);
    epochs_changed(engine, body->bytes);
}

void mailbox_push_ask(struct engine *engine, struct instance *instance, const struct envelope *envelope,
                      struct invocation *ask)
{
    struct mailbox *mailbox = &instance->mailbox;
    struct message *message = append(engine, instance, envelope->number);

    message->body = body_create(engine, instance, envelope);
    message->body->ask = ask;
    if (ask != NULL) {
        ask->body = message->body;
    } else {
        enter_epoch(engine, message->body);
    }
    if (!extend_warm(engine, mailbox)) {
        mailbox->cold = mailbox->cold == NULL ? message : mailbox->cold;
        mailbox->hot = mailbox->hot == NULL ? message : mailbox->hot;
        mailbox_chill(engine, instance);
    }
    calls_schedule(engine, instance);
}

void mailbox_push(struct engine *engine, struct instance *instance, const struct envelope *envelope)
{
    mailbox_push_ask(engine, instance, envelope, NULL);
}

void mailbox_settle(struct engine *engine, struct body *body)
{
    check(body->ask != NULL && body->ask->body == body);
    body->ask->body = NULL;
    body->ask = NULL;
    body->is_late = true;
    enter_epoch(engine, body);
}

/* Settles from `message` to before `end`, but no more than the open epoch takes. */
static void settle_run(struct engine *engine, struct message *message, const struct message *end)
{
    for (uint32_t i = 0; i < SETTLED_PER_RUN && message != end && !epochs_is_full(engine); i++) {
        if (message->body->ask != NULL) {
            mailbox_settle(engine, message->body);
        }
        message = message->next;
    }
}

void mailbox_settle_all(struct engine *engine, struct instance *instance)
{
    settle_run(engine, instance->mailbox.head, instance->mailbox.cold);
    settle_run(engine, instance->mailbox.hot, NULL);
}

void mailbox_push_recovered(struct engine *engine, struct instance *instance, const struct envelope *envelope)
{
    struct mailbox *mailbox = &instance->mailbox;
    struct message *message = append(engine, instance, envelope->number);

    if (engine->memory_bytes < engine->options.memory_bytes && extend_warm(engine, mailbox)) {
        message->body = body_create(engine, instance, envelope);
    } else if (mailbox->cold == NULL) {
        mailbox->cold = message;
    }
}

void mailbox_pop(struct engine *engine, struct instance *instance)
{
    struct mailbox *mailbox = &instance->mailbox;
    struct message *message = mailbox->head;

    check(message != NULL && message->body != NULL);
    if (message->body->ask != NULL) {
        message->body->ask->body = NULL; /* no epoch ever held it */
    } else if (link_is_linked(&message->body->fresh)) {
        list_remove(&engine->open->fresh_messages, &message->body->fresh); /* never written: nothing to delete */
    } else {
        struct key key;
        key_mail(&key, message->number);
        epochs_delete(engine, STORE_MAIL, &key);
    }
    check(mailbox->cold != message && mailbox->warm_count > 0); /* only warm messages are sent */
    if (instance->type->endpoint != NULL && !instance->type->endpoint->config->run_ahead) {
        instance->changed_epoch = engine->open->number; /* the next call waits for this on disk too */
    }
    mailbox->warm_count--;
    mailbox->head = message->next;
    if (mailbox->head == NULL) {
        mailbox->tail = NULL;
    }
    mailbox->count--;
    engine->mail_count--;
    engine->memory_bytes -= sizeof *message;
    body_free(engine, message);
    free(message);
}

bool mailbox_is_on_disk(const struct engine *engine, const struct body *body)
{
    return body->ask == NULL && !link_is_linked(&body->fresh) && body->epoch <= engine->committed;
}

void mailbox_chill(struct engine *engine, struct instance *instance)
{
    struct mailbox *mailbox = &instance->mailbox;

    while (mailbox->hot != NULL && mailbox_is_on_disk(engine, mailbox->hot->body)) {
        body_free(engine, mailbox->hot);
        mailbox->hot = mailbox->hot->next;
    }
}

void mailbox_chill_all(struct engine *engine, struct instance *instance)
{
    struct mailbox *mailbox = &instance->mailbox;
    struct message *message = mailbox->head;

    while (message != mailbox->cold && mailbox_is_on_disk(engine, message->body)) {
        message = message->next;
    }
    if (message != mailbox->cold) {
        if (mailbox->cold != mailbox->hot) {
            return; /* what is cold must stand in one piece */
        }
        mailbox->hot = message;
    }
    for (struct message *warm = mailbox->head; warm != message; warm = warm->next) {
        body_free(engine, warm);
    }
    mailbox->cold = mailbox->head;
    mailbox->warm_count = 0;
    mailbox_chill(engine, instance);
}

bool mailbox_warm(struct engine *engine, struct instance *instance)
{
    struct mailbox *mailbox = &instance->mailbox;

    while (mailbox->cold != NULL && mailbox->cold == mailbox->hot &&
           (mailbox->warm_count == 0 || mailbox->warm_count < engine->options.mailbox_resident_max)) {
        mailbox->cold = mailbox->cold->next;
        mailbox->hot = mailbox->cold;
        mailbox->warm_count++;
    }
    return mailbox->warm_count > 0;
}

void mailbox_thaw(struct engine *engine, struct instance *instance)
{
    const struct message *message = instance->mailbox.head;
    uint32_t count = engine->options.mailbox_resident_max;

    check(message != NULL && message->body == NULL && instance->read == NULL);
    count = count > LIMIT_READ_RANGES_MAX ? LIMIT_READ_RANGES_MAX : count;
    count = count > instance->mailbox.count ? instance->mailbox.count : count;
    count = count == 0 ? 1 : count;
    struct read *read = reads_create(engine, READ_BODIES, instance, count);
    uint32_t used = 0;
    for (; used < count && message != instance->mailbox.hot; message = message->next, used++) {
        key_mail(&read->keys[used], message->number);
        read->ranges[used] = (struct read_range){.kind = RANGE_KEY, .table = STORE_MAIL};
    }
    read->range_count = used;
    read->bytes_max = BODIES_READ_BYTES;
    instance->read = read;
    instance->phase = INSTANCE_LOADING;
    reads_start(engine, read);
}

/* Gives the message at *at its body back and moves on to the next. */
static bool fill(struct engine *engine, struct instance *instance, const struct row *row, struct message **at)
{
    struct envelope envelope;
    struct err err;
    uint64_t number = 0;
    struct message *message = *at;

    if (!key_read_mail(row->key, &number) || record_get_envelope(row->value, &envelope, &err) != ERR_NONE ||
        message == instance->mailbox.hot || message->number != number) {
        return false;
    }
    check(message->body == NULL);
    message->body = body_create(engine, instance, &envelope);
    *at = message->next;
    return true;
}

void mailbox_rows(struct engine *engine, struct instance *instance, const struct input_rows *rows)
{
    struct mailbox *mailbox = &instance->mailbox;
    bool is_whole = rows->row_count > 0;

    check(instance->phase == INSTANCE_LOADING && mailbox->warm_count == 0);
    instance->phase = INSTANCE_IDLE;
    for (uint32_t i = 0; i < rows->row_count && is_whole; i++) {
        is_whole = fill(engine, instance, &rows->rows[i], &mailbox->cold);
        mailbox->warm_count += is_whole;
    }
    if (!is_whole) {
        engine_note(engine, NOTE_ERROR, "mailbox.corrupt", instance_text(engine, instance),
                    "a message of it is missing from the store or cannot be read");
        instance_set_blocked(engine, instance, BLOCKED_CORRUPT);
        return;
    }
    calls_reschedule(engine, instance); /* its turn had come */
}

void mailbox_put(struct engine *engine, struct body *body)
{
    struct key key;

    buf_clear(&engine->scratch);
    record_put_envelope(&engine->scratch, &body->envelope);
    check(!engine->scratch.overflow);
    key_mail(&key, body->envelope.number);
    epoch_add(engine->open->epoch, body->is_late ? OP_PUT : OP_APPEND, STORE_MAIL, key_slice(&key),
              buf_slice(&engine->scratch));
}

void mailbox_destroy(struct engine *engine, struct instance *instance)
{
    struct message *next = NULL;

    for (struct message *message = instance->mailbox.head; message != NULL; message = next) {
        next = message->next;
        if (message->body != NULL) {
            body_free(engine, message);
        }
        free(message);
    }
    instance->mailbox = (struct mailbox){0};
}
