/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "check.h"

enum {
    BLOCK_BYTES = 64 << 10,
    PLENTY_BYTES = 16 * FOLDER_BALLAST_BYTES, /* free room from which on the ballast is laid again */
    TRIES_SKIPPED = 64,                       /* calls after a ballast that did not fit: a quota may hide the limit */
};

static const char ballast_name[] = "ballast";
static const char probe_name[] = "probe";

struct folder {
    const char *path; /* for messages; lives until folder_open returns */
    int fd;
    int lock_fd;
    bool has_ballast;
    uint32_t tries_skipped;
};

static enum err_code open_folder(struct folder *folder, bool is_read_only, struct err *err)
{
    if (!is_read_only && mkdir(folder->path, 0750) != 0 && errno != EEXIST) {
        return err_set(err, ERR_SYSTEM, "the data folder %s cannot be made: %s; make it, or choose another --data",
                       folder->path, strerror(errno));
    }
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        return err_set(err, ERR_SYSTEM, "the data folder %s cannot be opened: %s", folder->path, strerror(errno));
    }
    return ERR_NONE;
}

/* The lock is flock's: it belongs to the open file, so a second store in this very process is refused too,
 * and the kernel drops it however the process ends. */
static enum err_code lock_folder(struct folder *folder, bool is_read_only, struct err *err)
{
    const int flags = is_read_only ? O_RDONLY : O_RDWR | O_CREAT;

    folder->lock_fd = openat(folder->fd, "lock", flags | O_CLOEXEC, 0640);
    if (folder->lock_fd < 0 && is_read_only && errno == ENOENT) {
        return err_set(err, ERR_SYSTEM, "the data folder %s holds no store", folder->path);
    }
    if (folder->lock_fd < 0) {
        return err_set(err, ERR_SYSTEM, "the data folder %s is not %s: %s; mend that, or choose another --data",
                       folder->path, is_read_only ? "readable" : "writable", strerror(errno));
    }
    if (flock(folder->lock_fd, (is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
        return ERR_NONE;
    }
    if (errno == EWOULDBLOCK) {
        return err_set(err, ERR_IN_USE, "another process holds %s; stop it or choose another --data", folder->path);
    }
    return err_set(err, ERR_SYSTEM, "the data folder %s cannot be locked: %s", folder->path, strerror(errno));
}

enum err_code folder_open(const char *path, bool is_read_only, struct folder **out, struct err *err)
{
    struct folder *folder = calloc(1, sizeof *folder);
    enum err_code code = ERR_NONE;

    check(folder != NULL);
    *folder = (struct folder){.path = path, .fd = -1, .lock_fd = -1};
    code = open_folder(folder, is_read_only, err);
    if (code == ERR_NONE) {
        code = lock_folder(folder, is_read_only, err);
    }
    if (code != ERR_NONE) {
        folder_close(folder);
        return code;
    }
    if (!is_read_only) {
        (void)unlinkat(folder->fd, probe_name, 0); /* of a process that was killed in the middle of it */
        folder_keep_ballast(folder);
    }
    folder->path = NULL;
    *out = folder;
    return ERR_NONE;
}

void folder_close(struct folder *folder)
{
    if (folder == NULL) {
        return;
    }
    if (folder->lock_fd >= 0) {
        (void)close(folder->lock_fd); /* nothing was written through it */
    }
    if (folder->fd >= 0) {
        (void)close(folder->fd);
    }
    free(folder);
}

enum err_code folder_sync(struct folder *folder, struct err *err)
{
    const int parent = openat(folder->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* A parent that this user may not read was there before the folder, and so was the folder's name. */
    const int parent_failed = parent >= 0 ? fsync(parent) : 0;
    if (parent >= 0) {
        (void)close(parent);
    }
    if (parent_failed != 0 || fsync(folder->fd) != 0) {
        return err_set(err, ERR_SYSTEM, "the data folder cannot be synced: %s", strerror(errno));
    }
    return ERR_NONE;
}

/* Fills file `name` from `offset` up to `bytes` bytes, with bytes that no file system can fold away if
 * `is_noise`, else with zeros. False and errno: it did not fit. */
static bool fill(struct folder *folder, const char *name, size_t offset, size_t bytes, bool is_noise)
{
    uint8_t block[BLOCK_BYTES] = {0};
    uint32_t noise = 0x9e3779b9;
    const int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0) {
        return false;
    }
    while (offset < bytes) {
        for (size_t i = 0; is_noise && i < sizeof block; i++) {
            noise = noise * 1664525 + 1013904223;
            block[i] = (uint8_t)(noise >> 24);
        }
        const size_t left = bytes - offset;
        const ssize_t wrote = pwrite(fd, block, left < sizeof block ? left : sizeof block, (off_t)offset);
        if (wrote < 0 && errno != EINTR) {
            break;
        }
        offset += wrote > 0 ? (size_t)wrote : 0;
    }
    const int cause = errno;
    const bool is_whole = offset >= bytes && close(fd) == 0;
    if (!is_whole && offset < bytes) {
        (void)close(fd);
        errno = cause;
    }
    return is_whole;
}

bool folder_has(struct folder *folder, const char *name)
{
    return faccessat(folder->fd, name, F_OK, 0) == 0;
}

enum err_code folder_reserve(struct folder *folder, const char *name, uint32_t bytes, struct err *err)
{
    struct stat stat;
    const bool is_there = fstatat(folder->fd, name, &stat, 0) == 0;
    const size_t size = is_there ? (size_t)stat.st_size : 0;

    if (size < bytes && !fill(folder, name, size, bytes, false)) {
        return err_set(err, ERR_SYSTEM, "%s cannot be written in the data folder: %s", name, strerror(errno));
    }
    return ERR_NONE;
}

void folder_release_ballast(struct folder *folder)
{
    (void)unlinkat(folder->fd, ballast_name, 0); /* missing already: then there is nothing to give up */
    folder->has_ballast = false;
    folder->tries_skipped = 0;
}

/* A ballast of an earlier run is as good as a new one. */
static bool find_ballast(const struct folder *folder)
{
    struct stat stat;

    return fstatat(folder->fd, ballast_name, &stat, 0) == 0 && stat.st_size == FOLDER_BALLAST_BYTES;
}

void folder_keep_ballast(struct folder *folder)
{
    struct statvfs disk;

    if (folder->has_ballast) {
        return;
    }
    if (folder->tries_skipped > 0) {
        folder->tries_skipped--;
        return;
    }
    if (find_ballast(folder)) {
        folder->has_ballast = true;
        return;
    }
    if (fstatvfs(folder->fd, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize < PLENTY_BYTES) {
        return;
    }
    folder->has_ballast = fill(folder, ballast_name, 0, FOLDER_BALLAST_BYTES, true);
    if (!folder->has_ballast) {
        folder_release_ballast(folder);
        folder->tries_skipped = TRIES_SKIPPED;
    }
}

void folder_room(struct folder *folder, uint64_t *out_free, uint64_t *out_size)
{
    struct statvfs disk = {0};

    (void)fstatvfs(folder->fd, &disk); /* then everything stays zero */
    *out_free = (uint64_t)disk.f_bavail * disk.f_frsize;
    *out_size = (uint64_t)disk.f_blocks * disk.f_frsize;
}

bool folder_is_full(struct folder *folder, uint32_t bytes)
{
    const bool is_written = fill(folder, probe_name, 0, bytes, true);
    const int cause = errno;

    (void)unlinkat(folder->fd, probe_name, 0);
    return !is_written && (cause == ENOSPC || cause == EDQUOT);
}
