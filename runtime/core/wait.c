/* SPDX-License-Identifier: MIT */
/*
 * Wait: how waits begin, suspend (core/run.h) and are finished; and the waits that need nothing
 * else: sleep, park, join.
 */
#include "core/wait.h"

#include "core/executor.h"
#include "core/future.h"
#include "core/run.h"
#include "core/runnable.h"
#include "core/scope.h"
#include "core/select.h"
#include "core/waiters.h"
#include "rt/timer.h"

static inline __attribute__((always_inline)) void init(struct rti_executor *executor,
                                                       struct rti_waiter *waiter,
                                                       const struct rti_wait_kind *kind,
                                                       const void *object)
{
    waiter->task = executor->running;
    waiter->kind = kind;
    waiter->object = object;
    rti_timer_init(&waiter->timer);
    waiter->since = executor->turn_time;
    waiter->result = 0;
    waiter->reason = 0;
    waiter->done = false;
    waiter->mode = RTI_WAIT_PLAIN;
}

void rti_waiter_init(struct rti_waiter *waiter, const struct rti_wait_kind *kind)
{
    init(rti_current, waiter, kind, NULL);
}

static RTI_NOINLINE int look_whether_allowed(struct rti_executor *executor)
{
    if (!rti_scope_ends(executor->running)) {
        return 0;
    }
    rti_yield_if_due();
    return -ECANCELED;
}

/* Most often, neither a cancel nor a scope has a word in it. */
static inline bool is_free_to_wait(const struct rti_executor *executor)
{
    return RTI_LIKELY((executor->running->state & (RTI_TASK_CANCEL | RTI_TASK_SCOPED)) == 0);
}

int rti_wait_allowed(void)
{
    return is_free_to_wait(rti_current) ? 0 : look_whether_allowed(rti_current);
}

/* A deadline that has passed asks for the end at once; any other is left to the wheel. */
void rti_waiter_arm(struct rti_waiter *waiter, rt_time deadline)
{
    struct rti_executor *executor = rti_current;

    rti_check_deadline(executor, deadline);
    if (deadline > executor->turn_time) {
        rti_timer_arm(&executor->wheel, &waiter->timer, deadline);
    } else {
        rti_waiter_expire(waiter);
    }
}

/* The deadline has passed, or scopes have a word in it. */
static RTI_NOINLINE void arm_wait(struct rti_waiter *waiter, rt_time deadline)
{
    if ((waiter->task->state & RTI_TASK_SCOPED) != 0 && waiter->mode == RTI_WAIT_PLAIN) {
        deadline = rti_scope_begin_wait(waiter->task, deadline);
    }
    if (deadline != RT_NEVER) {
        rti_waiter_arm(waiter, deadline);
    }
    if (waiter->done) {
        rti_yield_if_due();
    }
}

/* As traces show it: the task that is waited for. */
static inline const struct rt_task *other_task(const struct rti_waiter *waiter)
{
    return waiter->kind == &rti_join_kind ? waiter->object : NULL;
}

RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE void go_on_waiting(struct rti_executor *executor,
                                       const struct rti_waiter *waiter)
{
    while (!waiter->done) { /* Q2 */
        rti_suspend(executor, waiter->task);
    }
}

RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int wait_with_care(struct rti_waiter *waiter, rt_time deadline)
{
    struct rti_executor *executor = rti_current;
    struct rt_task *task = waiter->task;

    task->waiter = waiter;
    rti_trace(executor, RT_TRACE_WAIT, task, other_task(waiter), waiter->kind->name, 0);
    if (RTI_UNLIKELY(deadline <= executor->turn_time || (task->state & RTI_TASK_SCOPED) != 0)) {
        arm_wait(waiter, deadline);
    } else if (deadline != RT_NEVER) {
        rti_timer_arm(&executor->wheel, &waiter->timer, deadline);
    }
    if (!waiter->done) {
        go_on_waiting(executor, waiter);
    }
    rti_timer_disarm(&executor->wheel, &waiter->timer);
    task->waiter = NULL;
    return waiter->result;
}

/* What is left to do when a task goes on with a wait that is not over, or has a timer. */
RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int end_with_care(struct rti_waiter *waiter)
{
    struct rti_executor *executor = rti_current;

    go_on_waiting(executor, waiter);
    rti_timer_disarm(&executor->wheel, &waiter->timer);
    waiter->task->waiter = NULL;
    return waiter->result;
}

/* Most waits end by their event, in no scope and with nobody who traces: these are one suspension
 * and a few stores. */
