/* SPDX-License-Identifier: MIT */
/*
 * Select: wait for the first of several things, and do exactly that one.
 *
 *     struct rt_case cases[] = {
 *         rt_case_chan_recv(requests, &request),
 *         rt_case_event(&stop),
 *         rt_case_join(worker, &result),
 *     };
 *
 *     switch (rt_select(cases, 3, rt_in(RT_SECONDS(1)))) {
 *     case 0: ... a request was received, or cases[0].result says why not
 *     case 1: ... the event is set
 *     case 2: ... the worker has ended
 *     default: -ETIME, -ECANCELED
 *     }
 *
 * Exactly one case happens, or none. Of the others nothing is taken: a channel
 * that lost keeps its item, a task that lost keeps its handle. Where several
 * could happen at once, chance decides, so that none is starved however often
 * one selects. Cases may be used again and again; a select takes no memory.
 *
 * Input and output are cases as readiness: that a stream can be received from,
 * not a receive, for bytes that came with a receive that lost would be lost.
 * What is to be done as a whole is a task of its own, and its join the case.
 *
 * Functions that make a case stand with what it waits for: rt_case_chan_recv() in
 * rt/channel.h, rt_case_readable() in rt/tcp.h, and so on.
 */
#ifndef RT_SELECT_H
#define RT_SELECT_H

#include "rt/base.h"
#include "rt/future.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One of the things that a select waits for; 128 bytes. Used by one select at a time. */
struct rt_case {
    int32_t result; /* of the one that happened: 0, or how what it waits for has failed */
    /* private */
    uint32_t index;
    const void *ops;
    void *object;
    void *argument;
    void *select;
    uint64_t leg[11];
};

/**
 * Wait until one of the cases has happened.
 *
 * @param cases     filled by functions rt_case_*().
 * @param count     1 or more. Costs grow with it: a case is linked and unlinked by each wait.
 * @param deadline  0: only what can happen at once.
 * @return the index of the case that has happened, and its `result` is valid; -ETIME when
 *         `deadline` passed, -ECANCELED when the task was cancelled: none has happened.
 * \context{In a task of the shard that all of them belong to. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_select(struct rt_case *cases, size_t count, rt_time deadline);

/**
 * As rt_select(), from a poll function. The cases must lie in the future's memory.
 *
 * @return RT_PENDING; as rt_select().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_select(struct rt_future *future, struct rt_case *cases, size_t count, rt_time deadline);

/**
 * The case that a task has ended. When it happens its handle ends, as by rt_join().
 *
 * @param result  gets what the task returned; may be NULL.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_join(struct rt_task *task, int *result);

/**
 * The case that a moment has come; a select may have several beside its deadline.
 *
 * @param time  on the monotonic clock: rt_in(RT_SECONDS(1)).
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
struct rt_case rt_case_at(rt_time time);

#ifdef __cplusplus
}
#endif

#endif /* RT_SELECT_H */
