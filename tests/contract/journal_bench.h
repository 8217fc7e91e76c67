/* SPDX-License-Identifier: Apache-2.0
 *
 * journal_bench.h: stores with a journal, opened as tests need them; their folders, copied as a crash leaves them.
 */
#pragma once

#include "contract.h"

enum { BENCH_MAP_BYTES = 64 << 20, BENCH_PAGE = 4096 };

/* The next random number below `bound`; the same in every run. */
uint32_t bench_random(uint32_t bound);
void bench_seed(uint64_t seed);

/* A fixture with a folder that is empty; setups of tests. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* How a store is opened. */
struct how {
    bool is_durable;
    bool is_read_only;
    uint64_t checkpoint_bytes;
    uint32_t checkpoint_ms;
};
extern const struct how bench_rarely; /* no checkpoint but those asked for */

enum err_code bench_try_open(struct fixture *fixture, const char *folder, const struct how *how);
void bench_open(struct fixture *fixture, const char *folder, const struct how *how); /* must go well */
void bench_close(struct fixture *fixture);

void folder_path(char *path, size_t size, const char *folder, const char *name);
/* A copy of a file as it is now, zeros without blocks of their own. */
void folder_copy_file(const char *from_folder, const char *to_folder, const char *name);
/* Copies the files that the next start looks at. */
void folder_copy(const char *from, const char *to);
