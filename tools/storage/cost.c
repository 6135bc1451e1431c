/* SPDX-License-Identifier: MIT */
/* What getrusage() and the ring say. */
#include "cost.h"

#include <rt/rt.h>

static rt_time time_of(struct timeval time)
{
    return RT_SECONDS(time.tv_sec) + RT_MICROSECONDS(time.tv_usec);
}

static void difference(struct result_cost *cost, const struct cost_mark *since,
                       const struct cost_mark *now)
{
    const struct rusage *before = &since->usage;
    const struct rusage *after = &now->usage;

    *cost = (struct result_cost){
        .user = time_of(after->ru_utime) - time_of(before->ru_utime),
        .system = time_of(after->ru_stime) - time_of(before->ru_stime),
        .switches_voluntary = (uint64_t)(after->ru_nvcsw - before->ru_nvcsw),
        .switches_involuntary = (uint64_t)(after->ru_nivcsw - before->ru_nivcsw),
        .faults_major = (uint64_t)(after->ru_majflt - before->ru_majflt),
        .faults_minor = (uint64_t)(after->ru_minflt - before->ru_minflt),
        .enters = now->enters - since->enters,
    };
}

void cost_mark_thread(struct cost_mark *mark)
{
    struct rt_stats stats;

    (void)getrusage(RUSAGE_THREAD, &mark->usage); /* fails for a bad argument only */
    rt_stats_get(&stats, sizeof(stats));
    mark->enters = stats.enters;
}

void cost_of_thread(struct result_cost *cost, const struct cost_mark *since)
{
    struct cost_mark now;

    cost_mark_thread(&now);
    difference(cost, since, &now);
}

void cost_mark_process(struct cost_mark *mark)
{
    (void)getrusage(RUSAGE_SELF, &mark->usage);
    mark->enters = 0;
}

void cost_of_process(struct result_cost *cost, const struct cost_mark *since)
{
    struct cost_mark now;

    cost_mark_process(&now);
    difference(cost, since, &now);
}
