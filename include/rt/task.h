/* SPDX-License-Identifier: MIT */
/*
 * Tasks: spawn, join, cancel, yield, park and wake.
 *
 * A task is a function with a stack of its own, run by the executor of the
 * shard that spawned it, and by no other. It runs until it waits for
 * something, yields or returns; no other task of the shard runs meanwhile, so
 * data of one shard needs no locks.
 *
 *     static int child(void *arg) { return 42; }
 *
 *     struct rt_task *task;
 *     int result;
 *     if (rt_spawn(&task, child, NULL) == 0) {
 *         rt_join(task, &result, RT_NEVER);     result is 42
 *     }
 *
 * The join handle (struct rt_task *) is owned by whoever spawned the task: it
 * ends with a successful rt_join() or with rt_detach(). Nothing is counted and
 * nothing is freed behind your back: a task is gone when it has returned and
 * its handle has ended.
 *
 * Cancel is a request and stays. The task's current wait ends with its result
 * if the event had already happened, else with -ECANCELED; every later wait
 * ends with -ECANCELED at once. Calls that only give something back (closing a
 * file or a connection, leaving a group) still do their work. A cancelled task
 * cannot wait for its children by rt_join(): where they use its memory, make
 * them in a group, which can be left in a cancelled task too.
 */
#ifndef RT_TASK_H
#define RT_TASK_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A task; as a pointer, the join handle of it. */
struct rt_task;

struct rt_taskq; /* rt/taskq.h */

/** What a task runs. The result is what rt_join() hands out; below 0 means failure. */
typedef int (*rt_task_fn)(void *arg);

/** How to spawn a task; start from RT_SPAWN_OPTIONS_INIT. A field of 0 means the default. */
struct rt_spawn_options {
    uint32_t size;          /* sizeof(struct rt_spawn_options) */
    uint32_t stack_bytes;   /* rounded up to 16, 64 or 256 KiB; 0 = the executor's default */
    const char *name;       /* shown in traces, dumps and reports; must stay valid; NULL = none */
    struct rt_taskq *queue; /* rt/taskq.h; NULL = the spawner's */
};

#define RT_SPAWN_OPTIONS_INIT { (uint32_t)sizeof(struct rt_spawn_options), 0, NULL, NULL }

/**
 * Make a task of fn(arg) and put it at the end of the spawner's task queue.
 *
 * The task does not run before the spawner waits, yields or returns.
 *
 * @param out  gets the join handle, on success only; NULL to have none.
 * @return 0; -EAGAIN at the limit config.tasks_max; -ENOMEM; -ESHUTDOWN when the
 *         executor is stopping (its first task has returned).
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_spawn(struct rt_task **out, rt_task_fn fn, void *arg);

/**
 * As rt_spawn(), with a stack size or a name.
 *
 * @param options  read before the call returns; NULL = all defaults.
 * @return as rt_spawn(); -EINVAL for a stack above 256 KiB or a queue that is a
 *         parent; -E2BIG for options of a newer library that ask for what this one
 *         does not know.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_spawn_with(struct rt_task **out, rt_task_fn fn, void *arg,
                  const struct rt_spawn_options *options);

/**
 * Wait until the task has ended, take its result, and end the handle.
 *
 * The return value speaks of the join, `*result` of the task. One task joins;
 * joining oneself, or a task that another one is joining, aborts.
 *
 * @param result  gets what the task's function returned, on success only; may be NULL.
 * @return 0, and the handle has ended; -ETIME when `deadline` passed, -ECANCELED
 *         when the caller was cancelled: then the handle is still the caller's.
 * \context{In a task of the same shard. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_join(struct rt_task *task, int *result, rt_time deadline);

/**
 * End the handle without waiting; the task goes on, and its result is dropped.
 *
 * @param task  NULL does nothing.
 * \context{In a task of the same shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_detach(struct rt_task *task);

/**
 * Ask the task to end. See the top of this header for what that means.
 *
 * The handle stays the caller's. No effect on a task that has ended; asking
 * twice is asking once. A task may cancel itself through rt_cancel_self().
 *
 * \context{In a task of the same shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_cancel(struct rt_task *task);

/**
 * Ask the running task to end: its next wait returns -ECANCELED.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_cancel_self(void);

/**
 * Whether the running task was asked to end. For loops that compute and never wait.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
bool rt_cancelled(void);

/**
 * Whether the task has returned, so that rt_join() would not wait.
 *
 * \context{In a task of the same shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
bool rt_is_finished(const struct rt_task *task);

/**
 * Let the other tasks of this queue run, then go on.
 *
 * Completions and timers are taken too once the task quota (0.5 ms) is used.
 * Not a wait: works in a cancelled task as well.
 *
 * \context{In a task. Suspends.}
 */
RT_API RT_SUSPENDS
void rt_yield(void);

/**
 * Whether the running task has had the core for long enough: others wait, or may.
 *
 * True when the task quota (0.5 ms, or the smallest latency goal of the shard's
 * queues) is used, when a queue with a latency goal wants to run, or when on a
 * shard that has one a message or a completion has come; until the task yields.
 * Else false. Meant to be called often, in loops that compute: a few instructions,
 * and a look at the cycle counter (7 ns) once in 16 calls, or at each call when
 * calls are more than 1 us apart.
 *
 * It also submits operations and publishes messages that have waited for 50 us.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
bool rt_should_yield(void);

/**
 * rt_yield() if rt_should_yield(). For loops that compute, between two steps.
 *
 * \context{In a task. Suspends.}
 */
RT_API RT_SUSPENDS
void rt_yield_if_due(void);

/**
 * The right to wake one task: a value, to be copied freely; nothing to free.
 *
 * It may outlive the task: a wake of a task that is gone does nothing, or is
 * spurious for a later one. Each use must have ended before rt_run(), rt_start()
 * or rt_wait() returns.
 */
struct rt_waker {
    /* private */
    struct rt_task *task;
    uint32_t generation;
    uint32_t reserved;
};

/**
 * The waker of the running task.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_waker rt_waker_self(void);

/**
 * Reschedule the task that the waker names, from its own shard, another one, or any
 * other thread.
 *
 * Does nothing when that task has ended or stands in its queue already. Any
 * wake may be spurious for the woken: what it waits for is checked again by
 * every call of this library but rt_park(). From elsewhere it needs no memory,
 * never fails and never waits, and wakes the shard if that sleeps. Memory that was
 * written before the wake can be read by the woken.
 *
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_wake(struct rt_waker waker);

/**
 * Wait for a wake: the building block of one's own waiting objects.
 *
 * Returns at the first wake, meant or spurious, also one that came after the
 * task last ran on; so call it in a loop over the condition waited for.
 *
 * @return 0 after a wake; -ETIME when `deadline` passed; -ECANCELED when the task
 *         was cancelled.
 * \context{In a task. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_park(rt_time deadline);

/**
 * The running task: to be compared with others, and asked for its name. No handle:
 * what needs one aborts. Valid while the task lives.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
const struct rt_task *rt_self(void);

/**
 * A task's number in its shard's task table, as traces and dumps show it.
 *
 * \context{On the task's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_task_id(const struct rt_task *task);

/**
 * A task's name.
 *
 * @return "" when it has none.
 * \context{On the task's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
const char *rt_task_name(const struct rt_task *task);

/**
 * The running task's number in its shard's task table, as traces and dumps show it.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_self_id(void);

/**
 * Name the running task, for traces, dumps and reports.
 *
 * @param name  must stay valid while the task lives; NULL takes the name away.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_self_set_name(const char *name);

#ifdef __cplusplus
}
#endif

#endif /* RT_TASK_H */
