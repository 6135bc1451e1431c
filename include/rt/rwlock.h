/* SPDX-License-Identifier: MIT */
/*
 * Rwlock: many tasks that read at a time, or one that writes.
 *
 *     static struct rt_rwlock lock = RT_RWLOCK_INIT;
 *
 *     r = rt_rwlock_read_lock(&lock, RT_NEVER);     r = rt_rwlock_write_lock(&lock, RT_NEVER);
 *     if (r < 0) {                                  if (r < 0) {
 *         return r;                                     return r;
 *     }                                             }
 *     ...                                           ...
 *     rt_rwlock_read_unlock(&lock);                 rt_rwlock_write_unlock(&lock);
 *
 * Strictly first come, first served: a reader that comes while a writer waits
 * stands behind it, though others read. So writers are not starved, and a task
 * that reads must not lock to read once more: with a writer in between it would wait
 * for itself. When a writer that waits gives up, the readers behind it go on.
 *
 * As a mutex it lies in memory of yours and belongs to one shard, and a task that was
 * handed it holds it, also if it was cancelled or its deadline passed just then.
 */
#ifndef RT_RWLOCK_H
#define RT_RWLOCK_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An rwlock; 32 bytes. From RT_RWLOCK_INIT. Its memory may go when no task holds or wants it. */
struct rt_rwlock {
    /* private */
    struct rt_waiters waiters;
    void *writer;
    uint32_t readers;
    uint32_t reserved;
};

#define RT_RWLOCK_INIT { { NULL, NULL }, NULL, 0, 0 }

/**
 * Lock to read: wait while a task writes, or waits to write and came before.
 *
 * A cancelled task may lock what it need not wait for. A task that writes aborts.
 *
 * @param deadline  0 = only if it need not wait.
 * @return 0; -ETIME; -ECANCELED: the task does not hold it.
 * \context{In a task of the lock's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_rwlock_read_lock(struct rt_rwlock *lock, rt_time deadline);

/**
 * End one rt_rwlock_read_lock(). Works in a cancelled task too; aborts when no task reads.
 *
 * \context{In a task of the lock's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_rwlock_read_unlock(struct rt_rwlock *lock);

/**
 * Lock to write: wait until no other task reads or writes.
 *
 * A cancelled task may lock what it need not wait for. A task that writes already aborts;
 * one that reads would wait for itself.
 *
 * @param deadline  0 = only if it need not wait.
 * @return 0; -ETIME; -ECANCELED: the task does not hold it.
 * \context{In a task of the lock's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_rwlock_write_lock(struct rt_rwlock *lock, rt_time deadline);

/**
 * End the rt_rwlock_write_lock(). Works in a cancelled task too.
 *
 * Only the task that writes may; any other aborts.
 *
 * \context{In the task that writes. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_rwlock_write_unlock(struct rt_rwlock *lock);

#ifdef __cplusplus
}
#endif

#endif /* RT_RWLOCK_H */
