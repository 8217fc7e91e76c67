/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "clock.h"
#include "limit.h"
#include "resolver.h"
#include "socks.h"
#include "spare.h"

enum {
    READ_BYTES_SMALL = 1024, /* libcurl's smallest read buffer: malloc keeps this size at hand, 3 % of a call */
    READ_BYTES_LARGE = 64 << 10,
    HOST_CONNECT_BYTES = RESOLVER_ADDRESS_BYTES + 8,
    TRACE_HEADER_BYTES = LIMIT_TRACEPARENT_BYTES_MAX + 16,
};

#define ENCODINGS "gzip,deflate" /* of answers, as StateFun asks for them (R2) */

/* How a transfer comes by its connection. Debian 12's libcurl breaks a second call on a connection of HTTP/2 without
 * TLS if both are made with prior knowledge (curl's issue 10634). So only who opens a connection is: the others are
 * sent off to find one, and come back if there is none. */
enum sharing {
    SHARING_OF_1_1, /* alone on a connection, which it may open */
    SHARING_SHARE,  /* h2c: among others on a connection that is there or is being made; it must not open one */
    SHARING_OPEN,   /* h2c: the first on a new one */
};

struct peer {
    CURLU *url;   /* libcurl would take the text apart for every call, 2 us of 22 */
    char *socket; /* NULL: none */
    const struct tls_identity *tls;
    bool is_h2c;
    bool has_large_answers; /* the newest answer was */
    uint64_t opened_turn;   /* of the newest connection for many transfers */
};

struct transfer {
    struct transfers *transfers;
    void *context;
    CURL *easy;
    struct transfer_post post;
    size_t received_bytes;
    bool is_flying;   /* libcurl has it */
    bool is_homeless; /* it ends because SHARING_SHARE found no connection */

    /* What the handle is set up for. */
    bool has_socket;
    enum sharing sharing;
    long read_bytes;
    const struct tls_identity *tls; /* NULL: for none yet */

    /* What libcurl reads while it has the transfer: lists of one or two lines, made by hand to save allocations. */
    struct curl_slist connect_to;
    struct curl_slist trace;
    char connect_text[HOST_CONNECT_BYTES];
    char trace_text[TRACE_HEADER_BYTES];
    char error_text[CURL_ERROR_SIZE];
};

struct transfers {
    struct transfers_options options;
    CURLM *multi;
    struct curl_slist *headers;
    struct socks *socks;
    uint64_t due_us;     /* UINT64_MAX: libcurl waits for no time */
    uint64_t turn;       /* number of the newest transfers_run */
    uint32_t tls_flying; /* under way over TLS */
};

/* ---- peers ------------------------------------------------------------------------------------------ */

enum err_code peer_create(const struct peer_options *options, struct peer **out, struct err *err)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    check(peer != NULL);
    peer->url = curl_url();
    check(peer->url != NULL);
    CURLUcode code = curl_url_set(peer->url, CURLUPART_URL, options->url, CURLU_PATH_AS_IS);
    if (code != CURLUE_OK) {
        peer_destroy(peer);
        return err_set(err, ERR_CONFIG, "%s", curl_url_strerror(code));
    }
    if (options->socket != NULL) {
        peer->socket = strdup(options->socket);
        check(peer->socket != NULL);
    }
    peer->tls = options->tls;
    peer->is_h2c = options->is_h2c;
    *out = peer;
    return ERR_NONE;
}

void peer_destroy(struct peer *peer)
{
    if (peer != NULL) {
        curl_url_cleanup(peer->url);
        free(peer->socket);
        free(peer);
    }
}

/* ---- sockets and time of libcurl ---------------------------------------------------------------------- */

static void reap(struct transfers *transfers) LOOP_THREAD;

static void on_sock_ready(void *context, int fd, uint32_t events)
{
    thread_assume(&thread_loop);
    struct transfers *transfers = context;
    int bits = ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) | ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);
    int running = 0;
    check(curl_multi_socket_action(transfers->multi, fd, bits, &running) == CURLM_OK);
    reap(transfers);
}

