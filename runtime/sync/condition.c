/* SPDX-License-Identifier: MIT */
/*
 * Condition: a line of tasks, each on its way back to its mutex.
 *
 *               signal, deadline or cancel             the mutex is handed to it
 *     in line ------------------------------> in line ---------------------------> done
 *     here                                    for the mutex, if it is not free
 *
 * It is one wait from end to end, so a signal costs no switch of its own: the task
 * runs again when it holds the mutex. What ended the first half is the waiter's
 * `reason`; a signal leaves that 0.
 */
#include "rt/condition.h"

#include "sync/line.h"
#include "sync/mutex.h"

_Static_assert(sizeof(struct rt_condition) == 16, "as its header says");

struct place {
    struct rti_queued queued;
    struct rt_mutex *mutex;
};

static void back_to_mutex(struct rti_queued *queued)
{
    rti_mutex_give(RTI_CONTAINER_OF(queued, struct place, queued)->mutex, queued);
}

static void wait_abort(struct rti_waiter *waiter, int reason)
{
    struct rti_queued *self = rti_queued_of(waiter);

    (void)reason; /* the waiter has it */
    rti_waiters_remove(&((struct rt_condition *)waiter->object)->waiters, self);
    back_to_mutex(self);
}

static const struct rti_wait_kind condition_kind = { .name = "condition", .abort = wait_abort };

RTI_RETURNS_AFTER_SWITCH
int rt_condition_wait(struct rt_condition *condition, struct rt_mutex *mutex, rt_time deadline)
{
    struct place self;
    int r;

    rti_mutex_must_hold(mutex, "rt_condition_wait");
    rti_line_must_own(&condition->waiters, "rt_condition_wait");
    r = rti_wait_allowed();
    if (r < 0) {
        return r;
    }
    rti_waiter_init(&self.queued.waiter, &condition_kind);
    self.queued.waiter.object = condition;
    self.mutex = mutex;
    rti_waiters_push(&condition->waiters, &self.queued);
    rti_mutex_release(mutex);
    (void)rti_wait(&self.queued.waiter, deadline);
    return self.queued.waiter.reason;
}

void rt_condition_signal(struct rt_condition *condition)
{
    struct rti_queued *oldest;

    (void)rti_executor_here("rt_condition_signal");
    rti_line_must_own(&condition->waiters, "rt_condition_signal");
    oldest = rti_waiters_pop(&condition->waiters);
    if (oldest != NULL) {
        back_to_mutex(oldest);
    }
}

void rt_condition_broadcast(struct rt_condition *condition)
{
    struct rti_queued *oldest;

    (void)rti_executor_here("rt_condition_broadcast");
    rti_line_must_own(&condition->waiters, "rt_condition_broadcast");
    while ((oldest = rti_waiters_pop(&condition->waiters)) != NULL) {
        back_to_mutex(oldest);
    }
}
