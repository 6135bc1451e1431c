/* SPDX-License-Identifier: MIT */
/*
 * call_load: what a call to another shard takes at a load, and what the two shards pay.
 *
 *     call_load [options of the runtime] CALLS_PER_SECOND SECONDS
 *
 * 64 tasks of shard 0 call shard 1, each at times that were drawn before: the gaps are
 * exponential, so all together make a Poisson process. Who is late calls at once, until
 * it has caught up. The called function computes for 5 us: 1000 calls a second are a
 * load of 0.5 %. Measured is a call, from before rt_call() until after it, and the CPU
 * time of both threads. The result is an object of JSON on one line.
 *
 * tools/bench/idle_figures runs it with each policy of spinning.
 */
#include <errno.h>
#include <math.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "histogram.h"

#define TASKS   64
#define WORK    RT_MICROSECONDS(5)
#define WARM_UP RT_MILLISECONDS(100)

/* What a shard has counted; the difference of two is what the measurement took. */
struct reading {
    rt_time cpu;
    uint64_t sleeps;
    uint64_t looks;
    uint64_t looks_found;
};

static struct {
    double per_second; /* of one task */
    rt_time seconds;
    rt_time begin; /* of the measurement */
    rt_time end;
    struct histogram *took;
} load;

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "call_load: %s: %s\n", what, rt_strerror(error));
    exit(1);
}

static int compute(void *arg)
{
    const rt_time until = rt_now() + WORK;

    (void)arg;
    while (rt_now() < until) {
    }
    return 0;
}

static int take_reading(void *arg)
{
    struct reading *reading = arg;
    struct timespec cpu;
    struct rt_stats stats;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    rt_stats_get(&stats, sizeof(stats));
    *reading = (struct reading){ .cpu = RT_SECONDS(cpu.tv_sec) + cpu.tv_nsec,
                                 .sleeps = stats.sleeps,
                                 .looks = stats.looks,
                                 .looks_found = stats.looks_found };
    return 0;
}

static void read_both(struct reading readings[2])
{
    const int r = rt_call(1, take_reading, &readings[1], NULL, RT_NEVER);

    if (r < 0) {
        die("rt_call", r);
    }
    (void)take_reading(&readings[0]);
}

/* Uniform, above 0 and below 1. */
static double draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return ((double)(*random >> 11) + 0.5) / 9007199254740992.0;
}

static int caller(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u;
    double at = (double)(load.begin - WARM_UP);

    for (;;) {
        rt_time begin;
        int r;

        at -= log(draw(&random)) * 1e9 / load.per_second;
        if (at >= (double)load.end) {
            return 0;
        }
        r = rt_sleep_until((rt_time)at);
        begin = rt_now();
        r = r < 0 ? r : rt_call(1, compute, NULL, NULL, RT_NEVER);
        if (r < 0) {
            return r;
        }
        if (begin >= load.begin) {
            histogram_record(load.took, (uint64_t)(rt_now() - begin));
        }
    }
}

static void print(const struct reading before[2], const struct reading after[2])
{
    const double seconds = (double)load.seconds / 1e9;

    printf("{\"calls_per_second\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.2f",
           (double)load.took->count / seconds, (double)histogram_quantile(load.took, 0.5) / 1e3,
           (double)histogram_quantile(load.took, 0.99) / 1e3, (double)load.took->max / 1e3);
    for (int i = 0; i < 2; i++) {
        printf(", \"shard%d\": {\"cpu\": %.5f, \"sleeps\": %.1f, \"looks\": %.1f, "
               "\"looks_found\": %.1f}",
               i, (double)(after[i].cpu - before[i].cpu) / (double)load.seconds,
               (double)(after[i].sleeps - before[i].sleeps) / seconds,
               (double)(after[i].looks - before[i].looks) / seconds,
               (double)(after[i].looks_found - before[i].looks_found) / seconds);
    }
    printf("}\n");
}

static int first(void *arg)
{
    struct reading before[2];
    struct reading after[2];
    struct rt_group callers = RT_GROUP_INIT;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    load.begin = rt_in(2 * WARM_UP);
    load.end = load.begin + load.seconds;
    for (uintptr_t i = 1; i <= TASKS; i++) {
        r = rt_group_spawn(&callers, caller, (void *)i);
        if (r < 0) {
            die("rt_group_spawn", r);
        }
    }
    (void)rt_sleep_until(load.begin);
    read_both(before);
    (void)rt_sleep_until(load.end);
    read_both(after);
    r = rt_group_leave(&callers, RT_NEVER);
    if (r < 0) {
        die("a call", r);
    }
    print(before, after);
    return 0;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    double rate;
    double seconds;

    config.name = "call_load";
    config.place = RT_PLACE_PU;
    config.shards = 2;
    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    rate = argc == 3 ? strtod(argv[1], NULL) : 0;
    seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
    if (!(rate > 0 && rate <= 1e7 && seconds > 0 && seconds <= 3600)) {
        fprintf(stderr, "usage: call_load [options] CALLS_PER_SECOND SECONDS\n\n%s",
                rt_config_help());
        return 2;
    }
    load.per_second = rate / TASKS;
    load.seconds = (rt_time)(seconds * 1e9);
    load.took = histogram_create();
    if (load.took == NULL) {
        die("the histogram", -ENOMEM);
    }
    return rt_start(&config, first, NULL) < 0;
}
