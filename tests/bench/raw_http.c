/* SPDX-License-Identifier: Apache-2.0
 *
 * raw_http.c: what libmicrohttpd allows: every request suspended, resumed and answered with its body, nothing else.
 *
 * One thread, libmicrohttpd's epoll descriptor waited for from outside, as the host does it.
 * Usage: raw_http; prints {"port": N} once it listens. Ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_BYTES_MAX = 4096, CONNECTIONS_MAX = 4096, RUNS_PER_TURN_MAX = 4 };

struct request {
    struct MHD_Connection *connection;
    struct request *next;
    size_t size;
    int is_resumed;
    char body[BODY_BYTES_MAX];
};

static struct request *waiting; /* suspended in this turn */

static enum MHD_Result answer(struct request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(request->size, request->body, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* tidy: allow parameters: libmicrohttpd's signature */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_size, void **out_request)
{
    (void)context;
    (void)url;
    (void)method;
    (void)version;
    struct request *request = *out_request;
    if (request == NULL) {
        request = calloc(1, sizeof(*request));
        *out_request = request;
        return request == NULL ? MHD_NO : MHD_YES;
    }
    if (*data_size > 0) {
        size_t size = *data_size < BODY_BYTES_MAX - request->size ? *data_size : BODY_BYTES_MAX - request->size;
        memcpy(request->body + request->size, data, size);
        request->size += size;
        *data_size = 0;
        return MHD_YES;
    }
    request->connection = connection;
    if (request->is_resumed) {
        return answer(request);
    }
    MHD_suspend_connection(connection);
    request->next = waiting;
    waiting = request;
    return MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    free(*request);
    *request = NULL;
}

/* Returns whether there was anything to resume: then libmicrohttpd wants to run, though its time-out does not say so.
 */
static int resume_all(void)
{
    int has_resumed = waiting != NULL;
    while (waiting != NULL) {
        struct request *request = waiting;
        waiting = request->next;
        request->is_resumed = 1;
        MHD_resume_connection(request->connection);
    }
    return has_resumed;
}

int main(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &name,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        (void)fprintf(stderr, "raw_http: libmicrohttpd does not start\n");
        return 1;
    }
    (void)printf("{\"port\": %u}\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    struct pollfd polled = {.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN};
    int has_resumed = 0;
    for (;;) {
        MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
        int wait_ms = has_resumed ? 0 : MHD_get_timeout(daemon, &timeout_ms) == MHD_YES ? (int)timeout_ms : -1;
        (void)poll(&polled, 1, wait_ms); /* a signal ends the process, nothing else interrupts */
        for (int i = 0; i < RUNS_PER_TURN_MAX; i++) {
            (void)MHD_run(daemon);
            has_resumed = resume_all();
            if (!has_resumed && (MHD_get_timeout(daemon, &timeout_ms) != MHD_YES || timeout_ms > 0)) {
                break;
            }
        }
    }
}
