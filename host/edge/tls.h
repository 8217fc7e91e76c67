/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h: whom calls over https trust, and which certificate they show: the files of the module file, read once.
 *
 * Why: left to libcurl, certificates are read from disk by the loop (the machine's own take 20 ms), and a file that
 * is missing or garbage shows with the first call. Here everything is read and parsed at the start, and a new
 * connection only refers to it. Endpoints that say the same share an identity, and with it their connections.
 * Not here: the handshake, and the names in certificates (libcurl, driven by transfer.c). The only user of
 * OpenSSL. Memory: a set owns its identities. Thread: any to load and unload; while it is used, the loop.
 */
#pragma once

#include "bytes.h"
#include "err.h"
#include "registry.h"

struct tls_set;
struct tls_identity;

/* Reads the files that the endpoints of a registry name, and the machine's certificates if one of them needs those.
 * Each file that cannot be used is a line in `messages`, which begins with where it was asked for; ERR_CONFIG then.
 * Blocks. */
MUST_USE enum err_code tls_load(const struct registry *registry, struct tls_set **out, struct buf *messages);
void tls_unload(struct tls_set *set); /* accepts NULL */
/* The identity of calls to an endpoint; NULL: they do not go over https. Borrowed from the set. */
const struct tls_identity *tls_of(const struct tls_set *set, uint32_t endpoint);
/* What an identity has alone: calls may share connections if it is the same. NUL-terminated. */
const char *tls_name(const struct tls_identity *identity);
/* False: neither certificates nor the names in them are to be looked at. */
bool tls_is_verified(const struct tls_identity *identity);
/* Puts an identity into the settings of a new connection, OpenSSL's SSL_CTX. False: memory is out. */
MUST_USE bool tls_apply(const struct tls_identity *identity, void *ssl_ctx);
