/* SPDX-License-Identifier: MIT */
/* Mutex: see mutex.h for its invariants, and rt/mutex.h for the contract. */
#include "sync/mutex.h"

#include "sync/line.h"

_Static_assert(sizeof(struct rt_mutex) == 24, "as its header says");

static void lock_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_mutex *)waiter->object)->waiters, rti_queued_of(waiter));
}

static bool lock_whom(const struct rti_waiter *waiter, struct rti_whom *out)
{
    out->task = ((const struct rt_task *)((const struct rt_mutex *)waiter->object)->owner)->index;
    return true;
}

static const struct rti_wait_kind mutex_kind = { .name = "mutex",
                                                 .leave = lock_leave,
                                                 .whom = lock_whom };

/* That somebody holds it is no mistake of the program. */
static void check_owner(const struct rt_task *owner)
{
    rti_executor_must_own(owner->executor, "rt_mutex_lock");
    if (RTI_UNLIKELY(owner == rti_current->running)) {
        rti_misuse("rt_mutex_lock(): the task holds the mutex already");
    }
    if (RTI_UNLIKELY((owner->state & (RTI_TASK_COMPLETED | RTI_TASK_CLOSED)) != 0)) {
        rti_misuse("rt_mutex_lock(): the task that held the mutex, task %u, has ended",
                   owner->index);
    }
}

static RTI_NOINLINE int wait_for_lock(struct rt_mutex *mutex, rt_time deadline)
{
    check_owner(mutex->owner);
    return rti_wait_in_line(&mutex->waiters, &mutex_kind, mutex, 0, deadline);
}

int rt_mutex_lock(struct rt_mutex *mutex, rt_time deadline)
{
    const struct rti_executor *executor = rti_executor_here("rt_mutex_lock");

    if (RTI_UNLIKELY(mutex->owner != NULL)) { /* M1 */
        return wait_for_lock(mutex, deadline);
    }
    mutex->owner = executor->running;
    return 0;
}

static RTI_NOINLINE void hand_over(struct rt_mutex *mutex)
{
    struct rti_queued *oldest = rti_waiters_pop(&mutex->waiters);

    mutex->owner = oldest->waiter.task; /* M2 */
    rti_waiter_finish(&oldest->waiter, 0);
}

static RTI_NORETURN RTI_COLD void does_not_hold(const struct rt_mutex *mutex, const char *call)
{
    const struct rt_task *owner = mutex->owner;

    if (owner != NULL) {
        rti_executor_must_own(owner->executor, call);
    }
    rti_misuse("%s(): the running task does not hold the mutex", call);
}

static inline void must_hold(const struct rt_mutex *mutex, const char *call)
{
    if (RTI_UNLIKELY(mutex->owner != rti_executor_here(call)->running)) {
        does_not_hold(mutex, call);
    }
}

static inline void release(struct rt_mutex *mutex)
{
    if (RTI_UNLIKELY(!rti_waiters_is_empty(&mutex->waiters))) {
        hand_over(mutex);
        return;
    }
    mutex->owner = NULL;
}

void rt_mutex_unlock(struct rt_mutex *mutex)
{
    must_hold(mutex, "rt_mutex_unlock");
    release(mutex);
}

/* For conditions */

void rti_mutex_must_hold(const struct rt_mutex *mutex, const char *call)
{
    must_hold(mutex, call);
}

void rti_mutex_release(struct rt_mutex *mutex)
{
    release(mutex);
}

void rti_mutex_give(struct rt_mutex *mutex, struct rti_queued *taker)
{
    struct rti_waiter *waiter = &taker->waiter;

    rti_timer_disarm(&waiter->task->executor->wheel, &waiter->timer);
    waiter->mode = RTI_WAIT_EXEMPT;
    waiter->kind = &mutex_kind;
    waiter->object = mutex;
    if (mutex->owner != NULL) {
        rti_waiters_push(&mutex->waiters, taker);
        return;
    }
    mutex->owner = waiter->task;
    rti_waiter_finish(waiter, 0);
}
