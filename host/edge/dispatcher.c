/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatcher.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "answer.h"
#include "check.h"
#include "clock.h"
#include "heap.h"
#include "list.h"
#include "parse.h"
#include "resolver.h"
#include "route.h"
#include "socks.h"
#include "tls.h"
#include "wire.h"

enum {
    REQUEST_BYTES_MAX = LIMIT_ARENA_BYTES_MAX, /* of one request; the engine's own limits are far below */
    ANSWERS_BYTES_MAX = LIMIT_ARENA_BYTES_MAX, /* of all answers being collected */
    REQUEST_KEPT_BYTES_MAX = 64 << 10,         /* a larger buffer is freed between two calls */
    READ_BYTES_SMALL = 1024, /* libcurl's smallest read buffer: malloc keeps this size at hand, 3 % of a call */
    READ_BYTES_LARGE = 64 << 10,
    TEXT_URL_BYTES_MAX = 200, /* in a sentence for people */
    TEXT_WHY_BYTES_MAX = LIMIT_ERR_TEXT_BYTES_MAX - TEXT_URL_BYTES_MAX - 2,
    HELPER_RETRY_MS = 5,      /* a helper that was full is asked again after this */
    RESENDS_MAX = 3,          /* of one call: each of them takes a dead connection out of those that are kept */
    TLS_NEW_PER_TURN_MAX = 8, /* each new TLS connection costs the loop 1-2 ms */
    HOST_CONNECT_BYTES = RESOLVER_ADDRESS_BYTES + 8,
    TRACE_HEADER_BYTES = LIMIT_TRACEPARENT_BYTES_MAX + 16,
};

/* Where a call is. Each phase is a list; a call is in exactly one. */
enum phase {
    PHASE_IDLE,   /* not in use: an easy handle with its buffers, kept */
    PHASE_NAMED,  /* waits for its host's name to be looked up */
    PHASE_HELD,   /* waits for a turn with room for a new TLS connection */
    PHASE_FLYING, /* libcurl has it */
    PHASE_STUCK,  /* its answer waits for a helper to be free */
    PHASE_PARSED, /* a helper parses its answer */
    PHASE_ENDED,  /* to be taken */
    PHASE_TAKEN,  /* its texts are still being read */
    PHASE_COUNT
};

#define ENCODINGS "gzip,deflate" /* of answers, as StateFun asks for them (R2) */

/* How a call comes by its connection. Debian 12's libcurl breaks a second call on a connection of HTTP/2 without TLS if
 * both are made with prior knowledge (curl's issue 10634). So only who opens a connection is: the others are sent off
 * to find one, and come back if there is none. */
enum sharing {
    SHARING_OF_1_1, /* alone on a connection, which it may open */
    SHARING_SHARE,  /* h2c: among others on a connection that is there or is being made; it must not open one */
    SHARING_OPEN,   /* h2c: the first on a new one */
};

struct call {
    struct link link; /* in dispatcher->lists[phase] */
    enum phase phase;
    struct dispatcher *dispatcher;
    CURL *easy;
    struct heap_node due; /* in dispatcher->deadlines while NAMED or HELD */
    struct resolver_waiter waiter;
    struct parse *parse; /* while PARSED */
    struct route *route;
    bool has_socket;                /* the handle is set up for a Unix socket */
    enum sharing sharing;           /* and for this */
    long read_bytes;                /* and for reads of so many */
    const struct tls_identity *tls; /* the handle is set up for it; NULL: for none yet */

    uint64_t number;
    uint32_t message_count;
    uint32_t addresses_tried;
    uint32_t resends; /* because the kept connection it was sent on turned out to be closed */
    uint64_t begun_us;
    uint64_t deadline_us;
    struct buf request;
    struct answer answer;
    size_t answer_bytes; /* counted in dispatcher->answer_bytes */
    bool is_homeless;    /* ended because SHARING_SHARE found no connection */
    bool is_starved;     /* ended because all answers together are over ANSWERS_BYTES_MAX */
    char address[RESOLVER_ADDRESS_BYTES];

    /* What libcurl reads while it has the call: lists of one or two lines, made by hand to save allocations. */
    struct curl_slist connect_to;
    struct curl_slist trace;
    char connect_text[HOST_CONNECT_BYTES];
    char trace_text[TRACE_HEADER_BYTES];
    char curl_text[CURL_ERROR_SIZE];

    struct input_result ended;
    char text[LIMIT_ERR_TEXT_BYTES_MAX];
};

