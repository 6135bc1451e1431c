/* SPDX-License-Identifier: MIT */
/*
 * Shares: two controllers that say how many shares a task queue should have.
 *
 * Some work is in no hurry until it is: writing out a buffer before the next one is
 * full, deleting what has expired. With few shares it comes too late, with many it
 * takes time from others that it does not need. A controller looks at the work every
 * 250 ms and corrects the shares. Two of them:
 *
 *     by deadline     "these 40,000 units are to be done in 60 seconds"
 *     by backlog      "so many shares at this backlog, so many at that one"
 *
 *     static struct rt_deadline_controller pace;
 *
 *     r = rt_deadline_controller_init(&pace, NULL);
 *     options.shares_fn = rt_deadline_shares;
 *     options.shares_arg = &pace;
 *     r = rt_taskq_create(&queue, &options);
 *
 *     rt_deadline_work_begin(&pace, &work, 40000, rt_in(RT_SECONDS(60)), rt_now());
 *     ...                                       in a task of the queue, as it gets on:
 *         rt_deadline_work_done(&work, 100);
 *     rt_deadline_work_end(&work, rt_now());
 *
 * They lie in memory of yours, which stays until the queue is gone or has fixed
 * shares. They are arithmetic: no clock, no other memory, nothing that fails but a
 * wrong setting. One controller is for one queue, so for one shard.
 */
#ifndef RT_SHARES_H
#define RT_SHARES_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* By deadline */

/** A piece of work that is to be done by a deadline; from rt_deadline_work_begin() to _end(). */
struct rt_deadline_work {
    /* private */
    struct rt_deadline_work *next;
    struct rt_deadline_controller *controller;
    uint64_t left;
    rt_time deadline;
    rt_time goal;
};

/** Steers shares so that all work that was begun ends in time, with little more than that needs. */
struct rt_deadline_controller {
    /* private */
    struct rt_deadline_work *first;
    double shares_min;
    double shares_max;
    double shares;
    double error;
    double pace;
    double done;
    double busy;
    rt_time since;
};

/** Limits of the shares; start from RT_DEADLINE_OPTIONS_INIT. A field of 0 means the default. */
struct rt_deadline_options {
    uint32_t size;         /* sizeof(struct rt_deadline_options) */
    uint32_t shares_min;   /* default 10 */
    uint32_t shares_max;   /* default RT_SHARES_MAX */
    uint32_t shares_start; /* of the very first work; default 1000, or the limit next to it */
};

#define RT_DEADLINE_OPTIONS_INIT { (uint32_t)sizeof(struct rt_deadline_options), 0, 0, 0 }

/**
 * Make a controller without work.
 *
 * @param options  NULL = all defaults.
 * @return 0; -EINVAL when not shares_min <= shares_start <= shares_max <= RT_SHARES_MAX;
 *         -E2BIG for options of a newer library.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_deadline_controller_init(struct rt_deadline_controller *controller,
                                const struct rt_deadline_options *options);

/**
 * Announce a piece of work.
 *
 * Any number may be under way at a time, with deadlines in any order: the queue is
 * taken to do that first whose deadline is first. All pieces of a controller are
 * counted in one unit, whatever it is: bytes, rows.
 *
 * @param work      memory of the caller's until rt_deadline_work_end(). Aborts when under way.
 * @param units     how much it is; an estimate will do.
 * @param deadline  in 5 s or more: the controller needs some 20 looks to get there.
 * @param now       rt_now().
 * \context{On the shard of the queue. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_deadline_work_begin(struct rt_deadline_controller *controller,
                            struct rt_deadline_work *work, uint64_t units, rt_time deadline,
                            rt_time now);

/** The work has grown: so many units more are to be done by its deadline.
 * \context{On the shard of the queue. Does not suspend.} */
RT_API RT_ON_SHARD
void rt_deadline_work_grow(struct rt_deadline_work *work, uint64_t units);

/**
 * So many units of the work are done. Say so often, at best several times in 250 ms.
 *
 * More than were announced is no error. The pace is kept then, until the deadline.
 *
 * \context{On the shard of the queue. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_deadline_work_done(struct rt_deadline_work *work, uint64_t units);

/** The work has ended, done or not. Aborts when it is not under way.
 * \context{On the shard of the queue. Does not suspend.} */
RT_API RT_ON_SHARD
void rt_deadline_work_end(struct rt_deadline_work *work, rt_time now);

/**
 * The shares now: an rt_shares_fn, whose `arg` is the controller.
 *
 * With work that is late, shares_max. Without work, what they were: the next begins with them.
 *
 * \context{On the shard of the queue. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_deadline_shares(void *arg, rt_time now);

/* By backlog */

#define RT_BACKLOG_POINTS_MAX 8

/** So many shares at this backlog. */
struct rt_backlog_point {
    uint64_t backlog;
    uint32_t shares;
};

/** Gives a backlog its shares: on straight lines between points, and flat outside of them. */
struct rt_backlog_controller {
    /* private */
    struct rt_backlog_point points[RT_BACKLOG_POINTS_MAX];
    uint64_t backlog;
    uint32_t count;
};

/**
 * Make a controller, with a backlog of 0.
 *
 * @param points  copied. Each has a larger backlog than the one before, and not fewer shares.
 * @param count   1..RT_BACKLOG_POINTS_MAX.
 * @return 0; -EINVAL for another count or order, and for shares that are not
 *         RT_SHARES_MIN..RT_SHARES_MAX.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_backlog_controller_init(struct rt_backlog_controller *controller,
                               const struct rt_backlog_point *points, uint32_t count);

/** Say how large the backlog is now, in the unit of the points.
 * \context{On the shard of the queue. Does not suspend.} */
RT_API RT_ON_SHARD
void rt_backlog_controller_set(struct rt_backlog_controller *controller, uint64_t backlog);

/** The shares now: an rt_shares_fn, whose `arg` is the controller.
 * \context{On the shard of the queue. Does not suspend.} */
RT_API RT_ON_SHARD
uint32_t rt_backlog_shares(void *arg, rt_time now);

#ifdef __cplusplus
}
#endif

#endif /* RT_SHARES_H */
