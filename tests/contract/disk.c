/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.c: the executable's own definitions come before those of the C library, also for liblmdb.
 */
#define _GNU_SOURCE      /* syscall, pwrite64 */
#undef _FILE_OFFSET_BITS /* else one name would be the other here, and liblmdb calls the other */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

enum { FILES = 3, SECTOR = 512, RANGES_MAX = 65536, NAME_MAX_BYTES = 16, PATH_BYTES = 600 };

struct range {
    off_t from;
    off_t end;
};

struct watched {
    bool is_named;   /* its name is on disk */
    bool is_changed; /* since its last sync */
    struct range ranges[RANGES_MAX];
    uint32_t count;
};

static const char names[FILES][NAME_MAX_BYTES] = {"data.mdb", "journal.0", "journal.1"};
static struct watched files[FILES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char watched_folder[256]; /* as the kernel names it; empty: none */
static char durable_folder[256];
static disk_moment *told;
static void *told_context;
static _Thread_local bool is_told; /* what a moment itself writes is not watched */

static int open_in(const char *folder, const char *name, int flags)
{
    char path[PATH_BYTES];

    check(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path);
    return open(path, flags | O_CLOEXEC, 0600);
}

static off_t size_of(int fd)
{
    struct stat stat;

    check(fstat(fd, &stat) == 0);
    return stat.st_size;
}

static void set_size(int fd, off_t size)
{
    check(syscall(SYS_ftruncate, fd, size) == 0);
}

/* Copies a range of what there is; zeros where there is a hole. */
static void copy_range(int from, int to, struct range range)
{
    uint8_t bytes[64 << 10];

    for (off_t at = range.from; at < range.end;) {
        const size_t left = (size_t)(range.end - at);
        const ssize_t got = pread(from, bytes, left < sizeof bytes ? left : sizeof bytes, at);
        check(got >= 0);
        if (got == 0) {
            return;
        }
        check(syscall(SYS_pwrite64, to, bytes, (size_t)got, at) == got);
        at += got;
    }
}

/* Number of the watched file that `fd` is; FILES: it is the folder; -1: none of them. With the mutex held. */
static int number_of(int fd)
{
    char link[64];
    char path[PATH_BYTES];

    if (watched_folder[0] == '\0') {
        return -1;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    const size_t folder_size = strlen(watched_folder);
    if (size < (ssize_t)folder_size || memcmp(path, watched_folder, folder_size) != 0) {
        return -1;
    }
    path[size] = '\0';
    if (path[folder_size] == '\0') {
        return FILES;
    }
    for (int i = 0; i < FILES; i++) {
        if (path[folder_size] == '/' && strcmp(path + folder_size + 1, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* Everything about the file is on disk now. Read anew: the descriptor that was written to may be for that only. */
static void sync_file(int number)
{
    const int real = open_in(watched_folder, names[number], O_RDONLY);
    const int durable = open_in(durable_folder, names[number], O_RDWR | O_CREAT);

    check(real >= 0 && durable >= 0);
    for (uint32_t i = 0; i < files[number].count; i++) {
        copy_range(real, durable, files[number].ranges[i]);
    }
    set_size(durable, size_of(real));
    check(close(durable) == 0 && close(real) == 0);
    files[number].count = 0;
    files[number].is_changed = false;
}

static void add_range(int number, off_t from, off_t end)
{
    struct watched *file = &files[number];
    struct range *last = file->count > 0 ? &file->ranges[file->count - 1] : NULL;

    file->is_changed = true;
    if (last != NULL && last->end == from) {
        last->end = end;
        return;
    }
    check(file->count < RANGES_MAX);
    file->ranges[file->count++] = (struct range){from, end};
}

/* A write through a descriptor that syncs each is on disk at once, and so is nothing else. */
static void note_write(int number, int fd, off_t at, ssize_t wrote)
{
    const int flags = fcntl(fd, F_GETFL);

    if (wrote <= 0) {
        return;
    }
    if ((flags & O_DSYNC) == 0) {
        add_range(number, at, at + wrote);
        return;
    }
    const int real = open_in(watched_folder, names[number], O_RDONLY);
    const int durable = open_in(durable_folder, names[number], O_RDWR | O_CREAT);
    check(real >= 0 && durable >= 0);
    copy_range(real, durable, (struct range){at, at + wrote});
    check(close(durable) == 0 && close(real) == 0);
}

/* Begins one call. Returns the file's number with the mutex held, or -1 without it. Sets *out_cause, unless NULL, to
 * what a sync is to fail with. */
static int begin(int fd, int *out_cause)
{
    if (is_told) {
        return -1;
    }
    check(pthread_mutex_lock(&mutex) == 0);
    const int number = number_of(fd);
    if (number < 0) {
        check(pthread_mutex_unlock(&mutex) == 0);
        return -1;
    }
    is_told = true;
    const int cause = told(told_context, out_cause != NULL && number < FILES ? names[number] : NULL);
    is_told = false;
    if (out_cause != NULL) {
        *out_cause = cause;
    }
    return number;
}

static void end(void)
{
    const int cause = errno;

    check(pthread_mutex_unlock(&mutex) == 0);
    errno = cause;
}

/* ---- in place of the C library's ------------------------------------------------------------------------------- */

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    const int number = begin(fd, NULL);
    const ssize_t wrote = syscall(SYS_pwrite64, fd, bytes, size, at);

    if (number >= 0) {
        note_write(number, fd, at, wrote);
        end();
    }
    return wrote;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    return pwrite(fd, bytes, size, at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    const int number = begin(fd, NULL);
    const off_t at = number >= 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    const ssize_t wrote = syscall(SYS_write, fd, bytes, size);

    if (number >= 0) {
        note_write(number, fd, at, wrote);
        end();
    }
    return wrote;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    const int number = begin(fd, NULL);
    const off_t at = number >= 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    const ssize_t wrote = syscall(SYS_writev, fd, parts, count);

    if (number >= 0) {
        note_write(number, fd, at, wrote);
        end();
    }
    return wrote;
}

int ftruncate(int fd, off_t size)
{
    const int number = begin(fd, NULL);
    const int result = (int)syscall(SYS_ftruncate, fd, size);

    if (number >= 0) {
        files[number].is_changed = true;
        end();
    }
    return result;
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

/* The real disk waits for nothing: it keeps its power. */
static int sync_fd(int fd)
{
    int cause = 0;
    const int number = begin(fd, &cause);

    if (number < 0) {
        return 0;
    }
    for (int i = 0; i < FILES && number == FILES; i++) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof path, "%s/%s", watched_folder, names[i]);
        files[i].is_named = access(path, F_OK) == 0;
    }
    if (number < FILES && cause == 0) {
        sync_file(number);
    } else if (number < FILES) {
        files[number].count = 0; /* it is taken to be written */
        errno = cause;
    }
    end();
    return cause == 0 ? 0 : -1;
}

int fsync(int fd)
{
    return sync_fd(fd);
}

int fdatasync(int fd)
{
    return sync_fd(fd);
}

/* ---- for tests ------------------------------------------------------------------------------------------------- */

void disk_watch(const char *folder, const char *durable, disk_moment *moment, void *context)
{
    char path[PATH_MAX];

    check(pthread_mutex_lock(&mutex) == 0);
    told = moment;
    told_context = context;
    check(realpath(folder, path) != NULL);
    check(snprintf(watched_folder, sizeof watched_folder, "%s", path) < (int)sizeof watched_folder);
    check(snprintf(durable_folder, sizeof durable_folder, "%s", durable) < (int)sizeof durable_folder);
    for (int i = 0; i < FILES; i++) {
        const int fd = open_in(folder, names[i], O_RDONLY);
        const int before = open_in(durable, names[i], O_RDWR | O_CREAT | O_TRUNC);
        check(before >= 0 && close(before) == 0);
        files[i].is_named = fd >= 0;
        files[i].count = 0;
        if (fd >= 0) {
            add_range(i, 0, size_of(fd));
            check(close(fd) == 0);
            sync_file(i);
        }
    }
    check(pthread_mutex_unlock(&mutex) == 0);
}

void disk_unwatch(void)
{
    check(pthread_mutex_lock(&mutex) == 0);
    watched_folder[0] = '\0';
    check(pthread_mutex_unlock(&mutex) == 0);
}

static uint32_t random_below(uint64_t *random, uint32_t bound)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)((*random >> 20) % bound);
}

/* Of what was not synced, some: `quarters` of four sectors, of which those of a page often share their fate. */
static void keep_some(const struct watched *file, int from, int to, uint32_t quarters, uint64_t *random)
{
    enum { PAGE = 4096 };
    bool is_page_kept = false;

    for (uint32_t i = 0; i < file->count; i++) {
        for (off_t at = file->ranges[i].from; at < file->ranges[i].end;) {
            const off_t next = (at / SECTOR + 1) * SECTOR;
            const off_t sector_end = next < file->ranges[i].end ? next : file->ranges[i].end;
            if (at % PAGE == 0 || random_below(random, 4) == 0) {
                is_page_kept = random_below(random, 4) < quarters;
            }
            if (is_page_kept) {
                copy_range(from, to, (struct range){at, sector_end});
            }
            at = sector_end;
        }
    }
}

static void cut_file(int number, const char *image, uint32_t quarters, uint64_t *random)
{
    struct watched *file = &files[number];
    const int real = open_in(watched_folder, names[number], O_RDONLY);

    if (real < 0 || (!file->is_named && random_below(random, 4) >= quarters)) {
        check(real < 0 || close(real) == 0);
        return;
    }
    const int durable = open_in(durable_folder, names[number], O_RDWR | O_CREAT);
    const int out = open_in(image, names[number], O_RDWR | O_CREAT | O_TRUNC);
    check(durable >= 0 && out >= 0);
    copy_range(durable, out, (struct range){0, size_of(durable)});
    set_size(out, size_of(durable));
    if (file->is_changed) {
        keep_some(file, real, out, quarters, random);
        if (random_below(random, 4) < quarters) {
            set_size(out, size_of(real));
        }
    }
    check(close(out) == 0 && close(durable) == 0 && close(real) == 0);
}

void disk_cut(const char *image, uint64_t random)
{
    const uint32_t quarters = random_below(&random, 5);

    check(is_told || pthread_mutex_lock(&mutex) == 0);
    for (int i = 0; i < FILES; i++) {
        cut_file(i, image, quarters, &random);
    }
    check(is_told || pthread_mutex_unlock(&mutex) == 0);
}
