/* SPDX-License-Identifier: Apache-2.0 */
#include "problem.h"

#include <stdio.h>

#include "check.h"
#include "json.h"

enum { BODY_BYTES_MAX = 64 << 10, RETRY_AFTER_TEXT_BYTES = 16 };

/* A function's code and sentence may be long and every byte of it six in JSON; the client gets the beginning. */
enum { TEXT_BYTES_MAX = 4096 };

static struct slice shortened(struct slice text)
{
    size_t size = text.size < TEXT_BYTES_MAX ? text.size : TEXT_BYTES_MAX;

    while (size > 0 && size < text.size && (text.data[size] & 0xC0) == 0x80) {
        size--; /* not within a character */
    }
    return (struct slice){text.data, size};
}

static void put_member(struct buf *out, const char *name, struct slice text)
{
    buf_appendf(out, ",\"%s\":", name);
    json_put_string(out, shortened(text));
}

/* Sentences in the code begin small, as they may follow others; to a client they begin the text. A first word that is
 * more than letters is a name and stays as it is. */
static void put_sentence(struct buf *out, const char *name, struct slice text)
{
    size_t letters = 0;

    while (letters < text.size && text.data[letters] >= 'a' && text.data[letters] <= 'z') {
        letters++;
    }
    buf_appendf(out, ",\"%s\":", name);
    const size_t begin = out->size + 1; /* behind the quote */
    json_put_string(out, shortened(text));
    if (!out->overflow && letters > 0 && letters < text.size && text.data[letters] == ' ') {
        out->data[begin] = (uint8_t)(out->data[begin] - 'a' + 'A');
    }
}

void problem_put(struct buf *out, const struct problem *problem)
{
    const char *name = err_code_name(problem->code);
    const struct slice meaning = slice_of(err_meaning(problem->code));

    buf_appendf(out, "{\"type\":\"urn:proa:problem:%s\"", name);
    put_sentence(out, "title", meaning);
    buf_appendf(out, ",\"status\":%d", err_http_status(problem->code));
    if (problem->is_from_function) {
        put_member(out, "detail", problem->detail); /* its own words stay as they are */
    } else {
        put_sentence(out, "detail", problem->detail.size > 0 ? problem->detail : meaning);
    }
    put_member(out, "code", slice_of(name));
    put_member(out, "source", problem->is_from_function ? SLICE("function") : SLICE("host"));
    if (problem->function_code.size > 0) {
        put_member(out, "function_code", problem->function_code);
    }
    if (problem->invocation != NULL) {
        put_member(out, "invocation", slice_of(problem->invocation));
    }
    buf_append_text(out, "}\n");
}

void problem_answer(struct http_server *server, uint64_t id, const struct problem *problem,
                    const struct http_header *headers, uint32_t header_count)
{
    check(header_count <= PROBLEM_HEADERS_MAX);
    struct http_header all[PROBLEM_HEADERS_MAX + 1];
    char retry_after[RETRY_AFTER_TEXT_BYTES];
    struct buf body;

    for (uint32_t i = 0; i < header_count; i++) {
        all[i] = headers[i];
    }
    const int status = err_http_status(problem->code);
    if (status == 503 || status == 507) {
        const uint32_t seconds = problem->retry_after_ms / 1000 + (problem->retry_after_ms % 1000 > 0 ? 1 : 0);
        (void)snprintf(retry_after, sizeof retry_after, "%u", seconds > 0 ? seconds : 1);
        all[header_count++] = (struct http_header){"Retry-After", retry_after};
    }
    buf_init(&body, BODY_BYTES_MAX);
    problem_put(&body, problem);
    check(!body.overflow); /* every part of it is bounded, so only if memory is out */
    const struct http_answer answer = {.status = status,
                                       .content_type = "application/problem+json",
                                       .body = buf_slice(&body),
                                       .headers = all,
                                       .header_count = header_count};
    http_server_answer(server, id, &answer);
    buf_done(&body);
}
