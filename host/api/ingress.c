/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's way to a message, and an answer's way back.
 *
 * A request comes through a door (door.h), whose resources (resource.h) say what is asked for.
 * Every request is answered once: at once if it is refused here, else by the engine's answer to its message; a body
 * that a helper checks first goes the same two ways when the helper is done. Nothing is kept about a request here
 * but what the server has of it, and the job while a helper works.
 */
#include "ingress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "check.h"
#include "clock.h"
#include "door.h"
#include "hint.h"
#include "json.h"
#include "list.h"
#include "path.h"
#include "resource.h"
#include "topics.h"
#include "value.h"

enum {
    ID_POOL_BYTES = 4096, /* random bytes drawn at a time: one system call for so many ids */
    VALUE_OVERHEAD_BYTES = LIMIT_TYPENAME_BYTES_MAX + 64, /* a TypedValue around a body */
    MEMORY_BYTES_MAX = 64 << 10,                          /* a request line and its fields cannot hold more */
    KEEP_BYTES_MAX = 256 << 10,                           /* buffers larger than this are not kept between requests */
    TYPE_BYTES_MAX = 3 * LIMIT_TYPENAME_BYTES_MAX + 64,   /* every byte of a typename percent-encoded */
};
/* A string of a function may need six bytes in JSON for each of its own. */
static const size_t ANSWER_BYTES_MAX = (size_t)LIMIT_ANSWER_BYTES_MAX * 6 + 64;

struct ingress {
    struct ingress_options options;
    struct door doors[DOORS_MAX];
    uint32_t door_count;
    bool is_stopped;
    uint32_t jobs;     /* with helpers */
    size_t pool_left;  /* unused bytes at the end of the pool */
    struct buf memory; /* decoded names of the request at hand */
    struct buf value;  /* its TypedValue */
    struct buf answer; /* body of the answer at hand */
    uint8_t pool[ID_POOL_BYTES];
};

/* What a request says; slices in the request's memory, or in the ingress's or the job's. */
struct asked {
    const struct door *door;
    enum resource resource;
    uint64_t id;
    struct invocation_id invocation;
    char hex[INVOCATION_HEX_BYTES + 1];
    struct address target;
    struct slice traceparent;
    struct resource_parameters parameters;
    struct value_form form;
};

/* A body that is checked by a helper, its request suspended. */
struct job {
    struct helper_job helper_job;
    struct ingress *ingress;
    struct asked asked;
    struct slice body; /* the request's, which lives until it is answered */
    struct buf memory; /* what `asked` points into */
    struct buf value;
    struct err err; /* ERR_NONE: the value is good */
};

/* ---- answers -------------------------------------------------------------------------------------------- */

static void refuse(const struct asked *asked, const struct err *err) LOOP_THREAD
{
    const struct problem problem = {.code = err->code, .detail = slice_of(err->text), .invocation = asked->hex};

    door_problem(asked->door, asked->id, resource_methods(asked->door, asked->resource), &problem);
}

static void answer_reply(const struct door *door, uint64_t id, const char *hex, struct slice value) LOOP_THREAD
{
    enum json_form form = JSON_NOTHING;
    struct slice typename_ = SLICE_EMPTY;
    struct err err = {.code = ERR_NONE};
    struct buf type;
    struct buf *body = &door->ingress->answer;

    buf_clear(body);
    if (json_put_value(value, body, &form, &typename_, &err) == ERR_NONE && body->overflow) {
        (void)err_set(&err, ERR_NO_MEMORY, "the function's reply cannot be held in memory");
    }
    if (err.code != ERR_NONE) {
        door_problem(door, id, NULL,
                     &(struct problem){.code = err.code, .detail = slice_of(err.text), .invocation = hex});
    } else if (form == JSON_NOTHING) {
        door_answer(door, id, hex, &(struct http_answer){.status = 204});
    } else if (form == JSON_TEXT) {
        door_answer(door, id, hex,
                    &(struct http_answer){.status = 200, .content_type = "application/json", .body = buf_slice(body)});
    } else {
        buf_init(&type, TYPE_BYTES_MAX);
        value_put_content_type(&type, typename_);
        check(!type.overflow);
        door_answer(
            door, id, hex,
            &(struct http_answer){.status = 200, .content_type = (const char *)type.data, .body = buf_slice(body)});
        buf_done(&type);
    }
    if (body->capacity > KEEP_BYTES_MAX) {
        buf_done(body);
        buf_init(body, ANSWER_BYTES_MAX);
    }
}

