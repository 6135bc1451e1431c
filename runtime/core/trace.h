/* SPDX-License-Identifier: MIT */
/* Trace: tells the user's hook of each step; one test of a pointer when there is none. */
#ifndef RTI_CORE_TRACE_H
#define RTI_CORE_TRACE_H

#include "core/executor.h"

RTI_COLD
void rti_trace_emit(struct rti_executor *executor, enum rt_trace_kind kind,
                    const struct rt_task *task, const struct rt_task *other, const char *what,
                    int64_t value);

static inline void rti_trace(struct rti_executor *executor, enum rt_trace_kind kind,
                             const struct rt_task *task, const struct rt_task *other,
                             const char *what, int64_t value)
{
    if (RTI_UNLIKELY(executor->trace != NULL)) {
        rti_trace_emit(executor, kind, task, other, what, value);
    }
}

#endif /* RTI_CORE_TRACE_H */
