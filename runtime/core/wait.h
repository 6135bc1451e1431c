/* SPDX-License-Identifier: MIT */
/*
 * Wait: the one primitive by which a task waits for anything.
 *
 * A waiter lies in the frame of the task that waits. It is handed to whatever
 * will end the wait (an operation, the task that is joined, a group, a list),
 * and then rti_wait() suspends until somebody has called rti_waiter_finish().
 *
 *          rti_wait()                 rti_waiter_finish(result)
 *   made ------------> waiting ------------------------------> done
 *                         |                                     ^
 *                         | deadline or cancel: kind->abort()   |
 *                         +--> aborting ------------------------+
 *
 * Abort is a request in the words of what is waited for: an operation asks the
 * kernel to cancel and stays until its own completion came; everything else
 * unlinks the waiter and finishes it on the spot. The first reason counts.
 *
 * Q1 A waiter is finished exactly once; what finishes it has unlinked it.
 * Q2 While its task waits, task->waiter is the waiter; a wake with the waiter
 *    not done is spurious and the task waits on.
 * Q3 A wait whose event has happened ends with its result, whatever else came.
 *
 * This file holds the only code that suspends a task.
 */
#ifndef RTI_CORE_WAIT_H
#define RTI_CORE_WAIT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "core/timer.h"

struct rt_task;
struct rti_executor;
struct rti_waiter;

struct rti_wait_kind {
    const char *name; /* what is waited for, as traces and dumps show it: "read", "join" */

    /* End the wait with `reason` (-ETIME, -ECANCELED or another error): finish the waiter now, or
     * see to it that it is finished. Never called when it is done; called once, and again with the
     * same reason each time the waiter's timer fires, if abort has armed it. */
    void (*abort)(struct rti_waiter *waiter, int reason);
};

struct rti_waiter {
    struct rt_task *task; /* who waits */
    const struct rti_wait_kind *kind;
    const struct rt_task *target; /* the task that is joined, or NULL; for traces and dumps */
    struct rti_timer timer;       /* armed while the task waits, if there is a deadline */
    int32_t result;               /* valid when done */
    int16_t reason;               /* 0, or why the wait was aborted */
    bool done;
    bool exempt; /* from cancel: this call only gives something back, or takes what has come */
};

/* Make a waiter of the running task. */
void rti_waiter_init(struct rti_waiter *waiter, const struct rti_wait_kind *kind);

/*
 * What to do before a wait is begun: 0, or -ECANCELED when the task was asked
 * to end, after letting others run if the slice is over. Not for exempt waits.
 */
int rti_wait_allowed(void);

/* Suspend the running task until the waiter is done; its result. A deadline that has passed asks
 * for the end at once. */
int rti_wait(struct rti_waiter *waiter, rt_time deadline);

/* The event has happened: the task goes on with `result`. */
void rti_waiter_finish(struct rti_waiter *waiter, int32_t result);

/* End the wait for `reason`, if it is not done or being ended already. */
void rti_waiter_abort(struct rti_waiter *waiter, int reason);

/* The waiter's timer has fired: its deadline has passed, or it is time to ask for its end again. */
void rti_waiter_expire(struct rti_waiter *waiter);

/* Let others run if the quota is used; for waits that end at once. */
void rti_yield_if_due(void);

/* Run tasks until none is runnable or the quota is used; called by the loop. */
void rti_executor_run_tasks(struct rti_executor *executor);

/* Leave the running task, which has completed, for good. */
RTI_NORETURN void rti_task_exit(struct rt_task *task);

#endif /* RTI_CORE_WAIT_H */
