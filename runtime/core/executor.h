/* SPDX-License-Identifier: MIT */
/*
 * Executor: what a shard's loop works on, and one pass of it.
 *
 * A turn, in order: take messages and completions, expire timers, run tasks for
 * a quota of time, publish messages, enter the kernel once (submit; sleep if
 * nothing is runnable). It is a plain function that takes the time, so a test
 * can run it under a clock and a kernel of its own.
 *
 * E1 Only tasks run user code; messages, completions and timers only mark
 *    waiters done.
 * E2 `running` is the task whose code runs; the loop's own flow has none.
 * E3 The loop sleeps only when the queue is empty, no completion can be read,
 *    the others were told so and had sent nothing, nothing is in flight that no
 *    completion announces (core/polled.h), and everything pending is submitted by
 *    the same enter.
 */
#ifndef RTI_CORE_EXECUTOR_H
#define RTI_CORE_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "core/buffers.h"
#include "core/current.h"
#include "core/devices.h"
#include "core/disk_models.h"
#include "core/inbox.h"
#include "core/polled.h"
#include "core/pool.h"
#include "core/reactor.h"
#include "core/slice.h"
#include "core/spin.h"
#include "core/stack_marks.h"
#include "core/task.h"
#include "core/taskq.h"
#include "core/timer.h"
#include "core/watched.h"
#include "fiber/fiber.h"
#include "fiber/overflow.h"
#include "os/thread.h"
#include "os/ticks.h"
#include "rt/executor.h"

struct rti_claims; /* cross/claims.h */

struct rti_executor {
    struct rt_task *running;         /* E2 */
    struct rt_taskq *active;         /* whose slice it is, or was last (core/taskq.h) */
    struct rti_countdown runs_left;  /* task runs until the ticks are looked at */
    struct rti_countdown calls_left; /* and calls of rt_should_yield() */
    struct rt_no_suspend *sections;  /* innermost, of the running task; while it has the bit */
    bool cut;                        /* the slice ends for a queue with a latency goal */
    bool turn_over;                  /* the quota is used, or something has come that cannot wait */
    bool dropping;                   /* a drop function runs: nothing begins */
    bool draining;                   /* all tasks were cancelled, and none is spawned any more */
    bool closed;                     /* no task lives, and no other shard needs this one */
    bool idled;   /* before this turn it waited for completions, and so saw them at once */
    bool hosted;  /* somebody else's loop makes the turns, which never sleep (shard/loop.c) */
    bool late;    /* the stop lasts too long: the tasks are printed, and soon the process ends */
    bool careful; /* fibers are made on the long way: there is a trace, or stack marks */
    struct rt_future **polling; /* a poll function runs: the list of waits that it begins */
    rt_time turn_time;          /* the clock at the start of this turn */
    rt_time looked_at;          /* for completions, before this turn */
    rt_time stacks_due;         /* when to look at free stacks again */
    rt_time turn_due;           /* hosted: set by a turn that would sleep, until then */
    rt_trace_fn trace;
    struct rti_fiber loop; /* the flow of rt_run() itself */

    struct rti_sched sched;
    struct rt_taskq queue;  /* the default queue */
    struct rti_list queues; /* all, in the order in which they were made */
    uint32_t queue_count;
    uint32_t queues_runnable;
    uint32_t shares_fns; /* queues whose shares are asked for */
    uint32_t shared_count;
    uint32_t shared_room;             /* of `shared` */
    uint32_t index;                   /* of the shard in its runtime */
    uint32_t spurious_per_mille;      /* of turns, that wake some task for nothing; debug builds */
    enum rti_stack_class stack_class; /* of tasks that name none */
    struct rt_taskq **shared; /* queues that every shard has, by number; the default one is 0 */
    struct rt_taskq *worked;  /* those that have given the kernel work */
    uint64_t turn_begin;      /* ticks at which this turn began to run tasks */
    uint64_t charged_at;      /* L1 */
    rt_time cpu_charged;      /* CPU time of the thread up to which a lone queue was charged */
    uint64_t seen;            /* ticks as looked at last */
    uint64_t runs_gone;       /* task runs of queues that are no more */
    rt_time sampled_at;       /* turn in which callbacks were asked for shares */

    struct rti_task_table tasks;
    struct rti_stack_pool *stacks;
    struct rti_stack_marks stack_marks;
    struct rti_reactor reactor;
    struct rti_wheel wheel;
    struct rti_inbox *inbox;     /* what is between shards; NULL: nothing */
    struct rti_devices *devices; /* what waits at disks; NULL: nothing ever has */
    struct rti_disk_models disk_models;
    struct rti_pool locals;     /* blocks of task-locals */
    uint64_t select_random;     /* where selects begin to look */
    struct rti_pool handles;    /* files, streams and listeners (io/) */
    struct rti_buffers buffers; /* for what they read and write */
    struct rti_claims *claims; /* addresses that shards listen on together; NULL when it is alone */

