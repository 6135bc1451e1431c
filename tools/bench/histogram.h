/* SPDX-License-Identifier: MIT */
/*
 * Histogram of durations in ns, up to an hour, to three digits.
 *
 * The layout is HdrHistogram's (github.com/HdrHistogram): values below 2048 have
 * a counter each; from there on every power of two is cut into 1024 steps. So a
 * value is kept to within 1/1024 (0.1 %) of itself, and its counter is found with
 * a shift. What comes out is the largest value that the counter stands for, but
 * never more than the greatest that was recorded.
 *
 * A histogram that is all zeroes is an empty one. It is 264 KiB large: not for
 * the stack. Recording needs no memory. One thread at a time.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_MAX         UINT64_C(3600000000000) /* what is above counts as that */
#define HISTOGRAM_STEP_BITS   10
#define HISTOGRAM_STEPS       (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_SUB_BUCKETS (2 * HISTOGRAM_STEPS) /* as HdrHistogram counts them */
#define HISTOGRAM_BUCKETS     32u                   /* 2048 << 31 is above an hour */
#define HISTOGRAM_COUNTERS    ((HISTOGRAM_BUCKETS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t counters[HISTOGRAM_COUNTERS];
};

/* Of jansson; whoever wants one includes its header. */
struct json_t;

/* An empty one; NULL: no memory. */
struct histogram *histogram_create(void);

void histogram_destroy(struct histogram *histogram);

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    uint64_t kept = value < HISTOGRAM_MAX ? value : HISTOGRAM_MAX;
    /* The bits below the leading 11; none for what has fewer. */
    unsigned shift = 63u - HISTOGRAM_STEP_BITS -
                     (unsigned)__builtin_clzll(kept | (HISTOGRAM_SUB_BUCKETS - 1));

    /* With a shift, kept >> shift begins at HISTOGRAM_STEPS: powers meet without a gap. */
    histogram->counters[((uint64_t)shift << HISTOGRAM_STEP_BITS) + (kept >> shift)]++;
    histogram->count++;
    if (kept > histogram->max) {
        histogram->max = kept;
    }
}

/* Add what `from` has to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

uint64_t histogram_count(const struct histogram *histogram);

uint64_t histogram_max(const struct histogram *histogram);

/* The least value that a share of `quantile` (0..1) of all values does not exceed. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* Each value counts as the middle of what its counter stands for. */
double histogram_mean(const struct histogram *histogram);
double histogram_stddev(const struct histogram *histogram);

/*
 * The next counter from *index on that is not zero. Returns its count, and the
 * value it stands for; *index is then the one after it. 0 when there is none.
 */
uint64_t histogram_next(const struct histogram *histogram, uint32_t *index, uint64_t *value);

/* Write HdrHistogram's table of percentiles, which its plotters read: 5 lines per halving of what
 * is left to 1. Values are divided by `unit_ns`. */
void histogram_print(const struct histogram *histogram, FILE *out, double unit_ns);

/* An object: count, mean, p50, p90, p99, p999, max, and the counters that are not zero. */
struct json_t *histogram_to_json(const struct histogram *histogram);

#endif /* BENCH_HISTOGRAM_H */
