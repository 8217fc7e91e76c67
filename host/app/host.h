/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h: the running host: builds its parts from the options, runs the loop, stops in reverse order.
 */
#pragma once

#include "options.h"
#include "registry.h"

/* Serves until SIGTERM or SIGINT, then stops: takes no more work, answers everybody, finishes the epoch. Takes the
 * registry over, whatever happens. Errors are logged. Returns the exit code of the process: 0 after a clean stop. */
int host_serve(const struct serve_options *options, struct registry *registry);
