/* SPDX-License-Identifier: MIT */
/* Random numbers: splitmix64 (Steele, Lea, Flood, 2014). The state is any number, the seed. */
#ifndef STORAGE_DRAW_H
#define STORAGE_DRAW_H

#include <stdint.h>

__extension__ typedef unsigned __int128 draw_wide; /* ISO C has no integer of 128 bits */

/* A bijection of 64 bits that spreads every bit over all others. */
static inline uint64_t draw_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t draw(uint64_t *state)
{
    return draw_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* 0 .. count - 1, by a multiplication (Lemire, 2019); off by at most count / 2^64. */
static inline uint64_t draw_below(uint64_t *state, uint64_t count)
{
    return (uint64_t)(((draw_wide)draw(state) * count) >> 64);
}

/* In [0, 1), in steps of 2^-53. */
static inline double draw_fraction(uint64_t *state)
{
    return (double)(draw(state) >> 11) * 0x1p-53;
}

#endif /* STORAGE_DRAW_H */
