/* SPDX-License-Identifier: MIT */
/*
 * Mutex: one task at a time, also across its waits.
 *
 *     static struct rt_mutex mutex = RT_MUTEX_INIT;
 *
 *     int r = rt_mutex_lock(&mutex, RT_NEVER);
 *     if (r < 0) {
 *         return r;
 *     }
 *     ... may wait for input, and nobody else is in here
 *     rt_mutex_unlock(&mutex);
 *
 * Between two waits a task has its shard for itself and needs no lock. A mutex is
 * for what must stay together across a wait: two writes to one connection, a
 * file that is read, changed and written.
 *
 * A mutex lies in memory of yours, belongs to one shard and takes no other memory.
 * Tasks that wait get it in the order in which they came: unlocking hands it to the
 * first of them, so nobody can slip in between. A task that was handed it holds it,
 * also if it was cancelled or its deadline passed just then.
 */
#ifndef RT_MUTEX_H
#define RT_MUTEX_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A mutex; 24 bytes. From RT_MUTEX_INIT. Its memory may go when no task holds or wants it. */
struct rt_mutex {
    /* private */
    struct rt_waiters waiters;
    void *owner;
};

#define RT_MUTEX_INIT { { NULL, NULL }, NULL }

/**
 * Lock, waiting as long as another task holds the mutex.
 *
 * A cancelled task may lock what it need not wait for. Locking what the task itself
 * holds aborts, and so does locking what a task held that has ended.
 *
 * @param deadline  0 = only if it is free.
 * @return 0; -ETIME; -ECANCELED: the task does not hold it.
 * \context{In a task of the mutex's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_mutex_lock(struct rt_mutex *mutex, rt_time deadline);

/**
 * Unlock; the first of those who wait holds it from now on. Works in a cancelled task too.
 *
 * Only the task that holds it may; any other aborts.
 *
 * \context{In the task that holds it. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_mutex_unlock(struct rt_mutex *mutex);

#ifdef __cplusplus
}
#endif

#endif /* RT_MUTEX_H */
