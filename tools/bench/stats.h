/* SPDX-License-Identifier: MIT */
/*
 * Statistics of repeated measurements.
 *
 * What disturbs a measurement (interrupts, other work, a stolen CPU) makes it
 * slower, sometimes by a lot, and seldom by the same. So nothing here takes a
 * mean or believes in a bell curve: the figure is the median, its noise is the
 * median absolute deviation (MAD, as it is, not scaled to a standard deviation),
 * and intervals go from one ordered value to another.
 *
 * Every array holds 1 to BENCH_VALUES_MAX finite numbers, in the order in which
 * they were taken, and is not changed.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

#define BENCH_VALUES_MAX 1024

/* Fewer values say nothing about a change. */
#define BENCH_CHANGE_MIN 5

/* The level of intervals that are shown. */
#define BENCH_LEVEL 0.95

struct bench_summary {
    double median;
    double mad;       /* the median of the distances from the median */
    double low, high; /* interval of the median, at BENCH_LEVEL */
};

struct bench_interval {
    double low, high;
};

/* From one sample to another: 0.04 is 4 % more. */
struct bench_change {
    double change;    /* of the medians */
    double low, high; /* its interval */
};

/* The middle one; of an even count, the mean of the middle two. */
double bench_median(const double *values, size_t count);

/* Median, MAD and interval. Of ratios, give the ratio of each repetition to its neighbour in time:
 * what both have in common, as the mood of the machine, is gone before anything is estimated. */
struct bench_summary bench_summary_of(const double *values, size_t count);

/*
 * How many times more each of `values` is than its neighbour in `base`, both in
 * the order in which they were taken. The sides of repetitions 0, 2, 4 ... ran in
 * one order, those of 1, 3, 5 ... in the other. Being second may be an advantage
 * (a cache is warm), so the ratios of both orders are moved to the middle of their
 * medians: half of them up, half down.
 */
void bench_ratios_of(const double *values, const double *base, size_t count, double *out);

/* The interval that holds the true median in a share `level` (0..1) of all cases; stats.c says how
 * well. */
struct bench_interval bench_interval_of(const double *values, size_t count, double level);

/* How much more `b` is than `a`, all values above 0, BENCH_CHANGE_MIN of them or more. An interval
 * without 0 is a difference at `level`. */
struct bench_change bench_change_of(const double *a, size_t a_count, const double *b,
                                    size_t b_count, double level);

/*
 * Is one of several cores unlike the others, in the same row? Returns by how
 * much it differs from the median of the others, 0.13 for 13 % above; 0 when it
 * does not. It does when it is more than 10 % away, when that is outside of the
 * core's interval, and 3 times as far as three quarters of the others are: where
 * there are two kinds of cores, neither is odd.
 *
 * Of two cores nobody knows which one is odd: the slower one is named, when its
 * figure is 30 % or more away and the intervals do not meet.
 */
double bench_outlier_of(const struct bench_summary *cores, size_t count, size_t index,
                        bool more_is_better);

#endif /* BENCH_STATS_H */
