/* SPDX-License-Identifier: Apache-2.0
 *
 * small_disk.c: the child says by its exit status that it may not mount.
 */
#define _GNU_SOURCE /* unshare */
#include "small_disk.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_ALLOWED = 77 };

void small_disk_test(struct fixture *fixture, void (*check_disk)(struct fixture *fixture))
{
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
            _exit(NOT_ALLOWED);
        }
        check_disk(fixture);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED) {
        print_message("a small disk cannot be mounted here: the full disk is not tested\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void small_disk_mount(const struct fixture *fixture, unsigned int mebibytes)
{
    char size[32];

    (void)snprintf(size, sizeof size, "size=%um", mebibytes);
    if (mount("proa-test", fixture->folder, "tmpfs", 0, size) != 0) {
        _exit(NOT_ALLOWED);
    }
}
