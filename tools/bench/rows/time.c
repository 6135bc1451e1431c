/* SPDX-License-Identifier: MIT */
/*
 * Rows of time: late_sleep, timer_arm_1m, sleep_many.
 *
 * sleep_many: 100,000 tasks sleep for 1 to 100 ms at random, again and again, some
 * 2 million sleeps a second. The figure is the CPU time of the shard's thread per
 * sleep, in a window of time in which all of them are at it; what is recorded is how
 * late each ended. Without a slack both sides would never sleep, and the figure were
 * what is left of a CPU for each.
 *
 * late_sleep: one task sleeps for 1 to 1.5 ms, one yields in a loop. The figure is how
 * late the sleep ends; the quota is 0.5 ms.
 *
 * timer_arm_1m: as timer_arm, beside a million armed timers: of futures, as a million
 * stacks would take 4 GiB; of nobody in the limit, for they are set up and no more.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "limit.h"
#include "rows.h"
#include "sides.h"

#define SLEEPERS   100000
#define WARM_UP    RT_MILLISECONDS(150) /* all have slept once, and what was late is over */
#define WINDOW     RT_MILLISECONDS(100)
#define LATE_LEAST 10
#define SLACK      RT_MICROSECONDS(250)
#define ARMED      1000000

struct many {
    struct rt_bench *bench;
    uint64_t random;
    uint64_t slept;
    bool recording;
    bool stop;
};

/* Knuth's MMIX generator: the same numbers every time. */
static int64_t random_below(uint64_t *random, int64_t bound)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)(*random >> 33) % bound;
}

static int64_t cpu_ns(void)
{
    struct timespec used = { 0 };

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * RT_SECONDS(1) + used.tv_nsec;
}

/* A million futures that sleep: with each an armed timer, and no stack. In groups, as to cancel
 * one holds the shard. */
#define GROUPS 1000

static struct rt_future *sleepers;
static struct rt_group groups[GROUPS];

static int poll_sleeper(struct rt_future *future)
{
    const int64_t number = future - sleepers;

    return rt_poll_sleep(future, rt_in(RT_SECONDS(60) + number * (RT_SECONDS(10) / ARMED)));
}

static void rt_others_end(void)
{
    for (uint32_t i = 0; i < GROUPS; i++) {
        (void)rt_group_leave(&groups[i], 0);
    }
    free(sleepers);
    sleepers = NULL;
}

static int rt_others_begin(uint32_t count)
{
    int r = 0;

    sleepers = malloc(count * sizeof(*sleepers));
    if (sleepers == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < GROUPS; i++) {
        groups[i] = (struct rt_group)RT_GROUP_INIT;
    }
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        sleepers[i] = (struct rt_future)RT_FUTURE_INIT(poll_sleeper, NULL);
        r = rt_group_spawn_future(&groups[i % GROUPS], &sleepers[i]);
        rt_yield_if_due();
    }
    while (r == 0) {
        struct rt_stats stats;

        rt_stats_get(&stats, sizeof(stats));
        if (stats.timers_armed >= count) {
            return 0;
        }
        rt_yield(); /* in a turn no more run than its quota has room for */
    }
    rt_others_end();
    return r;
}

#define SIDE(name) limit_##name
#include "time_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "time_loops.h"
#undef SIDE

/* Sides of the limit: the row's loop in its first fiber. */

struct limit_side {
    struct rt_bench *bench;
    int (*loop)(void *bench);
    int64_t slack;
};

static int limit_sleeping(void *arg)
{
    const struct limit_side *side = arg;
    int r;

    if (limit_sleeps_begin(side->slack) < 0) {
        return rt_bench_fail(side->bench, -ENOMEM, "no memory for sleepers, or no io_uring");
    }
    r = side->loop(side->bench);
    limit_sleeps_end();
    return r;
}

static int limit_many(struct rt_bench *bench)
{
    struct limit_side side = { bench, limit_sleep_many_loop, SLACK };

    return limit_run(SLEEPERS + 1, limit_sleeping, &side);
}

static int limit_late(struct rt_bench *bench)
{
    struct limit_side side = { bench, limit_late_sleep_loop, 0 };

    return limit_run(1, limit_sleeping, &side);
}

static int limit_armed(struct rt_bench *bench)
{
    return limit_run(1, limit_timer_arm_1m_loop, bench);
}

/* Of the runtime; those with a configuration of their own start one. */

static int rt_many(struct rt_bench *bench)
{
    struct rt_config config = RT_CONFIG_INIT;
    char cpu[16];

    snprintf(cpu, sizeof(cpu), "%d", bench->cpus[0]);
    config.cpus = cpu;
    config.stack_bytes = 16 * 1024; /* as the limit's */
    config.timer_slack = SLACK;
    return rt_run(&config, rt_sleep_many_loop, bench);
}

static int rt_late(struct rt_bench *bench)
{
    return rt_late_sleep_loop(bench);
}

static int rt_armed(struct rt_bench *bench)
{
    return rt_timer_arm_1m_loop(bench);
}

const struct rt_bench_row bench_rows_time[] = {
    { .name = "late_sleep",
      .summary = "how late a sleep of 1 to 1.5 ms ends beside a task that yields in a loop",
      .run = rt_late,
      .limit = limit_late,
      .flags = RT_BENCH_RECORDS },
    { .name = "timer_arm_1m",
      .summary = "as timer_arm, with a million others armed",
      .run = rt_armed,
      .limit = limit_armed,
      .flags = RT_BENCH_LONG },
    { .name = "sleep_many",
      .summary = "CPU of a sleep of 1 to 100 ms, of 100,000 tasks, with a slack of 250 us",
      .run = rt_many,
      .limit = limit_many,
      .units_max = 1, /* a window of time */
      .flags = RT_BENCH_PLAIN | RT_BENCH_SLEEPS | RT_BENCH_RECORDS | RT_BENCH_LONG },
};
const size_t bench_rows_time_count = sizeof(bench_rows_time) / sizeof(bench_rows_time[0]);
