/* SPDX-License-Identifier: Apache-2.0 */
#include "http_slot.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum {
    BODY_KEEP_BYTES_MAX = 4096, /* a body's buffer up to this stays with its connection */
    HEAD_S = 30,                /* a request's header fields have so long, whatever its body has */
    OVER_HEAD_S = 2,            /* a connection over the limit has less: others wait to be refused in its place */
    OVER_BODY_S = 10,           /* its refused body */
    RECEIVE_IDLE_FACTOR = 2,    /* a request has twice the idle time to arrive, an answer ten times to leave */
    SEND_IDLE_FACTOR = 10,
    WAITING_S = 660, /* an ask may wait 600 s */
};

void http_slot_init(struct http_slot *slot, struct http_memory *memory)
{
    slot->memory = memory;
    buf_init(&slot->body, memory->body_bytes_max);
}

void http_slot_done(struct http_slot *slot)
{
    buf_done(&slot->body);
    free(slot->uri);
    slot->uri = NULL;
}

void http_slot_enter(struct http_slot *slot, enum http_slot_state state)
{
    slot->state = state;
    slot->since_us = clock_monotonic_us();
}

static void count_body(struct http_slot *slot)
{
    slot->memory->bytes += slot->body.capacity - slot->body_counted;
    slot->body_counted = slot->body.capacity;
}

static void free_body(struct http_slot *slot)
{
    buf_done(&slot->body);
    count_body(slot);
}

void http_slot_forget_body(struct http_slot *slot)
{
    if (slot->body.capacity > BODY_KEEP_BYTES_MAX || slot->body.overflow) {
        free_body(slot);
    }
    buf_clear(&slot->body);
}

/* Makes room for a target and its NUL. */
static bool reserve_uri(struct http_slot *slot, size_t size)
{
    if (size < slot->uri_capacity) {
        return true;
    }
    char *grown = realloc(slot->uri, size + 1);
    if (grown == NULL) {
        return false;
    }
    slot->uri = grown;
    slot->uri_capacity = size + 1;
    return true;
}

bool http_slot_begin(struct http_slot *slot, const char *uri)
{
    const size_t size = strlen(uri);

    if (!reserve_uri(slot, size)) {
        return false;
    }
    memcpy(slot->uri, uri, size + 1);
    const struct slice target = {(const uint8_t *)slot->uri, size};
    const size_t path_size = slice_find(target, '?');
    slot->request = (struct http_request){
        .path = {target.data, path_size},
        .query = path_size == size ? SLICE_EMPTY : slice_from(target, path_size + 1),
        .trouble = slot->is_over ? ERR_OVERLOADED : ERR_NONE,
    };
    slot->uri_read = uri;
    slot->uri_size = size;
    slot->has_begun = false;
    slot->is_immediate = false;
    slot->is_last = false;
    slot->invocation[0] = 0;
    slot->drained = 0;
    http_slot_enter(slot, HTTP_SLOT_RECEIVING);
    slot->request.arrived_us = slot->since_us;
    return true;
}

void http_slot_refuse(struct http_slot *slot, enum err_code why, const char *text)
{
    if (slot->request.trouble == ERR_NONE) {
        slot->request.trouble = why;
        slot->request.trouble_text = text;
    }
    free_body(slot);
}

bool http_slot_take(struct http_slot *slot, struct slice bytes)
{
    const struct http_memory *memory = slot->memory;
    const size_t needed = slot->body.size + bytes.size;

    if (slot->request.trouble != ERR_NONE) {
        slot->drained += bytes.size;
        return slot->drained <= HTTP_SLOT_DRAIN_BYTES_MAX;
    }
    if (needed > memory->body_bytes_max) {
        http_slot_refuse(slot, ERR_TOO_LARGE, NULL);
        return true;
    }
    if (needed > slot->body.capacity && memory->bytes + needed * 2 > memory->bytes_max) {
        http_slot_refuse(slot, ERR_OVERLOADED, NULL);
        return true;
    }
    buf_append_slice(&slot->body, bytes);
    if (slot->body.overflow) {
        http_slot_refuse(slot, ERR_OVERLOADED, NULL);
        return true;
    }
    count_body(slot);
    return true;
}

void http_slot_end(struct http_slot *slot)
{
    http_slot_forget_body(slot);
    slot->request = (struct http_request){0};
    http_slot_enter(slot, HTTP_SLOT_BETWEEN);
}

void http_slot_free(struct http_slot *slot)
{
    free_body(slot);
    free(slot->uri);
    slot->uri = NULL;
    slot->uri_capacity = 0;
    slot->state = HTTP_SLOT_FREE;
}

uint64_t http_slot_lifetime_s(const struct http_slot *slot, uint64_t idle_s)
{
    const uint64_t receive_s = idle_s * RECEIVE_IDLE_FACTOR;

    switch (slot->state) {
    case HTTP_SLOT_BETWEEN:
        return slot->is_over ? OVER_HEAD_S : idle_s;
    case HTTP_SLOT_RECEIVING:
        if (slot->is_over) {
            return slot->has_begun ? OVER_BODY_S : OVER_HEAD_S;
        }
        return slot->has_begun || receive_s < HEAD_S ? receive_s : HEAD_S;
    case HTTP_SLOT_ANSWERED:
        return idle_s * SEND_IDLE_FACTOR;
    case HTTP_SLOT_WAITING:
        return WAITING_S;
    case HTTP_SLOT_FREE:
        break;
    }
    return UINT64_MAX / 1000000;
}
