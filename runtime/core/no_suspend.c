/* SPDX-License-Identifier: MIT */
/* No-suspend sections, for users: see no_suspend.h. */
#include "core/no_suspend.h"

void rt_no_suspend_begin(struct rt_no_suspend *section, const char *where)
{
    struct rti_executor *executor = rti_executor_here("rt_no_suspend_begin");

    RTI_ASSERT(section != NULL && where != NULL);
    rti_no_suspend_begin(executor, section, where);
}

void rt_no_suspend_end(struct rt_no_suspend *section)
{
    struct rti_executor *executor = rti_executor_here("rt_no_suspend_end");

    if (RTI_UNLIKELY((executor->running->state & RTI_TASK_STAYS) == 0 ||
                     executor->sections != section)) {
        rti_misuse("rt_no_suspend_end(): not the innermost section of this task");
    }
    rti_no_suspend_end(executor, section);
}
