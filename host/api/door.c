/* SPDX-License-Identifier: Apache-2.0 */
#include "door.h"

#include "check.h"
#include "clock.h"

/* A waiter: 4 bits resource, 4 bits door, and the server's own id, which at 100,000 requests a second lasts five
 * years. */
enum { RESOURCE_SHIFT = 60, DOOR_SHIFT = 56, NIBBLE = 0x0F };
#define ID_MASK ((UINT64_C(1) << DOOR_SHIFT) - 1)
_Static_assert(DOORS_MAX <= NIBBLE + 1, "a door has four bits");

uint64_t door_waiter(const struct door *door, uint64_t id, uint32_t resource)
{
    check(resource <= NIBBLE && id <= ID_MASK);
    return (uint64_t)resource << RESOURCE_SHIFT | (uint64_t)door->index << DOOR_SHIFT | id;
}

uint32_t door_index_of(uint64_t waiter)
{
    return (uint32_t)(waiter >> DOOR_SHIFT) & NIBBLE;
}

uint32_t door_resource_of(uint64_t waiter)
{
    return (uint32_t)(waiter >> RESOURCE_SHIFT);
}

uint64_t door_id_of(uint64_t waiter)
{
    return waiter & ID_MASK;
}

/* Counts and logs an answer, before it ends the request. */
static void note(const struct door *door, uint64_t id, const char *hex, int status)
{
    const struct http_request *request = http_server_request(door->server, id);

    metrics_add(door->metrics, METRIC_HTTP_REQUESTS, 1);
    if (request == NULL) {
        return; /* closing the server took it */
    }
    const uint64_t duration_us = clock_monotonic_us() - request->arrived_us;
    log_event(door->log, LOG_DEBUG, "http.request", LOG_TEXT("method", request->method),
              LOG_TEXT("path", request->path), LOG_NUMBER("status", status), LOG_NUMBER("duration_us", duration_us),
              LOG_STRING("invocation", hex), LOG_TEXT("traceparent", request->traceparent));
}

void door_answer(const struct door *door, uint64_t id, const char *hex, const struct http_answer *answer)
{
    struct http_answer one = *answer;
    const struct http_header header = {"Proa-Invocation", hex};

    one.headers = &header;
    one.header_count = 1;
    note(door, id, hex, one.status);
    http_server_answer(door->server, id, &one);
}

void door_problem(const struct door *door, uint64_t id, const char *methods, const struct problem *problem)
{
    const struct http_header headers[] = {{"Proa-Invocation", problem->invocation}, {"Allow", methods}};

    note(door, id, problem->invocation, err_http_status(problem->code));
    problem_answer(door->server, id, problem, headers, problem->code == ERR_METHOD_NOT_ALLOWED ? 2 : 1);
}

void door_options(const struct door *door, uint64_t id, const char *hex, const char *methods)
{
    const struct http_header headers[] = {{"Proa-Invocation", hex}, {"Allow", methods}};
    const struct http_answer one = {.status = 204, .headers = headers, .header_count = 2};

    note(door, id, hex, one.status);
    http_server_answer(door->server, id, &one);
}
