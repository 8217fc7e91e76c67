/* SPDX-License-Identifier: Apache-2.0
 *
 * contract.h: a store to be tested, an epoch being filled, the answer to a read.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* This blank line keeps the order. */
#include <cmocka.h>

#include "store.h"
#include "store_journal.h"
#include "store_lmdb.h"
#include "store_memory.h"

enum { CONTRACT_MAP_BYTES = 1 << 30 };

struct fixture {
    bool has_folder;
    bool is_journal; /* store_journal.h, over one of the others */
    char folder[256];
    struct store *store;
    uint64_t number; /* of the last epoch begun */
    struct epoch *epoch;
    struct arena *arena; /* of the last answer */
    struct input_rows rows;
    struct err err;
};

/* Makes a new store; setups of tests. */
int fixture_memory(void **state);
int fixture_lmdb(void **state);
int fixture_journal(void **state);             /* over LMDB, and no checkpoint but those asked for */
int fixture_journal_checkpoints(void **state); /* over LMDB, one after every epoch, in the background */
int fixture_journal_twin(void **state);        /* over the twin, as the first */
int fixture_journal_twin_checkpoints(void **state);
int fixture_teardown(void **state);

/* Fills an epoch; the first call after a commit begins it. */
void fixture_put(struct fixture *fixture, enum store_table table, const char *key, const char *value);
void fixture_put_slice(struct fixture *fixture, enum op_kind kind, enum store_table table, struct slice key,
                       struct slice value);
void fixture_delete(struct fixture *fixture, enum store_table table, const char *key);
/* Adds the epoch's own row, sorts, applies; the epoch is kept only if it is not applied. */
enum store_apply fixture_apply(struct fixture *fixture);
void fixture_commit(struct fixture *fixture); /* must be applied */
void fixture_drop(struct fixture *fixture);   /* forgets an epoch that was not applied */

/* Figures once everything is where it belongs. */
struct store_figures fixture_figures(struct fixture *fixture);

/* One read; the answer stands in fixture->rows until the next. */
void fixture_read(struct fixture *fixture, const struct read_range *ranges, uint32_t count, uint32_t rows_max,
                  uint32_t bytes_max);
void fixture_range(struct fixture *fixture, enum range_kind kind, enum store_table table, const char *key);
/* All keys of the answer, separated by spaces. */
void assert_keys(const struct fixture *fixture, const char *expected);
void assert_value(const struct fixture *fixture, uint32_t row, const char *expected);

/* A new folder under the system's place for such, and its removal with all that is in it. */
void folder_make(char *path, size_t size);
void folder_remove(const char *path);
