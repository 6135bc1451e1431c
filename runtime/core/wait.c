/* SPDX-License-Identifier: MIT */
/*
 * Wait: the only code that suspends a task, and so the only that switches.
 *
 * A task that suspends goes straight on with the next one of its queue while
 * the quota lasts; the loop is entered only when there is none or I/O is due.
 */
#include "core/wait.h"

#include "core/executor.h"
#include "core/trace.h"
#include "rt/timer.h"

/* Whether the quota has room for one more run. */
static inline bool may_run(struct rti_executor *executor)
{
    return RTI_LIKELY(--executor->run_credit >= 0) || rti_executor_renew_credit(executor);
}

/* The task to go on with, or NULL: the loop has to. */
static inline struct rt_task *next_task(struct rti_executor *executor)
{
    return may_run(executor) ? rti_taskq_pop(&executor->queue) : NULL;
}

/* Mark `task` as the one that runs (T1, T2), or none; the fiber to switch to. */
static inline struct rti_fiber *begin_run(struct rti_executor *executor, struct rt_task *task)
{
    executor->running = task;
    if (task == NULL) {
        return &executor->loop;
    }
    task->state = (task->state & ~(uint32_t)RTI_TASK_SCHEDULED) | RTI_TASK_RUNNING;
    rti_trace(executor, RT_TRACE_RUN, task, NULL, NULL, 0);
    return &task->fiber;
}

/* A call that runs inline suspends for the first time (T7). Being asked to end already, it may find
 * its wait over. */
static RTI_NOINLINE bool detach(struct rti_executor *executor, struct rt_task *task)
{
    executor->inbox->ops->detach(executor->inbox, task);
    return task->waiter != NULL && task->waiter->done;
}

static inline void suspend(struct rti_executor *executor, struct rt_task *task)
{
    struct rt_task *next;
    struct rti_fiber *to;

    if (RTI_UNLIKELY((task->state & RTI_TASK_INLINE) != 0) && detach(executor, task)) {
        return;
    }
    next = next_task(executor);
    task->state &= ~(uint32_t)RTI_TASK_RUNNING;
    if ((task->state & RTI_TASK_SCHEDULED) != 0) { /* woken or yielding: behind all others */
        rti_trace(executor, RT_TRACE_SCHEDULE, task, NULL, NULL, 0);
        rti_taskq_push(task->queue, task);
    }
    to = begin_run(executor, next);
    rti_fiber_switch(&task->fiber, to);
}

void rti_executor_run_tasks(struct rti_executor *executor)
{
    struct rt_task *task;

    while ((task = next_task(executor)) != NULL) {
        rti_fiber_switch(&executor->loop, begin_run(executor, task));
    }
}

void rti_task_exit(struct rt_task *task)
{
    struct rti_executor *executor = rti_current;

    rti_fiber_exit_to(&task->fiber, begin_run(executor, next_task(executor)));
    __builtin_unreachable();
}

void rt_yield(void)
{
    struct rti_executor *executor = rti_executor_here("rt_yield");
    struct rt_task *task = executor->running;

    task->state |= RTI_TASK_SCHEDULED;
    rti_trace(executor, RT_TRACE_YIELD, task, NULL, NULL, 0);
    suspend(executor, task);
}

void rti_yield_if_due(void)
{
    struct rti_executor *executor = rti_current;

    if (--executor->run_credit < 0 && !rti_executor_renew_credit(executor)) {
        rt_yield();
    }
}

void rti_waiter_init(struct rti_waiter *waiter, const struct rti_wait_kind *kind)
{
    waiter->task = rti_current->running;
    waiter->kind = kind;
    waiter->target = NULL;
    rti_timer_init(&waiter->timer);
    waiter->result = 0;
    waiter->reason = 0;
    waiter->done = false;
    waiter->exempt = false;
}

int rti_wait_allowed(void)
{
    if (RTI_LIKELY((rti_current->running->state & RTI_TASK_CANCEL) == 0)) {
        return 0;
    }
    rti_yield_if_due();
    return -ECANCELED;
}

/* A deadline that has passed asks for the end at once; any other is left to the wheel. */
static void start_deadline(struct rti_executor *executor, struct rti_waiter *waiter,
                           rt_time deadline)
{
    if (RTI_DEBUG && deadline != 0 && deadline < executor->start_time / 2) {
        rti_misuse("a deadline of %lld ns lies long before the start of the executor: it is a "
                   "length of time; say rt_in(length)",
                   (long long)deadline);
    }
    if (deadline > executor->turn_time) {
        rti_timer_arm(&executor->wheel, &waiter->timer, deadline);
        return;
    }
    rti_waiter_expire(waiter);
    if (waiter->done) {
        rti_yield_if_due();
    }
}

