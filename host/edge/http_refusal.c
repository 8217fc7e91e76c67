/* SPDX-License-Identifier: Apache-2.0 */
#include "http_refusal.h"

#include <stdio.h>

#include "check.h"

enum { BODY_BYTES_MAX = 768 };

void http_refusal_send(struct http_server *server, uint64_t id, enum err_code code, const char *detail,
                       const char *invocation)
{
    char body[BODY_BYTES_MAX];
    const char *name = err_code_name(code);
    const char *title = err_meaning(code);
    const bool is_named = invocation[0] != 0;
    const struct http_header headers[] = {{"Retry-After", "1"}, {"Proa-Invocation", invocation}};
    /* A clause of ours begins with a small letter, a title does not. */
    const int size = snprintf(body, sizeof body,
                              "{\"type\":\"urn:proa:problem:%s\",\"title\":\"%c%s\",\"status\":%d,\"detail\":\"%s\","
                              "\"code\":\"%s\",\"source\":\"host\"%s%s%s}\n",
                              name, title[0] - 'a' + 'A', title + 1, err_http_status(code), detail, name,
                              is_named ? ",\"invocation\":\"" : "", invocation, is_named ? "\"" : "");

    check(size > 0 && (size_t)size < sizeof body);
    const struct http_answer answer = {.status = err_http_status(code),
                                       .content_type = "application/problem+json",
                                       .body = {(const uint8_t *)body, (size_t)size},
                                       .headers = headers,
                                       .header_count = is_named ? 2 : 1};
    http_server_answer(server, id, &answer);
}
