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
 *                         | deadline or cancel: kind->leave()   |
 *                         +-------------------------------------+
 *                         |               or kind->abort()      |
 *                         +--> aborting ------------------------+
 *
 * Most kinds just unlink the waiter, which is then finished on the spot. Abort is a
 * request in the words of what is waited for: an operation asks the kernel to cancel
 * and stays until its own completion came. The first reason counts.
 *
 * Q1 A waiter is finished exactly once; what finishes it has unlinked it.
 * Q2 While its task waits, task->waiter is the waiter; a wake with the waiter
 *    not done is spurious and the task waits on.
 * Q3 A wait whose event has happened ends with its result, whatever else came.
 *
 * Only wait.c suspends a task, by the switch of core/run.h. Yields, runs and
 * exits, also those declared here, are in core/run.c.
 */
#ifndef RTI_CORE_WAIT_H
#define RTI_CORE_WAIT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "core/timer.h"

struct rt_call;
struct rt_task;
struct rti_executor;
struct rti_waiter;

/* The one task that a wait is for. */
struct rti_whom {
    const struct rt_call *call; /* which the task runs or will run; NULL: it cannot end before the
                                   wait */
    uint32_t shard;
    uint32_t task;       /* index; valid without a call */
    uint32_t generation; /* of that task; 0: it lives as long as the wait lasts */
};

struct rti_wait_kind {
    const char *name; /* what is waited for, as traces and dumps show it: "read", "join" */

    /* The wait is ended before its event: take the waiter out of what is waited for. */
    void (*leave)(struct rti_waiter *waiter);

    /* Of a kind that has no `leave`, for it takes more: end the wait with `reason` (-ETIME,
     * -ECANCELED or another error): finish the waiter now, or see to it that it is finished. Never
     * called when it is done; called once, and again with the same reason each time the waiter's
     * timer fires, if abort has armed it. */
    void (*abort)(struct rti_waiter *waiter, int reason);

    /* A wait of a future or a leg of a select is done, and its task may never come to look: let go
     * of what it waited for. NULL: there is nothing. */
    void (*ended)(struct rti_waiter *waiter);

    /* A wait of a future was done, and polling is over: nobody will look. NULL: there is nothing to
     * let go of that `ended` has not. */
    void (*unheard)(struct rti_waiter *waiter);

    /* There is room in the ring for an operation that is a leg; NULL in all other kinds. */
    void (*room)(struct rti_waiter *waiter);

    /* The kernel is done with the operation; called before the waiter is finished. False: it has
     * been begun again, and the wait goes on. NULL: nothing to do there. */
    bool (*completed)(struct rti_waiter *waiter, int32_t *result);

    /* Whom the wait is for, for dumps: a task that must go on before the wait can end. False when
     * there is no such task. `shard` is that of who waits, unless it is set. NULL:
     * never one. */
    bool (*whom)(const struct rti_waiter *waiter, struct rti_whom *out);

    bool deadline_is_event; /* a sleep: its deadline is no failure */
    bool any_wake_is_event; /* a park: a bare wake ends it */
};

enum rti_wait_mode {
    RTI_WAIT_PLAIN,
    RTI_WAIT_EXEMPT, /* from cancel: this call only gives something back, or takes what has come */
    RTI_WAIT_LEG,    /* one of several things that a select waits for (core/select.h) */
    RTI_WAIT_FUTURE, /* begun by a future: the task is not suspended in it (core/future.h) */
};

struct rti_waiter {
    struct rt_task *task; /* who waits */
    const struct rti_wait_kind *kind;
    const void *object;     /* what is waited for: the task that is joined, a mutex ...; or NULL */
    struct rti_timer timer; /* armed while the task waits, if there is a deadline */
    rt_time since;          /* the turn in which the wait began; for dumps */
    int32_t result;         /* valid when done */
    int16_t reason;         /* 0, or why the wait was aborted */
    bool done;
    uint8_t mode; /* enum rti_wait_mode */
};

/* Make a waiter of the running task. */
void rti_waiter_init(struct rti_waiter *waiter, const struct rti_wait_kind *kind);

/*
 * What to do before a wait is begun: 0, or -ECANCELED when the task was asked to end and no shield
 * holds that off, after letting others run if the slice is over. Not for exempt waits.
 */
int rti_wait_allowed(void);

/* Suspend the running task until the waiter is done; its result. A deadline that has passed asks
 * for the end at once. */
int rti_wait(struct rti_waiter *waiter, rt_time deadline);

/* The half of a wait that does not suspend: arm the timer, or ask for the end at once when the
 * deadline has passed. For waits of futures and legs. */
void rti_waiter_arm(struct rti_waiter *waiter, rt_time deadline);

/* The event has happened: the task goes on with `result`. */
void rti_waiter_finish(struct rti_waiter *waiter, int32_t result);

/* End the wait for `reason`, if it is not done or being ended already. */
void rti_waiter_abort(struct rti_waiter *waiter, int reason);

/* The waiter's timer has fired: its deadline has passed, or it is time to ask for its end again. */
void rti_waiter_expire(struct rti_waiter *waiter);

/* Let others run if the quota is used; for waits that end at once. */
void rti_yield_if_due(void);

/* As rt_park(), with a kind that says whom it is for. Its `leave` is this one, and any wake is an
 * event of it. */
int rti_park_as(const struct rti_wait_kind *kind, const void *object, rt_time deadline);
void rti_park_leave(struct rti_waiter *waiter);

/* Run tasks until none is runnable or the quota is used; called by the loop. */
void rti_executor_run_tasks(struct rti_executor *executor);

/* The kinds of a sleep and of a join, for those who wait for one of several things. */
extern const struct rti_wait_kind rti_sleep_kind;
extern const struct rti_wait_kind rti_join_kind;

/* The task, which has COMPLETED, is joined: its result, and the handle ends. */
void rti_join_take(struct rt_task *task, int *result);

/* `task` can be joined by the running task: aborts when not, naming the call. */
void rti_join_check(const struct rt_task *task, const char *call);

/* Leave the running task, which has completed, for good. */
RTI_NORETURN void rti_task_exit(struct rt_task *task);

#endif /* RTI_CORE_WAIT_H */
