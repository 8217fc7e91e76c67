/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatcher.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "answer.h"
#include "check.h"
#include "clock.h"
#include "heap.h"
#include "list.h"
#include "parse.h"
#include "resolver.h"
#include "route.h"
#include "tls.h"
#include "transfer.h"
#include "wire.h"

enum {
    REQUEST_BYTES_MAX = LIMIT_ARENA_BYTES_MAX, /* of one request; the engine's own limits are far below */
    ANSWERS_BYTES_MAX = LIMIT_ARENA_BYTES_MAX, /* of all answers being collected */
    REQUEST_KEPT_BYTES_MAX = 64 << 10,         /* a larger buffer is freed between two calls */
    TEXT_URL_BYTES_MAX = 200,                  /* in a sentence for people */
    TEXT_WHY_BYTES_MAX = LIMIT_ERR_TEXT_BYTES_MAX - TEXT_URL_BYTES_MAX - 2,
    HELPER_RETRY_MS = 5,      /* a helper that was full is asked again after this */
    STATUS_NO_CONTENT = 204,  /* never has a body (RFC 9110, 15.3.5) */
    RESENDS_MAX = 3,          /* of one call: each of them takes a dead connection out of those that are kept */
    TLS_NEW_PER_TURN_MAX = 8, /* each new TLS connection costs the loop 1-2 ms */
};

/* Where a call is. Each phase is a list; a call is in exactly one. */
enum phase {
    PHASE_IDLE,   /* not in use: a transfer and buffers, kept */
    PHASE_NAMED,  /* waits for its host's name to be looked up */
    PHASE_HELD,   /* waits for a turn with room for a new TLS connection */
    PHASE_FLYING, /* its transfer is under way */
    PHASE_STUCK,  /* its answer waits for a helper to be free */
    PHASE_PARSED, /* a helper parses its answer */
    PHASE_ENDED,  /* to be taken */
    PHASE_TAKEN,  /* its texts are still being read */
    PHASE_COUNT
};

struct call {
    struct link link; /* in dispatcher->lists[phase] */
    enum phase phase;
    struct dispatcher *dispatcher;
    struct transfer *transfer;
    struct heap_node due; /* in dispatcher->deadlines while NAMED or HELD */
    struct resolver_waiter waiter;
    struct parse *parse; /* while PARSED */
    struct route *route;

    uint64_t number;
    uint32_t message_count;
    uint32_t addresses_tried;
    uint32_t resends; /* because the kept connection it was sent on turned out to be closed */
    uint64_t begun_us;
    uint64_t deadline_us;
    struct buf request;
    struct answer answer;
    size_t answer_bytes; /* counted in dispatcher->answer_bytes */
    bool is_starved;     /* ended because all answers together are over ANSWERS_BYTES_MAX */
    char address[RESOLVER_ADDRESS_BYTES];

    struct input_result ended;
    char text[LIMIT_ERR_TEXT_BYTES_MAX];
};

struct dispatcher {
    struct dispatcher_options options;
    struct transfers *transfers;
    struct resolver *resolver;
    struct routes *routes;
    struct tls_set *tls;
    struct list lists[PHASE_COUNT];
    struct heap deadlines;
    uint64_t sequence;
    size_t request_bytes;
    size_t answer_bytes;
    uint32_t in_flight;    /* begun and not yet taken */
    uint32_t tls_new_left; /* in this turn */
    bool needs_helper;     /* a name waits for a helper to be free */
};

static void call_start(struct call *call) LOOP_THREAD;

/* ---- one call: its end -------------------------------------------------------------------------------- */

static void call_move(struct call *call, enum phase phase)
{
    struct dispatcher *dispatcher = call->dispatcher;
    if (link_is_linked(&call->link)) {
        list_remove(&dispatcher->lists[call->phase], &call->link);
    }
    if (call->due.place != 0) {
        heap_remove(&dispatcher->deadlines, &call->due);
    }
    call->phase = phase;
    list_push(&dispatcher->lists[phase], &call->link);
}

