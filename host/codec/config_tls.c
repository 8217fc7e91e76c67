/* SPDX-License-Identifier: Apache-2.0 */
#include "config_tls.h"

#include "config_name.h"

/* One document while its keys are read. */
struct reading {
    struct config_source *source;
    const struct config_table *table;
    const struct config_value *values;
};

static const char *path_of(const struct reading *reading, size_t key)
{
    return reading->table->keys[key].path;
}

static bool is_said(const struct reading *reading, size_t key)
{
    return reading->values[key].text.size > 0;
}

static struct tls_file file_of(const struct reading *reading, size_t key)
{
    const struct config_value *value = &reading->values[key];
    struct buf where;

    if (value->text.size == 0) {
        return (struct tls_file){SLICE_EMPTY, SLICE_EMPTY};
    }
    buf_init(&where, 8192);
    buf_appendf(&where, "%s:%u: %s", reading->source->input->file_name, value->line, path_of(reading, key));
    const struct slice kept = arena_copy(reading->source->arena, buf_slice(&where));
    buf_done(&where);
    return (struct tls_file){config_file_path(value->text), kept.data == NULL ? SLICE_EMPTY : kept};
}

static void complain_alone(const struct reading *reading, size_t key, size_t missing)
{
    if (is_said(reading, key) && !is_said(reading, missing)) {
        config_error(reading->source, reading->values[key].line, "%s is of no use without %s; write both or none",
                     path_of(reading, key), path_of(reading, missing));
    }
}

void config_read_tls(struct config_source *source, const struct config_table *table, const struct config_value *values,
                     const struct config_tls_keys *keys, struct tls_config *out)
{
    const struct reading reading = {source, table, values};

    complain_alone(&reading, keys->cert, keys->key);
    complain_alone(&reading, keys->key, keys->cert);
    complain_alone(&reading, keys->key_password, keys->key);
    *out = (struct tls_config){
        .ca = file_of(&reading, keys->ca),
        .cert = file_of(&reading, keys->cert),
        .key = file_of(&reading, keys->key),
        .key_password = file_of(&reading, keys->key_password),
    };
}
