/* SPDX-License-Identifier: MIT */
/*
 * Interval: moments that lie a period apart, for work that is done again and again.
 *
 *     struct rt_interval tick;
 *     uint64_t missed;
 *
 *     r = rt_interval_init(&tick, rt_in(PERIOD), PERIOD, RT_MISSED_SKIP);
 *     while (r == 0 && (r = rt_interval_wait(&tick, &missed, RT_NEVER)) == 0) {
 *         ... the work; its length does not shift the moments
 *     }
 *
 * The moments are first, first + period, first + 2 periods and so on, to the
 * nanosecond. Who comes back late by less than a period has missed none. Else
 * the policy says what becomes of those that have passed meanwhile:
 *
 *     moments         |----|----|----|----|----|----|
 *     work             ##############  #
 *     burst           1              23 4  5    6    7     all, those missed at once
 *     skip            1              2     3    4    5     the next one of the grid
 *     delay           1              2    3    4    5      a new grid, from now on
 *
 * It lies in memory of yours, takes no other, and nothing has to be ended.
 */
#ifndef RT_INTERVAL_H
#define RT_INTERVAL_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What becomes of moments that passed before anybody waited for them. */
enum rt_missed {
    RT_MISSED_BURST, /* each has its wait, which returns at once, until all are made up for */
    RT_MISSED_SKIP,  /* they are left out; the next is the first of the grid after now */
    RT_MISSED_DELAY, /* they are left out; the next comes a period after now, and so on */
};

/** An interval; 24 bytes. One task at a time waits for it. */
struct rt_interval {
    /* private */
    rt_time next;
    rt_time period;
    uint32_t policy;
};

/**
 * Make an interval.
 *
 * @param first   its first moment; one that has passed counts as any that is missed.
 * @param period  ns from one to the next; above 0.
 * @param policy  enum rt_missed.
 * @return 0; -EINVAL: `first` is below 0, `period` is not above 0, or there is no such policy;
 *         then the interval is as it was.
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_interval_init(struct rt_interval *interval, rt_time first, rt_time period, uint32_t policy);

/**
 * Sleep until the next moment has come, and go on to the one after it.
 *
 * On failure nothing has changed: the next wait is for the same moment. A moment after the
 * end of time (RT_NEVER) does not come.
 *
 * @param missed  out: how many more moments have passed by now; may be NULL.
 * @return 0: rt_now() is the moment or later; -ETIME when `deadline` passed before it, or the
 *         deadline of a scope (rt/scope.h); -ECANCELED when the task was cancelled.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_interval_wait(struct rt_interval *interval, uint64_t *missed, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_INTERVAL_H */
