/* SPDX-License-Identifier: Apache-2.0
 *
 * folder.h: the data folder: made, locked, and a ballast in it for the day the disk is full.
 *
 * Why a ballast: to delete, LMDB first writes new pages. On a full disk nothing could be deleted, so a file
 * of no use holds room that is given up then, and is made again when there is plenty.
 * Not here: what the store keeps in the folder (store_lmdb.h).
 * Thread: one at a time: the committer's, once the host runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum { FOLDER_BALLAST_BYTES = 1 << 20 };

struct folder;

/* Makes the folder if it is missing (not its parents), locks it and, unless read-only, lays the ballast. A
 * read-only folder is locked against hosts, not against other readers. ERR_IN_USE: a process holds it. */
MUST_USE enum err_code folder_open(const char *path, bool is_read_only, struct folder **out, struct err *err);
void folder_close(struct folder *folder); /* accepts NULL */
/* Makes names in the folder, and the folder's own name, outlast a power cut. */
MUST_USE enum err_code folder_sync(struct folder *folder, struct err *err);
bool folder_has(struct folder *folder, const char *name);
/* Makes sure that file `name` has at least `bytes` bytes with blocks of their own, zeros where it had none. */
MUST_USE enum err_code folder_reserve(struct folder *folder, const char *name, uint32_t bytes, struct err *err);
/* Gives the ballast's room up. */
void folder_release_ballast(struct folder *folder);
/* Lays the ballast again if it was released and the disk has plenty of room. Cheap to call often. */
void folder_keep_ballast(struct folder *folder);
/* Bytes this user may still write to the folder's disk, and the disk's size; quotas do not show. Zeros if unknown. */
void folder_room(struct folder *folder, uint64_t *out_free, uint64_t *out_size);
/* Writes so many bytes, and takes them back, to find out if the disk, or a quota, is too full for them. */
bool folder_is_full(struct folder *folder, uint32_t bytes);