struct dispatcher {
    struct dispatcher_options options;
    CURLM *multi;
    struct curl_slist *headers;
    struct resolver *resolver;
    struct routes *routes;
    struct tls_set *tls;
    struct list lists[PHASE_COUNT];
    struct heap deadlines;
    uint64_t sequence;
    uint64_t turn; /* number of the newest dispatcher_run */
    struct socks *socks;
    uint64_t curl_due_us; /* UINT64_MAX: libcurl waits for no time */
    size_t request_bytes;
    size_t answer_bytes;
    uint32_t in_flight; /* begun and not yet taken */
    uint32_t tls_flying;
    uint32_t tls_new_left; /* in this turn */
    bool needs_helper;     /* a name waits for a helper to be free */
};

/* ---- sockets and time of libcurl ---------------------------------------------------------------------- */

static void reap(struct dispatcher *dispatcher) LOOP_THREAD;
static void call_start(struct call *call) LOOP_THREAD;
static void call_fly(struct call *call, enum sharing sharing, uint64_t now_us) LOOP_THREAD;

static void on_sock_ready(void *context, int fd, uint32_t events)
{
    thread_assume(&thread_loop);
    struct dispatcher *dispatcher = context;
    int bits = ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) | ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);
    int running = 0;
    check(curl_multi_socket_action(dispatcher->multi, fd, bits, &running) == CURLM_OK);
    reap(dispatcher);
}

/* libcurl says which events of a socket it waits for. */
static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    thread_assume(&thread_loop);
    struct dispatcher *dispatcher = context;
    uint32_t in = what == CURL_POLL_IN || what == CURL_POLL_INOUT ? EPOLLIN : 0;
    uint32_t out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? EPOLLOUT : 0;
    (void)easy;
    (void)unused;
    socks_want(dispatcher->socks, fd, in | out); /* 0 for CURL_POLL_REMOVE */
    return 0;
}

static curl_socket_t on_socket_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    thread_assume(&thread_loop);
    struct call *call = context;
    (void)purpose;
    if (call->sharing == SHARING_SHARE) {
        call->is_homeless = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    socks_open(call->dispatcher->socks, fd, call->route->is_https);
    return fd;
}

static int on_socket_close(void *context, curl_socket_t fd)
{
    thread_assume(&thread_loop);
    struct dispatcher *dispatcher = context;
    socks_close(dispatcher->socks, fd);
    return 0;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
    struct dispatcher *dispatcher = context;
    (void)multi;
    dispatcher->curl_due_us = timeout_ms < 0 ? UINT64_MAX : clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
    return 0;
}

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
    call->ended.has_partial = call->answer.has_partial;
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

    call->route->has_large_answers = call->answer.head_bytes + call->answer.body_bytes > READ_BYTES_SMALL;
    if (!answer_is_success(&call->answer)) {
        end_with_status(call);
    } else if (!call->answer.is_octet_stream) {
        call_fail(call, CALL_WRONG_TYPE, "answered %d without Content-Type: application/octet-stream and nothing more",
                  call->answer.status);
    } else if (call->answer.is_encoded && body.size == 0) {
        call_fail(call, CALL_WRONG_TYPE, "answered with a Content-Encoding and nothing in it"); /* cut short: not R4 */
    } else if (body.size > LIMIT_PARSE_INLINE_BYTES_MAX) {
        call_parse(call);
    } else {
        enum err_code code = wire_get_result(body, call->message_count, &result, &err);
        end_with_result(call, code, result, &err);
    }
}

static bool was_sent(const struct call *call)
{
    long bytes = 0;
    return curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes) == CURLE_OK && bytes > 0;
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
    long connects = 0;
    if (call->answer.head_bytes > 0 || call->resends == RESENDS_MAX || clock_monotonic_us() >= call->deadline_us ||
        curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects) != CURLE_OK || connects > 0) {
        return false;
    }
    call->resends++;
    call_start(call);
    return true;
}

/* There was no connection to share. One call opens one, and what else comes back in this turn waits for that. */
static void find_home(struct call *call) LOOP_THREAD
{
    struct route *route = call->route;
    const bool is_first = route->opened_turn != call->dispatcher->turn;
    uint64_t now_us = clock_monotonic_us();

    if (now_us >= call->deadline_us) {
        call_fail(call, CALL_UNREACHABLE, "could not be called: the call's deadline passed before it was sent");
        return;
    }
    route->opened_turn = call->dispatcher->turn;
    call_fly(call, is_first ? SHARING_OPEN : SHARING_SHARE, now_us);
}