/* libcurl says which events of a socket it waits for. */
static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    thread_assume(&thread_loop);
    struct transfers *transfers = context;
    uint32_t in = what == CURL_POLL_IN || what == CURL_POLL_INOUT ? EPOLLIN : 0;
    uint32_t out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? EPOLLOUT : 0;
    (void)easy;
    (void)unused;
    socks_want(transfers->socks, fd, in | out); /* 0 for CURL_POLL_REMOVE */
    return 0;
}

static curl_socket_t on_socket_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    thread_assume(&thread_loop);
    struct transfer *transfer = context;
    (void)purpose;
    if (transfer->sharing == SHARING_SHARE) {
        transfer->is_homeless = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    socks_open(transfer->transfers->socks, fd, transfer->post.peer->tls != NULL);
    return fd;
}

static int on_socket_close(void *context, curl_socket_t fd)
{
    thread_assume(&thread_loop);
    struct transfers *transfers = context;
    socks_close(transfers->socks, fd);
    return 0;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
    struct transfers *transfers = context;
    (void)multi;
    transfers->due_us = timeout_ms < 0 ? UINT64_MAX : clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
    return 0;
}

/* ---- one transfer: what comes back -------------------------------------------------------------------- */

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct slice line = {(const uint8_t *)data, size * count};
    transfer->received_bytes += line.size;
    return transfer->transfers->options.take_line(transfer->context, line) ? line.size : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct slice bytes = {(const uint8_t *)data, size * count};
    transfer->received_bytes += bytes.size;
    return transfer->transfers->options.take_body(transfer->context, bytes) ? bytes.size : 0;
}

/* A new connection is about to be encrypted. */
static CURLcode on_tls_begin(CURL *easy, void *ssl_ctx, void *context)
{
    const struct transfer *transfer = context;
    (void)easy;
    return tls_apply(transfer->tls, ssl_ctx) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* ---- one transfer: its options ------------------------------------------------------------------------ */

#define SET(option, value) code = code != CURLE_OK ? code : curl_easy_setopt(transfer->easy, CURLOPT_##option, (value))

/* What is the same for every post. */
static void set_options_once(struct transfer *transfer)
{
    CURLcode code = CURLE_OK;
    SET(PRIVATE, (void *)transfer);
    SET(ERRORBUFFER, transfer->error_text);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, (void *)transfer);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, (void *)transfer);
    SET(OPENSOCKETFUNCTION, on_socket_open);
    SET(OPENSOCKETDATA, (void *)transfer);
    SET(CLOSESOCKETFUNCTION, on_socket_close);
    SET(CLOSESOCKETDATA, (void *)transfer->transfers);
    SET(NOSIGNAL, 1L);
    SET(QUICK_EXIT, 1L);
    SET(POST, 1L);
    SET(PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, "");
    SET(NOPROXY, "*");
    SET(HTTPHEADER, transfer->transfers->headers);
    SET(ACCEPT_ENCODING, ENCODINGS); /* has libcurl undo them; the header itself is one of ours */
    SET(CAINFO, NULL);               /* tls.h has the certificates: libcurl is to read none */
    SET(SSL_CTX_FUNCTION, on_tls_begin);
    SET(SSL_CTX_DATA, (void *)transfer);
    check(code == CURLE_OK);
}

/* Sets a handle up for TLS. libcurl knows nothing of the identity; but it keeps connections apart whose directories of
 * certificates have different names. Nothing is ever looked for there: tls_apply replaces it. */
static CURLcode set_tls(struct transfer *transfer, const struct tls_identity *tls)
{
    const bool is_verified = tls_is_verified(tls);
    CURLcode code = CURLE_OK;
    SET(CAPATH, tls_name(tls));
    SET(SSL_VERIFYPEER, is_verified ? 1L : 0L);
    SET(SSL_VERIFYHOST, is_verified ? 2L : 0L);
    transfer->tls = tls;
    return code;
}

