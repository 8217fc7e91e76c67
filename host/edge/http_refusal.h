/* SPDX-License-Identifier: Apache-2.0
 *
 * http_refusal.h: the problem document of an answer that the server gives when nobody else does.
 *
 * Thread: loop; no state.
 */
#pragma once

#include "http_server.h"

/* Answers a request not yet answered, with a Retry-After: for codes whose status asks for one (503). `detail` is a
 * sentence that needs no escape in JSON; `invocation` names the request, empty: not known. */
void http_refusal_send(struct http_server *server, uint64_t id, enum err_code code, const char *detail,
                       const char *invocation) LOOP_THREAD;