/* Why libcurl gave up on a call. Of a Unix socket that takes no connection it would speak of localhost and port 80. */
static const char *failure_reason(const struct call *call, CURLcode code)
{
    long number = 0;
    if (code == CURLE_COULDNT_CONNECT && call->route->socket != NULL &&
        curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0) {
        return strerror((int)number);
    }
    return call->curl_text[0] == '\0' ? curl_easy_strerror(code) : call->curl_text;
}

/* libcurl gave up on a call. */
static void take_failure(struct call *call, CURLcode code) LOOP_THREAD
{
    const char *why = failure_reason(call, code);
    const struct answer *answer = &call->answer;
    bool is_sent = was_sent(call);
    bool is_timeout = code == CURLE_OPERATION_TIMEDOUT;
    if (call->is_homeless) {
        find_home(call);
        return;
    }
    bool is_refused = code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR || (is_timeout && !is_sent);
    bool is_closed = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;

    if ((is_refused && try_other_address(call)) || (is_closed && try_other_connection(call))) {
        return;
    }
    if (answer->is_head_done && !answer_is_success(answer)) {
        end_with_status(call); /* 413 and a reset, as some servers do: the status is what it said */
    } else if (answer->is_over && answer->body_bytes > answer->body_bytes_max) {
        call_fail(call, CALL_BAD_ANSWER, "answered with more than %zu bytes, the limit of an answer",
                  answer->body_bytes_max);
    } else if (answer->is_over) {
        call_fail(call, CALL_BAD_ANSWER, "answered with more than %d bytes of header fields", ANSWER_HEAD_BYTES_MAX);
    } else if (call->is_starved || answer->body.overflow) {
        call_fail(call, CALL_UNREACHABLE, "was cut off: the answers of all calls together need more than %d bytes",
                  ANSWERS_BYTES_MAX);
    } else if (code == CURLE_BAD_CONTENT_ENCODING) {
        call_fail(call, CALL_WRONG_TYPE, "answered with a Content-Encoding that cannot be undone: %s", why);
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        skip_address(call); /* the other addresses are for the next calls: this is to be heard of */
        call_fail(call, CALL_UNREACHABLE, "was not called: its certificate is not to be trusted: %s", why);
    } else if (is_timeout && is_sent) {
        call_fail(call, CALL_TIMEOUT, "did not answer in time: %s", why);
    } else {
        call_fail(call, CALL_UNREACHABLE, "could not be called: %s", why);
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct call *call = context;
    struct slice line = {(const uint8_t *)data, size * count};
    return answer_take_line(&call->answer, line) ? line.size : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct call *call = context;
    struct dispatcher *dispatcher = call->dispatcher;
    struct slice bytes = {(const uint8_t *)data, size * count};

    if (bytes.size > ANSWERS_BYTES_MAX - dispatcher->answer_bytes) {
        call->is_starved = true;
        return 0;
    }
    call->answer_bytes += bytes.size;
    dispatcher->answer_bytes += bytes.size;
    return answer_take_body(&call->answer, bytes) ? bytes.size : 0;
}

/* Takes over what libcurl has finished. */
static void reap(struct dispatcher *dispatcher)
{
    CURLMsg *message = NULL;
    int left = 0;

    while ((message = curl_multi_info_read(dispatcher->multi, &left)) != NULL) {
        CURLcode code = message->data.result; /* gone with the handle */
        char *context = NULL;
        check(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context) == CURLE_OK);
        struct call *call = (struct call *)(void *)context;
        check(call->phase == PHASE_FLYING);
        check(curl_multi_remove_handle(dispatcher->multi, call->easy) == CURLM_OK);
        dispatcher->tls_flying -= call->route->is_https;
        if (call->route->name != NULL && was_sent(call)) {
            resolver_worked(call->route->name, call->address);
        }
        if (code == CURLE_OK) {
            take_answer(call);
        } else {
            take_failure(call, code);
        }
    }
}

/* ---- one call: its beginning -------------------------------------------------------------------------- */

