/* SPDX-License-Identifier: MIT */
/*
 * Rows of one core: primitives of the runtime beside their limits (limit/limit.h),
 * both called through a shared library. A tenth of the units is not timed.
 */
#include <errno.h>
#include <rt/rt.h>
#include <string.h>

#include "limit.h"
#include "rows.h"
#include "sides.h"

#define MANY   1000  /* fibers of row yield1k: the limits page's */
#define OTHERS 10000 /* timers armed beside row timer_arm: the limits page's */

/* The other fibers of a yield row, and the sleeper of a timer row, are to return. */
static volatile bool stop;

static int child(void *arg)
{
    return *(int *)arg;
}

static int limit_enter(int (*fn)(void *), struct rt_bench *bench)
{
    return limit_run(OTHERS + 8, fn, bench);
}

#define SIDE(name) limit_##name
#include "core_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "core_loops.h"
#undef SIDE

static int bare_yields(struct rt_bench *bench)
{
    const uint32_t fibers = *(const uint32_t *)bench->arg;
    const uint64_t switches = (bench->units / fibers + 1) * fibers;
    uint64_t ns;

    rt_bench_start(bench);
    ns = bare_switches(fibers, switches);
    rt_bench_stop(bench, switches);
    if (ns == 0) {
        return -ENOMEM;
    }
    rt_bench_result(bench, (double)ns / (double)switches);
    return 0;
}

static int bare_spawn(struct rt_bench *bench)
{
    uint64_t ns;

    rt_bench_start(bench);
    ns = bare_spawns(bench->units);
    rt_bench_stop(bench, bench->units);
    rt_bench_result(bench, (double)ns / (double)bench->units);
    return ns == 0 ? -ENOMEM : 0;
}

/* A wheel alone, with no task that waits. */
static int bare_timer(struct rt_bench *bench)
{
    const int64_t now = limit_now();
    struct limit_wheel *wheel = limit_wheel_create(OTHERS, now);
    struct limit_timer timer = { .link = NULL };

    if (wheel == NULL) {
        return -ENOMEM;
    }
    rt_bench_start(bench);
    for (uint64_t i = 0; i < bench->units; i++) {
        limit_timer_arm(wheel, &timer, now + RT_SECONDS(5) + (int64_t)i);
        limit_timer_disarm(wheel, &timer);
    }
    rt_bench_stop(bench, bench->units);
    limit_wheel_destroy(wheel);
    return 0;
}

static const uint32_t two = 2;
static const uint32_t many = MANY;

const struct rt_bench_row bench_rows_core[] = {
    { .name = "yield2",
      .summary = "two tasks yield to each other: one switch",
      .run = rt_yields,
      .limit = limit_yields,
      .bare = bare_yields,
      .arg = &two },
    { .name = "yield1k",
      .summary = "1000 tasks yield in turn: one switch",
      .run = rt_yields,
      .limit = limit_yields,
      .bare = bare_yields,
      .arg = &many },
    { .name = "spawn_join",
      .summary = "make a task, wait for its end, take its result",
      .run = rt_spawn_join,
      .limit = limit_spawn_join,
      .bare = bare_spawn },
    { .name = "timer_arm",
      .summary = "wait with a deadline far ahead, be woken; 10,000 others armed",
      .run = rt_timer_arm_row,
      .limit = limit_timer_arm_row,
      .bare = bare_timer },
};
const size_t bench_rows_core_count = sizeof(bench_rows_core) / sizeof(bench_rows_core[0]);
