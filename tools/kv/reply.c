/* SPDX-License-Identifier: MIT */
/* Replies of RESP2. */
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "number.h"

/* A type, a number, the end of the line. */
#define HEADER_BYTES_MAX (1 + NUMBER_BYTES_MAX + 2)

static size_t header(char *text, char type, int64_t number)
{
    size_t len = 0;

    text[len++] = type;
    len += number_print(text + len, number);
    text[len++] = '\r';
    text[len++] = '\n';
    return len;
}

static void append_header(struct buffer *out, char type, int64_t number)
{
    char *room = buffer_room(out, HEADER_BYTES_MAX);

    if (room != NULL) {
        out->len += header(room, type, number);
    }
}

void reply_integer(struct buffer *out, int64_t number)
{
    append_header(out, ':', number);
}

void reply_array(struct buffer *out, size_t count)
{
    append_header(out, '*', (int64_t)count);
}

void reply_bulk(struct buffer *out, struct slice text)
{
    char *room = buffer_room(out, HEADER_BYTES_MAX + text.len + 2);
    size_t len;

    if (room == NULL) {
        return;
    }
    len = header(room, '$', (int64_t)text.len);
    if (text.len > 0) {
        memcpy(room + len, text.data, text.len);
    }
    len += text.len;
    room[len++] = '\r';
    room[len++] = '\n';
    out->len += len;
}

void reply_word(struct buffer *out, const char *word)
{
    reply_bulk(out, (struct slice){ word, strlen(word) });
}

void reply_error(struct buffer *out, const char *format, ...)
{
    char text[512];
    va_list args;
    size_t len;

    text[0] = '-';
    va_start(args, format);
    (void)vsnprintf(text + 1, sizeof(text) - 1, format, args);
    va_end(args);
    len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' || text[i] == '\n') {
            text[i] = ' ';
        }
    }
    buffer_append(out, text, len);
    reply_constant(out, "\r\n");
}
