/* SPDX-License-Identifier: MIT */
/*
 * Slice: how long the tasks of one queue run, and who is charged for the time.
 *
 * A turn gives tasks a quota of time. Within it the active queue runs until it is
 * empty, the quota is used, or its slice is cut: a queue with a latency goal has
 * woken. Then its CPU time is charged, and the scheduler chooses the next.
 *
 * The cycle counter costs 7 ns to read, a task run 3 or more. So runs are counted
 * down, and the counter is read once in 16 of them, or at each one once they are
 * seen to be more than 1 us apart; a turn begins with 4. Calls of rt_should_yield()
 * are counted down in the same way.
 *
 * What an enter of the kernel takes, and finishing operations, is charged by the
 * number of operations that each queue began and got back. An enter that slept, and
 * looking for work before it (config.spin), is charged to nobody. A queue that is
 * alone has all CPU time of its thread.
 *
 * L1 Time up to `charged_at` is charged or belongs to nobody; where there are several queues.
 * L2 `charged_at` <= `seen` <= now, while tasks run.
 */
#ifndef RTI_CORE_SLICE_H
#define RTI_CORE_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/base.h"

struct rt_taskq;
struct rti_executor;

/* Of something that happens often: how often until the ticks are looked at. */
struct rti_countdown {
    int32_t left;
    int32_t length;   /* that `left` began with */
    uint64_t read_at; /* ticks; atomic: the watch for stalls reads that of task runs */
};

#define RTI_COUNTDOWN       16
#define RTI_COUNTDOWN_FIRST 4 /* at most, in a turn */

/* A turn begins to run tasks; `now` is its time. Charges what the kernel has taken. */
void rti_slice_begin_turn(struct rti_executor *executor, rt_time now);

/* There are several queues: charge the slice that has ended and choose the queue to go on with.
 * False when none is runnable or the turn is over. */
bool rti_slice_choose_among(struct rti_executor *executor);

/* The countdown of task runs has ended: whether the slice has room for one more. */
bool rti_slice_may_run(struct rti_executor *executor);

/* The countdown of calls has ended: whether the running task is to yield. */
bool rti_slice_must_yield(struct rti_executor *executor);

/* The loop is about to sleep, and has slept. */
void rti_slice_sleeps(struct rti_executor *executor);
void rti_slice_slept(struct rti_executor *executor);

/* A queue that was not runnable is now; the active one stops for it if it has a goal. */
void rti_slice_queue_woke(struct rt_taskq *queue);

/* `more` queues are there, below 0: fewer; or a goal has changed. */
void rti_slice_queues_changed(struct rti_executor *executor, int more);

/* The queue, to which no task belongs, goes away. */
void rti_slice_forget(struct rti_executor *executor, struct rt_taskq *queue);

/* Charge the active queue up to the last look, so that what was counted is right. */
void rti_slice_settle(struct rti_executor *executor);

/* A task of the queue has begun an operation, or one has ended. */
void rti_slice_note_work(struct rti_executor *executor, struct rt_taskq *queue);

/* Ask the callbacks of queues for their shares, if it is time. */
void rti_slice_sample_shares(struct rti_executor *executor);

#endif /* RTI_CORE_SLICE_H */
