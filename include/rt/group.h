/* SPDX-License-Identifier: MIT */
/*
 * Groups: a set of tasks owned by a scope, so that none outlives it.
 *
 *     struct rt_group sessions = RT_GROUP_INIT;
 *
 *     while (rt_tcp_accept(listener, &peer, RT_NEVER) == 0) {
 *         if (rt_group_spawn(&sessions, session, peer) < 0) {
 *             rt_tcp_close(peer);
 *         }
 *     }
 *     rt_group_leave(&sessions, rt_in(RT_SECONDS(10)));
 *
 * A group lies in the caller's memory, belongs to one shard, and must be left
 * with rt_group_leave() before that memory goes away. Its tasks have no join
 * handle: the group is what waits for them.
 */
#ifndef RT_GROUP_H
#define RT_GROUP_H

#include "rt/base.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rt_group {
    /* private */
    struct rt_task *first; /* the tasks of the group that live, a list through their slots */
    void *waiter;          /* who waits until the group is empty */
    uint32_t live;
    int32_t first_error;
    uint32_t leaving;
    uint32_t reserved;
};

#define RT_GROUP_INIT { NULL, NULL, 0, 0, 0, 0 }

/**
 * Spawn a task that belongs to the group.
 *
 * @return as rt_spawn(); -ESHUTDOWN once rt_group_leave() was called.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_group_spawn(struct rt_group *group, rt_task_fn fn, void *arg);

/**
 * As rt_group_spawn(), with a stack size or a name.
 *
 * @return as rt_spawn_with(); -ESHUTDOWN once rt_group_leave() was called.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_group_spawn_with(struct rt_group *group, rt_task_fn fn, void *arg,
                        const struct rt_spawn_options *options);

/**
 * Wait until no task of the group lives. Tasks may be spawned meanwhile and after.
 *
 * @return 0; -ETIME when `deadline` passed; -ECANCELED when the caller was cancelled.
 * \context{In a task of the group's shard, one at a time. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_group_wait(struct rt_group *group, rt_time deadline);

/**
 * Ask every task of the group to end.
 *
 * \context{In a task of the group's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_group_cancel(struct rt_group *group);

/**
 * Leave the group: let its tasks finish until `drain_deadline`, then cancel
 * them, then wait until all have ended.
 *
 * Also works in a cancelled task, and always ends with an empty group, so it
 * may outlast its deadline by as long as the tasks take to end.
 *
 * @param drain_deadline  RT_NEVER waits without cancelling; 0 cancels at once.
 * @return 0, or the first result below 0 that a task of the group returned; -ECANCELED of a
 *         task that was cancelled does not count.
 * \context{In a task of the group's shard. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_group_leave(struct rt_group *group, rt_time drain_deadline);

/**
 * How many tasks of the group live.
 *
 * \context{In a task of the group's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_group_live(const struct rt_group *group);

#ifdef __cplusplus
}
#endif

#endif /* RT_GROUP_H */
