/* SPDX-License-Identifier: MIT */
/*
 * Time: the clock, deadlines, and sleep.
 *
 *     rt_time deadline = rt_in(RT_MILLISECONDS(200));
 *     rt_sleep_until(deadline);              never returns early with 0
 *     rt_sleep_until(rt_in(RT_SECONDS(1)));  sleeps one second
 */
#ifndef RT_TIMER_H
#define RT_TIMER_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The monotonic clock, read now (about 20 ns).
 *
 * @return nanoseconds since an arbitrary start; above 0.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
rt_time rt_now(void);

/**
 * The clock as the executor read it at the start of this turn.
 *
 * Costs one load. Behind rt_now() by what has run in this turn, 0.5 ms at most
 * while tasks yield in time.
 *
 * @return nanoseconds, at most rt_now().
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
rt_time rt_turn_time(void);

/**
 * The deadline that lies `duration` after now.
 *
 * @param duration  nanoseconds; 0 or less gives a moment that has passed.
 * @return rt_now() + duration, or RT_NEVER where that would overflow.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
rt_time rt_in(rt_time duration);

/**
 * Sleep until `deadline` has passed; never shorter.
 *
 * @param deadline  a moment on the monotonic clock; one in the past lets other
 *                  tasks run if the slice is over, and returns. RT_NEVER sleeps
 *                  until the task is cancelled.
 * @return 0 once rt_now() >= deadline; -ECANCELED when the task was cancelled; -ETIME when the
 *         deadline of a scope (rt/scope.h) passed before.
 * \context{In a task. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_sleep_until(rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_TIMER_H */
