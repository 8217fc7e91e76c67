/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h: the verbs of the command line.
 *
 * Reads arguments, environment and the module file, which nothing below this floor does. Results go to
 * standard output, messages to standard error. Thread: main.
 */
#pragma once

#include "options.h"
#include "registry.h"

/* What a process ends with. */
enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* host_serve, or its stand-in in a test. */
typedef int cli_serve(const struct serve_options *options, struct registry *registry);

/* Does what the command line says; returns the exit code. `argument_list` is main's. */
int cli_main(int argument_count, char *const *argument_list, cli_serve *serve);
