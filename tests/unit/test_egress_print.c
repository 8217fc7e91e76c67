/* SPDX-License-Identifier: Apache-2.0
 *
 * test_egress_print.c: what `proa egress` prints: one egress among others, over many pages, every form of value, and
 * what is wrong.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "egress_print.h"
#include "keys.h"
#include "record.h"
#include "store_lmdb.h"
#include "store_memory.h"
#include "wire.h"

static struct store *store;
static struct epoch *epoch;
static char *printed;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    store = store_memory_create();
    epoch = epoch_create(1, 64 << 20);
    printed = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(printed);
    store_close(store);
    return 0;
}

static void put(enum store_table table, const struct key *key, const struct buf *value)
{
    assert_false(value->overflow);
    epoch_add(epoch, OP_PUT, table, key_slice(key), buf_slice(value));
}

static void add_egress(uint32_t number, const char *space, const char *name)
{
    struct key key;
    struct buf value;

    buf_init(&value, 4096);
    key_meta_egress(&key, number);
    record_put_egress(&value, slice_of(space), slice_of(name));
    put(STORE_META, &key, &value);
    buf_done(&value);
}

static void add_bytes(uint32_t egress, uint64_t number, struct slice typed_value)
{
    const struct outbox_record record = {
        .number = number,
        .time_ms = UINT64_C(1767225600123),
        .sender = {SLICE("example"), SLICE("counter"), SLICE("b\"o/b")},
        .value = typed_value,
    };
    struct key key;
    struct buf value;

    buf_init(&value, 1 << 20);
    key_outbox(&key, egress, number);
    record_put_outbox(&value, &record);
    put(STORE_OUTBOX, &key, &value);
    buf_done(&value);
}

static void add_record(uint32_t egress, uint64_t number, const char *type, bool has_value, struct slice bytes)
{
    const struct typed_value typed = {.typename_ = slice_of(type), .has_value = has_value, .value = bytes};
    struct buf value;

    buf_init(&value, 1 << 20);
    wire_put_typed_value(&value, &typed);
    add_bytes(egress, number, buf_slice(&value));
    buf_done(&value);
}

static void apply(void)
{
    epoch_sort(epoch);
    assert_int_equal(store_apply(store, epoch, &err), STORE_APPLIED);
    epoch_destroy(epoch);
}

static enum err_code print(const char *name)
{
    size_t size = 0;

    free(printed);
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    const enum err_code code = egress_print_store(store, name, out, &err);
    assert_int_equal(fclose(out), 0);
    return code;
}

#define HEAD(number) \
    "{\"number\":" number ",\"time\":\"2026-01-01T00:00:00.123Z\",\"sender\":\"example/counter/b\\\"o/b\",\"type\":"

static void every_form_of_value(void **state)
{
    (void)state;
    add_egress(1, "a", "b");
    add_record(1, 1, "proa/json", true, SLICE("{\"a\":\r\n [1, \"x\\ny\"]}"));
    add_record(1, 2, "io.statefun.types/string", true, SLICE("\x0A\x02hi"));
    add_record(1, 3, "example/raw", true, SLICE("\0\xFF\x01z"));
    add_record(1, 4, "example/raw", true, SLICE("abc"));
    add_record(1, 5, "example/raw", true, SLICE("a"));
    add_record(1, 6, "example/raw", false, SLICE_EMPTY);
    add_record(1, 7, "io.statefun.types/bool", true, SLICE("\xFF"));
    add_bytes(1, 8, SLICE("\xFF\xFF"));
    apply();
    assert_int_equal(print("a/b"), ERR_NONE);
    assert_string_equal(printed, HEAD("1") "\"proa/json\",\"value\":{\"a\":   [1, \"x\\ny\"]}}\n" /* */
                        HEAD("2") "\"io.statefun.types/string\",\"value\":\"hi\"}\n"              /* */
                        HEAD("3") "\"example/raw\",\"base64\":\"AP8Beg==\"}\n"                    /* */
                        HEAD("4") "\"example/raw\",\"base64\":\"YWJj\"}\n"                        /* */
                        HEAD("5") "\"example/raw\",\"base64\":\"YQ==\"}\n"                        /* */
                        HEAD("6") "\"example/raw\",\"value\":null}\n"                             /* */
                        HEAD("7") "\"io.statefun.types/bool\",\"base64\":\"/w==\"}\n"             /* */
                        HEAD("8") "null,\"typed_value_base64\":\"//8=\"}\n");
}

