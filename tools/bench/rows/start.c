/* SPDX-License-Identifier: MIT */
/*
 * Row start_stop: a runtime of two shards whose first tasks return at once, from
 * the call of rt_start() until it returns. The limit makes and ends the two
 * threads and their rings, and nothing between them.
 */
#include <errno.h>
#include <rt/rt.h>
#include <sched.h>
#include <stdio.h>

#include "limit.h"
#include "rows.h"

static int return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* Any two CPUs, also of one core; the program may have its own way with signals. */
static int start_stop(const int32_t cpus[2])
{
    struct rt_config config = RT_CONFIG_INIT;
    char list[32];

    snprintf(list, sizeof(list), "%d,%d", cpus[0], cpus[1]);
    config.cpus = list;
    config.shards = 2;
    config.place = RT_PLACE_PU;
    config.flags = RT_CONFIG_NO_SIGNALS;
    return rt_start(&config, return_at_once, NULL);
}

/* The caller may use one CPU only, and what it starts inherits that: let it use both meanwhile. */
static int allow_both(const int32_t cpus[2], cpu_set_t *before)
{
    cpu_set_t both;

    CPU_ZERO(&both);
    CPU_SET((size_t)cpus[0], &both);
    CPU_SET((size_t)cpus[1], &both);
    if (sched_getaffinity(0, sizeof(*before), before) < 0 ||
        sched_setaffinity(0, sizeof(both), &both) < 0) {
        return -errno;
    }
    return 0;
}

static int repeat(struct rt_bench *bench, int (*once)(const int32_t cpus[2]))
{
    cpu_set_t before;
    int r = allow_both(bench->cpus, &before);

    if (r == 0) {
        r = once(bench->cpus);
        rt_bench_start(bench);
        for (uint64_t i = 0; r == 0 && i < bench->units; i++) {
            r = once(bench->cpus);
        }
        rt_bench_stop(bench, bench->units);
        (void)sched_setaffinity(0, sizeof(before), &before); /* it was valid a moment ago */
    }
    return r < 0 ? rt_bench_fail(bench, r, "two threads on CPUs %d and %d: %s", bench->cpus[0],
                                 bench->cpus[1], rt_strerror(r))
                 : 0;
}

static int start_run(struct rt_bench *bench)
{
    return repeat(bench, start_stop);
}

static int start_limit(struct rt_bench *bench)
{
    return repeat(bench, limit_start_stop);
}

const struct rt_bench_row bench_rows_start[] = {
    {
        .name = "start_stop",
        .summary = "a runtime of two shards, started and ended",
        .run = start_run,
        .limit = start_limit,
        .kind = RT_BENCH_PAIR,
        .flags = RT_BENCH_PLAIN,
    },
};
const size_t bench_rows_start_count = sizeof(bench_rows_start) / sizeof(bench_rows_start[0]);
