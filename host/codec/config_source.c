/* SPDX-License-Identifier: Apache-2.0 */
#include "config_source.h"

#include <stdarg.h>
#include <stdio.h>

#include "limit.h"

enum { MESSAGES_SHOWN_MAX = 100 }; /* errors of one source; and as many warnings */

/* Adds one line; `mark` stands before the sentence. */
static void say(struct config_source *source, uint32_t line, const char *mark, const char *sentence)
{
    buf_append_text(source->messages, source->input->file_name);
    if (line > 0) {
        buf_appendf(source->messages, ":%u", line);
    }
    buf_appendf(source->messages, ": %s", mark);
    for (const char *at = sentence; *at != '\0'; at++) {
        const bool is_control = (unsigned char)*at < 0x20 || *at == 0x7F;
        buf_append_u8(source->messages, is_control ? '?' : (uint8_t)*at); /* a terminal obeys control characters */
    }
    buf_append_u8(source->messages, '\n');
}

void config_error(struct config_source *source, uint32_t line, const char *format, ...)
{
    char sentence[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;

    source->error_count++;
    if (source->error_count > MESSAGES_SHOWN_MAX) {
        if (source->error_count == MESSAGES_SHOWN_MAX + 1) {
            say(source, 0, "", "there are more errors, which are not shown");
        }
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    say(source, line, "", sentence);
}

void config_warn(struct config_source *source, uint32_t line, const char *format, ...)
{
    char sentence[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;

    source->warning_count++;
    if (source->warning_count > MESSAGES_SHOWN_MAX) {
        if (source->warning_count == MESSAGES_SHOWN_MAX + 1) {
            say(source, 0, CONFIG_WARNING, "there are more warnings, which are not shown");
        }
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    say(source, line, CONFIG_WARNING, sentence);
}