/* Puts a call into a phase where it must not stay beyond its deadline. */
static void call_wait(struct call *call, enum phase phase)
{
    call_move(call, phase);
    call->due.due = call->deadline_us / 1000;
    call->due.sequence = call->dispatcher->sequence++;
    heap_push(&call->dispatcher->deadlines, &call->due);
}

static void count_bytes(struct dispatcher *dispatcher)
{
    metrics_set(dispatcher->options.metrics, METRIC_CALL_BYTES, dispatcher->request_bytes + dispatcher->answer_bytes);
}

static void call_end(struct call *call, enum call_outcome outcome)
{
    struct dispatcher *dispatcher = call->dispatcher;
    uint64_t duration_us = clock_monotonic_us() - call->begun_us;

    call->ended.call = call->number;
    call->ended.outcome = outcome;
    call->ended.http_status = call->answer.status;
    call->ended.knows_partial = call->answer.knows_partial;
    call->ended.duration_us = duration_us < UINT32_MAX ? (uint32_t)duration_us : UINT32_MAX;
    call->ended.text = outcome == CALL_ANSWERED ? NULL : call->text;
    metrics_observe_us(dispatcher->options.metrics, METRIC_CALL_SECONDS, duration_us);
    call_move(call, PHASE_ENDED);
}

