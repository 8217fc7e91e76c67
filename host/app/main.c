/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: the process. Everything it does stands in cli.h.
 */
#include <signal.h>

#include "cli.h"
#include "host.h"

int main(int argument_count, char **argument_list)
{
    (void)signal(SIGPIPE, SIG_IGN); /* before any library starts: a closed connection is an error, not the end */
    return cli_main(argument_count, argument_list, host_serve);
}
