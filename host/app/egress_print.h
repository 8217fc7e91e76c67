/* SPDX-License-Identifier: Apache-2.0
 *
 * egress_print.h: what waits in the outbox of a stopped host, one JSON object a line.
 *
 *   {"number":7,"time":"2026-01-31T12:00:00.000Z","sender":"example/counter/bob","type":"proa/json","value":{"a":1}}
 *
 * Values that JSON has no form for stand under "base64" instead of "value"; a record without a value has
 * "value":null. Reads the store page by page, so an outbox of any size is printed in bounded memory.
 * Not here: taking records out of it. Thread: any.
 */
#pragma once

#include <stdio.h>

#include "err.h"
#include "store.h"

/* Opens the data folder for reading, prints the records of egress `name` ("namespace/name") in order, closes it. */
MUST_USE enum err_code egress_print(const char *folder, const char *name, FILE *out, struct err *err);
/* The same from an open store. */
MUST_USE enum err_code egress_print_store(struct store *store, const char *name, FILE *out, struct err *err);