static PRINTF_LIKE(3, 4) void call_fail(struct call *call, enum call_outcome outcome, const char *format, ...)
{
    char why[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof(why), format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    if (call->route == NULL) {
        (void)snprintf(call->text, sizeof(call->text), "%s", why);
    } else {
        /* A URL may be long: the reason is worth more than its end. */
        (void)snprintf(call->text, sizeof(call->text), "%.*s %.*s", TEXT_URL_BYTES_MAX, call->route->shown,
                       TEXT_WHY_BYTES_MAX, why);
    }
    call_end(call, outcome);
}

static void end_with_status(struct call *call)
{
    char body[201];
    call->ended.retry_after_ms = answer_retry_after_ms(&call->answer, (int64_t)time(NULL));
    (void)answer_print_body(&call->answer, body);
    call_fail(call, CALL_HTTP_STATUS, "answered %d%s%s", call->answer.status, body[0] == '\0' ? "" : ": ", body);
}

/* ---- one call: its answer ----------------------------------------------------------------------------- */

static void end_with_result(void *context, enum err_code code, struct result *result, const struct err *err)
{
    struct call *call = context;
    call->parse = NULL;
    if (code == ERR_NONE) {
        call->ended.take_result = result;
        call_end(call, CALL_ANSWERED);
    } else {
        call_fail(call, CALL_BAD_ANSWER, "answered what cannot be used: %s", err->text);
    }
}

/* Hands a large answer to a helper; without one free the call stands in line for it. */
static void call_parse(struct call *call) LOOP_THREAD
{
    struct helper *helper = call->dispatcher->options.helper;
    call->parse = parse_start(helper, &call->answer.body, call->message_count, end_with_result, call);
    call_move(call, call->parse == NULL ? PHASE_STUCK : PHASE_PARSED);
}

static void take_answer(struct call *call) LOOP_THREAD
{
    struct slice body = buf_slice(&call->answer.body);
    struct result *result = NULL;
    struct err err;

    if (!answer_is_success(&call->answer)) {
        end_with_status(call);
    } else if (!call->answer.is_octet_stream) {
        call_fail(call, CALL_WRONG_TYPE, "answered %d without Content-Type: application/octet-stream and nothing more",
                  call->answer.status);
    } else if (call->answer.codings > 0 && body.size == 0) {
        call_fail(call, CALL_WRONG_TYPE, "answered with a Content-Encoding and nothing in it"); /* cut short: not R4 */
    } else if (!call->answer.has_end && body.size == 0 && call->answer.status != STATUS_NO_CONTENT) {
        call_fail(call, CALL_UNREACHABLE,
                  "closed the connection behind the header fields of its answer"); /* nor this */
    } else if (body.size > LIMIT_PARSE_INLINE_BYTES_MAX) {
        call_parse(call);
    } else {
        enum err_code code = wire_get_result(body, call->message_count, &result, &err);
        end_with_result(call, code, result, &err);
    }
}

/* Other addresses of the name are used before this one, for a while. */
static void skip_address(struct call *call) LOOP_THREAD
{
    if (call->route->name != NULL) {
        resolver_refused(call->route->name, call->address, clock_monotonic_us() / 1000);
    }
}

/* True if the call goes on with another address of the name: nothing was sent yet, so it is the same call. */
static bool try_other_address(struct call *call) LOOP_THREAD
{
    uint64_t now_us = clock_monotonic_us();
    struct resolver_name *name = call->route->name;
    if (name == NULL) {
        return false;
    }
    skip_address(call);
    call->addresses_tried++;
    if (call->addresses_tried >= resolver_address_count(name) || now_us >= call->deadline_us) {
        return false;
    }
    call_start(call);
    return true;
}

/* True if the call goes on with another connection: the one it was sent on had been kept, and its server closed it
 * without a word, as it may at any time. libcurl sees to that itself, but only five times in the life of a handle. */
static bool try_other_connection(struct call *call) LOOP_THREAD
{
    if (call->answer.head_bytes > 0 || call->resends == RESENDS_MAX || clock_monotonic_us() >= call->deadline_us) {
        return false;
    }
    call->resends++;
    call_start(call);
    return true;
}

/* The transfer of a call failed. */
static void take_failure(struct call *call, const struct transfer_end *end) LOOP_THREAD
{
    const struct answer *answer = &call->answer;
    const enum transfer_outcome outcome = end->outcome;
    bool is_refused = outcome == TRANSFER_REFUSED || (outcome == TRANSFER_LATE && !end->was_sent);

    if ((is_refused && try_other_address(call)) || (end->was_kept && try_other_connection(call))) {
        return;
    }
    if (answer->is_head_done && !answer_is_success(answer)) {
        end_with_status(call); /* 413 and a reset, as some servers do: the status is what it said */
    } else if (answer->is_over && answer->body_bytes > answer->body_bytes_max) {
        call_fail(call, CALL_BAD_ANSWER, "answered with more than %zu bytes, the limit of an answer",
                  answer->body_bytes_max);
    } else if (answer->is_over) {
        call_fail(call, CALL_BAD_ANSWER, "answered with more than %d bytes of header fields", ANSWER_HEAD_BYTES_MAX);
    } else if (answer->codings > ANSWER_CODINGS_MAX) {
        call_fail(call, CALL_WRONG_TYPE, "answered with more than %d encoding, one within another", ANSWER_CODINGS_MAX);
    } else if (call->is_starved || answer->body.overflow) {
        call_fail(call, CALL_UNREACHABLE, "was cut off: the answers of all calls together need more than %d bytes",
                  ANSWERS_BYTES_MAX);
    } else if (outcome == TRANSFER_GARBLED) {
        call_fail(call, CALL_WRONG_TYPE, "answered with a Content-Encoding that cannot be undone: %s", end->reason);
    } else if (outcome == TRANSFER_UNTRUSTED) {
        skip_address(call); /* the other addresses are for the next calls: this is to be heard of */
        call_fail(call, CALL_UNREACHABLE, "was not called: its certificate is not to be trusted: %s", end->reason);
    } else if (outcome == TRANSFER_LATE && end->was_sent) {
        call_fail(call, CALL_TIMEOUT, "did not answer in time: %s", end->reason);
    } else {
        call_fail(call, CALL_UNREACHABLE, "could not be called: %s", end->reason);
    }
}

static bool on_line(void *context, struct slice line)
{
    struct call *call = context;
    return answer_take_line(&call->answer, line);
}

static bool on_body(void *context, struct slice bytes)
{
    struct call *call = context;
    struct dispatcher *dispatcher = call->dispatcher;

    if (bytes.size > ANSWERS_BYTES_MAX - dispatcher->answer_bytes) {
        call->is_starved = true;
        return false;
    }
    call->answer_bytes += bytes.size;
    dispatcher->answer_bytes += bytes.size;
    return answer_take_body(&call->answer, bytes);
}

static void on_ended(void *context, const struct transfer_end *end)
{
    thread_assume(&thread_loop);
    struct call *call = context;
    check(call->phase == PHASE_FLYING);
    if (call->route->name != NULL && end->was_sent) {
        resolver_worked(call->route->name, call->address);
    }
    if (end->outcome == TRANSFER_DONE) {
        take_answer(call);
    } else {
        take_failure(call, end);
    }
}

/* ---- one call: its beginning -------------------------------------------------------------------------- */

static struct call *call_create(struct dispatcher *dispatcher) LOOP_THREAD
{
    struct call *call = calloc(1, sizeof(*call));
    check(call != NULL);
    call->dispatcher = dispatcher;
    buf_init(&call->request, REQUEST_BYTES_MAX);
    call->transfer = transfer_create(dispatcher->transfers, call);
    return call;
}

/* A call whose end was told becomes an idle one. */
static void call_recycle(struct call *call) LOOP_THREAD
{
    struct dispatcher *dispatcher = call->dispatcher;
    dispatcher->request_bytes -= call->request.size;
    dispatcher->answer_bytes -= call->answer_bytes;
    call->answer_bytes = 0;
    if (call->request.capacity > REQUEST_KEPT_BYTES_MAX) {
        buf_done(&call->request);
    }
    buf_clear(&call->request);
    answer_begin(&call->answer, 1);
    routes_put(dispatcher->routes, TAKE(call->route));
    call_move(call, PHASE_IDLE);
}

/* Sends the call on its way. */
static void call_fly(struct call *call, uint64_t now_us) LOOP_THREAD
{
    const struct route *route = call->route;
    const struct transfer_post post = {
        .peer = route->peer,
        .address = route->name == NULL ? NULL : call->address,
        .body = buf_slice(&call->request),
        .deadline_us = call->deadline_us,
        .connect_ms = route->endpoint->connect_ms,
    };
    struct err err;

    answer_begin(&call->answer, route->endpoint->answer_bytes_max);
    call->is_starved = false;
    call_move(call, PHASE_FLYING);
    if (transfer_begin(call->transfer, &post, now_us, &err) != ERR_NONE) {
        call_fail(call, CALL_UNREACHABLE, "could not be called: %s", err.text);
    }
}

/* True if a call over TLS has to wait for the next turn. */
static bool must_hold(struct dispatcher *dispatcher, const struct call *call)
{
    if (!call->route->is_https || transfers_have_free_tls(dispatcher->transfers)) {
        return false;
    }
    if (dispatcher->tls_new_left == 0) {
        return true;
    }
    dispatcher->tls_new_left--;
    return false;
}

/* Goes on with a call that is not under way: to the look-up, into the hold, or on its way. */
static void call_start(struct call *call)
{
    struct dispatcher *dispatcher = call->dispatcher;
    uint64_t now_us = clock_monotonic_us();

    if (now_us >= call->deadline_us) {
        call_fail(call, CALL_UNREACHABLE, "could not be called: the call's deadline passed before it was sent");
        return;
    }
    if (must_hold(dispatcher, call)) {
        call_wait(call, PHASE_HELD);
        return;
    }
    if (call->route->name != NULL) {
        const char *address = resolver_next(dispatcher->resolver, call->route->name, &call->waiter, now_us / 1000);
        if (address == NULL) {
            dispatcher->needs_helper = true;
            call_wait(call, PHASE_NAMED);
            return;
        }
        (void)snprintf(call->address, sizeof(call->address), "%s", address);
    }
    call_fly(call, now_us);
}

static void on_name_ready(struct resolver_waiter *waiter, const char *error)
{
    thread_assume(&thread_loop);
    struct call *call = container_of(waiter, struct call, waiter);
    if (error != NULL) {
        call_fail(call, CALL_UNREACHABLE, "could not be called: its host's name was not found: %s", error);
    } else {
        call_start(call);
    }
}

void dispatcher_call(struct dispatcher *dispatcher, const struct effect_call *effect, const char *store_id_hex)
{
    struct link *idle = list_first(&dispatcher->lists[PHASE_IDLE]);
    struct call *call = idle != NULL ? container_of(idle, struct call, link) : call_create(dispatcher);
    struct err err;

    dispatcher->in_flight++;
    check(dispatcher->in_flight <= dispatcher->options.calls_in_flight_max); /* the engine's credit */
    call->number = effect->call;
    call->message_count = effect->message_count;
    call->addresses_tried = 0;
    call->resends = 0;
    call->begun_us = clock_monotonic_us();
    call->deadline_us = call->begun_us + (uint64_t)effect->timeout_ms * 1000;
    call->waiter.ready = on_name_ready;
    call->ended = (struct input_result){0};
    wire_put_call(&call->request, effect, store_id_hex);
    dispatcher->request_bytes += call->request.size;
    if (call->request.overflow) {
        call_fail(call, CALL_UNREACHABLE, "A request of over %d bytes could not be made.", REQUEST_BYTES_MAX);
        return;
    }
    transfer_set_traceparent(call->transfer,
                             effect->message_count == 1 ? effect->messages[0].traceparent : SLICE_EMPTY);
    if (routes_get(dispatcher->routes, effect->endpoint, effect->target.name, &call->route, &err) != ERR_NONE) {
        call_fail(call, CALL_UNREACHABLE, "%s", err.text);
        return;
    }
    call_start(call);
}

/* ---- the dispatcher ----------------------------------------------------------------------------------- */

/* One line of what is wrong stands for all. */
static enum err_code load_tls(struct dispatcher *dispatcher, struct err *err)
{
    struct buf messages CLEANUP(buf_done);
    buf_init(&messages, LIMIT_ARENA_BYTES_MAX);
    if (tls_load(dispatcher->options.registry, &dispatcher->tls, &messages) == ERR_NONE) {
        return ERR_NONE;
    }
    const uint8_t *end = memchr(messages.data, '\n', messages.size);
    check(end != NULL);
    return err_set(err, ERR_CONFIG, "%.*s", (int)(end - messages.data), (const char *)messages.data);
}

enum err_code dispatcher_create(const struct dispatcher_options *options, struct dispatcher **out, struct err *err)
{
    const struct transfers_options transfers = {.loop = options->loop,
                                                .connections_max = options->calls_in_flight_max,
                                                .take_line = on_line,
                                                .take_body = on_body,
                                                .ended = on_ended};
    check(options->calls_in_flight_max > 0);
    struct dispatcher *dispatcher = calloc(1, sizeof(*dispatcher));
    check(dispatcher != NULL);
    dispatcher->options = *options;
    dispatcher->tls_new_left = TLS_NEW_PER_TURN_MAX;
    if (load_tls(dispatcher, err) != ERR_NONE ||
        transfers_create(&transfers, &dispatcher->transfers, err) != ERR_NONE) {
        dispatcher_destroy(dispatcher);
        return err->code;
    }
    dispatcher->resolver = resolver_create(options->helper);
    dispatcher->routes = routes_create(options->registry, dispatcher->resolver, dispatcher->tls);
    *out = dispatcher;
    return ERR_NONE;
}

/* Takes a call out of whatever it is in, and frees it. */
static void call_abort(struct call *call) LOOP_THREAD
{
    struct dispatcher *dispatcher = call->dispatcher;
    transfer_destroy(TAKE(call->transfer));
    if (call->phase == PHASE_NAMED) {
        resolver_leave(call->route->name, &call->waiter);
    } else if (call->phase == PHASE_PARSED) {
        parse_forget(TAKE(call->parse));
    } else if (call->phase == PHASE_ENDED) {
        result_destroy(call->ended.take_result);
    }
    call_recycle(call);
    list_remove(&dispatcher->lists[PHASE_IDLE], &call->link);
    buf_done(&call->request);
    answer_done(&call->answer);
    free(call);
}

void dispatcher_destroy(struct dispatcher *dispatcher)
{
    if (dispatcher == NULL) {
        return;
    }
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        struct link *first = NULL;
        while ((first = list_first(&dispatcher->lists[phase])) != NULL) {
            call_abort(container_of(first, struct call, link));
        }
    }
    transfers_destroy(dispatcher->transfers);
    routes_destroy(dispatcher->routes);
    tls_unload(dispatcher->tls);
    resolver_destroy(dispatcher->resolver);
    heap_done(&dispatcher->deadlines);
    free(dispatcher);
}

