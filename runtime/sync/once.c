/* SPDX-License-Identifier: MIT */
/*
 * Once: who runs the function now, and those who wait for that.
 *
 *             first caller              fn returns 0 or more
 *     (new) ---------------> running -------------------------> done
 *       ^                    |     ^ |
 *       |  fn fails,         |     +-+ fn fails, somebody waits: the first
 *       +--------------------+         in line is the runner from then on
 *          nobody waits
 *
 * `runner` is set while it is running, and a task waits only then.
 */
#include "rt/once.h"

#include "sync/line.h"

_Static_assert(sizeof(struct rt_once) == 32, "as its header says");

static void wait_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_once *)waiter->object)->waiters, rti_queued_of(waiter));
}

static const struct rti_wait_kind once_kind = { .name = "once", .leave = wait_leave };

/* 0: it is done, or the running task is the runner. */
static int wait_for_runner(struct rt_once *once, rt_time deadline)
{
    const struct rt_task *runner = once->runner;

    rti_executor_must_own(runner->executor, "rt_once_run");
    if (RTI_UNLIKELY(runner == rti_current->running)) {
        rti_misuse("rt_once_run(): the function that is to be run once has come back to it");
    }
    return rti_wait_in_line(&once->waiters, &once_kind, once, 0, deadline);
}

static void end_run(struct rt_once *once, int result)
{
    struct rti_queued *oldest;

    if (result >= 0) {
        once->result = result;
        once->done = 1;
        once->runner = NULL;
        rti_line_let_all_go(&once->waiters, 0);
        return;
    }
    oldest = rti_waiters_pop(&once->waiters);
    once->runner = oldest != NULL ? oldest->waiter.task : NULL;
    if (oldest != NULL) {
        rti_waiter_finish(&oldest->waiter, 0);
    }
}

static RTI_NOINLINE int run_or_wait(struct rt_once *once, struct rt_task *self,
                                    int (*fn)(void *arg), void *arg, rt_time deadline)
{
    int r = once->runner != NULL ? wait_for_runner(once, deadline) : 0;

    if (r < 0 || once->done != 0) {
        return r < 0 ? r : once->result;
    }
    once->runner = self;
    r = fn(arg);
    end_run(once, r);
    return r;
}

int rt_once_run(struct rt_once *once, int (*fn)(void *arg), void *arg, rt_time deadline)
{
    const struct rti_executor *executor = rti_executor_here("rt_once_run");

    if (RTI_UNLIKELY(once->done == 0)) {
        return run_or_wait(once, executor->running, fn, arg, deadline);
    }
    return once->result;
}
