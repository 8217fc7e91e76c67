/* SPDX-License-Identifier: Apache-2.0 */
#include "config_yaml.h"

#include <string.h>
#include <yaml.h>

#include "check.h"
#include "config_variable.h"
#include "limit.h"

enum {
    DEPTH_MAX = 16,
    NODES_MAX = 65536,
    DOCUMENTS_MAX = 1024,
    SCALAR_BYTES_MAX = 64 << 10, /* after variables are replaced */
};

struct frame {
    struct config_node *node;
    bool has_key; /* of a mapping: the next node belongs to `key` */
    struct slice key;
    uint32_t key_line;
};

struct builder {
    struct config_source *source;
    struct config_node *first; /* document */
    struct config_node *last;
    struct config_node *last_whole; /* what comes after it was not read to its end, and is not judged */
    struct frame frames[DEPTH_MAX];
    uint32_t depth;
    uint32_t node_count;
    uint32_t document_count;
    bool is_over; /* nothing more can be read of this file */
};

static uint32_t line_of(yaml_mark_t mark)
{
    return (uint32_t)mark.line + 1;
}

static void give_up(struct builder *builder, uint32_t line, const char *sentence)
{
    config_error(builder->source, line, "%s", sentence);
    builder->is_over = true;
}

/* Copies the scalar with its variables replaced. False, after complaining, if that cannot be done. */
static bool expand(struct builder *builder, struct slice text, uint32_t line, struct slice *out)
{
    const struct config_input *input = builder->source->input;
    struct buf expanded;
    struct err err;

    buf_init(&expanded, SCALAR_BYTES_MAX);
    bool is_good = config_expand(text, input->getenv, input->getenv_context, &expanded, &err) == ERR_NONE;
    if (!is_good) {
        config_error(builder->source, line, "%s", err.text);
    } else if (expanded.overflow) {
        config_error(builder->source, line, "this text is longer than %d bytes", SCALAR_BYTES_MAX);
        is_good = false;
    } else if (!slice_is_utf8_text(buf_slice(&expanded))) {
        config_error(builder->source, line, "this text is not UTF-8 without NUL");
        is_good = false;
    }
    if (is_good) {
        *out = arena_copy(builder->source->arena, buf_slice(&expanded));
        if (out->size > 0 && out->data == NULL) {
            give_up(builder, line, "the file needs too much memory");
            is_good = false;
        }
    }
    buf_done(&expanded);
    return is_good;
}

static void append_child(struct config_node *parent, struct config_node *child)
{
    if (parent->last == NULL) {
        parent->first = child;
    } else {
        parent->last->next = child;
    }
    parent->last = child;
    parent->child_count++;
}

static void append_document(struct builder *builder, struct config_node *node)
{
    if (builder->last == NULL) {
        builder->first = node;
    } else {
        builder->last->next = node;
    }
    builder->last = node;
}

/* Makes a node and hangs it where the file is: under the open mapping or list, or as a document. NULL when full. */
static struct config_node *add_node(struct builder *builder, enum config_node_kind kind, uint32_t line)
{
    struct config_node *node =
        builder->node_count < NODES_MAX ? arena_alloc(builder->source->arena, sizeof *node) : NULL;

    if (node == NULL) {
        give_up(builder, line, "the file has too many entries");
        return NULL;
    }
    builder->node_count++;
    node->kind = kind;
    node->line = line;
    node->key_line = line;
    if (builder->depth == 0) {
        append_document(builder, node);
        return node;
    }
    struct frame *frame = &builder->frames[builder->depth - 1];
    if (frame->node->kind == CONFIG_NODE_MAP) {
        check(frame->has_key);
        node->key = frame->key;
        node->key_line = frame->key_line;
        frame->has_key = false;
    }
    append_child(frame->node, node);
    return node;
}

static bool wants_key(const struct builder *builder)
{
    const struct frame *frame = builder->depth == 0 ? NULL : &builder->frames[builder->depth - 1];

    return frame != NULL && frame->node->kind == CONFIG_NODE_MAP && !frame->has_key;
}

/* The key of the next node. The same key twice is an error, and the second one is kept out of the way. */
static void take_key(struct builder *builder, struct slice text, uint32_t line)
{
    struct frame *frame = &builder->frames[builder->depth - 1];

    frame->has_key = true;
    frame->key_line = line;
    frame->key = SLICE_EMPTY;
    if (!expand(builder, text, line, &frame->key)) {
        return;
    }
    if (frame->node->child_count >= LIMIT_MODULE_ENTRIES_MAX) {
        give_up(builder, line, "this mapping has too many keys");
        return;
    }
    for (const struct config_node *other = frame->node->first; other != NULL; other = other->next) {
        if (other->key.size > 0 && slice_equal(other->key, frame->key)) {
            config_error(builder->source, line, "the key '%.*s' stands here again; it is first on line %u%s",
                         config_shown(frame->key), frame->key.data, other->key_line,
                         builder->depth == 1 ? "; a document begins with a line ---" : "");
            frame->key = SLICE_EMPTY;
            return;
        }
    }
    if (frame->key.size == 0) {
        config_error(builder->source, line, "a key is empty");
    }
}

static bool is_nothing(const yaml_event_t *event, struct slice text)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.size == 0 || slice_equal(text, SLICE("~")) || slice_equal(text, SLICE("null")));
}