    struct rt_config config; /* complete: defaults filled in */
    struct rti_log log;
    struct rti_thread thread;
    struct rti_overflow_thread overflow;
    struct rt_task *first;
    struct rt_group *groups; /* that have live tasks */
    struct rti_watched watched;
    uint64_t stalls;       /* counted by the handler of shard/probe.c, on this thread */
    rt_time stop_deadline; /* when tasks that still live are an error; RT_NEVER: not stopping */
    struct rti_ticks ticks;
    uint64_t quota_ticks; /* config.task_quota, or the smallest latency goal */
    uint64_t far_ticks;   /* that runs are apart, so that each is worth a look */
    struct rti_spin spin;
    rt_time start_time; /* a deadline long before it is a length by mistake */
    uint64_t spurious_random;
    uint64_t turns;  /* atomic: the watch for stalls reads it */
    uint64_t ran_in; /* atomic: the last turn in which a task ran; the watch for wait cycles */
    uint64_t spawns;
    uint64_t spawns_refused;
    uint64_t accept_backoffs;
};

/* Every object of io/ fits into this: one pool serves them all. */
#define RTI_HANDLE_BYTES 128

/*
 * Make the executor and let it be the current one of this thread, which is
 * pinned to `cpu` (below 0: not); takes it all down on failure, after having
 * said why in the log.
 *
 * It is taken down in two steps: close on its thread, free on any thread, once
 * nobody can hold a waker of its tasks any more. fini is both.
 */
int rti_executor_init(struct rti_executor *executor, const struct rt_config *config, int cpu);

/*
 * The same for one whose turns are made by the loop of somebody else. Where a turn would sleep it
 * says until when and returns, having told the others that it sleeps. For the time between, the
 * ring's descriptor is readable when there is something to take: that a ring with deferred task
 * work does not do (epoll is not woken by it on Linux 6.18), so it is opened without.
 */
int rti_executor_init_hosted(struct rti_executor *executor, const struct rt_config *config,
                             int cpu);
void rti_executor_close(struct rti_executor *executor);
void rti_executor_free(struct rti_executor *executor);
void rti_executor_fini(struct rti_executor *executor);

/* One pass of the loop at the moment `now`. */
void rti_executor_turn(struct rti_executor *executor, rt_time now);

/* Spawn the first task. When it returns, the inbox is told; without one the executor drains. */
int rti_executor_start(struct rti_executor *executor, rt_task_fn first, void *arg);

/* The first task, which has not run, shall not: it is taken away. No other task is there. */
void rti_executor_discard_first(struct rti_executor *executor);

/* Tasks that live on so long from now are printed, and the process aborts (config.stop_timeout). In
 * the second between these the shard turns, so that it can be asked what its tasks wait for. */
void rti_executor_expect_stop(struct rti_executor *executor);

/* Cancel all tasks, and refuse to spawn any. */
void rti_executor_drain(struct rti_executor *executor);

/* Print the tasks that have not ended, to the log. */
void rti_executor_dump(const struct rti_executor *executor, enum rt_log_level level);

/* Whether a task other than the running one wants to run. */
static inline bool rti_executor_has_runnable(const struct rti_executor *executor)
{
    return rti_taskq_length(executor->active) > 0 ||
           (RTI_UNLIKELY(executor->queue_count > 1) &&
            executor->queues_runnable > rti_sched_is_runnable(&executor->active->entity));
}

/* Whether a message or a completion can be taken. */
static inline bool rti_executor_has_come(const struct rti_executor *executor)
{
    return (executor->inbox != NULL && executor->inbox->ops->is_rung(executor->inbox)) ||
           rti_uring_ready(&executor->reactor.ring) > 0 || rti_reactor_has_work(&executor->reactor);
}

/* The queue of this shard with the number, or NULL. */
static inline struct rt_taskq *rti_taskq_of_id(struct rti_executor *executor, uint32_t id)
{
    if (id == 0) {
        return &executor->queue;
    }
    return id < executor->shared_room ? executor->shared[id] : NULL;
}

/* This thread's executor and running task; aborts outside a task, naming the call. */
static inline struct rti_executor *rti_executor_here(const char *call)
{
    struct rti_executor *executor = rti_current;

    if (RTI_UNLIKELY(executor == NULL || executor->running == NULL)) {
        rti_misuse("%s() was called outside a task", call);
    }
    return executor;
}

/* The call uses `what` of `owner` (NULL: it was closed), which is not this thread's executor:
 * aborts, naming both shards. */
RTI_NORETURN RTI_COLD void rti_executor_not_owner(const struct rti_executor *owner,
                                                  const char *call, const char *what);

/* `owner` owns the object that the call uses; it must be this thread's. */
static inline void rti_executor_must_own(const struct rti_executor *owner, const char *call)
{
    if (RTI_UNLIKELY(owner != rti_current)) {
        rti_executor_not_owner(owner, call, "the object");
    }
}

/* A deadline long before the start is a length of time by mistake. */
static inline void rti_check_deadline(const struct rti_executor *executor, rt_time at)
{
    if (RTI_DEBUG && at != 0 && at < executor->start_time / 2) {
        rti_misuse("a deadline of %lld ns lies long before the start of the executor: it is a "
                   "length of time; say rt_in(length)",
                   (long long)at);
    }
}

#endif /* RTI_CORE_EXECUTOR_H */
