/* SPDX-License-Identifier: MIT */
/* Reply: the kinds of answers that RESP2 has, appended to a buffer. */
#ifndef KV_REPLY_H
#define KV_REPLY_H

#include <stdint.h>

#include "buffer.h"
#include "slice.h"

/* A constant that is a whole reply, such as "+OK\r\n". */
#define reply_constant(out, text) buffer_append(out, text, sizeof(text) - 1)

#define reply_ok(out)  reply_constant(out, "+OK\r\n")
#define reply_nil(out) reply_constant(out, "$-1\r\n")

void reply_integer(struct buffer *out, int64_t number);
void reply_bulk(struct buffer *out, struct slice text);
void reply_word(struct buffer *out, const char *word); /* a bulk of a C string */

/* `count` replies follow. */
void reply_array(struct buffer *out, size_t count);

/* An error as of printf(), its first word the kind of error. What cannot stand in a line becomes a
 * space; what is too long for one is cut. */
__attribute__((format(printf, 2, 3))) void reply_error(struct buffer *out, const char *format, ...);

#endif /* KV_REPLY_H */
