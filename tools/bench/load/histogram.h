/* SPDX-License-Identifier: MIT */
/*
 * Histogram of durations: log-linear, 64 steps per power of two, so a value is
 * kept to within 1/64 (1.6 %). Values above 2^40 ns (18 minutes) count as that.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_STEPS     (1 << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BITS      40
#define HISTOGRAM_BUCKETS   ((HISTOGRAM_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    const uint64_t limit = ((uint64_t)1 << HISTOGRAM_BITS) - 1;
    uint64_t kept = value < limit ? value : limit;
    unsigned shift = 0;

    if (kept >= HISTOGRAM_STEPS) {
        shift = 63u - (unsigned)__builtin_clzll(kept) - HISTOGRAM_STEP_BITS;
        /* kept >> shift has its leading bit, one row of steps, so rows count from shift + 1. */
        histogram->buckets[(uint64_t)shift * HISTOGRAM_STEPS + (kept >> shift)]++;
    } else {
        histogram->buckets[kept]++;
    }
    histogram->count++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

/* The largest value that bucket `index` stands for. */
static inline uint64_t histogram_value_of(unsigned index)
{
    unsigned row = index / HISTOGRAM_STEPS;
    uint64_t step = index % HISTOGRAM_STEPS;

    if (row == 0) {
        return step;
    }
    return ((HISTOGRAM_STEPS + step + 1) << (row - 1)) - 1;
}

/* The value that a share of `quantile` (0..1) of all values does not exceed; 0 without values. */
static inline uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    uint64_t wanted = (uint64_t)(quantile * (double)histogram->count);
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted) {
            uint64_t value = histogram_value_of(i);

            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

#endif /* BENCH_HISTOGRAM_H */
