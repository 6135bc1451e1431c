/* SPDX-License-Identifier: MIT */
/*
 * Rand: seeded random numbers for tests, and which seeds a test runs.
 *
 * A test that depends on chance loops over seeds and prints the seed of a
 * failing run; RT_SEED=<seed> in the environment then runs exactly that one:
 *
 *     for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
 *         run(rt_test_seed(i));
 *     }
 *
 * RT_SEEDS=<n> changes how many seeds are run (a nightly run takes many), and
 * RT_SEEDS=<n>% runs that share of what each test usually does, at least one.
 * The generator is splitmix64: 64 bits of state, every seed is a good seed.
 */
#ifndef RT_TEST_RAND_H
#define RT_TEST_RAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rand_state {
    uint64_t state;
};

static inline void rand_init(struct rand_state *rand, uint64_t seed)
{
    rand->state = seed;
}

static inline uint64_t rand_next(struct rand_state *rand)
{
    uint64_t x = (rand->state += UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* A number in 0..limit-1; limit > 0. The bias of the modulo does not matter here. */
static inline uint64_t rand_below(struct rand_state *rand, uint64_t limit)
{
    return limit > 0 ? rand_next(rand) % limit : 0;
}

/* A number in low..high, both included. */
static inline int64_t rand_range(struct rand_state *rand, int64_t low, int64_t high)
{
    return low + (int64_t)rand_below(rand, (uint64_t)(high - low) + 1);
}

/* True in `per_mille` of 1000 cases. Draws nothing when the answer is certain. */
static inline bool rand_chance(struct rand_state *rand, unsigned per_mille)
{
    return per_mille > 0 && (per_mille >= 1000 || rand_below(rand, 1000) < per_mille);
}

static inline void rand_bytes(struct rand_state *rand, void *bytes, size_t count)
{
    uint8_t *out = bytes;

    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)rand_next(rand);
    }
}

/* The seed of run `index`: RT_SEED when it is set, else 1, 2, 3 ... */
static inline uint64_t rt_test_seed(unsigned index)
{
    const char *text = getenv("RT_SEED");

    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : (uint64_t)index + 1;
}

/* How many seeds to run: 1 when RT_SEED is set, else as RT_SEEDS says, else `count_default`. */
static inline unsigned rt_test_seed_count(unsigned count_default)
{
    const char *one = getenv("RT_SEED");
    const char *text = getenv("RT_SEEDS");
    char *end = NULL;
    unsigned long long count;

    if (one != NULL && *one != '\0') {
        return 1;
    }
    if (text == NULL || *text == '\0') {
        return count_default;
    }
    count = strtoull(text, &end, 10);
    if (strcmp(end, "%") == 0 && count <= 100) {
        count = (count_default * count + 99) / 100;
        end++;
    }
    if (*end != '\0' || count == 0 || count > UINT32_MAX) {
        fprintf(stderr, "RT_SEEDS=%s: give a number of seeds, or a share such as 20%%\n", text);
        abort();
    }
    return (unsigned)count;
}

#endif /* RT_TEST_RAND_H */
