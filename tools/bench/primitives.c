/* SPDX-License-Identifier: MIT */
/*
 * Primitives of the runtime beside their limits (limit/limit.h), both called
 * through a shared library, in one process and in turn: limit, runtime, limit,
 * runtime ... A repetition is a run of a new executor; the clock runs only while
 * the row's own loop does, after a warm-up of a tenth of it.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "harness.h"
#include "limit.h"

#define MANY   1000  /* fibers of row yield1k: the limits page's */
#define OTHERS 10000 /* timers armed beside row park_timer: the limits page's timer_arm */

/* What a repetition is given, and gives back. */
struct run {
    uint64_t count;  /* of the row's unit of work */
    uint32_t fibers; /* of a yield row */
    int64_t start;
    double ns;          /* per unit */
    volatile bool stop; /* the other fibers are to return */
};

static void run_begin(struct run *run)
{
    run->start = limit_now();
}

static void run_end(struct run *run, uint64_t units)
{
    run->ns = (double)(limit_now() - run->start) / (double)units;
    run->stop = true;
}

static int child(void *arg)
{
    return *(int *)arg;
}

/* The calls whose shapes differ, made alike. */
static inline void limit_begin(struct limit_task **out, int (*fn)(void *), void *arg)
{
    *out = limit_spawn(fn, arg);
    if (*out == NULL) {
        harness_give_up("limit_spawn", -EAGAIN);
    }
}

static inline void limit_end(struct limit_task *task, int *result)
{
    (void)limit_join(task, result);
}

static inline void rt_begin(struct rt_task **out, int (*fn)(void *), void *arg)
{
    int r = rt_spawn(out, fn, arg);

    if (r < 0) {
        harness_give_up("rt_spawn", r);
    }
}

static inline void rt_end(struct rt_task *task, int *result)
{
    int r = rt_join(task, result, RT_NEVER);

    if (r < 0) {
        harness_give_up("rt_join", r);
    }
}

#define SIDE(name) limit_##name
#include "rows.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "rows.h"
#undef SIDE

/* Rows that have no counterpart in the runtime's public calls: ns per unit, below 0 on failure. */
static double bare_switch_row(uint64_t count, uint32_t fibers)
{
    return (double)bare_switches(fibers, count) / (double)count;
}

static double bare_spawn_row(uint64_t count, uint32_t unused)
{
    (void)unused;
    return (double)bare_spawns(count) / (double)count;
}

static double wheel_row(uint64_t count, uint32_t unused)
{
    int64_t now = limit_now();
    struct limit_wheel *wheel = limit_wheel_create(OTHERS, now);
    struct limit_timer timer = { .link = NULL };
    int64_t start = limit_now();

    (void)unused;
    if (wheel == NULL) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        limit_timer_arm(wheel, &timer, now + RT_SECONDS(5) + (int64_t)i);
        limit_timer_disarm(wheel, &timer);
    }
    start = limit_now() - start;
    limit_wheel_destroy(wheel);
    return (double)start / (double)count;
}

static double nop_row(uint64_t count, uint32_t batch)
{
    struct limit_ring *ring = limit_ring_create();
    uint64_t good = 0;
    int64_t start;

    if (ring == NULL) {
        return -1;
    }
    start = limit_now();
    for (uint64_t i = 0; i < count; i += batch) {
        good += limit_ring_nops(ring, batch);
    }
    start = limit_now() - start;
    limit_ring_destroy(ring);
    return good >= count ? (double)start / (double)good : -1;
}

/* About 5 ms per repetition, so that most of them see no interruption by other work. */
static const struct row {
    const char *name;
    uint64_t count;
    uint32_t number; /* fibers of a yield row, or the batch */
    int (*limit)(void *);
    int (*runtime)(void *);
    double (*alone)(uint64_t count, uint32_t number);
} rows[] = {
    { "yield2", 1000000, 2, limit_yield_row, rt_yield_row, NULL },
    { "yield1k", 1000000, MANY, limit_yield_row, rt_yield_row, NULL },
    { "spawn_join", 300000, 0, limit_spawn_join_row, rt_spawn_join_row, NULL },
    { "park_timer", 100000, 0, limit_park_timer_row, rt_park_timer_row, NULL },
    { "timer_arm_alone", 1000000, 0, NULL, NULL, wheel_row },
    { "uring_nop_1", 30000, 1, NULL, NULL, nop_row },
    { "uring_nop_8", 80000, 8, NULL, NULL, nop_row },
    { "uring_nop_32", 96000, 32, NULL, NULL, nop_row },
    { "bare_yield2", 2000000, 2, NULL, NULL, bare_switch_row },
    { "bare_yield1k", 2000000, MANY, NULL, NULL, bare_switch_row },
    { "bare_spawn", 1000000, 0, NULL, NULL, bare_spawn_row },
};

static double repeat(const void *of, bool of_limit)
{
    const struct row *row = of;
    struct run run = { .count = row->count, .fibers = row->number };
    int r;

    if (row->alone != NULL) {
        return row->alone(row->count, row->number);
    }
    r = of_limit ? limit_run(OTHERS + 8, row->limit, &run) : rt_run(NULL, row->runtime, &run);
    if (r < 0) {
        harness_give_up(row->name, r);
    }
    return run.ns;
}

int main(int argc, char **argv)
{
    const char *cpu_text = "0";
    const struct harness_option own[] = {
        { "cpu", "N         run on CPU N; default 0", &cpu_text },
        { NULL, NULL, NULL },
    };
    struct harness harness;
    double cpu;
    int status;

    if (!harness_begin(&harness, argc, argv,
                       "Measure primitives of the runtime beside their limits, in turn.", own,
                       &status)) {
        return status;
    }
    if (!option_number("cpu", cpu_text, 0, 1023, &cpu)) { /* of cpu_set_t */
        return 2;
    }
    if (!pin_to_cpu((int)cpu)) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        harness_row(&harness, rows[i].name, repeat, rows[i].runtime != NULL, &rows[i]);
    }
    return harness_end(&harness) ? 0 : 2;
}
