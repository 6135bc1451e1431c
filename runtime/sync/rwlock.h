/* SPDX-License-Identifier: MIT */
/* Rwlock: reading without a task that waits, for operations of futures. */
#ifndef RTI_SYNC_RWLOCK_H
#define RTI_SYNC_RWLOCK_H

#include "rt/rwlock.h"

/* Lock to read if that need not wait. */
bool rti_rwlock_try_read(struct rt_rwlock *lock);

/* The end of one rti_rwlock_try_read(), on the shard, also outside of a task. */
void rti_rwlock_end_read(struct rt_rwlock *lock);

#endif /* RTI_SYNC_RWLOCK_H */