uint32_t dispatcher_take(struct dispatcher *dispatcher, struct input *out_inputs, uint32_t max)
{
    struct link *first = NULL;
    uint32_t count = 0;

    while ((first = list_first(&dispatcher->lists[PHASE_TAKEN])) != NULL) {
        call_recycle(container_of(first, struct call, link));
    }
    while (count < max && (first = list_first(&dispatcher->lists[PHASE_ENDED])) != NULL) {
        struct call *call = container_of(first, struct call, link);
        out_inputs[count++] = (struct input){.kind = INPUT_RESULT, .result = call->ended};
        call->ended.take_result = NULL;
        dispatcher->in_flight--;
        call_move(call, PHASE_TAKEN);
    }
    count_bytes(dispatcher);
    return count;
}

bool dispatcher_has_ended(const struct dispatcher *dispatcher)
{
    return dispatcher->lists[PHASE_ENDED].count > 0;
}

static void end_overdue(struct dispatcher *dispatcher, uint64_t now_us) LOOP_THREAD
{
    struct heap_node *first = NULL;
    while ((first = heap_peek(&dispatcher->deadlines)) != NULL && first->due * 1000 <= now_us) {
        struct call *call = container_of(first, struct call, due);
        bool is_named = call->phase == PHASE_NAMED;
        if (is_named) {
            resolver_leave(call->route->name, &call->waiter);
        }
        call_fail(call, CALL_UNREACHABLE, "could not be called: the call's deadline passed %s",
                  is_named ? "while its host's name was looked up" : "before it was sent");
    }
}

