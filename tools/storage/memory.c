/* SPDX-License-Identifier: MIT */
/* Memory: see memory.h. */
#include "memory.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

struct memory_piece {
    struct memory_piece *before;
    alignas(max_align_t) char bytes[];
};

void *memory_take(struct memory *memory, size_t count, size_t bytes)
{
    struct memory_piece *piece = NULL;
    size_t size;

    if (!__builtin_mul_overflow(count, bytes, &size) &&
        !__builtin_add_overflow(size, sizeof(*piece), &size)) {
        piece = calloc(1, size);
    }
    if (piece == NULL) {
        fputs("rt-storage: there is no memory left for the job file\n", stderr);
        exit(EXIT_FAILURE);
    }
    piece->before = memory->last;
    memory->last = piece;
    return piece->bytes;
}

void memory_free(struct memory *memory)
{
    while (memory->last != NULL) {
        struct memory_piece *piece = memory->last;

        memory->last = piece->before;
        free(piece);
    }
}
