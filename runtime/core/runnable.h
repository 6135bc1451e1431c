/* SPDX-License-Identifier: MIT */
/*
 * Runnable: a task goes into its queue.
 *
 * That is mostly the active one. Its address is known long before that of a task which
 * was just looked up in what another one waits for, so the processor can store the task
 * while it still waits for task->queue; and the next pop needs that store (future_wake:
 * 3 ns of 11).
 */
#ifndef RTI_CORE_RUNNABLE_H
#define RTI_CORE_RUNNABLE_H

#include "core/executor.h"

static inline void rti_make_runnable(struct rti_executor *executor, struct rt_task *task)
{
    struct rt_taskq *active = executor->active;

    if (RTI_UNLIKELY(task->queue != active)) {
        rti_taskq_push(task->queue, task);
        return;
    }
    __asm__("" : "+r"(active)); /* not task->queue, though it is the same */
    rti_taskq_push(active, task);
}

#endif /* RTI_CORE_RUNNABLE_H */