void dispatcher_run(struct dispatcher *dispatcher)
{
    uint64_t now_us = clock_monotonic_us();

    dispatcher->needs_helper = resolver_run(dispatcher->resolver);
    end_overdue(dispatcher, now_us);
    dispatcher->tls_new_left = TLS_NEW_PER_TURN_MAX;
    for (size_t left = dispatcher->lists[PHASE_HELD].count; left > 0; left--) {
        call_start(container_of(list_first(&dispatcher->lists[PHASE_HELD]), struct call, link));
    }
    for (size_t left = dispatcher->lists[PHASE_STUCK].count; left > 0; left--) {
        call_parse(container_of(list_first(&dispatcher->lists[PHASE_STUCK]), struct call, link));
    }
    transfers_run(dispatcher->transfers, now_us);
}

int dispatcher_timeout_ms(struct dispatcher *dispatcher)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t due_us = transfers_due_us(dispatcher->transfers);
    struct heap_node *first = heap_peek(&dispatcher->deadlines);

    if (dispatcher_has_ended(dispatcher) || dispatcher->lists[PHASE_HELD].count > 0) {
        return 0;
    }
    if (first != NULL && first->due * 1000 < due_us) {
        due_us = first->due * 1000;
    }
    bool wants_helper = dispatcher->needs_helper || dispatcher->lists[PHASE_STUCK].count > 0;
    if (wants_helper && now_us + HELPER_RETRY_MS * 1000 < due_us) {
        due_us = now_us + HELPER_RETRY_MS * 1000;
    }
    if (due_us == UINT64_MAX) {
        return -1;
    }
    uint64_t left_ms = due_us <= now_us ? 0 : (due_us - now_us + 999) / 1000;
    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}
