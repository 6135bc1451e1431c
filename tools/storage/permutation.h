/* SPDX-License-Identifier: MIT */
/*
 * A random order of the numbers 0 .. count - 1 that needs no memory.
 *
 * A Feistel network permutes the numbers of just enough bits. What comes out too large is put in
 * again until it fits (cycle walking: Black and Rogaway, 2002), less than twice on average. So
 * every number comes once, and any of them can be asked for at once.
 */
#ifndef STORAGE_PERMUTATION_H
#define STORAGE_PERMUTATION_H

#include <stdint.h>

struct permutation {
    uint64_t count;
    uint64_t seed;
    unsigned low_bits; /* of the two halves of a number */
    unsigned high_bits;
};

/* `count` is 1 .. 2^62. Another seed gives another order. */
struct permutation permutation_make(uint64_t count, uint64_t seed);

/* The number at place `index`, which is below the count. */
uint64_t permutation_at(const struct permutation *permutation, uint64_t index);

#endif /* STORAGE_PERMUTATION_H */
