/* SPDX-License-Identifier: MIT */
/* The two halves of a number change each other in turn; each change can be undone, so all can. */
#include "permutation.h"

#include "draw.h"

/* Three changes of each half: four rounds are the least for a good order (Luby and Rackoff, 1988),
 * and halves of few bits want more. */
#define ROUNDS 6u

struct permutation permutation_make(uint64_t count, uint64_t seed)
{
    const unsigned bits = count > 1 ? 64u - (unsigned)__builtin_clzll(count - 1) : 0;

    return (struct permutation){
        .count = count,
        .seed = seed,
        .low_bits = bits / 2,
        .high_bits = bits - bits / 2,
    };
}

static uint64_t mask_of(unsigned bits)
{
    return (UINT64_C(1) << bits) - 1;
}

static uint64_t shuffle(const struct permutation *permutation, uint64_t number)
{
    uint64_t low = number & mask_of(permutation->low_bits);
    uint64_t high = number >> permutation->low_bits;

    for (unsigned round = 0; round < ROUNDS; round += 2) {
        high ^= draw_mix(permutation->seed + round + (low << 3)) & mask_of(permutation->high_bits);
        low ^= draw_mix(permutation->seed + round + 1 + (high << 3)) &
               mask_of(permutation->low_bits);
    }
    return high << permutation->low_bits | low;
}

uint64_t permutation_at(const struct permutation *permutation, uint64_t index)
{
    uint64_t number = index;

    do {
        number = shuffle(permutation, number);
    } while (number >= permutation->count);
    return number;
}