static inline __attribute__((always_inline)) int wait_inline(struct rti_waiter *waiter,
                                                             rt_time deadline)
{
    struct rti_executor *executor = rti_current;
    struct rt_task *task = waiter->task;

    task->waiter = waiter;
    rti_trace(executor, RT_TRACE_WAIT, task, waiter->target, waiter->kind->name, 0);
    if (deadline != RT_NEVER) {
        start_deadline(executor, waiter, deadline);
    }
    while (!waiter->done) { /* Q2 */
        suspend(executor, task);
    }
    rti_timer_disarm(&executor->wheel, &waiter->timer);
    task->waiter = NULL;
    return waiter->result;
}

RTI_RETURNS_AFTER_SWITCH
int rti_wait(struct rti_waiter *waiter, rt_time deadline)
{
    return wait_inline(waiter, deadline);
}

void rti_waiter_finish(struct rti_waiter *waiter, int32_t result)
{
    RTI_DASSERT(!waiter->done); /* Q1 */
    waiter->result = result;
    waiter->done = true;
    if ((waiter->task->state & RTI_TASK_RUNNING) == 0) {
        rti_task_wake(waiter->task);
    }
}

void rti_waiter_abort(struct rti_waiter *waiter, int reason)
{
    if (!waiter->done && waiter->reason == 0) { /* Q3, and the first reason counts */
        waiter->reason = (int16_t)reason;
        waiter->kind->abort(waiter, reason);
    }
}

void rti_waiter_expire(struct rti_waiter *waiter)
{
    if (waiter->done) {
        return; /* its event happened in the same turn */
    }
    if (waiter->reason != 0) {
        waiter->kind->abort(waiter, waiter->reason);
        return;
    }
    rti_trace(waiter->task->executor, RT_TRACE_TIMEOUT, waiter->task, NULL, waiter->kind->name, 0);
    rti_waiter_abort(waiter, -ETIME);
}

/* Sleep: nothing but a deadline, which is its event. */
static void sleep_abort(struct rti_waiter *waiter, int reason)
{
    rti_waiter_finish(waiter, reason == -ETIME ? 0 : reason);
}

static const struct rti_wait_kind sleep_kind = { .name = "sleep", .abort = sleep_abort };

RTI_RETURNS_AFTER_SWITCH
int rt_sleep_until(rt_time deadline)
{
    struct rti_waiter waiter;
    int r;

    (void)rti_executor_here("rt_sleep_until");
    r = rti_wait_allowed();
    if (r < 0) {
        return r;
    }
    rti_waiter_init(&waiter, &sleep_kind);
    return rti_wait(&waiter, deadline);
}

/* Park: the wait that a bare wake ends. */
static void park_abort(struct rti_waiter *waiter, int reason)
{
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind park_kind = { .name = "park", .abort = park_abort };

RTI_RETURNS_AFTER_SWITCH
int rt_park(rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_park");
    struct rt_task *task = executor->running;
    struct rti_waiter waiter;
    int r = rti_wait_allowed();

    if (r < 0) {
        return r;
    }
    rti_waiter_init(&waiter, &park_kind);
    if ((task->state & RTI_TASK_SCHEDULED) != 0) { /* woken since it last went on: consume it */
        suspend(executor, task);
        return 0;
    }
    return rti_wait(&waiter, deadline);
}

void rti_task_wake_by_waker(struct rt_task *task)
{
    if (task->waiter != NULL && task->waiter->kind == &park_kind && !task->waiter->done) {
        rti_waiter_finish(task->waiter, 0);
        return;
    }
    rti_task_wake(task);
}

/* Join: waits here, as each `ret` after a switch is mispredicted, and a join is mostly waits. */
static void join_abort(struct rti_waiter *waiter, int reason)
{
    ((struct rt_task *)waiter->target)->awaiter = NULL;
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind join_kind = { .name = "join", .abort = join_abort };

static inline __attribute__((always_inline)) int await_end(struct rt_task *task, rt_time deadline)
{
    struct rti_waiter waiter;
    int r = rti_wait_allowed();

    if (r < 0) {
        return r;
    }
    rti_waiter_init(&waiter, &join_kind);
    waiter.target = task;
    task->awaiter = &waiter;
    return wait_inline(&waiter, deadline);
}

RTI_RETURNS_AFTER_SWITCH
int rt_join(struct rt_task *task, int *result, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_join");

    rti_task_must_be_handle(task, "rt_join");
    if (RTI_UNLIKELY(task == executor->running)) {
        rti_misuse("rt_join(): a task cannot join itself");
    }
    if (RTI_UNLIKELY(task->awaiter != NULL)) {
        rti_misuse("rt_join(): task %u is being joined by another task", task->index);
    }
    if ((task->state & RTI_TASK_COMPLETED) == 0) {
        const int r = await_end(task, deadline);

        if (r < 0) {
            return r;
        }
        task->awaiter = NULL; /* not before: until now the handle was ours alone */
    }
    rti_trace(executor, RT_TRACE_JOINED, task, executor->running, NULL, task->result);
    if (result != NULL) {
        *result = task->result;
    }
    task->state &= ~(uint32_t)RTI_TASK_HANDLE;
    rti_task_free(task);
    return 0;
}
