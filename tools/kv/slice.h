/* SPDX-License-Identifier: MIT */
/* Slice: bytes that belong to somebody else, and how many. */
#ifndef KV_SLICE_H
#define KV_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *data;
    size_t len;
};

/* Whether the slice is this word, in capitals or not. */
static inline bool slice_is(struct slice slice, const char *word)
{
    return strlen(word) == slice.len && strncasecmp(slice.data, word, slice.len) == 0;
}

#endif /* KV_SLICE_H */