/* A new connection is about to be encrypted. */
static CURLcode on_tls_begin(CURL *easy, void *ssl_ctx, void *context)
{
    const struct call *call = context;
    (void)easy;
    return tls_apply(call->tls, ssl_ctx) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

#define SET(option, value) code = code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_##option, (value))

/* What is the same for every call. */
static void set_options_once(struct call *call)
{
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    SET(PRIVATE, (void *)call);
    SET(ERRORBUFFER, call->curl_text);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, (void *)call);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, (void *)call);
    SET(OPENSOCKETFUNCTION, on_socket_open);
    SET(OPENSOCKETDATA, (void *)call);
    SET(CLOSESOCKETFUNCTION, on_socket_close);
    SET(CLOSESOCKETDATA, (void *)call->dispatcher);
    SET(NOSIGNAL, 1L);
    SET(QUICK_EXIT, 1L);
    SET(POST, 1L);
    SET(PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 0L);
    SET(PATH_AS_IS, 1L);
    SET(PROXY, "");
    SET(NOPROXY, "*");
    SET(HTTPHEADER, call->dispatcher->headers);
    SET(ACCEPT_ENCODING, ENCODINGS); /* has libcurl undo them; the header itself is one of ours */
    SET(CAINFO, NULL);               /* tls.h has the certificates: libcurl is to read none */
    SET(SSL_CTX_FUNCTION, on_tls_begin);
    SET(SSL_CTX_DATA, (void *)call);
    check(code == CURLE_OK);
}

/* Sets a handle up for calls over TLS. libcurl knows nothing of the identity; but it keeps connections apart whose
 * directories of certificates have different names. Nothing is ever looked for there: tls_apply replaces it. */
static CURLcode set_tls(struct call *call, const struct tls_identity *tls)
{
    const bool is_verified = tls_is_verified(tls);
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    SET(CAPATH, tls_name(tls));
    SET(SSL_VERIFYPEER, is_verified ? 1L : 0L);
    SET(SSL_VERIFYHOST, is_verified ? 2L : 0L);
    call->tls = tls;
    return code;
}

/* Sets a handle up for a version of HTTP, and for the way it comes by its connection. */
static CURLcode set_sharing(struct call *call, enum sharing sharing)
{
    static const long versions[] = {[SHARING_OF_1_1] = CURL_HTTP_VERSION_1_1,
                                    [SHARING_SHARE] = CURL_HTTP_VERSION_2_0,
                                    [SHARING_OPEN] = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE};
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    SET(HTTP_VERSION, versions[sharing]);
    SET(PIPEWAIT, sharing == SHARING_SHARE ? 1L : 0L); /* for a connection that is being made */
    SET(FRESH_CONNECT, sharing == SHARING_OPEN ? 1L : 0L);
    call->sharing = sharing;
    return code;
}

static struct call *call_create(struct dispatcher *dispatcher)
{
    struct call *call = calloc(1, sizeof(*call));
    check(call != NULL);
    call->dispatcher = dispatcher;
    buf_init(&call->request, REQUEST_BYTES_MAX);
    call->easy = curl_easy_init();
    check(call->easy != NULL);
    set_options_once(call);
    check(set_sharing(call, SHARING_OF_1_1) == CURLE_OK);
    return call;
}

