/* SPDX-License-Identifier: MIT */
/*
 * Buffer: bytes that grow at their end. Starts as zeroes.
 *
 * Running out of memory is remembered, not reported by each call: who fills a
 * buffer appends as if all went well, and looks at `failed` once, at the end.
 */
#ifndef KV_BUFFER_H
#define KV_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
    char *bytes;
    size_t len;
    size_t capacity;
    bool failed; /* something that was appended is not here; stays until buffer_clear() */
};

/* Make room for `more` bytes behind `len`. False, and `failed`, without memory. */
bool buffer_grow(struct buffer *buffer, size_t more);

/* Forget the content. Memory beyond `keep` bytes is given back, so one large reply is not paid for
 * ever after. */
void buffer_clear(struct buffer *buffer, size_t keep);

void buffer_free(struct buffer *buffer);

/* Where `more` bytes may be written before `len` is raised; NULL without memory. */
static inline char *buffer_room(struct buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->len < more && !buffer_grow(buffer, more)) {
        return NULL;
    }
    return buffer->bytes + buffer->len;
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t count)
{
    char *room = buffer_room(buffer, count);

    if (room != NULL && count > 0) {
        memcpy(room, bytes, count);
        buffer->len += count;
    }
}

/* Append text as of printf(). */
__attribute__((format(printf, 2, 3))) void buffer_print(struct buffer *buffer, const char *format,
                                                        ...);

#endif /* KV_BUFFER_H */
