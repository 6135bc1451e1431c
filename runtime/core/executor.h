/* SPDX-License-Identifier: MIT */
/*
 * Executor: what a shard's loop works on, and one pass of it.
 *
 * A turn, in order: take completions, expire timers, run tasks for a quota of
 * time, enter the kernel once (submit; sleep if nothing is runnable). It is a
 * plain function that takes the time, so a test can run it under a clock and a
 * kernel of its own.
 *
 * E1 Only tasks run user code; completions and timers only mark waiters done.
 * E2 `running` is the task whose code runs; the loop's own flow has none.
 * E3 The loop sleeps only when the queue is empty, no completion can be read,
 *    and everything pending is submitted by the same enter.
 */
#ifndef RTI_CORE_EXECUTOR_H
#define RTI_CORE_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "core/current.h"
#include "core/pool.h"
#include "core/reactor.h"
#include "core/task.h"
#include "core/taskq.h"
#include "core/timer.h"
#include "fiber/fiber.h"
#include "fiber/overflow.h"
#include "os/thread.h"
#include "os/ticks.h"
#include "rt/executor.h"

/* Between two looks at the ticks so many tasks run. A look costs about 7 ns, a task run 3 or more,
 * so it adds 0.4 ns per run; the quota is overrun by at most as many runs. */
#define RTI_RUNS_PER_CLOCK 16

struct rti_executor {
    struct rt_task *running; /* E2 */
    struct rti_taskq queue;  /* the default queue, and for now the only one */
    int32_t run_credit;      /* task runs until the ticks are looked at */
    bool stopping;           /* the first task has returned */
    uint64_t slice_begin;    /* ticks at which this turn began to use its quota */
    rt_time turn_time;       /* the clock at the start of this turn */
    rt_trace_fn trace;
    struct rti_fiber loop; /* the flow of rt_run() itself */
    struct rti_task_table tasks;
    struct rti_stack_pool *stacks;
    enum rti_stack_class stack_class; /* of tasks that name none */
    struct rti_reactor reactor;
    struct rti_wheel wheel;
    struct rti_pool handles; /* files, streams and listeners (io/) */

    struct rt_config config; /* complete: defaults filled in */
    struct rti_log log;
    struct rti_thread thread;
    struct rti_overflow_thread overflow;
    struct rt_task *first;
    rt_time stop_deadline; /* valid when stopping */
    struct rti_ticks ticks;
    uint64_t quota_ticks; /* config.task_quota */
    rt_time start_time;   /* a deadline long before it is a length by mistake */
    uint64_t turns;
    uint64_t spawns;
    uint64_t spawns_refused;
    uint64_t accept_backoffs;
};

/* Every object of io/ fits into this: one pool serves them all. */
#define RTI_HANDLE_BYTES 128

/* Make the executor and let it be the current one of this thread; takes it all down on failure,
 * after having said why in the log. */
int rti_executor_init(struct rti_executor *executor, const struct rt_config *config);
void rti_executor_fini(struct rti_executor *executor);

/* One pass of the loop at the moment `now`. */
void rti_executor_turn(struct rti_executor *executor, rt_time now);

/* Spawn the first task; when it returns the executor stops: all tasks are cancelled, and
 * rti_executor_is_done() is true when none is left. */
int rti_executor_start(struct rti_executor *executor, rt_task_fn first, void *arg);
bool rti_executor_is_done(const struct rti_executor *executor);

/* The run credit is used up: look at the ticks. Returns false when the quota is used too, so that
 * the loop must go on with completions and timers. */
bool rti_executor_renew_credit(struct rti_executor *executor);

/* The first task has completed: cancel all others. */
void rti_executor_stop(struct rti_executor *executor);

/* Print the tasks that have not ended, to the log. */
void rti_executor_dump(const struct rti_executor *executor, enum rt_log_level level);

/* This thread's executor and running task; aborts outside a task, naming the call. */
static inline struct rti_executor *rti_executor_here(const char *call)
{
    struct rti_executor *executor = rti_current;

    if (RTI_UNLIKELY(executor == NULL || executor->running == NULL)) {
        rti_misuse("%s() was called outside a task", call);
    }
    return executor;
}

/* `owner` owns the object that the call uses; it must be this thread's. */
static inline void rti_executor_must_own(const struct rti_executor *owner, const char *call)
{
    if (RTI_UNLIKELY(owner != rti_current)) {
        rti_misuse("%s(): the object belongs to another shard, or was closed", call);
    }
}

#endif /* RTI_CORE_EXECUTOR_H */