static void call_destroy(struct call *call)
{
    curl_easy_cleanup(call->easy);
    buf_done(&call->request);
    answer_done(&call->answer);
    free(call);
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

/* The header `traceparent`, if it is fit to be one; it heads the list that all calls share. */
static struct curl_slist *make_headers(struct call *call, const struct effect_call *effect)
{
    struct slice trace = effect->message_count == 1 ? effect->messages[0].traceparent : SLICE_EMPTY;
    bool is_fit = trace.size > 0 && trace.size <= LIMIT_TRACEPARENT_BYTES_MAX;
    for (size_t i = 0; is_fit && i < trace.size; i++) {
        is_fit = trace.data[i] > ' ' && trace.data[i] < 0x7F;
    }
    if (!is_fit) {
        return call->dispatcher->headers;
    }
    (void)snprintf(call->trace_text, sizeof(call->trace_text), "traceparent: %.*s", (int)trace.size,
                   (const char *)trace.data);
    call->trace = (struct curl_slist){.data = call->trace_text, .next = call->dispatcher->headers};
    return &call->trace;
}

/* With h2c libcurl reads 32 KiB of the connection at a time, and now and then forgets what does not fit. A handle that
 * comes back without having had a connection may still hold its old buffer, and then keeps its size. */
static void set_read_bytes(struct call *call)
{
    bool is_large = call->route->has_large_answers || call->sharing != SHARING_OF_1_1;
    long bytes = is_large ? READ_BYTES_LARGE : READ_BYTES_SMALL;
    if (bytes != call->read_bytes && curl_easy_setopt(call->easy, CURLOPT_BUFFERSIZE, bytes) == CURLE_OK) {
        call->read_bytes = bytes;
    }
}

static void set_options(struct call *call, enum sharing sharing, uint64_t now_us)
{
    CURL *easy = call->easy;
    CURLcode code = CURLE_OK;
    uint64_t left_ms = (call->deadline_us - now_us) / 1000 + 1;
    uint64_t connect_ms = call->route->endpoint->connect_ms;
    struct curl_slist *connect_to = NULL;

    if (call->route->name != NULL) {
        bool is_v6 = strchr(call->address, ':') != NULL;
        (void)snprintf(call->connect_text, sizeof(call->connect_text), "::%s%s%s:", is_v6 ? "[" : "", call->address,
                       is_v6 ? "]" : "");
        call->connect_to = (struct curl_slist){.data = call->connect_text};
        connect_to = &call->connect_to;
    }
    SET(URL, call->route->url);
    SET(POSTFIELDS, call->request.size == 0 ? "" : (const char *)call->request.data);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)call->request.size);
    SET(CONNECT_TO, connect_to);
    SET(TIMEOUT_MS, (long)left_ms);
    SET(CONNECTTIMEOUT_MS, (long)(connect_ms == 0 || connect_ms > left_ms ? left_ms : connect_ms));
    const struct tls_identity *tls = tls_of(call->dispatcher->tls, call->route->endpoint_index);
    if (call->has_socket || call->route->socket != NULL) {
        SET(UNIX_SOCKET_PATH, call->route->socket);
        call->has_socket = call->route->socket != NULL;
    }
    if (sharing != call->sharing) {
        code = code != CURLE_OK ? code : set_sharing(call, sharing);
    }
    if (tls != NULL && tls != call->tls) {
        code = code != CURLE_OK ? code : set_tls(call, tls);
    }
    check(code == CURLE_OK);
    set_read_bytes(call);
    call->curl_text[0] = '\0';
}

#undef SET

/* Gives the call to libcurl, which sends it when dispatcher_run lets it. */
static void call_fly(struct call *call, enum sharing sharing, uint64_t now_us)
{
    struct dispatcher *dispatcher = call->dispatcher;

    answer_begin(&call->answer, call->route->endpoint->answer_bytes_max);
    call->is_starved = false;
    call->is_homeless = false;
    set_options(call, sharing, now_us);
    call_move(call, PHASE_FLYING);
    dispatcher->tls_flying += call->route->is_https;
    CURLMcode code = curl_multi_add_handle(dispatcher->multi, call->easy);
    if (code != CURLM_OK) {
        dispatcher->tls_flying -= call->route->is_https;
        call_fail(call, CALL_UNREACHABLE, "could not be called: %s", curl_multi_strerror(code));
    }
}

/* True if a call over TLS has to wait for the next turn. */
static bool must_hold(struct dispatcher *dispatcher, const struct call *call)
{
    if (!call->route->is_https || dispatcher->tls_flying < socks_tls_count(dispatcher->socks)) {
        return false; /* most likely there is a connection for it */
    }
    if (dispatcher->tls_new_left == 0) {
        return true;
    }
    dispatcher->tls_new_left--;
    return false;
}

/* Goes on with a call that is not with libcurl: to the look-up, into the hold, or on its way. */
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
    call_fly(call, call->route->endpoint->http == HTTP_H2C ? SHARING_SHARE : SHARING_OF_1_1, now_us);
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
    check(curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, make_headers(call, effect)) == CURLE_OK);
    if (routes_get(dispatcher->routes, effect->endpoint, effect->target.name, &call->route, &err) != ERR_NONE) {
        call_fail(call, CALL_UNREACHABLE, "%s", err.text);
        return;
    }
    call_start(call);
}

/* ---- the dispatcher ----------------------------------------------------------------------------------- */

static enum err_code set_up_multi(struct dispatcher *dispatcher, struct err *err)
{
    static const char *const lines[] = {"Content-Type: application/octet-stream", "Accept: application/octet-stream",
                                        ("Accept-Encoding: " ENCODINGS),          "Proa-Features: partial",
                                        ("User-Agent: proa/" PROA_VERSION),       "Expect:"};
    CURLMcode code = CURLM_OK;

