/* SPDX-License-Identifier: MIT */
/* Memory: what a job file needs, taken in pieces and freed as a whole. */
#ifndef STORAGE_MEMORY_H
#define STORAGE_MEMORY_H

#include <stddef.h>

struct memory_piece;

/* Zeroes are none. */
struct memory {
    struct memory_piece *last;
};

/* Zeroed memory for `count` members; if there is none the program ends and says so. */
void *memory_take(struct memory *memory, size_t count, size_t bytes);

void memory_free(struct memory *memory);

#endif /* STORAGE_MEMORY_H */
