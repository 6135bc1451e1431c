/* SPDX-License-Identifier: MIT */
/*
 * Calls and posts: run a function on another shard, with and without a reply.
 *
 *     static int lookup(void *arg) { ... }       runs on shard 3, in a task of its own
 *
 *     r = rt_call(3, lookup, &request, &result, rt_in(RT_SECONDS(1)));
 *
 * The function runs on the other shard as a task; it may wait, and may call
 * back. `arg` is lent to it until it has returned. Functions that one shard
 * sends to another, from tasks of the same queue (rt/taskq.h), start in the order
 * sent; one that waits may be overtaken from then on.
 *
 * Many calls from one task at once:
 *
 *     struct rt_call calls[8];
 *
 *     for (i = 0; i < 8; i++)
 *         r = rt_call_begin(&calls[i], i, work, &parts[i], RT_NEVER);
 *     for (i = 0; i < 8; i++)
 *         r = rt_call_end(&calls[i], &result, RT_NEVER);
 *
 * The same function on many shards, with one deadline, and a fold of the answers:
 *
 *     struct rt_call_part parts[8] = { { .shard = 3, .arg = &counts[0] }, ... };
 *
 *     r = rt_map_reduce(parts, 8, count, add, &sum, rt_in(RT_SECONDS(1)));
 *
 * What is sent to one shard from one other takes config.port_entries slots; a
 * slot is held only until its function has started, so calls may call back and
 * forth to any depth. A sender that finds no slot waits for one. What bounds
 * calls is the callee's limit of tasks: beyond it a call is answered -EAGAIN,
 * and posts wait. So tasks of two shards that are both at their limit and wait
 * for posts of each other to start wait for ever: give such posts a deadline.
 */
#ifndef RT_CALL_H
#define RT_CALL_H

#include "rt/base.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Run fn(arg) on a shard and wait for its result.
 *
 * The deadline, or the one of a scope of the caller's if that is earlier, goes along when it is no
 * more than 13 days off:
 * the function runs in a scope of it (rt/scope.h), and is not run when it has passed. At the
 * deadline its waits end with -ETIME; then, and when the caller is cancelled, its task is
 * cancelled. The call returns when the function has returned, and so may outlast its
 * deadline. A call to the caller's own shard runs in the caller's task, in such a scope.
 *
 * @param shard   0..rt_shard_count() - 1; another number aborts.
 * @param result  gets what `fn` returned, on success only; may be NULL.
 * @return 0; -EAGAIN when the shard was at its limit of tasks; -ETIME or -ECANCELED when
 *         the deadline passed or the caller was cancelled, and the function gave way
 *         (returned -ETIME or -ECANCELED) or had not begun; -ESHUTDOWN when the runtime drains;
 *         -ENOMEM. But for the case of giving way the function did not run.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_call(uint32_t shard, rt_task_fn fn, void *arg, int *result, rt_time deadline);

/** A call under way; in the caller's memory from rt_call_begin() until rt_call_end() returns. */
struct rt_call {
    /* private */
    struct rt_call *link;
    void *waiter;
    uint64_t word;
    int32_t result;
    int32_t error;
    uint16_t shard;
    uint16_t home;
    uint32_t state;
};

/**
 * Send a call and go on without waiting for its result.
 *
 * Waits only while no slot is free, until `deadline`, which does not go along: what ends the
 * function is rt_call_end(). On success the call must be ended with
 * rt_call_end(), by the same task.
 *
 * @param call  filled by this call.
 * @return 0; -ETIME when `deadline` passed before there was a slot; -ECANCELED; -ESHUTDOWN;
 *         -ENOMEM. Nothing was sent then.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_call_begin(struct rt_call *call, uint32_t shard, rt_task_fn fn, void *arg, rt_time deadline);

/**
 * Wait for the result of a call. Works in a cancelled task too: it then cancels the
 * function's task and waits for its answer.
 *
 * @param result  as of rt_call().
 * @return as rt_call(). The call has ended in every case.
 * \context{In the task that began the call. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_call_end(struct rt_call *call, int *result, rt_time deadline);

/** One call of a set: what the caller fills in, and what has become of it. */
struct rt_call_part {
    uint32_t shard;      /* in: where it runs */
    int32_t error;       /* out: as rt_call() would have returned */
    int32_t result;      /* out: what the function returned; 0 when `error` is below 0 */
    void *arg;           /* in: lent to the function until it has returned */
    struct rt_call call; /* private */
};

/**
 * Run fn(parts[i].arg) on the shard of each part, all at once, and wait for all.
 *
 * One deadline holds for the set. When it passes, or the caller is cancelled, every
 * function's task is cancelled at once, and what was not sent is not; the call returns when
 * all that were sent have answered. A part that fails leaves the others alone. Parts of one
 * shard start in order. Those of the caller's own shard run in the caller's task, after all
 * others were sent.
 *
 * @param parts  `count` of them; the caller's until this returns. A shard that is not there aborts.
 * @return 0 when every function ran to its end; else the error of the first part, in order, that
 *         has one: the errors are those of rt_call(). A result below 0 is no error.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_call_each(struct rt_call_part *parts, uint32_t count, rt_task_fn fn, rt_time deadline);

/**
 * Run fn(arg) on every shard, the caller's too: rt_call_each() with the same argument for all.
 *
 * @param parts  rt_shard_count() of them; part i is filled in for shard i.
 * @param arg    is used by all shards at the same time: they read it only, or by atomics.
 * @return as rt_call_each().
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_call_all(struct rt_call_part *parts, rt_task_fn fn, void *arg, rt_time deadline);

/** Fold what has come from one part into `into`; `part->error` is 0. Runs in the caller's task. */
typedef void (*rt_reduce_fn)(void *into, const struct rt_call_part *part);

/**
 * As rt_call_each(), and fold the parts whose functions ran, on the caller's shard.
 *
 * The fold goes in the order of the parts, whatever order they answer in; it begins while
 * later parts still work. What a function has found goes by its result, or by what its `arg`
 * points to.
 *
 * @return as rt_call_each(). After an error `into` holds the other parts.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_map_reduce(struct rt_call_part *parts, uint32_t count, rt_task_fn map, rt_reduce_fn reduce,
                  void *into, rt_time deadline);

/**
 * Run fn(arg) on a shard, without a reply; its result is dropped.
 *
 * Each pair of shards has config.posts_max posts that were sent and not started;
 * beyond it, or without a free slot, the call waits. A post to the caller's own
 * shard starts later too.
 *
 * @param shard  0..rt_shard_count() - 1; another number aborts.
 * @return 0, and the function will run unless the process ends; -ETIME; -ECANCELED;
 *         -ESHUTDOWN when the runtime drains; -ENOMEM. Nothing was sent then.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_post(uint32_t shard, rt_task_fn fn, void *arg, rt_time deadline);

/**
 * As rt_post(), but without waiting: works in a cancelled task too.
 *
 * @return 0; -EAGAIN where rt_post() would wait; -ESHUTDOWN; -ENOMEM.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_try_post(uint32_t shard, rt_task_fn fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif /* RT_CALL_H */
