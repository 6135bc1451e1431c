/* SPDX-License-Identifier: MIT */
/*
 * Ring: the io_uring of the running shard, which carries all I/O.
 *
 * Calls on files and connections go through it by themselves. What is here is for
 * whoever wants to know it: a round through the ring that does nothing is what any
 * operation costs at least.
 *
 *     rt_time start = rt_now();
 *
 *     if (rt_nop(RT_NEVER) == 0) {
 *         printf("%lld ns\n", (long long)(rt_now() - start));
 *     }
 */
#ifndef RT_RING_H
#define RT_RING_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Send an operation that does nothing through the ring, and wait for its completion.
 *
 * Operations that other tasks begin meanwhile go along with the same entry into the
 * kernel.
 *
 * @return 0, or what the kernel failed with; -ETIME when `deadline` passed, and
 *         -ECANCELED when the task was cancelled, before the kernel had done it.
 * \context{In a task. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_nop(rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_RING_H */