/* Sets a handle up for a version of HTTP, and for the way it comes by its connection. */
static CURLcode set_sharing(struct transfer *transfer, enum sharing sharing)
{
    static const long versions[] = {[SHARING_OF_1_1] = CURL_HTTP_VERSION_1_1,
                                    [SHARING_SHARE] = CURL_HTTP_VERSION_2_0,
                                    [SHARING_OPEN] = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE};
    CURLcode code = CURLE_OK;
    SET(HTTP_VERSION, versions[sharing]);
    SET(PIPEWAIT, sharing == SHARING_SHARE ? 1L : 0L); /* for a connection that is being made */
    SET(FRESH_CONNECT, sharing == SHARING_OPEN ? 1L : 0L);
    transfer->sharing = sharing;
    return code;
}

/* With h2c libcurl reads 32 KiB of the connection at a time, and now and then forgets what does not fit. A handle that
 * comes back without having had a connection may still hold its old buffer, and then keeps its size. */
static void set_read_bytes(struct transfer *transfer)
{
    bool is_large = transfer->post.peer->has_large_answers || transfer->sharing != SHARING_OF_1_1;
    long bytes = is_large ? READ_BYTES_LARGE : READ_BYTES_SMALL;
    if (bytes != transfer->read_bytes && curl_easy_setopt(transfer->easy, CURLOPT_BUFFERSIZE, bytes) == CURLE_OK) {
        transfer->read_bytes = bytes;
    }
}

static struct curl_slist *make_connect_to(struct transfer *transfer, const char *address)
{
    if (address == NULL) {
        return NULL;
    }
    bool is_v6 = strchr(address, ':') != NULL;
    (void)snprintf(transfer->connect_text, sizeof(transfer->connect_text), "::%s%s%s:", is_v6 ? "[" : "", address,
                   is_v6 ? "]" : "");
    transfer->connect_to = (struct curl_slist){.data = transfer->connect_text};
    return &transfer->connect_to;
}

/* What a post says. */
static void set_post(struct transfer *transfer, const struct transfer_post *post)
{
    const struct peer *peer = post->peer;
    CURLcode code = CURLE_OK;

    transfer->post = *post;
    SET(CURLU, peer->url);
    SET(POSTFIELDS, post->body.size == 0 ? "" : (const char *)post->body.data);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)post->body.size);
    SET(CONNECT_TO, make_connect_to(transfer, post->address));
    if (transfer->has_socket || peer->socket != NULL) {
        SET(UNIX_SOCKET_PATH, peer->socket);
        transfer->has_socket = peer->socket != NULL;
    }
    if (peer->tls != NULL && peer->tls != transfer->tls) {
        code = code != CURLE_OK ? code : set_tls(transfer, peer->tls);
    }
    check(code == CURLE_OK);
}

void transfer_set_traceparent(struct transfer *transfer, struct slice value)
{
    struct curl_slist *headers = transfer->transfers->headers;
    bool is_fit = value.size > 0 && value.size <= LIMIT_TRACEPARENT_BYTES_MAX;
    for (size_t i = 0; is_fit && i < value.size; i++) {
        is_fit = value.data[i] > ' ' && value.data[i] < 0x7F;
    }
    if (is_fit) { /* it heads the list that all share */
        (void)snprintf(transfer->trace_text, sizeof(transfer->trace_text), "traceparent: %.*s", (int)value.size,
                       (const char *)value.data);
        transfer->trace = (struct curl_slist){.data = transfer->trace_text, .next = headers};
        headers = &transfer->trace;
    }
    check(curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK);
}

/* ---- one transfer: its way ---------------------------------------------------------------------------- */

/* Gives the transfer to libcurl. */
static CURLMcode fly(struct transfer *transfer, enum sharing sharing, uint64_t now_us) LOOP_THREAD
{
    struct transfers *transfers = transfer->transfers;
    uint64_t left_ms = (transfer->post.deadline_us - now_us) / 1000 + 1;
    uint64_t connect_ms = transfer->post.connect_ms;
    CURLcode code = CURLE_OK;

    SET(TIMEOUT_MS, (long)left_ms);
    SET(CONNECTTIMEOUT_MS, (long)(connect_ms == 0 || connect_ms > left_ms ? left_ms : connect_ms));
    if (sharing != transfer->sharing) {
        code = code != CURLE_OK ? code : set_sharing(transfer, sharing);
    }
    check(code == CURLE_OK);
    set_read_bytes(transfer);
    transfer->error_text[0] = '\0';
    transfer->received_bytes = 0;
    transfer->is_homeless = false;
    CURLMcode multi_code = curl_multi_add_handle(transfers->multi, transfer->easy);
    if (multi_code == CURLM_OK) {
        transfer->is_flying = true;
        transfers->tls_flying += transfer->post.peer->tls != NULL;
    }
    return multi_code;
}

