/* SPDX-License-Identifier: MIT */
/* Bytes that grow at their end. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the first allocation; a reply to a pipeline of 16 with values of 64 bytes fits. */
#define BYTES_MIN 2048

bool buffer_grow(struct buffer *buffer, size_t more)
{
    size_t capacity = buffer->capacity < BYTES_MIN ? BYTES_MIN : buffer->capacity;
    char *bytes;

    while (capacity - buffer->len < more) {
        capacity *= 2;
    }
    bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void buffer_clear(struct buffer *buffer, size_t keep)
{
    if (buffer->capacity > keep) {
        buffer_free(buffer);
    }
    buffer->len = 0;
    buffer->failed = false;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){ 0 };
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    char text[512]; /* no line that is printed comes near */
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        buffer->failed = true;
        return;
    }
    buffer_append(buffer, text, (size_t)len);
}
