/* SPDX-License-Identifier: MIT */
/*
 * Event: something has happened, and any number of tasks may wait for it.
 *
 *     static struct rt_event ready = RT_EVENT_INIT;
 *
 *     r = rt_event_wait(&ready, RT_NEVER);        rt_event_set(&ready);
 *
 * An event stays set, for all that wait and all that come, until rt_event_reset().
 * A wait that a set has ended is over, also if a reset came before its task ran.
 *
 * It lies in memory of yours, belongs to one shard and takes no other memory.
 */
#ifndef RT_EVENT_H
#define RT_EVENT_H

#include "rt/base.h"
#include "rt/future.h"
#include "rt/select.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An event; 24 bytes. From RT_EVENT_INIT: not set. Its memory may go when no task waits. */
struct rt_event {
    /* private */
    struct rt_waiters waiters;
    uint32_t set;
    uint32_t reserved;
};

#define RT_EVENT_INIT { { NULL, NULL }, 0, 0 }

/**
 * It has happened: every task that waits goes on. Works in a cancelled task too.
 *
 * \context{In a task of the event's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_event_set(struct rt_event *event);

/**
 * It has not happened yet: whoever comes from now on waits.
 *
 * \context{In a task of the event's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_event_reset(struct rt_event *event);

/**
 * Whether it is set.
 *
 * \context{In a task of the event's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
bool rt_event_is_set(const struct rt_event *event);

/**
 * Wait until the event is set, not at all if it is.
 *
 * @param deadline  0 = only if it is set.
 * @return 0; -ETIME; -ECANCELED.
 * \context{In a task of the event's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_event_wait(struct rt_event *event, rt_time deadline);

/**
 * The case that the event is set.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_event(struct rt_event *event);

/**
 * As rt_event_wait(), from a poll function.
 *
 * @return RT_PENDING; as rt_event_wait().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_event(struct rt_future *future, struct rt_event *event, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_EVENT_H */
