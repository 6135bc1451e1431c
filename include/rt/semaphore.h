/* SPDX-License-Identifier: MIT */
/*
 * Semaphore: a number of units that tasks take and put back.
 *
 *     static struct rt_semaphore memory = RT_SEMAPHORE_INIT(64);    64 MiB in all
 *
 *     int r = rt_semaphore_take(&memory, 16, rt_in(RT_SECONDS(1)));
 *     if (r < 0) {
 *         return r;
 *     }
 *     ... up to 16 MiB are this task's
 *     rt_semaphore_put(&memory, 16);
 *
 * Strictly first come, first served: while a task waits for many units, whoever
 * comes later waits behind it, though there would be enough for few. So a large
 * request is not starved. When it gives up, those behind it that now fit go on.
 *
 * A semaphore lies in memory of yours, belongs to one shard and takes no other memory.
 * A task that was given units has them, also if it was cancelled or its deadline passed
 * just then.
 */
#ifndef RT_SEMAPHORE_H
#define RT_SEMAPHORE_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A semaphore; 24 bytes. From RT_SEMAPHORE_INIT. Its memory may go when no task waits for it. */
struct rt_semaphore {
    /* private */
    struct rt_waiters waiters;
    uint32_t units;
    uint32_t closed;
};

#define RT_SEMAPHORE_INIT(units) { { NULL, NULL }, (units), 0 }

/**
 * Take units, waiting until there are so many and it is this task's turn.
 *
 * A cancelled task may take what it need not wait for.
 *
 * @param units     1 or more; 0 aborts. More than there are in all waits until others put more.
 * @param deadline  0 = only if it need not wait.
 * @return 0; -ETIME; -ECANCELED; -EPIPE when the semaphore is closed. On failure no unit
 *         was taken.
 * \context{In a task of the semaphore's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_semaphore_take(struct rt_semaphore *semaphore, uint32_t units, rt_time deadline);

/**
 * Put units there, for those who wait first. Works in a cancelled task too.
 *
 * Any task may, also units that none has taken; more than 2^32 - 1 in all abort. Into a closed
 * semaphore it puts nothing.
 *
 * \context{In a task of the semaphore's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_semaphore_put(struct rt_semaphore *semaphore, uint32_t units);

/**
 * No more units: tasks that wait, and all that come, get -EPIPE. Those that have units keep them.
 *
 * Closing what is closed does nothing. Works in a cancelled task too.
 *
 * \context{In a task of the semaphore's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_semaphore_close(struct rt_semaphore *semaphore);

#ifdef __cplusplus
}
#endif

#endif /* RT_SEMAPHORE_H */
