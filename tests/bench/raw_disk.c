/* SPDX-License-Identifier: Apache-2.0
 *
 * raw_disk.c: what the disk allows: one page written and synced at a time, and one LMDB change committed at a time.
 *
 * Usage: raw_disk FOLDER MILLISECONDS; prints {"fdatasync_per_s": N, "lmdb_commit_per_s": N}.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, FILE_PAGES = 4096, IDS = 10000, VALUE_BYTES = 100 };

static void fail(const char *what)
{
    (void)fprintf(stderr, "raw_disk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void must(int lmdb_code)
{
    if (lmdb_code != 0) {
        (void)fprintf(stderr, "raw_disk: %s\n", mdb_strerror(lmdb_code));
        exit(1);
    }
}

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Pages of a file that was written with zeros first: as a journal would be. */
static double sync_pages(const char *folder, double seconds)
{
    static uint8_t page[PAGE_BYTES];
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/pages", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(path);
    }
    for (int i = 0; i < FILE_PAGES; i++) {
        if (write(fd, page, PAGE_BYTES) != PAGE_BYTES) {
            fail("write");
        }
    }
    if (fsync(fd) != 0) {
        fail("fsync");
    }
    uint64_t count = 0;
    double begun_s = now_s();
    do {
        page[0]++;
        if (pwrite(fd, page, PAGE_BYTES, (off_t)(count % FILE_PAGES * PAGE_BYTES)) != PAGE_BYTES ||
            fdatasync(fd) != 0) {
            fail("fdatasync");
        }
        count++;
    } while (now_s() - begun_s < seconds);
    double rate = (double)count / (now_s() - begun_s);
    (void)close(fd);
    (void)unlink(path);
    return rate;
}

static double commit_changes(const char *folder, double seconds)
{
    MDB_env *env = NULL;
    MDB_dbi dbi = 0;
    uint8_t value[VALUE_BYTES] = {0};
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/lmdb", folder);
    must(mdb_env_create(&env));
    must(mdb_env_set_mapsize(env, (size_t)1 << 30));
    must(mdb_env_open(env, path, MDB_NOSUBDIR, 0600));
    uint64_t count = 0;
    double begun_s = now_s();
    do {
        char key[16];
        MDB_txn *txn = NULL;
        (void)snprintf(key, sizeof(key), "%08u", (unsigned)(count * 2654435761U % IDS));
        MDB_val k = {strlen(key), key};
        MDB_val v = {sizeof(value), value};
        must(mdb_txn_begin(env, NULL, 0, &txn));
        must(mdb_dbi_open(txn, NULL, 0, &dbi));
        must(mdb_put(txn, dbi, &k, &v, 0));
        must(mdb_txn_commit(txn));
        count++;
    } while (now_s() - begun_s < seconds);
    double rate = (double)count / (now_s() - begun_s);
    mdb_env_close(env);
    (void)unlink(path);
    (void)strncat(path, "-lock", sizeof(path) - strlen(path) - 1);
    (void)unlink(path);
    return rate;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: raw_disk FOLDER MILLISECONDS\n");
        return 2;
    }
    double seconds = (double)strtoul(argv[2], NULL, 10) / 1000;
    double pages = sync_pages(argv[1], seconds);
    double commits = commit_changes(argv[1], seconds);
    (void)printf("{\"fdatasync_per_s\": %.0f, \"lmdb_commit_per_s\": %.0f}\n", pages, commits);
    return 0;
}
