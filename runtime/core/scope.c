/* SPDX-License-Identifier: MIT */
/* Scope: see scope.h for what ends a wait when. */
#include "core/scope.h"

#include "core/executor.h"

#define AT_ONCE (-1) /* before every deadline, 0 included */

struct end {
    rt_time at;
    int reason;
    struct rt_scope *scope; /* that asks; NULL: the call's own deadline, or the task's cancel */
};

static void ask(struct end *end, rt_time at, int reason, struct rt_scope *scope)
{
    if (at < end->at) {
        *end = (struct end){ .at = at, .reason = reason, .scope = scope };
    }
}

static rt_time later(rt_time a, rt_time b)
{
    return a > b ? a : b;
}

/* The earliest end of a wait of this task that has a deadline of its own. */
static struct end earliest_end(const struct rt_task *task, rt_time own_deadline)
{
    struct end end = { .at = own_deadline, .reason = -ETIME };
    rt_time shielded = AT_ONCE; /* what comes from further out counts from then on */

    if ((task->state & RTI_TASK_SCOPED) != 0) {
        for (struct rt_scope *scope = task->scope; scope != NULL; scope = scope->outer) {
            if (scope->shield) {
                if (scope->deadline > task->executor->turn_time) { /* else it holds nothing */
                    shielded = later(shielded, scope->deadline);
                }
                continue;
            }
            ask(&end, later(scope->deadline, shielded), -ETIME, scope);
            if (scope->cancelled) {
                ask(&end, shielded, -ECANCELED, scope);
            }
        }
    }
    if ((task->state & RTI_TASK_CANCEL) != 0) {
        ask(&end, shielded, -ECANCELED, NULL);
    }
    return end;
}

static void note(const struct end *end)
{
    if (end->scope != NULL && end->scope->ended == 0) {
        end->scope->ended = end->reason;
    }
}

bool rti_scope_must_end(const struct rt_task *task)
{
    const struct end end = earliest_end(task, RT_NEVER);

    /* after a deadline has passed what needs no wait may be done */
    return end.reason == -ECANCELED && end.at <= task->executor->turn_time;
}

void rti_scope_note_end(const struct rt_task *task)
{
    const struct end end = earliest_end(task, RT_NEVER);

    note(&end);
}

bool rti_scope_has_passed(const struct rt_task *task, rt_time deadline)
{
    const struct end end = earliest_end(task, deadline);

    if (end.reason != -ETIME || end.at > task->executor->turn_time) {
        return false;
    }
    note(&end);
    return true;
}

rt_time rti_scope_begin_wait(const struct rt_task *task, rt_time deadline)
{
    task->scope->wait_deadline = deadline; /* S2 */
    return later(earliest_end(task, deadline).at, 0);
}

rt_time rti_scope_end_at(const struct rt_task *task, rt_time deadline)
{
    return later(earliest_end(task, deadline).at, 0);
}

int rti_scope_ended_elsewhere(const struct rt_task *task, rt_time deadline)
{
    const struct end end = earliest_end(task, deadline);

    note(&end);
    return end.reason;
}

bool rti_scope_own_deadline(struct rti_waiter *waiter)
{
    const struct end end = earliest_end(waiter->task, waiter->task->scope->wait_deadline);

    RTI_DASSERT(end.at <= waiter->task->executor->turn_time); /* S1 */
    if (end.scope == NULL && end.reason == -ETIME) {
        return true;
    }
    note(&end);
    rti_waiter_abort(waiter, end.reason);
    return false;
}

void rti_scope_review(struct rt_task *task)
{
    struct rti_waiter *waiter = task->waiter;
    struct rti_wheel *wheel = &task->executor->wheel;
    rt_time at;

    if (waiter == NULL || waiter->done || waiter->reason != 0 || waiter->mode != RTI_WAIT_PLAIN) {
        return;
    }
    at = earliest_end(task, task->scope->wait_deadline).at;
    if (at <= task->executor->turn_time) {
        rti_waiter_expire(waiter);
        return;
    }
    rti_timer_disarm(wheel, &waiter->timer);
    if (at != RT_NEVER) {
        rti_timer_arm(wheel, &waiter->timer, at);
    }
}

void rti_scope_cancel(struct rt_scope *scope)
{
    scope->cancelled = 1;
    rti_scope_review(scope->task);
}

/* Public */

static void enter(struct rt_scope *scope, rt_time deadline, bool shield, const char *call)
{
    struct rt_task *task = rti_executor_here(call)->running;

    if (RTI_UNLIKELY((task->state & RTI_TASK_POLLS) != 0)) {
        rti_misuse("%s() was called in the poll function of a future", call);
    }
    *scope = (struct rt_scope){
        .outer = (task->state & RTI_TASK_SCOPED) != 0 ? task->scope : NULL,
        .task = task,
        .deadline = deadline,
        .shield = shield,
    };
    task->scope = scope;
    task->state |= RTI_TASK_SCOPED;
}

void rt_scope_enter(struct rt_scope *scope, rt_time deadline)
{
    enter(scope, deadline, false, "rt_scope_enter");
}

void rt_shield(struct rt_scope *scope, rt_time deadline)
{
    enter(scope, deadline, true, "rt_shield");
}

void rt_scope_cancel(struct rt_scope *scope)
{
    struct rt_task *task = scope->task;

    (void)rti_executor_here("rt_scope_cancel");
    if (RTI_UNLIKELY(scope->shield)) {
        rti_misuse("rt_scope_cancel(): a shield is no scope that could be cancelled");
    }
    if (RTI_UNLIKELY(task == NULL)) {
        rti_misuse("rt_scope_cancel(): the scope was left");
    }
    rti_executor_must_own(task->executor, "rt_scope_cancel");
    rti_scope_cancel(scope);
}

rt_time rt_deadline(void)
{
    return rti_scope_end_at(rti_executor_here("rt_deadline")->running, RT_NEVER);
}

int rt_scope_leave(struct rt_scope *scope)
{
    struct rt_task *task = rti_executor_here("rt_scope_leave")->running;

    if (RTI_UNLIKELY((task->state & RTI_TASK_SCOPED) == 0 || task->scope != scope)) {
        rti_misuse("rt_scope_leave(): not the innermost scope of this task");
    }
    task->scope = scope->outer;
    scope->task = NULL;
    if (scope->outer == NULL) {
        task->state &= ~(uint32_t)RTI_TASK_SCOPED;
    }
    return scope->ended;
}
