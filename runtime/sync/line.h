/* SPDX-License-Identifier: MIT */
/* Line: what all objects of this folder do with the tasks that wait for them. */
#ifndef RTI_SYNC_LINE_H
#define RTI_SYNC_LINE_H

#include "core/executor.h"
#include "core/waiters.h"

/* Those who wait, if any do, are tasks of this shard: so the object is this shard's. */
static inline void rti_line_must_own(const struct rt_waiters *line, const char *call)
{
    const struct rti_queued *first = rti_waiters_first(line);

    if (first != NULL) {
        rti_executor_must_own(first->waiter.task->executor, call);
    }
}

/* Everyone goes on with `result`, oldest first. */
static inline void rti_line_let_all_go(struct rt_waiters *line, int result)
{
    struct rti_queued *oldest;

    while ((oldest = rti_waiters_pop(line)) != NULL) {
        rti_waiter_finish(&oldest->waiter, result);
    }
}

#endif /* RTI_SYNC_LINE_H */
