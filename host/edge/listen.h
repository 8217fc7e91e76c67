/* SPDX-License-Identifier: Apache-2.0
 *
 * listen.h: a listening socket, with a sentence for people when there is none. Any thread; no state.
 */
#pragma once

#include <stdint.h>

#include "err.h"

/* Listens on a numeric IPv4 or IPv6 address; port 0: any free one, *out_port says which. ERR_IN_USE if somebody else
 * has it, ERR_CONFIG if the text is no address. Closed with close(2). */
MUST_USE enum err_code listen_open(const char *address, uint16_t port, int *out_fd, uint16_t *out_port,
                                   struct err *err);
