/* SPDX-License-Identifier: MIT */
/*
 * No-suspend sections: how one begins and ends.
 *
 * While a task is in one it does not suspend, so the innermost section of the running task is one
 * of the executor's fields; the task's state has a bit (T12), which every suspension looks at
 * together with others, and so at no cost.
 */
#ifndef RTI_CORE_NO_SUSPEND_H
#define RTI_CORE_NO_SUSPEND_H

#include "core/executor.h"
#include "rt/no_suspend.h"

static inline void rti_no_suspend_begin(struct rti_executor *executor,
                                        struct rt_no_suspend *section, const char *where)
{
    struct rt_task *task = executor->running;

    section->outer = (task->state & RTI_TASK_STAYS) != 0 ? executor->sections : NULL;
    section->where = where;
    executor->sections = section;
    task->state |= RTI_TASK_STAYS;
}

/* The innermost one. */
static inline void rti_no_suspend_end(struct rti_executor *executor,
                                      const struct rt_no_suspend *section)
{
    executor->sections = section->outer;
    if (section->outer == NULL) {
        executor->running->state &= ~(uint32_t)RTI_TASK_STAYS;
    }
}

#endif /* RTI_CORE_NO_SUSPEND_H */
