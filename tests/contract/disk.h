/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.h: a disk that loses its power, whenever a test wants it to.
 *
 * What a process writes to the files of a store is there for every other process at once, but a power cut leaves only
 * what was synced, and of the rest whatever it likes, sector by sector. So this takes the place of the C library's
 * writes and syncs, for the host and for LMDB, and keeps beside the watched folder what is sure to be on disk. A sync
 * that fails leaves what it was for in memory, where everybody reads it, and never writes it, as Linux does.
 * Not here: which folder names are sure; the watched folder itself is.
 */
#pragma once

#include <stdint.h>

/* Called before each write, truncation and sync of a watched file, on the thread that makes it, one at a time.
 * `synced`: the name of the file that is to be synced, else NULL. What it returns is what that fails with; 0: it does
 * not. */
typedef int disk_moment(void *context, const char *synced);

/* Watches data.mdb and the journal's files in `folder`: what they hold now is on disk. `durable` is a folder. */
void disk_watch(const char *folder, const char *durable, disk_moment *moment, void *context);
/* Leaves the folder alone. The store in it is closed. */
void disk_unwatch(void);
/* What a start finds in `image`, a folder, if the power is cut now. `random` makes the choice. */
void disk_cut(const char *image, uint64_t random);
