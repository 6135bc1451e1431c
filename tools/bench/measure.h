/* SPDX-License-Identifier: MIT */
/*
 * Measure: one pass of a row at a place, as an object of the results (docs/tools/bench.md).
 *
 * First `units` is chosen so that a repetition of the slowest side takes some
 * milliseconds; that also warms up. Then the sides are taken in turn, limit,
 * runtime, runtime, limit ..., until the time is over: a machine drifts, and
 * neighbours in time drift together. A repetition that was disturbed is done
 * again, with its neighbour.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <jansson.h>
#include <rt/bench.h>

struct peers;

struct settings {
    double seconds; /* for one row at one place, about */
    unsigned passes;
    bool record; /* the latencies of units, too, where a row can */
    uint64_t seed;
    bool quick;
    bool at_once;
    struct peers *peers;    /* NULL: none are wanted */
    const char *histograms; /* a directory for HdrHistogram's files; NULL: none are wanted */
};

/* A new object, with every repetition and no figures yet; the caller's. One that failed has an
 * "error". */
json_t *measure(const struct rt_bench_row *row, const int32_t cpus[2],
                const struct settings *settings);

/* The same for one that could not be measured. */
json_t *measure_failed(const struct rt_bench_row *row, const int32_t cpus[2],
                       const struct settings *settings, const char *error);

#endif /* BENCH_MEASURE_H */
