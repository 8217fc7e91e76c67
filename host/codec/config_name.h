/* SPDX-License-Identifier: Apache-2.0
 *
 * config_name.h: the names, URLs and paths that a configuration holds. Included by config*.c only.
 *
 * Each check says in a sentence what is wrong, and what to write. Thread: any; no state.
 */
#pragma once

#include "bytes.h"
#include "err.h"

/* A URL of an endpoint: http or https and a host, or http+unix and a socket; no credentials, {function.name} only in
 * its path. */
MUST_USE enum err_code config_check_url(struct slice url, struct err *err);
/* True if calls to this URL are encrypted. */
bool config_is_https(struct slice url);
/* The path of the Unix socket in a URL that was checked: of http+unix:///run/f.sock/a/b it is /run/f.sock. Empty: the
 * URL names a host. */
struct slice config_socket_of(struct slice url);
/* A pattern of functions: namespace/name or namespace/ and a star; outside the host's own namespaces. */
MUST_USE enum err_code config_check_pattern(struct slice text, struct slice *out_space, struct slice *out_name,
                                            struct err *err);
/* The path of a file, or its URL (file:). */
MUST_USE enum err_code config_check_file(struct slice text, struct err *err);
/* The path in either. */
struct slice config_file_path(struct slice text);
/* The type of a value: namespace/name; within the built-in namespaces only what is there. */
MUST_USE enum err_code config_check_typename(struct slice text, struct err *err);
/* The name of an egress: namespace/name, outside the host's own namespaces. */
MUST_USE enum err_code config_check_name(struct slice text, struct slice *out_space, struct slice *out_name,
                                         struct err *err);
