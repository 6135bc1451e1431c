/* SPDX-License-Identifier: MIT */
/*
 * Run: which task goes on next, and the only switch to it.
 *
 * A task that suspends goes straight on with the next one of its queue while
 * the quota lasts; the loop is entered only when there is none or I/O is due.
 *
 * A suspension is a few dozen instructions, so what it is made of stands here, to be inlined where
 * tasks wait. For run.c, which has yields and ends of tasks, and for wait.c; nobody else switches.
 */
#ifndef RTI_CORE_RUN_H
#define RTI_CORE_RUN_H

#include "core/executor.h"
#include "core/trace.h"

/* A task of another queue than the active one, which becomes that; or NULL: the loop has to. */
struct rt_task *rti_next_task_of_others(struct rti_executor *executor);

/* The first suspension of a call that runs inline, or one where none may be: that aborts. True: the
 * task need not suspend any more. */
bool rti_before_suspending(struct rti_executor *executor, struct rt_task *task);

/* Whether the quota has room for one more run. */
static inline bool rti_may_run(struct rti_executor *executor)
{
    return RTI_LIKELY(--executor->runs_left.left >= 0) || rti_slice_may_run(executor);
}

/* The task to go on with, or NULL: the loop has to. */
static inline struct rt_task *rti_next_task(struct rti_executor *executor)
{
    struct rt_task *next;

    if (!rti_may_run(executor)) {
        return NULL;
    }
    next = rti_taskq_pop(executor->active);
    if (RTI_UNLIKELY(next == NULL && executor->queue_count > 1)) {
        next = rti_next_task_of_others(executor);
    }
    return next;
}

/* Mark `task` as the one that runs (T1, T2); the fiber to switch to. A future has none: it is
 * polled on the loop's. */
static inline struct rti_fiber *rti_begin_run_untraced(struct rti_executor *executor,
                                                       struct rt_task *task)
{
    executor->running = task;
    task->state = (task->state & ~(uint32_t)RTI_TASK_SCHEDULED) | RTI_TASK_RUNNING;
    if (RTI_LIKELY((task->state & RTI_TASK_FUTURE) == 0)) {
        __asm__ volatile(
            ""); /* a branch: what a conditional move gives is known too late (measured) */
        return &task->fiber;
    }
    return &executor->loop;
}

/* The same, also of no task. */
static inline struct rti_fiber *rti_begin_run(struct rti_executor *executor, struct rt_task *task)
{
    struct rti_fiber *to;

    if (task == NULL) {
        executor->running = NULL;
        return &executor->loop;
    }
    to = rti_begin_run_untraced(executor, task);
    rti_trace(executor, RT_TRACE_RUN, task, NULL, NULL, 0);
    return to;
}

/* To the next task, or to the loop. Looking for it may publish what others wait for, and so wake
 * this one (T1). */
static inline __attribute__((always_inline)) void rti_switch_away(struct rti_executor *executor,
                                                                  struct rt_task *task)
{
    struct rt_task *next = rti_next_task(executor);

    task->state &= ~(uint32_t)RTI_TASK_RUNNING;
    if ((task->state & RTI_TASK_SCHEDULED) != 0) { /* woken or yielding: behind all others */
        rti_trace(executor, RT_TRACE_SCHEDULE, task, NULL, NULL, 0);
        rti_taskq_push(task->queue, task);
    }
    rti_fiber_switch(&task->fiber, rti_begin_run(executor, next));
}

static inline bool rti_has_next(const struct rti_executor *executor)
{
    return rti_taskq_length(executor->active) > 0;
}

/*
 * The short way of a suspension, for most of them: nobody traces, the countdown of runs goes on,
 * the task has none of the bits `careful`, and no other queue is to be chosen. No call but the
 * switch, so that the compiler keeps nothing over it and saves no register.
 */
static inline __attribute__((always_inline)) bool
rti_can_go_quickly(const struct rti_executor *executor, const struct rt_task *task,
                   uint32_t careful)
{
    return RTI_LIKELY(executor->runs_left.left > 0 && executor->trace == NULL &&
                      (task->state & careful) == 0 &&
                      (rti_has_next(executor) || executor->queue_count == 1));
}

/* Where to go on then: with the next task, or with the loop. */
static inline __attribute__((always_inline)) struct rti_fiber *
rti_next_quickly(struct rti_executor *executor)
{
    if (RTI_UNLIKELY(!rti_has_next(executor))) {
        executor->running = NULL;
        __asm__ volatile(""); /* as in rti_begin_run_untraced() */
        return &executor->loop;
    }
    executor->runs_left.left--;
    return rti_begin_run_untraced(executor, rti_taskq_take(executor->active));
}

static inline void rti_suspend(struct rti_executor *executor, struct rt_task *task)
{
    if (RTI_UNLIKELY((task->state & (RTI_TASK_INLINE | RTI_TASK_PINNED)) != 0) &&
        rti_before_suspending(executor, task)) {
        return;
    }
    rti_switch_away(executor, task);
}

#endif /* RTI_CORE_RUN_H */
