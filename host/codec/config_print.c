/* SPDX-License-Identifier: Apache-2.0
 *
 * config_print.c: what the tables of keys say to people and to editors: the reference page of the module file, what
 * becomes of StateFun's keys, and a JSON Schema of our own kinds. Printed from the tables the reader uses, so they are
 * true.
 */
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "config_kind.h"
#include "json.h"
#include "quantity.h"

enum { PREFIX_BYTES_MAX = 64 };

/* ---- the reference page --------------------------------------------------------------------------------- */

static void print_table(const struct config_table *table, struct buf *out)
{
    buf_append_text(out, "| Key | Takes | Default | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        buf_appendf(out, "| `%s` | ", key->path);
        config_rule_describe(&key->rule, out);
        if (key->fallback == NULL) {
            buf_append_text(out, " | must be there");
        } else if (key->fallback[0] == '\0') {
            buf_append_text(out, " | –");
        } else {
            buf_appendf(out, " | `%s`", key->fallback);
        }
        buf_appendf(out, " | %s |\n", key->help);
    }
    buf_append_text(out, "\n");
}

void config_print_reference(struct buf *out)
{
    buf_append_text(
        out,
        "# The module file\n\n"
        "`proa serve --module FILE` reads it: YAML, one document for each endpoint and each egress, in any order, with "
        "`---` between them. A document has two keys: `kind`, and `spec` with the keys of its kind. All mistakes of a "
        "file are reported at once, with their lines; a host does not start with a file that has any. "
        "`proa check FILE` reports them without starting one.\n\n"
        "[module.schema.json](module.schema.json), which `proa check --schema` prints, is a JSON Schema of one "
        "document "
        "of the kinds on this page. Many editors complete and check a file that begins with "
        "`# yaml-language-server: $schema=` and the way to it.\n\n"
        "In any text, `${NAME}` is replaced by that environment variable and `${NAME:-default}` by the default if it "
        "is unset or empty; `$${` stands for the characters `${`. Within the braces of YAML a variable needs quotes: "
        "`{batch: \"${BATCH:-100}\"}`. Anchors, aliases and tags of YAML are not taken.\n\n"
        "A duration is an integer and one of `ms`, `s`, `m`, `h` and `d`. A size is an integer, alone for bytes or "
        "with "
        "one of `KiB`, `MiB`, `GiB` and `TiB`. The path of a file counts from the folder the host is started in; the "
        "file is read once, at the start. The namespaces `proa` and `v1` belong to the host.\n\n");
    for (size_t i = 0; i < config_proa_kind_count; i++) {
        const struct config_kind *kind = &config_proa_kinds[i];
        buf_appendf(out, "## %s\n\n%s\n\n```yaml\n%s```\n\n", kind->name, kind->help, kind->example);
        print_table(kind->table, out);
        if (kind->entry_table != NULL) {
            buf_append_text(out, "Keys of one function:\n\n");
            print_table(kind->entry_table, out);
        }
    }
    buf_append_text(out,
                    "The kinds of StateFun's module files are read too: [statefun.md](statefun.md) says what becomes "
                    "of them.\n");
}

/* ---- StateFun's kinds ----------------------------------------------------------------------------------- */

static void print_foreign_key(const struct config_key *key, struct buf *out)
{
    buf_appendf(out, "| `%s` | ", key->path);
    if (key->fallback == NULL) {
        buf_append_text(out, "must be there | ");
    } else if (key->fallback[0] == '\0') {
        buf_append_text(out, "– | ");
    } else {
        buf_appendf(out, "`%s` | ", key->fallback);
    }
    switch (key->fate) {
    case CONFIG_TAKEN:
        buf_appendf(out, "%s |\n", key->help);
        return;
    case CONFIG_WITHOUT_EFFECT:
        buf_appendf(out, "A warning, no effect: %s. |\n", key->help);
        return;
    }
}

void config_print_statefun(struct buf *out)
{
    for (size_t i = 0; i < config_statefun_kind_count; i++) {
        const struct config_kind *kind = &config_statefun_kinds[i];
        if (kind->table == NULL) {
            continue;
        }
        buf_appendf(out, "`%s`:\n\n| Key | Default | What becomes of it |\n|---|---|---|\n", kind->name);
        for (size_t j = 0; j < kind->table->count; j++) {
            print_foreign_key(&kind->table->keys[j], out);
        }
        buf_append_text(out, "\n");
    }
    buf_append_text(out, "Documents of these kinds are errors:\n\n| Kind | What to do instead |\n|---|---|\n");
    for (size_t i = 0; i < config_statefun_kind_count; i++) {
        const struct config_kind *kind = &config_statefun_kinds[i];
        if (kind->table == NULL) {
            buf_appendf(out, "| `%s` | %s. |\n", kind->name, kind->help);
        }
    }
}

/* ---- the schema ----------------------------------------------------------------------------------------- */