#undef SET

/* Takes the transfer back from libcurl. */
static void land(struct transfer *transfer) LOOP_THREAD
{
    struct transfers *transfers = transfer->transfers;
    check(curl_multi_remove_handle(transfers->multi, transfer->easy) == CURLM_OK);
    transfer->is_flying = false;
    transfers->tls_flying -= transfer->post.peer->tls != NULL;
}

enum err_code transfer_begin(struct transfer *transfer, const struct transfer_post *post, uint64_t now_us,
                             struct err *err)
{
    check(!transfer->is_flying);
    set_post(transfer, post);
    CURLMcode code = fly(transfer, post->peer->is_h2c ? SHARING_SHARE : SHARING_OF_1_1, now_us);
    return code == CURLM_OK ? ERR_NONE : err_set(err, ERR_SYSTEM, "%s", curl_multi_strerror(code));
}

static enum transfer_outcome outcome_of(CURLcode code)
{
    switch ((int)code) { /* most of the hundred codes are none of ours */
    case CURLE_OK:
        return TRANSFER_DONE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return TRANSFER_REFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
        return TRANSFER_UNTRUSTED;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return TRANSFER_CLOSED;
    case CURLE_OPERATION_TIMEDOUT:
        return TRANSFER_LATE;
    case CURLE_BAD_CONTENT_ENCODING:
        return TRANSFER_GARBLED;
    default:
        return TRANSFER_FAILED;
    }
}

/* Why libcurl gave up. Of a Unix socket that takes no connection it would speak of localhost and port 80. */
static const char *reason_of(const struct transfer *transfer, CURLcode code)
{
    long number = 0;
    if (code == CURLE_COULDNT_CONNECT && transfer->post.peer->socket != NULL &&
        curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0) {
        return strerror((int)number);
    }
    return transfer->error_text[0] == '\0' ? curl_easy_strerror(code) : transfer->error_text;
}

static void tell_end(struct transfer *transfer, CURLcode code) LOOP_THREAD
{
    struct transfer_end end = {.outcome = outcome_of(code), .was_sent = true};
    long number = 0;
    if (end.outcome == TRANSFER_DONE) {
        transfer->post.peer->has_large_answers = transfer->received_bytes > READ_BYTES_SMALL;
    } else {
        end.reason = reason_of(transfer, code);
        end.was_sent =
            curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &number) == CURLE_OK && number > 0; /* bytes */
        end.was_kept = end.outcome == TRANSFER_CLOSED &&
                       curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &number) == CURLE_OK && number == 0;
    }
    transfer->transfers->options.ended(transfer->context, &end);
}

/* There was no connection to share. One transfer opens one, and what else comes back in this turn waits for that. */
static void find_home(struct transfer *transfer) LOOP_THREAD
{
    struct transfers *transfers = transfer->transfers;
    struct peer *peer = transfer->post.peer;
    const bool is_first = peer->opened_turn != transfers->turn;
    struct transfer_end end = {.outcome = TRANSFER_FAILED, .reason = "the call's deadline passed before it was sent"};
    uint64_t now_us = clock_monotonic_us();

    if (now_us < transfer->post.deadline_us) {
        peer->opened_turn = transfers->turn;
        CURLMcode code = fly(transfer, is_first ? SHARING_OPEN : SHARING_SHARE, now_us);
        if (code == CURLM_OK) {
            return;
        }
        end.reason = curl_multi_strerror(code);
    }
    transfers->options.ended(transfer->context, &end);
}