static inline __attribute__((always_inline)) int wait_quickly(struct rti_executor *executor,
                                                              struct rti_waiter *waiter)
{
    struct rt_task *task = executor->running;

    if (!rti_can_go_quickly(executor, task,
                            RTI_TASK_SCOPED | RTI_TASK_SCHEDULED | RTI_TASK_INLINE |
                                RTI_TASK_PINNED)) {
        return wait_with_care(waiter, RT_NEVER);
    }
    task->waiter = waiter;
    task->state &= ~(uint32_t)RTI_TASK_RUNNING;
    rti_fiber_switch(&task->fiber, rti_next_quickly(executor));
    if (RTI_UNLIKELY(!waiter->done || rti_timer_is_armed(&waiter->timer))) { /* Q2 */
        return end_with_care(waiter);
    }
    waiter->task->waiter = NULL;
    return waiter->result;
}

/* A wait with a timer is a call of its own, so that others need not save what it uses. */
RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int wait_until(struct rti_waiter *waiter, rt_time deadline)
{
    struct rti_executor *executor = rti_current;

    if (RTI_UNLIKELY(deadline <= executor->turn_time ||
                     (executor->running->state & RTI_TASK_SCOPED) != 0)) {
        return wait_with_care(waiter, deadline);
    }
    rti_timer_arm(&executor->wheel, &waiter->timer, deadline);
    return wait_quickly(executor, waiter);
}

/* The waiter is not done. */
static inline __attribute__((always_inline)) int
wait_inline(struct rti_executor *executor, struct rti_waiter *waiter, rt_time deadline)
{
    return RTI_UNLIKELY(deadline != RT_NEVER) ? wait_until(waiter, deadline)
                                              : wait_quickly(executor, waiter);
}

/* Not inlined, as all that return after a switch: into who does not say so (compiler.h). */
RTI_RETURNS_AFTER_SWITCH
RTI_NOINLINE int rti_wait(struct rti_waiter *waiter, rt_time deadline)
{
    return RTI_UNLIKELY(waiter->done) ? wait_with_care(waiter, deadline)
                                      : wait_inline(rti_current, waiter, deadline);
}

static inline __attribute__((always_inline)) int wait_in_line(struct rti_executor *executor,
                                                              struct rt_waiters *line,
                                                              const struct rti_wait_kind *kind,
                                                              const void *object, uint64_t brought,
                                                              rt_time deadline)
{
    struct rti_placed self;

    init(executor, &self.queued.waiter, kind, object);
    self.wanted = brought;
    rti_waiters_push(line, &self.queued);
    return wait_inline(executor, &self.queued.waiter, deadline);
}

RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int wait_in_line_if_allowed(struct rt_waiters *line,
                                                const struct rti_wait_kind *kind,
                                                const void *object, uint64_t brought,
                                                rt_time deadline)
{
    struct rti_executor *executor = rti_current;
    const int r = look_whether_allowed(executor);

    return r < 0 ? r : wait_in_line(executor, line, kind, object, brought, deadline);
}

RTI_RETURNS_AFTER_SWITCH
RTI_NOINLINE int rti_wait_in_line(struct rt_waiters *line, const struct rti_wait_kind *kind,
                                  const void *object, uint64_t brought, rt_time deadline)
{
    struct rti_executor *executor = rti_current;

    return is_free_to_wait(executor)
               ? wait_in_line(executor, line, kind, object, brought, deadline)
               : wait_in_line_if_allowed(line, kind, object, brought, deadline);
}

static inline __attribute__((always_inline)) int
wait_alone(struct rti_executor *executor, void **place, const struct rti_wait_kind *kind,
           const void *object, uint64_t brought, rt_time deadline)
{
    struct rti_brought self;

    init(executor, &self.waiter, kind, object);
    self.wanted = brought;
    *place = &self;
    return wait_inline(executor, &self.waiter, deadline);
}

RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int wait_alone_if_allowed(void **place, const struct rti_wait_kind *kind,
                                              const void *object, uint64_t brought,
                                              rt_time deadline)
{
    struct rti_executor *executor = rti_current;
    const int r = look_whether_allowed(executor);

    return r < 0 ? r : wait_alone(executor, place, kind, object, brought, deadline);
}

RTI_RETURNS_AFTER_SWITCH
RTI_NOINLINE int rti_wait_alone(void **place, const struct rti_wait_kind *kind, const void *object,
                                uint64_t brought, rt_time deadline)
{
    struct rti_executor *executor = rti_current;

    return is_free_to_wait(executor)
               ? wait_alone(executor, place, kind, object, brought, deadline)
               : wait_alone_if_allowed(place, kind, object, brought, deadline);
}

