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
 * with rt_group_leave() before that memory goes away: debug builds abort when a
 * task returns from a frame that holds a group with live tasks. Its tasks have no
 * join handle: the group is what waits for them.
 *
 * A group may have a limit of tasks that live at once. Beyond it a spawn sheds
 * (-EAGAIN), or waits for room until its deadline: then whoever makes work is
 * slowed down to the pace of those who do it. And it may be told to cancel all
 * members when one of them fails:
 *
 *     struct rt_group group = RT_GROUP_INIT_WITH(16, RT_GROUP_CANCEL_ON_FAILURE);
 *
 *     for (i = 0; r == 0 && i < count; i++) {
 *         r = rt_group_spawn_with(&group, part, &parts[i], NULL, RT_NEVER);
 *     }
 *     r = rt_group_leave(&group, RT_NEVER);     the first failure, or 0
 */
#ifndef RT_GROUP_H
#define RT_GROUP_H

#include "rt/base.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a group does when a member fails: returns a result below 0. That a member that was
 * cancelled returns -ECANCELED is no failure. */
enum rt_group_policy {
    RT_GROUP_COLLECT = 0,       /* nothing: all run to their end */
    RT_GROUP_CANCEL_ON_FAILURE, /* it cancels the others; later spawns get -ECANCELED */
};

struct rt_group {
    /* private */
    struct rt_task *first;  /* the tasks of the group that live, a list through their slots */
    struct rt_group *next;  /* in the executor's list of groups with live tasks */
    struct rt_group **link; /* what points here in it */
    void *waiter;           /* who waits until the group is empty */
    struct rt_waiters room; /* who waits to spawn */
    uint32_t granted;       /* places promised to those who waited and have not run yet */
    uint32_t tasks_max;     /* 0 = no limit */
    uint32_t policy;
    uint32_t live;
    uint32_t failures;
    int32_t first_error;
    uint32_t leaving;
    uint32_t reserved;
};

#define RT_GROUP_INIT RT_GROUP_INIT_WITH(0, RT_GROUP_COLLECT)

/** A group of at most `tasks_max` tasks at once (0 = no limit) with a policy. */
#define RT_GROUP_INIT_WITH(tasks_max, policy) \
    { NULL, NULL, NULL, NULL, { NULL, NULL }, 0, (tasks_max), (policy), 0, 0, 0, 0, 0 }

/**
 * Spawn a task that belongs to the group.
 *
 * @return as rt_spawn(); -EAGAIN also at the group's limit, or when others wait for room;
 *         -ECANCELED when a member has failed and the policy says so; -ESHUTDOWN once
 *         rt_group_leave() was called.
 * \context{In a task of the group's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_group_spawn(struct rt_group *group, rt_task_fn fn, void *arg);

/**
 * As rt_group_spawn(), with a stack size or a name, waiting for room in the group until
 * `deadline`. Those who wait are served in order.
 *
 * @param options   NULL = all defaults.
 * @param deadline  0: as rt_group_spawn(), does not wait.
 * @return as rt_group_spawn() and rt_spawn_with(), without -EAGAIN of the group's limit but
 *         where `deadline` is 0; -ETIME; -ECANCELED also when the caller was cancelled.
 * \context{In a task of the group's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_group_spawn_with(struct rt_group *group, rt_task_fn fn, void *arg,
                        const struct rt_spawn_options *options, rt_time deadline);

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
 * How many tasks of the group live now.
 *
 * \context{In a task of the group's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_group_live(const struct rt_group *group);

/**
 * How many members have failed so far.
 *
 * \context{In a task of the group's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_group_failures(const struct rt_group *group);

#ifdef __cplusplus
}
#endif

#endif /* RT_GROUP_H */
