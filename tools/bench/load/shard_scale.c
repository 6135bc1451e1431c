/* SPDX-License-Identifier: MIT */
/*
 * shard_scale: what a runtime costs by the number of its shards.
 *
 *     shard_scale SHARDS
 *
 * Starts so many shards, bound to no CPU, and measures: the time until all first tasks
 * have run; the memory that is resident then, less what was before; and the CPU time of
 * a turn of shard 0 in which nothing has come from the others, who sleep. In such a
 * turn a timer fires, and its task waits for the next. The least of 20 spans of 20,000
 * counts. The result is an object of JSON on one line.
 */
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SPANS 20
#define TURNS 20000
#define CALM  RT_MILLISECONDS(100) /* until all others have gone to sleep */

static struct {
    uint32_t runs; /* first tasks that have begun */
    rt_time all_run;
    long resident;
    double turn_ns;
} seen;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "shard_scale: %s\n", what);
    exit(1);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kib = -1;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) {
            kib = strtol(line + 4, NULL, 10);
        }
    }
    if (kib < 0) {
        die("/proc/self/smaps_rollup tells no Rss");
    }
    (void)fclose(file);
    return kib;
}

static rt_time cpu_time(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return RT_SECONDS(now.tv_sec) + now.tv_nsec;
}

/* CPU time of a turn. */
static double run_span(void)
{
    struct rt_stats before;
    struct rt_stats after;
    rt_time begin;
    rt_time end;

    rt_stats_get(&before, sizeof(before));
    begin = cpu_time();
    for (int i = 0; i < TURNS; i++) {
        (void)rt_sleep_until(rt_turn_time() + 1);
    }
    end = cpu_time();
    rt_stats_get(&after, sizeof(after));
    return (double)(end - begin) / (double)(after.turns - before.turns);
}

static int first(void *arg)
{
    (void)arg;
    if (__atomic_add_fetch(&seen.runs, 1, __ATOMIC_ACQ_REL) == rt_shard_count()) {
        __atomic_store_n(&seen.all_run, rt_now(), __ATOMIC_RELEASE);
    }
    if (rt_shard_index() != 0) {
        return 0;
    }
    while (__atomic_load_n(&seen.all_run, __ATOMIC_ACQUIRE) == 0) {
        (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    }
    (void)rt_sleep_until(rt_in(CALM));
    seen.resident = resident_kib();
    for (int i = 0; i < SPANS; i++) {
        const double turn_ns = run_span();

        seen.turn_ns = i == 0 || turn_ns < seen.turn_ns ? turn_ns : seen.turn_ns;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    const long shards = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    long before;
    rt_time begin;

    if (shards < 1 || shards > 4096) {
        fprintf(stderr, "usage: shard_scale SHARDS\n");
        return 2;
    }
    config.shards = (uint32_t)shards;
    config.place = RT_PLACE_UNBOUND;
    config.log_level = RT_LOG_ERROR; /* that they take turns is meant so */
    before = resident_kib();
    begin = rt_now();
    if (rt_start(&config, first, NULL) < 0) {
        return 1;
    }
    printf("{\"shards\": %ld, \"start_ms\": %.2f, \"resident_kib\": %ld, \"turn_ns\": %.1f}\n",
           shards, (double)(seen.all_run - begin) / 1e6, seen.resident - before, seen.turn_ns);
    return 0;
}
