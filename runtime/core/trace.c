/* SPDX-License-Identifier: MIT */
/* Trace: fills an event and calls the hook. */
#include "core/trace.h"

#include "core/no_suspend.h"
#include "os/sys.h"

void rti_trace_emit(struct rti_executor *executor, enum rt_trace_kind kind,
                    const struct rt_task *task, const struct rt_task *other, const char *what,
                    int64_t value)
{
    const struct rt_trace_event event = {
        .time = rti_sys_now(),
        .kind = (uint32_t)kind,
        .task = task != NULL ? task->index : RT_TRACE_NO_TASK,
        .other = other != NULL ? other->index : RT_TRACE_NO_TASK,
        .task_name = task != NULL ? task->name : NULL,
        .other_name = other != NULL ? other->name : NULL,
        .what = what,
        .value = value,
    };
    struct rt_no_suspend section;

    if (executor->running == NULL) { /* where every call that suspends aborts anyway */
        executor->trace(executor->config.trace_arg, &event);
        return;
    }
    rti_no_suspend_begin(executor, &section, "the trace function");
    executor->trace(executor->config.trace_arg, &event);
    rti_no_suspend_end(executor, &section);
}

const char *rt_trace_kind_name(uint32_t kind)
{
    static const char *const names[RT_TRACE_KINDS] = {
        [RT_TRACE_SPAWN] = "spawn",       [RT_TRACE_SCHEDULE] = "schedule",
        [RT_TRACE_RUN] = "run",           [RT_TRACE_YIELD] = "yield",
        [RT_TRACE_WAIT] = "wait",         [RT_TRACE_SUBMIT] = "submit",
        [RT_TRACE_COMPLETE] = "complete", [RT_TRACE_TIMEOUT] = "timeout",
        [RT_TRACE_WAKE] = "wake",         [RT_TRACE_CANCEL] = "cancel",
        [RT_TRACE_RETURN] = "return",     [RT_TRACE_JOINED] = "joined",
        [RT_TRACE_FREE] = "free",         [RT_TRACE_SLEEP] = "sleep",
        [RT_TRACE_AWAKE] = "awake",
    };

    return kind < RT_TRACE_KINDS ? names[kind] : "unknown";
}
