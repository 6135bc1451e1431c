/* SPDX-License-Identifier: MIT */
/*
 * Future: a task that is polled, and the waits that poll functions begin.
 *
 *            rti_future_wait()               rti_waiter_finish()
 *   (none) -------------------> under way ----------------------> done --+
 *     ^                             | abort: polling is over      ^      | rti_future_look(),
 *     |                             +-----------------------------+      | or dropped
 *     +------------------------------------------------------------------+
 *
 * A future's wait lies in its own struct; begun ones hang in a list of the task
 * that polls (a future), or of the fiber's rt_await(). A wait that ends wakes
 * that task, which polls again.
 *
 * F1 A wait that is under way belongs to what it waits for, perhaps to the
 *    kernel: the struct is neither dropped nor forgotten before it is done.
 * F2 Polling is over when poll returned a result, or CANCEL is set; from then
 *    on poll is not called. Then: abort all waits, await them, drop, complete.
 */
#ifndef RTI_CORE_FUTURE_H
#define RTI_CORE_FUTURE_H

#include "core/executor.h"
#include "rt/future.h"

#define RTI_FUTURE_WAIT_BYTES 96

/* Before its first poll: abort, naming the call, when it is no future or is being polled. */
void rti_future_prepare(struct rt_future *future, const char *call);

/* The memory of the future's wait: a struct that begins with a struct rti_waiter. */
static inline void *rti_future_memory(struct rt_future *future)
{
    return future->wait;
}

static inline struct rti_waiter *rti_future_waiter(struct rt_future *future)
{
    return (struct rti_waiter *)(void *)future->wait;
}

/*
 * What a call rt_poll_*() begins with. True: *result is what it returns, RT_PENDING or that of the
 * wait, which is over. False: there is none; the caller may fill the future's memory by
 * rti_waiter_init(), link it into what it waits for, and return rti_future_wait().
 * Aborts when another kind of wait is under way, naming the call.
 */
bool rti_future_look(struct rt_future *future, const struct rti_wait_kind *kind, const char *call,
                     int *result);

/* Whether a wait of this kind is under way, or over with its result not taken: for calls that wait
 * for one thing and then for another. */
bool rti_future_waits_by(const struct rt_future *future, const struct rti_wait_kind *kind);

/* The wait is under way: RT_PENDING, or its result where it was over at once. */
int rti_future_wait(struct rt_future *future, rt_time deadline);

void rti_future_run(struct rt_task *task);       /* the loop: poll the task, which runs */
void rti_future_run_ended(struct rt_task *task); /* in run.c: it has to wait, or to run again */
void rti_future_wait_done(struct rti_waiter *waiter);

/* Of a fiber that awaits, in wait.c: suspend until a wake. */
int rti_future_park(const struct rt_future *future, rt_time deadline);
void rti_future_park_exempt(const struct rt_future *future);

#endif /* RTI_CORE_FUTURE_H */