static void put_string(struct buf *out, const char *text)
{
    json_put_string(out, slice_of(text));
}

static void put_text_pattern(struct buf *out, const char *pattern)
{
    buf_append_text(out, "{\"type\": \"string\", \"pattern\": ");
    put_string(out, pattern);
    buf_append_text(out, "}");
}

static void put_integer(struct buf *out, const struct config_rule *rule)
{
    buf_append_text(out, "{\"type\": \"integer\"");
    if (rule->max != 0) {
        buf_appendf(out, ", \"minimum\": %" PRIu64 ", \"maximum\": %" PRIu64, rule->min, rule->max);
    }
    buf_append_text(out, "}, {\"type\": \"string\", \"pattern\": \"^[0-9]+$\"}");
}

static void put_choices(struct buf *out, const char *choices)
{
    buf_append_text(out, "{\"enum\": [");
    for (const char *word = choices; *word != '\0';) {
        const size_t size = strcspn(word, " ");
        const struct slice choice = {(const uint8_t *)word, size};
        uint64_t number = 0;
        buf_append_text(out, word == choices ? "" : ", ");
        json_put_string(out, choice);
        if (quantity_get_factor(choice, &number)) { /* without quotes it is a number */
            buf_append_text(out, ", ");
            buf_append_slice(out, choice);
        }
        word += size;
        word += *word == ' ';
    }
    buf_append_text(out, "]}");
}

/* The forms a value of this type has, between commas. Ranges of what has a unit are left to the host. */
static void put_forms(struct buf *out, const struct config_rule *rule)
{
    switch (rule->type) {
    case CONFIG_DURATION:
        put_text_pattern(out, "^[0-9]+(ms|s|m|h|d)$");
        return;
    case CONFIG_BYTES:
        put_integer(out, rule);
        buf_append_text(out, ", ");
        put_text_pattern(out, "^[0-9]+(KiB|MiB|GiB|TiB)$");
        return;
    case CONFIG_NUMBER:
        put_integer(out, rule);
        return;
    case CONFIG_NUMBER_OR_AUTO:
        buf_append_text(out, "{\"const\": \"auto\"}, ");
        put_integer(out, rule);
        return;
    case CONFIG_FACTOR:
        buf_appendf(out, "{\"type\": \"number\", \"minimum\": %" PRIu64 ", \"maximum\": %" PRIu64 "}, ",
                    rule->min / 1000, rule->max / 1000);
        put_text_pattern(out, "^[0-9]+([.][0-9]{1,3})?$");
        return;
    case CONFIG_BOOL:
        buf_append_text(out, "{\"type\": \"boolean\"}, {\"enum\": [\"true\", \"false\"]}");
        return;
    case CONFIG_CHOICE:
        put_choices(out, rule->choices);
        return;
    case CONFIG_URL:
        put_text_pattern(out, "^(https?://[^/]|http[+]unix:///)");
        return;
    case CONFIG_TYPENAME:
        put_text_pattern(out, "^[^/\\s]+/[^/\\s]+$");
        return;
    case CONFIG_NAME:
        put_text_pattern(out, "^[^/*\\s]+/[^/*\\s]+$");
        return;
    case CONFIG_TEXT:
    case CONFIG_FILE:
        put_text_pattern(out, ".");
        return;
    case CONFIG_PATTERN:
    case CONFIG_FLINK_DURATION:
    case CONFIG_NUMBER_OR_OFF:
    case CONFIG_ENTRIES:
    case CONFIG_LIST:
    case CONFIG_TYPE_COUNT:
        break;
    }
    check_failed("a type that keys of our own kinds have", __FILE__, __LINE__);
}

static void put_indent(struct buf *out, uint32_t depth)
{
    buf_append_text(out, "\n");
    for (uint32_t i = 0; i < depth; i++) {
        buf_append_text(out, "  ");
    }
}

/* One key whose value is a text. A text with a variable in it fits everywhere. */
static void put_scalar(struct buf *out, const struct config_key *key)
{
    buf_append_text(out, "{\"description\": ");
    put_string(out, key->help);
    if (key->fallback != NULL && key->fallback[0] != '\0') {
        const enum config_type type = key->rule.type;
        buf_append_text(out, ", \"default\": ");
        if (type == CONFIG_NUMBER || type == CONFIG_BOOL || type == CONFIG_FACTOR) {
            buf_append_text(out, key->fallback); /* reads the same in JSON */
        } else {
            put_string(out, key->fallback);
        }
    }
    buf_append_text(out, ", \"anyOf\": [");
    put_forms(out, &key->rule);
    buf_append_text(out, ", {\"$ref\": \"#/definitions/variable\"}]}");
}

/* The keys of a table under `prefix` ("" or "call."), as the members of an object. Goes as deep as the paths do. */
static void put_properties(struct buf *out, const struct config_kind *kind, const struct config_table *table,
                           const char *prefix, uint32_t depth);

