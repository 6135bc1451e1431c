/* SPDX-License-Identifier: MIT */
/*
 * Rows of a thread that is no shard, and hands work to one that has nothing to do: it
 * sleeps, and the thread sleeps until the work is done. Beside limit/foreign.h. A tenth of
 * the units is not timed.
 */
#include <errno.h>
#include <rt/rt.h>
#include <sched.h>
#include <stdio.h>

#include "foreign.h"
#include "rows.h"

#define IN_FLIGHT 64 /* of row foreign_submit64 */

static int add_one(void *arg)
{
    return (int)(uintptr_t)arg + 1;
}

static struct rt_runtime *runtime; /* of the row that runs */

/* The calls, made alike. Errors show as wrong results. */
static inline void rt_hand(struct rt_submission *submission, void *arg)
{
    (void)!rt_submit(runtime, 0, submission, add_one, arg);
}

static inline int rt_get(struct rt_submission *submission)
{
    int result = -1;

    (void)!rt_submission_wait(submission, &result, RT_NEVER);
    return result;
}

static inline void limit_hand(struct limit_submission *submission, void *arg)
{
    limit_submit(submission, add_one, arg);
}

static inline int limit_get(struct limit_submission *submission)
{
    return limit_submission_wait(submission);
}

#define SIDE(name) limit_##name
#include "foreign_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "foreign_loops.h"
#undef SIDE

static int wait_for_stop(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

/* One shard on that CPU. The caller may use another one only, and what it starts inherits that: let
 * it be there meanwhile. */
static int launch_on(int cpu)
{
    struct rt_config config = RT_CONFIG_INIT;
    cpu_set_t before;
    cpu_set_t there;
    char name[16];
    int r;

    CPU_ZERO(&there);
    CPU_SET((size_t)cpu, &there);
    if (sched_getaffinity(0, sizeof(before), &before) < 0 ||
        sched_setaffinity(0, sizeof(there), &there) < 0) {
        return -errno;
    }
    snprintf(name, sizeof(name), "%d", cpu);
    config.cpus = name;
    config.shards = 1;
    config.place = RT_PLACE_PU;
    r = rt_launch(&runtime, &config, wait_for_stop, NULL);
    (void)sched_setaffinity(0, sizeof(before), &before); /* it was valid a moment ago */
    return r;
}

static int rt_row(struct rt_bench *bench)
{
    int ended;
    int r = launch_on(bench->cpus[1]);

    if (r < 0) {
        return rt_bench_fail(bench, r, "a shard on CPU %d: %s", bench->cpus[1], rt_strerror(r));
    }
    r = rt_hand_over(bench);
    rt_stop(runtime);
    ended = rt_wait(runtime);
    return r < 0 ? r : ended;
}

static int limit_row(struct rt_bench *bench)
{
    int r = limit_server_begin(bench->cpus[1]);

    if (r < 0) {
        return rt_bench_fail(bench, r, "a thread on CPU %d: %s", bench->cpus[1], rt_strerror(r));
    }
    r = limit_hand_over(bench);
    limit_server_end();
    return r;
}

static const unsigned one = 1;
static const unsigned many = IN_FLIGHT;

const struct rt_bench_row bench_rows_foreign[] = {
    { .name = "foreign_submit",
      .summary = "a thread that is no shard submits a function and waits for its result",
      .run = rt_row,
      .limit = limit_row,
      .arg = &one,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_PLAIN | RT_BENCH_SLEEPS },
    { .name = "foreign_submit64",
      .summary = "a function that such a thread submits, 64 at a time, then waiting for all",
      .run = rt_row,
      .limit = limit_row,
      .arg = &many,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_PLAIN | RT_BENCH_SLEEPS },
};
const size_t bench_rows_foreign_count = sizeof(bench_rows_foreign) / sizeof(bench_rows_foreign[0]);