static void one_egress_over_many_pages(void **state)
{
    (void)state;
    enum { RECORDS = 3000 };
    add_egress(1, "a", "before");
    add_egress(2, "a", "b");
    add_egress(3, "a", "after");
    add_record(1, 7, "proa/json", true, SLICE("\"not this\""));
    add_record(3, 1, "proa/json", true, SLICE("\"nor this\""));
    for (uint64_t i = 1; i <= RECORDS; i++) {
        add_record(2, i * 1000, "proa/json", true, SLICE("1"));
    }
    apply();
    assert_int_equal(print("a/b"), ERR_NONE);
    const char *at = printed;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        char head[64];
        (void)snprintf(head, sizeof head, "{\"number\":%llu,", (unsigned long long)i * 1000);
        assert_memory_equal(at, head, strlen(head));
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
    assert_null(strstr(printed, "this"));
}

static void an_empty_outbox_prints_nothing(void **state)
{
    (void)state;
    add_egress(1, "a", "b");
    apply();
    assert_int_equal(print("a/b"), ERR_NONE);
    assert_string_equal(printed, "");
}

static void what_is_wrong(void **state)
{
    (void)state;
    add_egress(1, "a", "b");
    add_egress(2, "c", "d");
    apply();
    assert_int_equal(print("a/c"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no egress a/c has ever been sent to; known are: a/b, c/d");
    assert_int_equal(print("ab"), ERR_CONFIG);
    assert_string_equal(err.text, "'ab' does not name an egress; write namespace/name");
    assert_int_equal(egress_print("/tmp/proa-there-is-no-such-folder", "a/b", stdout, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "there is no data folder /tmp/proa-there-is-no-such-folder");
    store_memory_fail_reads(store, 1);
    assert_int_equal(print("a/b"), ERR_SYSTEM);
}

static void a_store_without_egresses(void **state)
{
    (void)state;
    apply();
    assert_int_equal(print("a/b"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no egress a/b has ever been sent to, nor has any other");
}

static void rotten_records_are_named(void **state)
{
    (void)state;
    struct key key;
    struct buf value;

    add_egress(1, "a", "b");
    buf_init(&value, 16);
    buf_append_text(&value, "rot");
    key_outbox(&key, 1, 1);
    put(STORE_OUTBOX, &key, &value);
    buf_done(&value);
    apply();
    assert_int_not_equal(print("a/b"), ERR_NONE);
    assert_memory_equal(err.text, "reading the outbox: ", 20);
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "lock", "ballast"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void the_folder_of_a_stopped_host(void **state)
{
    (void)state;
    char folder[] = "/tmp/proa-test-egress-XXXXXX";
    struct store *disk = NULL;
    size_t size = 0;

    assert_non_null(mkdtemp(folder));
    const struct store_lmdb_options options = {.folder = folder, .map_bytes = 1 << 24, .is_not_durable = true};
    assert_int_equal(store_lmdb_open(&options, &disk, &err), ERR_NONE);
    add_egress(1, "a", "b");
    add_record(1, 1, "proa/json", true, SLICE("1"));
    epoch_sort(epoch);
    assert_int_equal(store_apply(disk, epoch, &err), STORE_APPLIED);
    epoch_destroy(epoch);
    FILE *out = open_memstream(&printed, &size);
    assert_int_equal(egress_print(folder, "a/b", out, &err), ERR_IN_USE);
    store_close(disk);
    assert_int_equal(egress_print(folder, "a/b", out, &err), ERR_NONE);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, HEAD("1") "\"proa/json\",\"value\":1}\n");
    remove_folder(folder);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");

    if (full == NULL) {
        skip();
    }
    add_egress(1, "a", "b");
    add_record(1, 1, "proa/json", true, SLICE("1"));
    apply();
    assert_int_equal(egress_print_store(store, "a/b", full, &err), ERR_SYSTEM);
    (void)fclose(full);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_form_of_value),
        TEST(one_egress_over_many_pages),
        TEST(an_empty_outbox_prints_nothing),
        TEST(what_is_wrong),
        TEST(a_store_without_egresses),
        TEST(rotten_records_are_named),
        TEST(the_folder_of_a_stopped_host),
        TEST(a_full_disk_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
