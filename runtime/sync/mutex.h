/* SPDX-License-Identifier: MIT */
/*
 * Mutex: what a condition needs of it.
 *
 * M1 A task waits only while another one holds the mutex: `owner` NULL means that
 *    nobody wants it, so that locking is one comparison and one store.
 * M2 Unlocking makes the first in line the owner in the same step.
 */
#ifndef RTI_SYNC_MUTEX_H
#define RTI_SYNC_MUTEX_H

#include "core/waiters.h"
#include "rt/mutex.h"

/* The running task must hold it; aborts, naming the call. */
void rti_mutex_must_hold(const struct rt_mutex *mutex, const char *call);

/* The owner lets go (M2). */
void rti_mutex_release(struct rt_mutex *mutex);

/* Give it to a task that waits, but stands in no line: finish that wait, or put it in line. The
 * wait becomes one for this mutex, which nothing else can end. */
void rti_mutex_give(struct rt_mutex *mutex, struct rti_queued *taker);

#endif /* RTI_SYNC_MUTEX_H */
