/* SPDX-License-Identifier: MIT */
/*
 * Rows of rt-bench: how a piece of work is described, so that rt-bench can
 * measure it beside its limit, on each core, between cores, and compare runs.
 *
 * The rows that rt-bench has are described so, and so are a user's own, in a
 * shared object (rt-bench --load ./mine.so):
 *
 *     static int yield_row(struct rt_bench *bench)
 *     {
 *         rt_yield();                      warm up: a tenth of the units is usual
 *         rt_bench_start(bench);
 *         for (uint64_t i = 0; i < bench->units; i++) {
 *             rt_yield();
 *         }
 *         rt_bench_stop(bench, bench->units);
 *         return 0;
 *     }
 *
 *     static const struct rt_bench_row rows[] = {
 *         { .name = "my_yield", .summary = "a yield with nobody else there", .run = yield_row },
 *     };
 *     RT_BENCH_ROWS(rows);
 *
 * A repetition is one call of one side of a row: of `run`, which is the first
 * task of a runtime that was started for it (of a pair, on the shard of its first
 * CPU), or of `limit` or `bare`, which are called on a thread bound to the core.
 * rt-bench takes the sides in turn and chooses `units` so that a repetition takes
 * some milliseconds. What lies outside of rt_bench_start() and rt_bench_stop() is
 * not measured.
 *
 * The functions below are rt-bench's: a shared object finds them there, and
 * links with nothing but the library. They are called by the side itself, on the
 * thread or in the task that it was called in.
 */
#ifndef RT_BENCH_H
#define RT_BENCH_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Raised when the structs below change. */
#define RT_BENCH_VERSION 1

/** Where a row runs. */
enum rt_bench_kind {
    RT_BENCH_CORE = 0, /* a runtime of one shard; each core can be measured */
    RT_BENCH_PAIR,     /* a runtime of two shards on two cores; each pair can be measured */
};

enum rt_bench_flags {
    RT_BENCH_SLEEPS = 1u << 0,  /* shards sleep when they have nothing to do; else they spin */
    RT_BENCH_RECORDS = 1u << 1, /* can time each unit: see rt_bench_record() */
    RT_BENCH_PLAIN = 1u << 2,   /* `run` starts what it needs itself: it is called as `limit` is */
    RT_BENCH_RATE = 1u << 3,    /* shown as units per second: more is better */
    RT_BENCH_MATRIX = 1u << 4,  /* of a pair: part of the matrix over all pairs (--pairs) */
    RT_BENCH_LONG = 1u << 5,    /* takes seconds, or GiB: only run when --filter names it */
    RT_BENCH_WORKERS = 1u
                       << 6, /* other threads of the process, or the kernel's for its I/O, work on
                                 * the row's cores too: to wait for them is no disturbance */
};

/** One repetition. Read what you need; do not write. */
struct rt_bench {
    uint64_t units;     /* how many units of work to do */
    uint64_t seed;      /* for what is random; the same for all sides of one repetition */
    const void *arg;    /* the row's */
    int32_t cpus[2];    /* where it runs; the second is -1 for a row of one core */
    uint32_t recording; /* 1: this repetition is there for rt_bench_record() */
    uint32_t other;     /* of a pair, in `run`: the number of the shard on cpus[1], which serves */
    void *state;        /* rt-bench's own */
};

/** A side of a row. 0 or above is good; an error below 0 ends the row with its text. */
typedef int (*rt_bench_fn)(struct rt_bench *bench);

/** A row: constant, and there as long as the program runs. */
struct rt_bench_row {
    const char *name;    /* letters, digits and _; no other row's */
    const char *summary; /* what a unit is, a line without a full stop */
    rt_bench_fn run;     /* over the runtime; may be NULL where `limit` or `bare` is not */
    rt_bench_fn limit;   /* the same work with nothing around it; may be NULL */
    rt_bench_fn bare;    /* what the machine can do at all, no goal; may be NULL */
    const void *arg;     /* given to each side */
    double goal;         /* ratio to the limit above which it is marked; 0 = 1.5 */
    uint64_t units_max;  /* of a repetition; 0 = no limit */
    uint32_t kind;       /* enum rt_bench_kind */
    uint32_t flags;      /* enum rt_bench_flags */
};

/** What a shared object has under the name rt_bench_module. */
struct rt_bench_module {
    uint32_t version;   /* RT_BENCH_VERSION */
    uint32_t row_bytes; /* sizeof(struct rt_bench_row) */
    uint32_t count;
    const struct rt_bench_row *rows;
};

/** Give an array of rows to rt-bench. Once in a shared object, at file scope. */
#define RT_BENCH_ROWS(array)                                                                       \
    RT_API extern const struct rt_bench_module rt_bench_module;                                    \
    const struct rt_bench_module rt_bench_module = {                                               \
        .version = RT_BENCH_VERSION,                                                               \
        .row_bytes = sizeof(struct rt_bench_row),                                                  \
        .count = sizeof(array) / sizeof((array)[0]),                                               \
        .rows = (array),                                                                           \
    }

/**
 * Begin to measure: the clock, CPU time, allocations, entries of the ring, and
 * the processor's counters where there are any. Once in a repetition.
 *
 * Warm up before: a tenth of the units is usual.
 * \context{In the side that was called, thread or task. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_bench_start(struct rt_bench *bench);

/**
 * End to measure. Once in a repetition, after rt_bench_start().
 *
 * @param units  how many units were done in between: what the figures are divided by.
 * \context{In the side that was called, thread or task. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_bench_stop(struct rt_bench *bench, uint64_t units);

/**
 * Record what one unit took. Only where bench->recording is 1: such repetitions
 * fill the histogram, and their own figure is not used, for reading the clock
 * twice in each unit costs time. Between start and stop.
 *
 * @param ns  nanoseconds; up to an hour, what is above counts as that.
 * \context{In the side that was called, thread or task. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_bench_record(struct rt_bench *bench, uint64_t ns);

/**
 * Replace the time that was measured by another one: such as the median of what
 * the side has timed itself, or the CPU time of one of two threads. After stop.
 *
 * @param ns  nanoseconds per unit, above 0.
 * \context{In the side that was called, thread or task. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_bench_result(struct rt_bench *bench, double ns);

/**
 * Say why a side fails; the text stands beside the row.
 *
 * @return `error`, to be returned.
 * \context{In the side that was called, thread or task. Does not suspend.}
 */
RT_API RT_ANY_THREAD
int rt_bench_fail(struct rt_bench *bench, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif /* RT_BENCH_H */
