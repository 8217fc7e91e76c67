/* SPDX-License-Identifier: Apache-2.0 */
#include "playground.h"

#include <stdio.h>

#include "json.h"
#include "limit.h"
#include "registry.h"
#include "wire.h"

enum { FAULT_BYTES_MAX = 256 };

#define RECORD_TYPE SLICE("io.statefun.playground/EgressRecord")
#define RECORD_FORM "{\"topic\": \"T\", \"payload\": \"text\"} of type io.statefun.playground/EgressRecord"

static void set_fault(struct emitted *emitted, struct arena *arena, const char *why)
{
    char *text = arena_alloc(arena, FAULT_BYTES_MAX);

    emitted->fault = "the record is no " RECORD_FORM; /* if there is no room to say more */
    if (text != NULL) {
        (void)snprintf(text, FAULT_BYTES_MAX, "the record is no " RECORD_FORM ": %.150s", why);
        emitted->fault = text;
    }
}

/* The TypedValue of a string, as functions and clients have it elsewhere. */
static bool put_text(struct emitted *emitted, struct slice payload, struct arena *arena)
{
    struct buf value;

    buf_init(&value, payload.size + 128);
    wire_put_scalar_value(&value, &(struct scalar_value){.kind = SCALAR_STRING, .text = payload});
    if (!value.overflow) {
        emitted->text = arena_copy(arena, buf_slice(&value));
    }
    buf_done(&value);
    return emitted->text.data != NULL;
}

void playground_read(struct emitted *emitted, struct arena *arena)
{
    static const char *const names[] = {"topic", "payload"};
    struct slice texts[2] = {SLICE_EMPTY, SLICE_EMPTY};
    struct typed_value value;
    struct err err;

    if (wire_get_typed_value(emitted->value, &value, &err) != ERR_NONE || !slice_equal(value.typename_, RECORD_TYPE)) {
        set_fault(emitted, arena, "it is of another type");
    } else if (value.value.size > LIMIT_RECORD_BYTES_MAX) {
        set_fault(emitted, arena, "it has over 1048576 bytes");
    } else if (json_get_texts(value.value, names, 2, arena, texts, &err) != ERR_NONE) {
        set_fault(emitted, arena, err.text);
    } else if (texts[0].size == 0 || !slice_is_utf8_text(texts[0])) {
        set_fault(emitted, arena, "its topic is empty or holds a NUL");
    } else if (!put_text(emitted, texts[1], arena)) {
        set_fault(emitted, arena, "the answer it came in has too many of them");
    } else {
        emitted->topic = texts[0];
    }
}
_Static_assert(LIMIT_RECORD_BYTES_MAX == 1048576, "the figure in the sentence");
