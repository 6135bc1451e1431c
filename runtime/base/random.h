/* SPDX-License-Identifier: MIT */
/* Random: numbers that need not be good, only cheap, and the same again from the same state. */
#ifndef RTI_BASE_RANDOM_H
#define RTI_BASE_RANDOM_H

#include <stdint.h>

/* The next number, 0..below - 1. (Knuth's MMIX generator; its high half is good.) */
static inline uint32_t rti_random_below(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 32) * below >> 32);
}

#endif /* RTI_BASE_RANDOM_H */