static void answer_accepted(const struct door *door, uint64_t id, const char *hex) LOOP_THREAD
{
    char body[sizeof "{\"invocation\":\"\"}" + INVOCATION_HEX_BYTES];

    (void)snprintf(body, sizeof body, "{\"invocation\":\"%s\"}", hex);
    door_answer(door, id, hex,
                &(struct http_answer){.status = 202, .content_type = "application/json", .body = slice_of(body)});
}

/* Only asks that became messages count: a refusal in microseconds would flatter the figures. */
static void observe_ask(const struct door *door, uint64_t id)
{
    const struct http_request *request = http_server_request(door->server, id);

    if (request != NULL) { /* else closing the server took it */
        metrics_observe_us(door->metrics, METRIC_ASK_SECONDS, clock_monotonic_us() - request->arrived_us);
    }
}

void ingress_answer(void *context, const struct effect_answer *effect)
{
    const struct ingress *ingress = context;
    const struct door *door = &ingress->doors[door_index_of(effect->waiter)];
    const enum resource resource = door_resource_of(effect->waiter);
    const uint64_t id = door_id_of(effect->waiter);
    char hex[INVOCATION_HEX_BYTES + 1];

    if (resource == RESOURCE_ASK) {
        observe_ask(door, id);
    }
    invocation_print(&effect->invocation, hex);
    switch (effect->kind) {
    case ANSWER_REPLY:
        answer_reply(door, id, hex, effect->value);
        return;
    case ANSWER_ACCEPTED:
        if (resource == RESOURCE_INSTANCE) {
            door_answer(door, id, hex, &(struct http_answer){.status = 200}); /* as the playground does */
        } else {
            answer_accepted(door, id, hex);
        }
        return;
    case ANSWER_POPPED:
        if (!topics_answer(door, id, hex, effect->value)) {
            answer_reply(door, id, hex, effect->value); /* left by an egress of ours that had the topic's name */
        }
        return;
    case ANSWER_ERROR:
    default:
        door_problem(door, id, NULL,
                     &(struct problem){.code = effect->code,
                                       .is_from_function = effect->is_from_function,
                                       .detail = effect->text,
                                       .function_code = effect->function_code,
                                       .invocation = hex,
                                       .retry_after_ms = effect->retry_after_ms});
    }
}

/* ---- requests ------------------------------------------------------------------------------------------- */

static struct invocation_id draw_id(struct ingress *ingress)
{
    struct invocation_id id;

    while (ingress->pool_left < sizeof id.bytes) {
        const size_t filled = ingress->pool_left;
        const ssize_t got = getrandom(ingress->pool, sizeof ingress->pool - filled, 0);
        check(got > 0 || errno == EINTR);
        if (got > 0) { /* what was left is too little for an id and is drawn anew */
            ingress->pool_left = (size_t)got;
        }
    }
    ingress->pool_left -= sizeof id.bytes;
    memcpy(id.bytes, ingress->pool + ingress->pool_left, sizeof id.bytes);
    return id;
}

/* W3C Trace Context, version 00; what is malformed is ignored, as the standard asks. */
static struct slice valid_traceparent(struct slice text)
{
    static const char form[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    enum { TRACE_AT = 3, TRACE_DIGITS = 32, SPAN_AT = 36, SPAN_DIGITS = 16 };
    static const char zeros[] = "00000000000000000000000000000000";

    if (text.size != sizeof form - 1) {
        return SLICE_EMPTY;
    }
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (form[i] == 'h' ? !is_hex : c != (uint8_t)form[i]) {
            return SLICE_EMPTY;
        }
    }
    const bool is_zero =
        memcmp(text.data + TRACE_AT, zeros, TRACE_DIGITS) == 0 || memcmp(text.data + SPAN_AT, zeros, SPAN_DIGITS) == 0;
    return is_zero ? SLICE_EMPTY : text;
}

/* Why the server did not take the request. */
static enum err_code trouble(const struct http_request *request, struct err *err)
{
    if (request->trouble == ERR_TOO_LARGE) {
        return err_set(err, ERR_TOO_LARGE,
                       "the body is larger than %d bytes; send less, or a reference to where the rest is",
                       LIMIT_INGRESS_BODY_BYTES_MAX);
    }
    if (request->trouble == ERR_OVERLOADED) {
        return err_set(err, ERR_OVERLOADED, "the host has as many connections or bodies as it takes; try again later");
    }
    if (request->trouble != ERR_NONE) {
        return err_set(err, request->trouble, "%s",
                       request->trouble_text != NULL ? request->trouble_text : err_meaning(request->trouble));
    }
    return ERR_NONE;
}