/* Of a future or a select; or somebody traces. */
static RTI_NOINLINE void finish_with_care(struct rti_waiter *waiter)
{
    if (waiter->mode < RTI_WAIT_LEG) {
        if ((waiter->task->state & RTI_TASK_RUNNING) == 0) {
            rti_task_wake(waiter->task);
        }
        return;
    }
    rti_timer_disarm(&waiter->task->executor->wheel, &waiter->timer);
    if (waiter->mode == RTI_WAIT_LEG) {
        rti_select_leg_done(waiter);
    } else {
        rti_future_wait_done(waiter);
    }
}

/* `task` is the waiter's; who knows it need not wait until it is read. */
static inline __attribute__((always_inline)) void finish(struct rti_waiter *waiter,
                                                         struct rt_task *task, int32_t result)
{
    RTI_DASSERT(!waiter->done && task->executor == rti_current); /* Q1 */
    waiter->result = result;
    waiter->done = true;
    if (RTI_UNLIKELY(waiter->mode >= RTI_WAIT_LEG || rti_current->trace != NULL)) {
        finish_with_care(waiter);
    } else if ((task->state & (RTI_TASK_RUNNING | RTI_TASK_SCHEDULED)) == 0) {
        task->state |= RTI_TASK_SCHEDULED; /* as rti_task_wake() */
        rti_make_runnable(rti_current, task);
    }
}

void rti_waiter_finish(struct rti_waiter *waiter, int32_t result)
{
    finish(waiter, waiter->task, result);
}

void rti_waiter_abort(struct rti_waiter *waiter, int reason)
{
    if (!waiter->done && waiter->reason == 0) { /* Q3, and the first reason counts */
        waiter->reason = (int16_t)reason;
        if (waiter->kind->leave != NULL) {
            waiter->kind->leave(waiter);
            rti_waiter_finish(waiter, reason);
        } else {
            waiter->kind->abort(waiter, reason);
        }
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
    if ((waiter->task->state & RTI_TASK_SCOPED) != 0 && waiter->mode == RTI_WAIT_PLAIN &&
        !rti_scope_own_deadline(waiter)) {
        return;
    }
    rti_trace(waiter->task->executor, RT_TRACE_TIMEOUT, waiter->task, NULL, waiter->kind->name, 0);
    if (waiter->kind->deadline_is_event) {
        rti_waiter_finish(waiter, 0);
    } else {
        rti_waiter_abort(waiter, -ETIME);
    }
}

/* Nothing has to be unlinked. */
void rti_park_leave(struct rti_waiter *waiter)
{
    (void)waiter;
}

/* Sleep: nothing but a deadline, which is its event. */
const struct rti_wait_kind rti_sleep_kind = { .name = "sleep",
                                              .leave = rti_park_leave,
                                              .deadline_is_event = true };

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
    rti_waiter_init(&waiter, &rti_sleep_kind);
    return rti_wait(&waiter, deadline);
}

/* Park: the wait that a bare wake ends. */
static const struct rti_wait_kind park_kind = { .name = "park",
                                                .leave = rti_park_leave,
                                                .any_wake_is_event = true };

/* It was woken since it last went on, which it consumes, or is not free to wait. */
RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int park_with_care(struct rti_executor *executor,
                                       const struct rti_wait_kind *kind, const void *object,
                                       rt_time deadline)
{
    struct rt_task *task = executor->running;
    struct rti_waiter waiter;
    const int r = look_whether_allowed(executor);

    if (r < 0) {
        return r;
    }
    if ((task->state & RTI_TASK_SCHEDULED) != 0) {
        rti_suspend(executor, task);
        return 0;
    }
    init(executor, &waiter, kind, object);
    return wait_inline(executor, &waiter, deadline);
}

static inline __attribute__((always_inline)) int park(struct rti_executor *executor,
                                                      const struct rti_wait_kind *kind,
                                                      const void *object, rt_time deadline)
{
    struct rti_waiter waiter;

    if (RTI_UNLIKELY((executor->running->state &
                      (RTI_TASK_CANCEL | RTI_TASK_SCOPED | RTI_TASK_SCHEDULED)) != 0)) {
        return park_with_care(executor, kind, object, deadline);
    }
    init(executor, &waiter, kind, object);
    return wait_inline(executor, &waiter, deadline);
}

