/* SPDX-License-Identifier: MIT */
/*
 * Futures: tasks without a stack, for millions that mostly wait.
 *
 * A future is a struct of yours that begins with a struct rt_future and has a
 * poll function. The executor calls it: it goes on as far as it can, and says
 * RT_PENDING when it has to wait, or its result when it is done. What it has to
 * remember from one poll to the next it keeps in the struct; that is all the
 * memory it takes, beside a slot of 128 bytes.
 *
 *     struct ticker {
 *         struct rt_future future;
 *         int left;
 *     };
 *
 *     static int tick(struct rt_future *future)
 *     {
 *         struct ticker *self = (struct ticker *)future;
 *
 *         while (self->left > 0) {
 *             int r = rt_poll_sleep(future, rt_in(RT_SECONDS(1)));
 *
 *             if (r != 0) {
 *                 return r;                 RT_PENDING, and polled again; or an error
 *             }
 *             self->left--;
 *         }
 *         return 0;
 *     }
 *
 *     static struct ticker ticker = { RT_FUTURE_INIT(tick, NULL), 10 };
 *     rt_spawn_future(&task, &ticker.future);
 *
 * A poll function waits by calls named rt_poll_*: each begins its wait when the
 * future has none, and else looks at the one that it has. So it is called again,
 * for the same thing, until it returns something else than RT_PENDING; only
 * what it was first called with counts. A future has one such wait at a time. A poll
 * function may poll other futures that lie in its struct, and those have one
 * each. Calls that suspend abort in a poll function as soon as they have to wait.
 *
 * Polling is over when poll has returned a result, or the task was cancelled:
 * then waits that were begun are cancelled, and awaited where the kernel has a
 * hand in the struct's memory; then `drop` is called, once; then the task ends,
 * with the result or -ECANCELED. In `drop` the call rt_poll_* of a wait that
 * had ended before still returns what came of it, so that nothing need be lost.
 * The struct must live until then; the library does not look at it any more, so
 * `drop` may free it.
 */
#ifndef RT_FUTURE_H
#define RT_FUTURE_H

#include <limits.h>

#include "rt/base.h"
#include "rt/group.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What poll returns while it is not done; no result and no errno value is it. */
#define RT_PENDING INT_MIN

struct rt_future;

/** Go on as far as possible: the result, or RT_PENDING. Must not suspend. */
typedef int (*rt_poll_fn)(struct rt_future *future);

/** Polling is over: give back what the future holds. Must not suspend. */
typedef void (*rt_drop_fn)(struct rt_future *future);

/** First member of a future; 128 bytes. From RT_FUTURE_INIT. */
struct rt_future {
    rt_poll_fn poll;
    rt_drop_fn drop; /* NULL: there is nothing to give back */
    /* private */
    struct rt_future *next;
    uint64_t begun;
    uint64_t wait[12];
};

#define RT_FUTURE_INIT(poll, drop) { (poll), (drop), NULL, 0, { 0 } }

/**
 * The same without room for a wait; 32 bytes. From RT_SMALL_FUTURE_INIT.
 *
 * Such a future waits for wakes only, by rt_waker_self(); or it polls others that lie in
 * its struct. A call rt_poll_*() with itself aborts. It is handed to every call, and to its
 * own functions, as what rt_future_of() makes of it.
 */
struct rt_small_future {
    rt_poll_fn poll;
    rt_drop_fn drop; /* NULL: there is nothing to give back */
    /* private */
    struct rt_future *next;
    uint64_t begun;
} __attribute__((may_alias));

#define RT_SMALL_FUTURE_INIT(poll, drop) { (poll), (drop), NULL, RT_FUTURE_IS_SMALL }

#define RT_FUTURE_IS_SMALL 3 /* private */

/** The future, as all calls take it. */
static inline struct rt_future *rt_future_of(struct rt_small_future *future)
{
    return (struct rt_future *)(void *)future;
}

/**
 * Make a task of a future and put it at the end of the spawner's task queue.
 *
 * It has a join handle, a cancel and wakers like any task.
 *
 * @param out     as of rt_spawn().
 * @param future  must live until the task has ended; used by one task at a time.
 * @return as rt_spawn().
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_spawn_future(struct rt_task **out, struct rt_future *future);

/**
 * As rt_spawn_future(), with a name; options.stack_bytes has no meaning.
 *
 * @return as rt_spawn_with().
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_spawn_future_with(struct rt_task **out, struct rt_future *future,
                         const struct rt_spawn_options *options);

/**
 * As rt_group_spawn(), of a future.
 *
 * @return as rt_group_spawn().
 * \context{In a task of the group's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_group_spawn_future(struct rt_group *group, struct rt_future *future);

/**
 * Poll a future in the calling task until it is done.
 *
 * When `deadline` passes or the task is cancelled, its waits are cancelled and
 * awaited and it is dropped, as above: so the call may outlast its deadline.
 *
 * @return the future's result; -ETIME; -ECANCELED.
 * \context{In a task that is no future. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_await(struct rt_future *future, rt_time deadline);

/**
 * Wait until `deadline` has passed.
 *
 * @return RT_PENDING; 0 once it has.
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_sleep(struct rt_future *future, rt_time deadline);

/**
 * As rt_join(): wait until the task has ended, take its result, end its handle.
 *
 * @return RT_PENDING; 0, and the handle has ended; -ETIME: then it is still the caller's.
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_join(struct rt_future *future, struct rt_task *task, int *result, rt_time deadline);

/**
 * As rt_nop(): a round through the ring.
 *
 * @return RT_PENDING; as rt_nop().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_nop(struct rt_future *future, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_FUTURE_H */