static enum err_code find_function(const struct ingress *ingress, const struct address *target,
                                   const struct function_config **out, struct err *err)
{
    struct buf hint;

    *out = registry_function(ingress->options.registry, target->space, target->name);
    if (*out != NULL) {
        return ERR_NONE;
    }
    buf_init(&hint, HINT_BYTES_MAX);
    hint_function(ingress->options.registry, target->space, target->name, &hint);
    (void)err_set(err, ERR_UNKNOWN_FUNCTION, "no endpoint serves %.*s/%.*s; %.*s", slice_shown(target->space, 64),
                  (const char *)target->space.data, slice_shown(target->name, 64), (const char *)target->name.data,
                  (int)hint.size, (const char *)hint.data);
    buf_done(&hint);
    return err->code;
}

/* Room for all that is decoded of a request, so that it stays where it is. */
static enum err_code reserve_memory(struct ingress *ingress, const struct http_request *request, struct err *err)
{
    buf_clear(&ingress->memory);
    if (buf_reserve(&ingress->memory, request->path.size + request->content_type.size + 1) == NULL) {
        return err_set(err, ERR_NO_MEMORY, "memory is short; try again later");
    }
    return ERR_NONE;
}

/* Everything of a message but the body. */
static enum err_code get_asked(struct ingress *ingress, const struct http_request *request, const struct path *path,
                               struct asked *asked, struct err *err)
{
    const struct function_config *function = NULL;

    asked->traceparent = valid_traceparent(request->traceparent);
    if (resource_get_target(asked->resource, path, &ingress->memory, &asked->target, err) != ERR_NONE ||
        resource_get_parameters(asked->resource, request->query, &asked->parameters, err) != ERR_NONE ||
        find_function(ingress, &asked->target, &function, err) != ERR_NONE) {
        return err->code;
    }
    return asked->resource == RESOURCE_INSTANCE ? value_form_of_playground(request, &ingress->memory, &asked->form, err)
                                                : value_form_of(request, function, &ingress->memory, &asked->form, err);
}

static void post(struct ingress *ingress, const struct asked *asked, struct slice value) LOOP_THREAD
{
    const struct input_message message = {.waiter = door_waiter(asked->door, asked->id, asked->resource),
                                          .is_ask = asked->resource == RESOURCE_ASK,
                                          .invocation = asked->invocation,
                                          .target = asked->target,
                                          .value = value,
                                          .traceparent = asked->traceparent,
                                          .delay_ms = asked->parameters.delay_ms,
                                          .timeout_ms = asked->parameters.timeout_ms};
    struct err err;

    if (ingress->is_stopped) {
        (void)err_set(&err, ERR_STOPPING, "the host is stopping; try again when it is back");
        refuse(asked, &err);
        return;
    }
    if (!runner_post(ingress->options.runner, &message)) {
        (void)err_set(&err, ERR_OVERLOADED, "too many messages wait to be taken in; try again later");
        refuse(asked, &err);
    }
}

static void pop(struct ingress *ingress, const struct http_request *request, const struct path *path,
                struct asked *asked) LOOP_THREAD
{
    struct input_pop input = {.waiter = door_waiter(asked->door, asked->id, RESOURCE_TOPIC),
                              .invocation = asked->invocation};
    struct err err;

    if (topics_find(ingress->options.registry, asked->door->topic_ports, path->segments[0], &ingress->memory,
                    &input.egress, &err) != ERR_NONE ||
        resource_get_parameters(asked->resource, request->query, &asked->parameters, &err) != ERR_NONE ||
        trouble(request, &err) != ERR_NONE) {
        refuse(asked, &err);
    } else if (ingress->is_stopped) {
        (void)err_set(&err, ERR_STOPPING, "the host is stopping; try again when it is back");
        refuse(asked, &err);
    } else if (!runner_pop(ingress->options.runner, &input)) {
        (void)err_set(&err, ERR_OVERLOADED, "too many requests wait to be taken in; try again later");
        refuse(asked, &err);
    }
}

/* On a helper thread. */
static void work(struct helper_job *helper_job)
{
    struct job *job = container_of(helper_job, struct job, helper_job);

    if (value_put(&job->asked.form, job->body, &job->value, &job->err) == ERR_NONE) {
        job->err.code = ERR_NONE;
    }
}

static void done(struct helper_job *helper_job)
{
    struct job *job = container_of(helper_job, struct job, helper_job);
    struct ingress *ingress = job->ingress;

    thread_assume(&thread_loop);
    if (job->err.code != ERR_NONE) {
        refuse(&job->asked, &job->err);
    } else {
        post(ingress, &job->asked, buf_slice(&job->value));
    }
    ingress->jobs--;
    buf_done(&job->memory);
    buf_done(&job->value);
    free(job);
}

