/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls: functions that block a thread, run beside the shards.
 *
 *     static int resolve(void *arg) { ... getaddrinfo() ... }
 *
 *     int result;
 *     int r = rt_blocking(resolve, &query, &result, rt_in(RT_SECONDS(5)));
 *
 * Some calls have no counterpart in the ring: they look up names, list
 * directories, or belong to a library that knows nothing of tasks. On a shard
 * they would stop all its tasks. rt_blocking() hands one to a thread of a pool,
 * and only the calling task waits.
 *
 * A runtime has one pool for all its shards. Its threads are made when they are
 * needed, up to config.blocking_threads, and end when they had nothing to do for
 * 5 s; all have ended when rt_run(), rt_start() or rt_wait() returns. They run on
 * the CPUs that no shard is bound to, where the process may use such, and no
 * signal for the process is delivered to them.
 */
#ifndef RT_BLOCKING_H
#define RT_BLOCKING_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a thread of the pool runs. It is no task: calls of this library for any thread only. */
typedef int (*rt_blocking_fn)(void *arg);

/**
 * Run fn(arg) on a thread of the pool, and wait until it has returned.
 *
 * The deadline and a cancel count for as long as no thread has begun. Then the
 * call is taken back and `fn` never runs. Once it runs it is waited for, so `arg`
 * may lie on the stack of the task; and then the call returns 0, late or cancelled
 * or not. It must return: no pthread_exit(), no exception or longjmp() out of it. What `fn` itself
 * waits for must end: config.stop_timeout counts here too.
 *
 * The return value speaks of the call, `*result` of `fn`.
 *
 * @param result  gets what `fn` returned, on success only; may be NULL.
 * @return 0 when `fn` has run; else it has not, and will not: -ETIME; -ECANCELED;
 *         -EAGAIN when config.blocking_queue calls wait already, or when there is no
 *         thread and none can be made; -ENOMEM.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_blocking(rt_blocking_fn fn, void *arg, int *result, rt_time deadline);

/** What the pool of a runtime has done. Grows at the end in later versions. */
struct rt_blocking_stats {
    uint64_t done;           /* functions that have returned */
    uint64_t withdrawn;      /* calls that were taken back, at their deadline or by a cancel */
    uint64_t refused;        /* calls that ended with -EAGAIN */
    uint64_t threads_failed; /* times that a thread could not be made */
    rt_time wait_max;        /* ns that a call waited for its thread, at most */
    uint32_t waiting;        /* calls that no thread has begun, now */
    uint32_t waiting_max;    /* the most of them at a time */
    uint32_t threads;        /* now */
    uint32_t threads_max;    /* the most at a time */
};

/**
 * The counters of the pool, of all shards together.
 *
 * @param out    filled up to `bytes`.
 * @param bytes  sizeof(struct rt_blocking_stats) of the caller.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_blocking_stats_get(struct rt_blocking_stats *out, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RT_BLOCKING_H */
