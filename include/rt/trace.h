/* SPDX-License-Identifier: MIT */
/*
 * Trace: the executor tells a hook each step in the life of its tasks.
 *
 * Set config.trace and every scheduling, run, wait, wake and completion is
 * reported as it happens, in order. docs/examples/life_of_a_task.c prints
 * them. Without a hook a step costs one test of a pointer.
 */
#ifndef RT_TRACE_H
#define RT_TRACE_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rt_trace_kind {
    RT_TRACE_SPAWN,    /* a task was made; other = the spawner */
    RT_TRACE_SCHEDULE, /* it was put in its queue */
    RT_TRACE_RUN,      /* its function starts or goes on */
    RT_TRACE_YIELD,    /* it lets others run */
    RT_TRACE_WAIT,     /* it waits; what = for what; other = the task joined, if any */
    RT_TRACE_SUBMIT,   /* an operation was put in the ring; what = which */
    RT_TRACE_COMPLETE, /* an operation completed; what = which, value = its result */
    RT_TRACE_TIMEOUT,  /* the deadline of its wait passed; what = what it waited for */
    RT_TRACE_WAKE,     /* it was woken; other = the waker's task, if a task did it */
    RT_TRACE_CANCEL,   /* it was asked to end; other = by whom */
    RT_TRACE_RETURN,   /* its function returned; value = the result */
    RT_TRACE_JOINED,   /* its result was taken; other = by whom, value = the result */
    RT_TRACE_FREE,     /* its slot is free again */
    RT_TRACE_SLEEP,    /* the executor sleeps in the ring; value = ns until its next timer, or -1 */
    RT_TRACE_AWAKE,    /* the executor is back; value = completions that came */
    RT_TRACE_KINDS,
};

/** Stands for "no task" in an event. */
#define RT_TRACE_NO_TASK UINT32_MAX

/** One step. Valid during the call of the hook only. */
struct rt_trace_event {
    rt_time time;   /* rt_now() at the step */
    uint32_t kind;  /* enum rt_trace_kind */
    uint32_t task;  /* number of the task it is about, or RT_TRACE_NO_TASK */
    uint32_t other; /* the other task, or RT_TRACE_NO_TASK */
    uint32_t reserved;
    const char *task_name;  /* NULL = none */
    const char *other_name; /* NULL = none */
    const char *what;       /* a constant such as "read", or NULL */
    int64_t value;
};

/**
 * The hook. Called on the shard as things happen, often on the stack of a task,
 * which may have 16 KiB only. It may call what RT_ANY_THREAD stands at, and nothing else.
 */
typedef void (*rt_trace_fn)(void *arg, const struct rt_trace_event *event);

/**
 * The name of a kind of step, such as "schedule".
 *
 * @return a constant string; "unknown" for a value outside the enum.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
const char *rt_trace_kind_name(uint32_t kind);

#ifdef __cplusplus
}
#endif

#endif /* RT_TRACE_H */