/* Takes over what libcurl has finished. */
static void reap(struct transfers *transfers)
{
    CURLMsg *message = NULL;
    int left = 0;

    while ((message = curl_multi_info_read(transfers->multi, &left)) != NULL) {
        CURLcode code = message->data.result; /* gone with the handle */
        char *context = NULL;
        check(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context) == CURLE_OK);
        struct transfer *transfer = (struct transfer *)(void *)context;
        land(transfer);
        if (code != CURLE_OK && transfer->is_homeless) {
            find_home(transfer);
        } else {
            tell_end(transfer, code);
        }
    }
}

struct transfer *transfer_create(struct transfers *transfers, void *context)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));
    check(transfer != NULL);
    transfer->transfers = transfers;
    transfer->context = context;
    transfer->easy = curl_easy_init();
    check(transfer->easy != NULL);
    set_options_once(transfer);
    check(set_sharing(transfer, SHARING_OF_1_1) == CURLE_OK);
    return transfer;
}

void transfer_destroy(struct transfer *transfer)
{
    if (transfer->is_flying) {
        land(transfer);
    }
    curl_easy_cleanup(transfer->easy);
    free(transfer);
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static enum err_code set_up(struct transfers *transfers, struct err *err)
{
    static const char *const lines[] = {"Content-Type: application/octet-stream", "Accept: application/octet-stream",
                                        ("Accept-Encoding: " ENCODINGS),          "Proa-Features: partial",
                                        ("User-Agent: proa/" PROA_VERSION),       "Expect:"};
    CURLMcode code = CURLM_OK;

    /* Accept-Encoding stands here because libcurl would make its own anew for every call, 7 % of all it does. */
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct curl_slist *grown = curl_slist_append(transfers->headers, lines[i]);
        check(grown != NULL);
        transfers->headers = grown;
    }
    transfers->multi = curl_multi_init();
    if (transfers->multi == NULL) {
        return err_set(err, ERR_SYSTEM, "libcurl could not be set up");
    }
#define SET(option, value) \
    code = code != CURLM_OK ? code : curl_multi_setopt(transfers->multi, CURLMOPT_##option, (value))
    SET(SOCKETFUNCTION, on_socket_wanted);
    SET(SOCKETDATA, (void *)transfers);
    SET(TIMERFUNCTION, on_timer_wanted);
    SET(TIMERDATA, (void *)transfers);
    SET(MAXCONNECTS, (long)transfers->options.connections_max);
    SET(PIPELINING, (long)CURLPIPE_MULTIPLEX); /* of h2c; HTTP/1.1 has none */
#undef SET
    if (code != CURLM_OK) {
        return err_set(err, ERR_SYSTEM, "libcurl could not be set up: %s", curl_multi_strerror(code));
    }
    return ERR_NONE;
}

enum err_code transfers_create(const struct transfers_options *options, struct transfers **out, struct err *err)
{
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, spare_malloc, spare_free, spare_realloc, spare_strdup,
                             spare_calloc) != CURLE_OK) {
        return err_set(err, ERR_SYSTEM, "libcurl could not be started");
    }
    spare_open();
    struct transfers *transfers = calloc(1, sizeof(*transfers));
    check(transfers != NULL);
    transfers->options = *options;
    transfers->due_us = UINT64_MAX;
    transfers->socks = socks_create(options->loop, on_sock_ready, transfers);
    if (set_up(transfers, err) != ERR_NONE) {
        transfers_destroy(transfers);
        return err->code;
    }
    *out = transfers;
    return ERR_NONE;
}

void transfers_destroy(struct transfers *transfers)
{
    if (transfers == NULL) {
        return;
    }
    (void)curl_multi_cleanup(transfers->multi); /* accepts NULL */
    curl_slist_free_all(transfers->headers);
    socks_destroy(transfers->socks);
    free(transfers);
    curl_global_cleanup();
    spare_close();
}

void transfers_run(struct transfers *transfers, uint64_t now_us)
{
    int running = 0;
    transfers->turn++;
    if (transfers->due_us <= now_us) {
        transfers->due_us = UINT64_MAX;
        check(curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK);
        reap(transfers);
    }
}

uint64_t transfers_due_us(const struct transfers *transfers)
{
    return transfers->due_us;
}

bool transfers_have_free_tls(const struct transfers *transfers)
{
    return transfers->tls_flying < socks_tls_count(transfers->socks);
}