    /* Accept-Encoding stands here because libcurl would make its own anew for every call, 7 % of all it does. */
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct curl_slist *grown = curl_slist_append(dispatcher->headers, lines[i]);
        check(grown != NULL);
        dispatcher->headers = grown;
    }
    dispatcher->multi = curl_multi_init();
    if (dispatcher->multi == NULL) {
        return err_set(err, ERR_SYSTEM, "libcurl could not be set up");
    }
#define SET(option, value) \
    code = code != CURLM_OK ? code : curl_multi_setopt(dispatcher->multi, CURLMOPT_##option, (value))
    SET(SOCKETFUNCTION, on_socket_wanted);
    SET(SOCKETDATA, (void *)dispatcher);
    SET(TIMERFUNCTION, on_timer_wanted);
    SET(TIMERDATA, (void *)dispatcher);
    SET(MAXCONNECTS, (long)dispatcher->options.calls_in_flight_max); /* fewer make it reconnect all the time */
    SET(PIPELINING, (long)CURLPIPE_MULTIPLEX);                       /* of h2c; HTTP/1.1 has none */
#undef SET
    if (code != CURLM_OK) {
        return err_set(err, ERR_SYSTEM, "libcurl could not be set up: %s", curl_multi_strerror(code));
    }
    return ERR_NONE;
}

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
    check(options->calls_in_flight_max > 0);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(err, ERR_SYSTEM, "libcurl could not be started");
    }
    struct dispatcher *dispatcher = calloc(1, sizeof(*dispatcher));
    check(dispatcher != NULL);
    dispatcher->options = *options;
    dispatcher->curl_due_us = UINT64_MAX;
    dispatcher->tls_new_left = TLS_NEW_PER_TURN_MAX;
    dispatcher->socks = socks_create(options->loop, on_sock_ready, dispatcher);
    dispatcher->resolver = resolver_create(options->helper);
    dispatcher->routes = routes_create(options->registry, dispatcher->resolver);
    if (load_tls(dispatcher, err) != ERR_NONE || set_up_multi(dispatcher, err) != ERR_NONE) {
        dispatcher_destroy(dispatcher);
        return err->code;
    }
    *out = dispatcher;
    return ERR_NONE;
}

/* Takes a call out of whatever it is in, and frees it. */
static void call_abort(struct call *call) LOOP_THREAD
{
    struct dispatcher *dispatcher = call->dispatcher;
    if (call->phase == PHASE_FLYING) {
        check(curl_multi_remove_handle(dispatcher->multi, call->easy) == CURLM_OK);
    } else if (call->phase == PHASE_NAMED) {
        resolver_leave(call->route->name, &call->waiter);
    } else if (call->phase == PHASE_PARSED) {
        parse_forget(TAKE(call->parse));
    } else if (call->phase == PHASE_ENDED) {
        result_destroy(call->ended.take_result);
    }
    call_recycle(call);
    list_remove(&dispatcher->lists[PHASE_IDLE], &call->link);
    call_destroy(call);
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
    (void)curl_multi_cleanup(dispatcher->multi); /* closes the connections; accepts NULL */
    curl_slist_free_all(dispatcher->headers);
    routes_destroy(dispatcher->routes);
    tls_unload(dispatcher->tls);
    resolver_destroy(dispatcher->resolver);
    heap_done(&dispatcher->deadlines);
    socks_destroy(dispatcher->socks);
    free(dispatcher);
    curl_global_cleanup();
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
    int running = 0;

    dispatcher->turn++;
    dispatcher->needs_helper = resolver_run(dispatcher->resolver);
    end_overdue(dispatcher, now_us);
    dispatcher->tls_new_left = TLS_NEW_PER_TURN_MAX;
    for (size_t left = dispatcher->lists[PHASE_HELD].count; left > 0; left--) {
        call_start(container_of(list_first(&dispatcher->lists[PHASE_HELD]), struct call, link));
    }
    for (size_t left = dispatcher->lists[PHASE_STUCK].count; left > 0; left--) {
        call_parse(container_of(list_first(&dispatcher->lists[PHASE_STUCK]), struct call, link));
    }
    if (dispatcher->curl_due_us <= now_us) {
        dispatcher->curl_due_us = UINT64_MAX;
        check(curl_multi_socket_action(dispatcher->multi, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK);
        reap(dispatcher);
    }
}

int dispatcher_timeout_ms(struct dispatcher *dispatcher)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t due_us = dispatcher->curl_due_us;
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
