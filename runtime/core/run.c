/* SPDX-License-Identifier: MIT */
/* Run: see run.h. Here is what the loop calls, how a task yields and ends, and what is rare. */
#include "core/run.h"

#include "core/future.h"
#include "core/runnable.h"
#include "core/wait.h"
#include "rt/no_suspend.h"

/* Where another queue is to go on, the loop needs not be entered for it: unless the scheduler may
 * have to ask for shares, which it does in no task. */
struct rt_task *rti_next_task_of_others(struct rti_executor *executor)
{
    if (executor->shares_fns > 0 || !rti_slice_choose_among(executor)) {
        return NULL;
    }
    return rti_taskq_pop(executor->active);
}

/* A call that runs inline suspends for the first time (T7). Being asked to end already, it may find
 * its wait over. */
static RTI_NOINLINE bool detach(struct rti_executor *executor, struct rt_task *task)
{
    executor->inbox->ops->detach(executor->inbox, task);
    return task->waiter != NULL && task->waiter->done;
}

static RTI_COLD RTI_NORETURN void must_not_suspend(const struct rti_executor *executor,
                                                   const struct rt_task *task)
{
    const char *name = task->name != NULL ? task->name : "";
    const char *what = task->waiter != NULL ? task->waiter->kind->name : "yield";

    if ((task->state & RTI_TASK_STAYS) != 0) {
        rti_misuse("task %u '%s' suspends (%s) in a no-suspend section: %s", task->index, name,
                   what, executor->sections->where);
    }
    rti_misuse("task %u '%s' suspends (%s) in the %s function of a future", task->index, name, what,
               executor->dropping ? "drop" : "poll");
}

bool rti_before_suspending(struct rti_executor *executor, struct rt_task *task)
{
    if ((task->state & RTI_TASK_PINNED) != 0) {
        must_not_suspend(executor, task);
    }
    return detach(executor, task);
}

/* Run tasks of the active queue until it is empty or its slice is over. */
static void run_slice(struct rti_executor *executor)
{
    struct rt_task *task;

    while ((task = rti_next_task(executor)) != NULL) {
        struct rti_fiber *to = rti_begin_run(executor, task);

        if (to != &executor->loop) {
            rti_fiber_switch(&executor->loop, to);
            task = executor->running; /* a fiber that came here to have this one polled */
        }
        if (task != NULL) {
            rti_future_run(task);
            executor->running = NULL;
        }
    }
}

/* Whether a queue is there to run, which then is the active one. */
static inline bool choose(struct rti_executor *executor)
{
    if (RTI_UNLIKELY(executor->queue_count > 1)) {
        return rti_slice_choose_among(executor);
    }
    return !executor->turn_over && rti_taskq_length(executor->active) > 0;
}

void rti_executor_run_tasks(struct rti_executor *executor)
{
    while (choose(executor)) {
        __atomic_store_n(&executor->ran_in, executor->turns, __ATOMIC_RELAXED); /* Y4 */
        run_slice(executor);
    }
}

/* A future's run ends without a suspension. */
void rti_future_run_ended(struct rt_task *task)
{
    const uint32_t state = task->state;

    task->state = state & ~(uint32_t)RTI_TASK_RUNNING;
    if ((state & RTI_TASK_SCHEDULED) != 0) { /* T1 */
        rti_trace(task->executor, RT_TRACE_SCHEDULE, task, NULL, NULL, 0);
        rti_make_runnable(task->executor, task);
    }
}

/* Nobody else can run: so the loop would run this task again, while the quota lasts. */
static RTI_NOINLINE bool runs_on_alone(struct rti_executor *executor, const struct rt_task *task)
{
    if (executor->trace != NULL || (task->state & (RTI_TASK_INLINE | RTI_TASK_PINNED)) != 0 ||
        !rti_may_run(executor)) {
        return false;
    }
    executor->active->runs_alone++;
    return true;
}

static RTI_NOINLINE RTI_NORETURN void exit_with_care(struct rti_executor *executor,
                                                     struct rt_task *task)
{
    rti_fiber_exit_to(&task->fiber, rti_begin_run(executor, rti_next_task(executor)));
}

void rti_task_exit(struct rt_task *task)
{
    struct rti_executor *executor = rti_current;
    struct rti_fiber *to;

    if (!rti_can_go_quickly(executor, task, 0)) {
        exit_with_care(executor, task);
    }
    to = rti_next_quickly(executor);
    rti_taskq_prefetch(executor->active); /* many that end together: their slots are cold */
    rti_fiber_exit_to(&task->fiber, to);
}

static RTI_NOINLINE void yield_with_care(struct rti_executor *executor, struct rt_task *task)
{
    if (!rti_has_next(executor) && runs_on_alone(executor, task)) {
        return;
    }
    task->state |= RTI_TASK_SCHEDULED;
    rti_trace(executor, RT_TRACE_YIELD, task, NULL, NULL, 0);
    rti_suspend(executor, task);
}

/* Mostly another task of the queue can run: then this one changes places with it. */
void rt_yield(void)
{
    struct rti_executor *executor = rti_executor_here("rt_yield");
    struct rt_task *task = executor->running;
    struct rt_task *next;

    if (!rti_can_go_quickly(executor, task, RTI_TASK_INLINE | RTI_TASK_PINNED)) {
        yield_with_care(executor, task);
        return;
    }
    executor->runs_left.left--;
    if (!rti_has_next(executor)) { /* the loop would run this one again */
        executor->active->runs_alone++;
        return;
    }
    next = rti_taskq_exchange(executor->active, task);
    task->state = (task->state | RTI_TASK_SCHEDULED) & ~(uint32_t)RTI_TASK_RUNNING;
    rti_fiber_switch(&task->fiber, rti_begin_run_untraced(executor, next));
}

static inline bool is_due(struct rti_executor *executor)
{
    return RTI_UNLIKELY(--executor->calls_left.left < 0) && rti_slice_must_yield(executor);
}

bool rt_should_yield(void)
{
    return is_due(rti_executor_here("rt_should_yield"));
}

void rti_yield_if_due(void)
{
    struct rti_executor *executor = rti_current;

    if (is_due(executor) && (executor->running->state & RTI_TASK_PINNED) == 0) {
        rt_yield();
    }
}

void rt_yield_if_due(void)
{
    struct rti_executor *executor = rti_executor_here("rt_yield_if_due");

    if (is_due(executor)) {
        rt_yield();
    }
}