static void put_entries(struct buf *out, const struct config_kind *kind, const struct config_key *key, uint32_t depth)
{
    check(kind->entry_table != NULL);
    buf_append_text(out, "{\"description\": ");
    put_string(out, key->help);
    buf_append_text(out, ", \"type\": \"object\", \"minProperties\": 1,");
    put_indent(out, depth);
    buf_append_text(out, "\"propertyNames\": {\"anyOf\": [");
    put_text_pattern(out, "^[^/*\\s]+/([^/*\\s]+|[*])$");
    buf_append_text(out, ", {\"$ref\": \"#/definitions/variable\"}]},");
    put_indent(out, depth);
    buf_append_text(out, "\"additionalProperties\": {\"type\": [\"object\", \"null\"], \"properties\": {");
    put_properties(out, kind, kind->entry_table, "", depth + 1);
    buf_append_text(out, "}, \"additionalProperties\": false}}");
}

static bool is_before(const struct config_table *table, size_t index, const char *start, size_t size)
{
    for (size_t i = 0; i < index; i++) {
        if (strncmp(table->keys[i].path, start, size) == 0) {
            return true;
        }
    }
    return false;
}

static void put_properties(struct buf *out, const struct config_kind *kind, const struct config_table *table,
                           const char *prefix, uint32_t depth)
{
    const size_t prefix_size = strlen(prefix);
    const char *comma = "";

    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        if (strncmp(key->path, prefix, prefix_size) != 0) {
            continue;
        }
        const char *name = key->path + prefix_size;
        const size_t size = strcspn(name, ".");
        const bool is_group = name[size] == '.';
        if (is_group && is_before(table, i, key->path, prefix_size + size + 1)) {
            continue; /* its first key printed it */
        }
        buf_append_text(out, comma);
        comma = ",";
        put_indent(out, depth);
        json_put_string(out, (struct slice){(const uint8_t *)name, size});
        buf_append_text(out, ": ");
        if (is_group) {
            char inner[PREFIX_BYTES_MAX];
            const size_t inner_size = prefix_size + size + 1;
            check(inner_size < sizeof inner);
            memcpy(inner, key->path, inner_size);
            inner[inner_size] = '\0';
            buf_append_text(out, "{\"type\": [\"object\", \"null\"], \"properties\": {");
            put_properties(out, kind, table, inner, depth + 1);
            buf_append_text(out, "}, \"additionalProperties\": false}");
        } else if (key->rule.type == CONFIG_ENTRIES) {
            put_entries(out, kind, key, depth + 1);
        } else {
            put_scalar(out, key);
        }
    }
}

static void put_kind(struct buf *out, const struct config_kind *kind)
{
    const char *comma = "";

    buf_append_text(out, "    {\"if\": {\"properties\": {\"kind\": {\"const\": ");
    put_string(out, kind->name);
    buf_append_text(out, "}}, \"required\": [\"kind\"]},\n     \"then\": {\"description\": ");
    put_string(out, kind->help);
    buf_append_text(out, ", \"properties\": {\n      \"kind\": {},\n      \"spec\": {\"type\": \"object\", "
                         "\"required\": [");
    for (size_t i = 0; i < kind->table->count; i++) {
        if (kind->table->keys[i].fallback == NULL) {
            buf_append_text(out, comma);
            put_string(out, kind->table->keys[i].path);
            comma = ", ";
        }
    }
    buf_append_text(out, "], \"properties\": {");
    put_properties(out, kind, kind->table, "", 4);
    buf_append_text(out, "}, \"additionalProperties\": false}}, \"additionalProperties\": false}}");
}

void config_print_schema(struct buf *out)
{
    buf_append_text(out, "{\n"
                         "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
                         "  \"title\": \"One document of a module file of Proa\",\n"
                         "  \"type\": [\"object\", \"null\"],\n"
                         "  \"required\": [\"kind\", \"spec\"],\n"
                         "  \"properties\": {\n"
                         "    \"kind\": {\"description\": \"What the document declares.\", \"anyOf\": [{\"enum\": [");
    for (size_t i = 0; i < config_proa_kind_count; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        put_string(out, config_proa_kinds[i].name);
    }
    buf_append_text(out, "]},\n      {\"type\": \"string\", \"pattern\": \"^io[.]statefun[.]\"}, "
                         "{\"$ref\": \"#/definitions/variable\"}]},\n"
                         "    \"spec\": {\"description\": \"The keys of its kind.\"}\n"
                         "  },\n"
                         "  \"allOf\": [\n");
    for (size_t i = 0; i < config_proa_kind_count; i++) {
        put_kind(out, &config_proa_kinds[i]);
        buf_append_text(out, i + 1 < config_proa_kind_count ? ",\n" : "\n");
    }
    buf_append_text(out, "  ],\n"
                         "  \"definitions\": {\n"
                         "    \"variable\": {\"type\": \"string\", \"pattern\": \"[$][{]\"}\n"
                         "  }\n"
                         "}\n");
}
