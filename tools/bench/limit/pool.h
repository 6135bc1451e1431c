/* SPDX-License-Identifier: MIT */
/*
 * Rows blocking and list_1000: a function on another thread, while this one sleeps in its
 * ring.
 *
 * One thread, which sleeps by a futex. A call is a function, its argument and two words: the
 * one wakes the thread when it sleeps, the other says that the function has returned, or that
 * the caller sleeps in the ring, and then an eventfd wakes that. The ring is what a core
 * sleeps in that has other things to wait for, too. Not there: a queue and its limit, more
 * threads and their end, a deadline, a cancel, a task that waits, counters.
 *
 * The thread runs on the CPUs that the caller does not use, if there are any, as those of the
 * runtime's pool. One pool at a time; it belongs to the thread that began it.
 */
#ifndef LIMIT_POOL_H
#define LIMIT_POOL_H

#include "limit.h"

LIMIT_API int limit_pool_begin(struct limit_ring *ring); /* 0, or -errno */
LIMIT_API void limit_pool_end(void);
LIMIT_API int limit_pool_call(int (*fn)(void *), void *arg); /* what `fn` returned */

#endif /* LIMIT_POOL_H */