static void start_job(struct ingress *ingress, const struct asked *asked, struct slice body) LOOP_THREAD
{
    struct job *job = calloc(1, sizeof *job);
    struct err err;

    if (job == NULL) {
        (void)err_set(&err, ERR_NO_MEMORY, "memory is short; try again later");
        refuse(asked, &err);
        return;
    }
    job->helper_job = (struct helper_job){.work = work, .done = done};
    job->ingress = ingress;
    job->asked = *asked;
    job->body = body;
    buf_init(&job->value, LIMIT_INGRESS_BODY_BYTES_MAX + VALUE_OVERHEAD_BYTES);
    if (!helper_push(ingress->options.helper, &job->helper_job)) {
        free(job);
        (void)err_set(&err, ERR_OVERLOADED, "too many large bodies are being read; try again later");
        refuse(asked, &err);
        return;
    }
    /* Nothing runs `done` before this turn is over, and `work` reads only body and form: the names may follow now. */
    job->memory = ingress->memory;
    buf_init(&ingress->memory, MEMORY_BYTES_MAX);
    ingress->jobs++;
}

void ingress_handle(void *context, const struct http_request *request)
{
    const struct door *door = context;
    struct ingress *ingress = door->ingress;
    struct asked asked = {.door = door, .id = request->id, .invocation = draw_id(ingress)};
    struct path path = {.count = 0};
    struct err err;

    check(door->server != NULL);
    invocation_print(&asked.invocation, asked.hex);
    http_server_name(door->server, asked.id, asked.hex);
    asked.resource = path_split(request->path, &path) ? resource_find(door, &path) : RESOURCE_NONE;
    if (slice_equal(request->method, SLICE("OPTIONS")) && request->trouble == ERR_NONE) {
        door_options(door, asked.id, asked.hex, resource_methods(door, asked.resource));
        return;
    }
    if (resource_check(door, asked.resource, request->method, &err) != ERR_NONE ||
        reserve_memory(ingress, request, &err) != ERR_NONE) {
        refuse(&asked, &err);
        return;
    }
    if (asked.resource == RESOURCE_TOPIC) {
        pop(ingress, request, &path, &asked);
        return;
    }
    if (get_asked(ingress, request, &path, &asked, &err) != ERR_NONE || trouble(request, &err) != ERR_NONE) {
        refuse(&asked, &err);
        return;
    }
    if (ingress->is_stopped) {
        post(ingress, &asked, SLICE_EMPTY); /* refuses */
        return;
    }
    if (asked.form.kind != VALUE_BYTES && request->body.size > LIMIT_PARSE_INLINE_BYTES_MAX) {
        start_job(ingress, &asked, request->body);
        return;
    }
    buf_clear(&ingress->value);
    if (value_put(&asked.form, request->body, &ingress->value, &err) != ERR_NONE) {
        refuse(&asked, &err);
        return;
    }
    post(ingress, &asked, buf_slice(&ingress->value));
    if (ingress->value.capacity > KEEP_BYTES_MAX) {
        buf_done(&ingress->value);
        buf_init(&ingress->value, LIMIT_INGRESS_BODY_BYTES_MAX + VALUE_OVERHEAD_BYTES);
    }
}

/* ---- the object ----------------------------------------------------------------------------------------- */

struct ingress *ingress_create(const struct ingress_options *options)
{
    struct ingress *ingress = calloc(1, sizeof *ingress);

    check(ingress != NULL);
    ingress->options = *options;
    buf_init(&ingress->memory, MEMORY_BYTES_MAX);
    buf_init(&ingress->value, LIMIT_INGRESS_BODY_BYTES_MAX + VALUE_OVERHEAD_BYTES);
    buf_init(&ingress->answer, ANSWER_BYTES_MAX);
    return ingress;
}

void ingress_destroy(struct ingress *ingress)
{
    if (ingress == NULL) {
        return;
    }
    check(ingress->jobs == 0); /* the helper is destroyed first */
    buf_done(&ingress->memory);
    buf_done(&ingress->value);
    buf_done(&ingress->answer);
    free(ingress);
}

void ingress_stop(struct ingress *ingress)
{
    ingress->is_stopped = true;
}

struct door *ingress_door(struct ingress *ingress, bool has_api, bool has_instances, uint32_t topic_ports)
{
    check(ingress->door_count < DOORS_MAX);
    struct door *door = &ingress->doors[ingress->door_count];

    *door = (struct door){.ingress = ingress,
                          .metrics = ingress->options.metrics,
                          .log = ingress->options.log,
                          .index = ingress->door_count++,
                          .has_api = has_api,
                          .has_instances = has_instances,
                          .topic_ports = topic_ports};
    return door;
}

void ingress_serve(struct door *door, struct http_server *server)
{
    check(door->server == NULL);
    door->server = server;
}
