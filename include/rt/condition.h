/* SPDX-License-Identifier: MIT */
/*
 * Condition: wait until what a mutex guards has changed.
 *
 *     rt_mutex_lock(&mutex, RT_NEVER);            rt_mutex_lock(&mutex, RT_NEVER);
 *     while (r == 0 && free == 0) {               free++;
 *         r = rt_condition_wait(&freed, &mutex,   rt_condition_signal(&freed);
 *                               RT_NEVER);        rt_mutex_unlock(&mutex);
 *     }
 *     ...
 *     rt_mutex_unlock(&mutex);                    whatever r is
 *
 * The wait is a loop over what one waits for: between the signal and the return
 * other tasks may have had the mutex. A signal goes to the task that has waited
 * longest, and puts it in line for the mutex at once.
 *
 * Where no mutex is needed, because looking and waiting are one step anyway, use
 * rt/event.h or rt/semaphore.h.
 */
#ifndef RT_CONDITION_H
#define RT_CONDITION_H

#include "rt/base.h"
#include "rt/mutex.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A condition; 16 bytes. From RT_CONDITION_INIT. Its memory may go when no task waits. */
struct rt_condition {
    /* private */
    struct rt_waiters waiters;
};

#define RT_CONDITION_INIT { { NULL, NULL } }

/**
 * Unlock the mutex, wait for a signal, and lock the mutex again.
 *
 * The task holds the mutex when this returns, whatever the result: neither the
 * deadline nor a cancel ends the wait for it. So the call may outlast its deadline by
 * as long as others hold the mutex.
 *
 * @param mutex  the task must hold it.
 * @return 0 after a signal; -ETIME when `deadline` passed, -ECANCELED when the task was
 *         cancelled: no signal was taken.
 * \context{In the task that holds the mutex. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_condition_wait(struct rt_condition *condition, struct rt_mutex *mutex, rt_time deadline);

/**
 * Let the task go on that has waited longest; nothing happens if none waits.
 *
 * The caller need not hold the mutex. Works in a cancelled task too.
 *
 * \context{In a task of the condition's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_condition_signal(struct rt_condition *condition);

/**
 * Let all tasks go on that wait now: they get the mutex one after the other, in the order in
 * which they came.
 *
 * \context{In a task of the condition's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_condition_broadcast(struct rt_condition *condition);

#ifdef __cplusplus
}
#endif

#endif /* RT_CONDITION_H */