RTI_RETURNS_AFTER_SWITCH
int rti_park_as(const struct rti_wait_kind *kind, const void *object, rt_time deadline)
{
    return park(rti_current, kind, object, deadline);
}

RTI_RETURNS_AFTER_SWITCH
int rt_park(rt_time deadline)
{
    return park(rti_executor_here("rt_park"), &park_kind, NULL, deadline);
}

/* Await: a park between two polls of a future. */
static const struct rti_wait_kind await_kind = { .name = "await",
                                                 .leave = rti_park_leave,
                                                 .any_wake_is_event = true };

RTI_RETURNS_AFTER_SWITCH
int rti_future_park(const struct rt_future *future, rt_time deadline)
{
    const struct rt_task *task = rti_current->running;
    const int r = park(rti_current, &await_kind, future, deadline);

    /* A poll that wakes its own task is polled again at once, but not for ever. */
    return r == 0 && rti_scope_has_passed(task, deadline) ? -ETIME : r;
}

RTI_RETURNS_AFTER_SWITCH
void rti_future_park_exempt(const struct rt_future *future)
{
    struct rti_waiter waiter;

    rti_waiter_init(&waiter, &await_kind);
    waiter.object = future;
    waiter.mode = RTI_WAIT_EXEMPT;
    (void)rti_wait(&waiter, RT_NEVER);
}

void rti_task_wake_by_waker(struct rt_task *task)
{
    struct rti_waiter *waiter = task->waiter;

    if (waiter != NULL && waiter->kind->any_wake_is_event && !waiter->done) {
        finish(waiter, task, 0);
    } else {
        rti_task_wake(task);
    }
}

/* Join: waits here, as each `ret` after a switch is mispredicted, and a join is mostly waits. */
static void join_leave(struct rti_waiter *waiter)
{
    ((struct rt_task *)waiter->object)->awaiter = NULL;
}

static bool join_whom(const struct rti_waiter *waiter, struct rti_whom *out)
{
    out->task = ((const struct rt_task *)waiter->object)->index;
    return true;
}

const struct rti_wait_kind rti_join_kind = {
    .name = "join", .leave = join_leave, .ended = join_leave, .whom = join_whom
};

static inline __attribute__((always_inline)) int await_end(struct rti_executor *executor,
                                                           struct rt_task *task, rt_time deadline)
{
    struct rti_waiter waiter;
    const int r = is_free_to_wait(executor) ? 0 : look_whether_allowed(executor);

    if (r < 0) {
        return r;
    }
    init(executor, &waiter, &rti_join_kind, task);
    task->awaiter = &waiter;
    return wait_inline(executor, &waiter, deadline);
}

static inline __attribute__((always_inline)) void
check(const struct rti_executor *executor, const struct rt_task *task, const char *call)
{
    rti_task_must_be_handle(task, call);
    if (RTI_UNLIKELY(task == executor->running)) {
        rti_misuse("%s(): a task cannot join itself", call);
    }
    if (RTI_UNLIKELY(task->awaiter != NULL)) {
        rti_misuse("%s(): task %u is being joined by another task", call, task->index);
    }
}

void rti_join_check(const struct rt_task *task, const char *call)
{
    check(rti_executor_here(call), task, call);
}

static inline __attribute__((always_inline)) void take(struct rti_executor *executor,
                                                       struct rt_task *task, int *result)
{
    if (result != NULL) {
        *result = task->result;
    }
    if (RTI_UNLIKELY(executor->trace != NULL)) {
        rti_trace_emit(executor, RT_TRACE_JOINED, task, executor->running, NULL, task->result);
    }
    rti_task_free(task);
}

void rti_join_take(struct rt_task *task, int *result)
{
    const uint32_t joinable = RTI_TASK_COMPLETED | RTI_TASK_HANDLE;

    if (RTI_UNLIKELY((task->state & joinable) != joinable)) {
        rti_misuse("the handle of task %u has ended while a future or a select joined it",
                   task->index);
    }
    take(rti_current, task, result);
}

RTI_RETURNS_AFTER_SWITCH
int rt_join(struct rt_task *task, int *result, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_join");

    check(executor, task, "rt_join");
    if ((task->state & RTI_TASK_COMPLETED) == 0) {
        const int r = await_end(executor, task, deadline);

        if (RTI_UNLIKELY(r < 0)) {
            return r;
        }
        task->awaiter = NULL; /* not before: until now the handle was ours alone */
    }
    take(task->executor, task, result);
    return 0;
}
