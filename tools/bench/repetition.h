/* SPDX-License-Identifier: MIT */
/*
 * Repetition: one call of one side of a row, with all that is counted around it.
 *
 * It is the one place that knows how a side is run: in a runtime that is started
 * for it, or on this thread, bound to the core. The functions of rt/bench.h, by
 * which the side says where its measured part begins and ends, are here too.
 */
#ifndef BENCH_REPETITION_H
#define BENCH_REPETITION_H

#include <rt/bench.h>

#include "counters.h"
#include "histogram.h"
#include "noise.h"

enum side { SIDE_RUN, SIDE_LIMIT, SIDE_BARE, SIDES };

/* What a repetition gives. Figures are per unit; NAN: not known. */
struct repetition {
    double ns; /* the row's figure */
    double cpu_ns, allocations, enters, instructions, cycles;
    double wall_ns; /* of the measured part as a whole */
    uint64_t units; /* that were done in it */
    struct noise noise;
    char error[256]; /* "": it is good */
};

/*
 * Run a side once. False when it failed: out->error says why.
 *
 * `times`: where a recording repetition puts what its units took; NULL: it is not a recording one.
 * Call it from the thread that counters_open() was called by.
 */
bool repetition_run(struct repetition *out, const struct rt_bench_row *row, enum side side,
                    const int32_t cpus[2], uint64_t units, uint64_t seed, struct histogram *times);

/* Find out what beginning and ending to measure adds to each repetition; it is subtracted from
 * then on. Returns it, in ns. */
double repetition_calibrate(void);

#endif /* BENCH_REPETITION_H */
