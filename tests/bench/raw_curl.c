/* SPDX-License-Identifier: Apache-2.0
 *
 * raw_curl.c: what libcurl's multi interface allows: the same call over and over, so many at a time, nothing else.
 *
 * Usage: raw_curl URL BODY_FILE IN_FLIGHT MILLISECONDS; prints {"calls_per_s": N, "cpu_us_per_call": N}.
 */
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum { BODY_BYTES_MAX = 65536, IN_FLIGHT_MAX = 1024, FD_MAX = 8192, EVENTS_MAX = 256 };

static int epoll_fd;
static uint32_t registered[FD_MAX]; /* epoll events by descriptor; kept between calls */
static long timeout_ms = -1;

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    (void)easy;
    (void)context;
    (void)unused;
    uint32_t wanted = (what == CURL_POLL_IN || what == CURL_POLL_INOUT ? (uint32_t)EPOLLIN : 0) |
                      (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? (uint32_t)EPOLLOUT : 0);
    if (wanted != 0 && wanted != registered[fd] && fd < FD_MAX) {
        struct epoll_event event = {.events = wanted, .data.fd = fd};
        (void)epoll_ctl(epoll_fd, registered[fd] == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
        registered[fd] = wanted;
    }
    return 0;
}

static int on_timer(CURLM *multi, long wanted_ms, void *context)
{
    (void)multi;
    (void)context;
    timeout_ms = wanted_ms;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static uint64_t reap(CURLM *multi, int goes_on)
{
    CURLMsg *message = NULL;
    int left = 0;
    uint64_t count = 0;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        if (message->data.result != CURLE_OK) {
            (void)fprintf(stderr, "raw_curl: %s\n", curl_easy_strerror(message->data.result));
            exit(1);
        }
        (void)curl_multi_remove_handle(multi, easy);
        count++;
        if (goes_on) {
            (void)curl_multi_add_handle(multi, easy);
        }
    }
    return count;
}

static CURL *make_call(const char *url, const char *body, size_t size, struct curl_slist *headers)
{
    CURL *easy = curl_easy_init();
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)size);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 120000L);
    return easy;
}

static size_t read_body(const char *path, char body[BODY_BYTES_MAX])
{
    FILE *file = fopen(path, "rb");
    size_t size = file == NULL ? 0 : fread(body, 1, BODY_BYTES_MAX, file);
    if (file == NULL || size == 0) {
        (void)fprintf(stderr, "raw_curl: %s cannot be read\n", path);
        exit(1);
    }
    (void)fclose(file);
    return size;
}

int main(int argc, char **argv)
{
    static char body[BODY_BYTES_MAX];
    static CURL *calls[IN_FLIGHT_MAX];
    struct epoll_event events[EVENTS_MAX];
    int running = 0;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: raw_curl URL BODY_FILE IN_FLIGHT MILLISECONDS\n");
        return 2;
    }
    size_t size = read_body(argv[2], body);
    unsigned long in_flight = strtoul(argv[3], NULL, 10);
    in_flight = in_flight == 0 ? 1 : in_flight > IN_FLIGHT_MAX ? IN_FLIGHT_MAX : in_flight;
    double seconds = (double)strtoul(argv[4], NULL, 10) / 1000;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CURLM *multi = curl_multi_init();
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IN_FLIGHT_MAX);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
    headers = curl_slist_append(headers, "Expect:");
    for (unsigned long i = 0; i < in_flight; i++) {
        calls[i] = make_call(argv[1], body, size, headers);
        (void)curl_multi_add_handle(multi, calls[i]);
    }
    uint64_t count = 0;
    double begun_s = seconds_of(CLOCK_MONOTONIC);
    double cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    while (seconds_of(CLOCK_MONOTONIC) - begun_s < seconds) {
        if (timeout_ms == 0) {
            (void)curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms == 0 ? 0 : 10);
        for (int i = 0; i < ready; i++) {
            int bits = (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (events[i].events & ~(uint32_t)EPOLLOUT ? CURL_CSELECT_IN : 0);
            (void)curl_multi_socket_action(multi, events[i].data.fd, bits, &running);
        }
        count += reap(multi, 1);
    }
    seconds = seconds_of(CLOCK_MONOTONIC) - begun_s;
    cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
    (void)printf("{\"calls_per_s\": %.0f, \"cpu_us_per_call\": %.1f}\n", (double)count / seconds,
                 count == 0 ? 0 : cpu_s * 1e6 / (double)count);
    return 0;
}
