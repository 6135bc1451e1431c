/* SPDX-License-Identifier: MIT */
/*
 * Counters: what this process has used so far, over all its threads: CPU time,
 * allocations from the heap, and instructions and cycles where the processor's
 * counters can be had.
 */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* NAN: not known. */
struct counters {
    double cpu_ns;
    double allocations;
    double instructions; /* in user mode */
    double cycles;       /* in user mode */
};

/*
 * Ask for the processor's counters; before threads are made, whose work is to be
 * counted. Returns NULL, or why there are none: a text that stays.
 */
const char *counters_open(void);

/* The same for one counter of perf_event, for tests: a descriptor, or -errno. */
int counters_open_one(uint32_t type, uint64_t event);
double counters_read_one(int fd);

void counters_read(struct counters *out);

/* Allocations by malloc() and its kin since the program began (allocations.c). */
uint64_t allocations_count(void);

#endif /* BENCH_COUNTERS_H */
