/* SPDX-License-Identifier: Apache-2.0
 *
 * small_disk.h: a disk of some megabytes for a test that fills it.
 *
 * In a process and a mount namespace of its own, so that nothing stays behind however the test ends.
 */
#pragma once

#include "contract.h"

/* Runs `check_disk` in a child, which mounts the disk; skips the test where that is not allowed. */
void small_disk_test(struct fixture *fixture, void (*check_disk)(struct fixture *fixture));
/* In that child: an empty disk of so many MiB is the fixture's folder, until it is unmounted. */
void small_disk_mount(const struct fixture *fixture, unsigned int mebibytes);
