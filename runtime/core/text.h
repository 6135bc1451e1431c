/* SPDX-License-Identifier: MIT */
/*
 * Text: a string that grows as it is written, in memory of the heap.
 *
 * When there is no memory, nothing is added any more, and `failed` says so: the
 * writer need not look before the end. Zeroes are an empty text.
 */
#ifndef RTI_CORE_TEXT_H
#define RTI_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct rti_text {
    char *data; /* `used` bytes and a terminator; NULL while empty */
    size_t used;
    size_t room;
    bool failed;
};

__attribute__((format(printf, 2, 3))) void rti_text_add(struct rti_text *text, const char *format,
                                                        ...);

/* A string in quotes, or null, as JSON wants it: what is no UTF-8 is replaced, and it is cut
 * after 200 bytes. */
void rti_text_add_json(struct rti_text *text, const char *string);

/* The same for people: without quotes, with '?' for control characters, cut after `max` bytes and
 * filled up to `width` columns. */
void rti_text_add_name(struct rti_text *text, const char *string, int width, int max);

void rti_text_fini(struct rti_text *text);

#endif /* RTI_CORE_TEXT_H */