static void on_scalar(struct builder *builder, const yaml_event_t *event)
{
    const struct slice text = {event->data.scalar.value, event->data.scalar.length};
    const uint32_t line = line_of(event->start_mark);
    struct slice expanded = SLICE_EMPTY;

    if (wants_key(builder)) {
        take_key(builder, text, line);
        return;
    }
    if (is_nothing(event, text)) {
        (void)add_node(builder, CONFIG_NODE_NOTHING, line);
        return;
    }
    const bool is_good = expand(builder, text, line, &expanded);
    struct config_node *node = add_node(builder, is_good ? CONFIG_NODE_SCALAR : CONFIG_NODE_BAD, line);
    if (node != NULL) {
        node->text = expanded;
    }
}

static void on_open(struct builder *builder, enum config_node_kind kind, uint32_t line)
{
    if (wants_key(builder)) {
        give_up(builder, line, "a key is a text, not a mapping or a list");
        return;
    }
    if (builder->depth == DEPTH_MAX) {
        give_up(builder, line, "the file is nested too deeply");
        return;
    }
    struct config_node *node = add_node(builder, kind, line);
    if (node != NULL) {
        builder->frames[builder->depth] = (struct frame){.node = node};
        builder->depth++;
    }
}

static void on_alias(struct builder *builder, uint32_t line)
{
    config_error(builder->source, line, "aliases (*name) are not taken; write the value out");
    if (wants_key(builder)) {
        builder->is_over = true;
        return;
    }
    (void)add_node(builder, CONFIG_NODE_BAD, line);
}

/* Anchors and tags would be ignored silently otherwise. */
static void refuse_extras(struct builder *builder, const yaml_char_t *anchor, const yaml_char_t *tag, uint32_t line)
{
    if (anchor != NULL) {
        config_error(builder->source, line, "anchors (&name) are not taken; write each value out");
    }
    if (tag != NULL && strcmp((const char *)tag, "!") != 0) {
        config_error(builder->source, line, "tags (!name) are not taken; leave it out");
    }
}

static void on_event(struct builder *builder, const yaml_event_t *event)
{
    const uint32_t line = line_of(event->start_mark);

    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        check(builder->depth == 0);
        if (++builder->document_count > DOCUMENTS_MAX) {
            give_up(builder, line, "the file has too many documents");
        }
        break;
    case YAML_SCALAR_EVENT:
        refuse_extras(builder, event->data.scalar.anchor, event->data.scalar.tag, line);
        on_scalar(builder, event);
        break;
    case YAML_MAPPING_START_EVENT:
        refuse_extras(builder, event->data.mapping_start.anchor, event->data.mapping_start.tag, line);
        on_open(builder, CONFIG_NODE_MAP, line);
        break;
    case YAML_SEQUENCE_START_EVENT:
        refuse_extras(builder, event->data.sequence_start.anchor, event->data.sequence_start.tag, line);
        on_open(builder, CONFIG_NODE_LIST, line);
        break;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        check(builder->depth > 0);
        builder->depth--;
        break;
    case YAML_ALIAS_EVENT:
        on_alias(builder, line);
        break;
    case YAML_STREAM_END_EVENT:
        builder->is_over = true;
        break;
    case YAML_DOCUMENT_END_EVENT:
        builder->last_whole = builder->last;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
        break;
    }
}

/* The usual reasons for a line that is not YAML. */
static const char *hint(struct slice text, uint32_t line)
{
    size_t at = 0;

    for (uint32_t i = 1; i < line && at < text.size; at++) {
        i += text.data[at] == '\n';
    }
    for (bool is_indent = true; at < text.size && text.data[at] != '\n'; at++) {
        if (is_indent && text.data[at] == '\t') {
            return "; indent with spaces, not tabs";
        }
        is_indent = is_indent && text.data[at] == ' ';
        if (text.data[at] == '{' && at > 0 && (text.data[at - 1] == '$' || text.data[at - 1] == '/')) {
            return "; within braces, a text that holds braces needs quotes";
        }
    }
    return "";
}

/* libyaml stops at the first thing that is not YAML. */
static void complain(struct builder *builder, const yaml_parser_t *parser)
{
    const struct slice text = builder->source->input->text;
    const char *problem = parser->problem == NULL ? "memory is out" : parser->problem;
    uint32_t line = line_of(parser->problem_mark);

    if (parser->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < text.size; i++) {
            line += text.data[i] == '\n';
        }
    }
    config_error(builder->source, line, "this is not YAML: %s%s%s%s", parser->context == NULL ? "" : parser->context,
                 parser->context == NULL ? "" : ", ", problem, hint(text, line));
    builder->is_over = true;
}

struct config_node *config_yaml_read(struct config_source *source)
{
    const struct slice text = source->input->text;
    struct builder builder = {.source = source};
    yaml_parser_t parser;
    yaml_event_t event;

    if (text.size > LIMIT_MODULE_BYTES_MAX) {
        config_error(source, 0, "the file has %zu bytes; at most %d are read", text.size, LIMIT_MODULE_BYTES_MAX);
        return NULL;
    }
    check(yaml_parser_initialize(&parser) == 1);
    yaml_parser_set_input_string(&parser, text.data, text.size);
    while (!builder.is_over) {
        if (yaml_parser_parse(&parser, &event) != 1) {
            complain(&builder, &parser);
            break;
        }
        on_event(&builder, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (builder.last_whole == NULL) {
        return NULL;
    }
    builder.last_whole->next = NULL;
    return builder.first;
}
