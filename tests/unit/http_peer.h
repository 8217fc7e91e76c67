/* SPDX-License-Identifier: Apache-2.0
 *
 * http_peer.h: a function's HTTP server for tests, on a thread of its own: the path says how it behaves.
 *
 * /ok            200, an empty InvocationResponse, Proa-Features: partial
 * /plain         the same without Proa-Features; Content-Type with a parameter and in capitals
 * /interim       103 first, then as /ok
 * /garbage       200, application/octet-stream, no FromFunction
 * /typeless      200, empty, without Content-Type
 * /status/NNN    that status and a short text
 * /wait          503 with Retry-After: 7
 * /wait-date     503 with Retry-After: a date in 2099
 * /silent        never answers
 * /reset         half of an answer, then a reset
 * /refuse-body   413 as soon as the head came
 * /bytes/N       a good answer of N bytes or a little more
 * /header/N      200 with N bytes of header fields
 * /gzip          200, application/octet-stream, Content-Encoding: gzip, the first bytes of such a body
 * /gzip-not      the same, and a body that is not encoded
 * /gzip-twice    200, application/octet-stream, two encodings, one of them of the transfer
 * /cut           the head of a good answer that does not say where its body ends, then nothing
 * /no-content    204, application/octet-stream, which ends with its head
 * /once          answers once on a connection, closes it when asked again
 * /close         answers, then closes without having said so
 * Who speaks TLS to it is closed upon.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_peer;

/* Listens on 127.0.0.1 and 127.0.0.2, on the same free port. */
struct http_peer *http_peer_start(void);
void http_peer_stop(struct http_peer *peer);
uint16_t http_peer_port(const struct http_peer *peer);
uint32_t http_peer_connections(struct http_peer *peer);              /* taken so far */
uint32_t http_peer_requests(struct http_peer *peer);                 /* whole heads seen so far */
uint32_t http_peer_requests_at(struct http_peer *peer, int address); /* those that came to 127.0.0.<address> */
/* The newest request's head, NUL-terminated, copied. */
void http_peer_head(struct http_peer *peer, char *out, uint32_t size);
