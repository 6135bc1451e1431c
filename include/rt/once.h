/* SPDX-License-Identifier: MIT */
/*
 * Once: something that whoever comes first does, and the others wait for.
 *
 *     static struct rt_once opened = RT_ONCE_INIT;
 *
 *     r = rt_once_run(&opened, open_journal, &journal, RT_NEVER);
 *     if (r < 0) {
 *         return r;
 *     }
 *     ... the journal is open, and was opened once
 *
 * What fails is not done. The caller that ran it gets the error, for it may be its
 * own: a deadline, a cancel. Then the task that has waited longest runs its
 * function, and so on until one succeeds; whoever comes after that gets the result
 * at once.
 *
 * It lies in memory of yours, belongs to one shard and takes no other memory.
 */
#ifndef RT_ONCE_H
#define RT_ONCE_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is to be done, and its result; 32 bytes. From RT_ONCE_INIT. */
struct rt_once {
    /* private */
    struct rt_waiters waiters;
    void *runner;
    int32_t result;
    uint32_t done;
};

#define RT_ONCE_INIT { { NULL, NULL }, NULL, 0, 0 }

/**
 * Run fn(arg), unless that was done; if another task is at it, wait for its end.
 *
 * `fn` runs in the calling task, and may wait. If it comes back to the same once, it aborts.
 *
 * @param fn        0 or more: done, and this is the result for all; below 0: not done.
 * @param deadline  of the wait for other tasks; what `fn` waits for is its own affair.
 * @return the result of the run that succeeded; the error of this caller's own run of fn;
 *         -ETIME, -ECANCELED when it waited for others, and fn was not run by it.
 * \context{In a task of the once's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_once_run(struct rt_once *once, int (*fn)(void *arg), void *arg, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_ONCE_H */
