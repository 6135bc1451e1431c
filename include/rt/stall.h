/* SPDX-License-Identifier: MIT */
/*
 * Stall: a task that holds its core too long is named.
 *
 * A shard runs one task at a time: one that computes for long, without
 * rt_yield_if_due(), keeps all others waiting, and timers and I/O with them. One
 * thread watches all shards of a runtime. When the same task has run for
 * config.stall_threshold (10 ms) of CPU time, it is reported as a warning:
 *
 *     stall: shard=0 task=12 name="index" queue="default" age_ms=10.2 threshold_ms=10.0
 *     stall: shard=0 task=12 frame=0 at=build_index+0x4c in=server address=0x1a2c
 *     ...
 *     stall: shard=0 task=12 name="index" queue="default" age_ms=52.3 threshold_ms=10.0 ended=1
 *         at_most_ms=54.9     (on the same line)
 *
 * Age is CPU time of the shard's thread since the watch first saw the run: what
 * other processes and the hypervisor take does not count. So nothing is reported
 * because the machine is busy; and a task that waits in a blocking system call is
 * not reported either. A run that is longer than one and a half times the threshold
 * is found for sure, a shorter one perhaps.
 *
 * The calls are taken by a signal in the thread itself, and named outside of its
 * handler. A stall that goes on is reported again after twice the time, four times,
 * and so on. Of each shard one stall is reported per config.stall_pause (1 s); the next
 * report says how many were not.
 *
 * When all shards have slept for a tenth of a second, the watch sleeps too, until one wakes.
 */
#ifndef RT_STALL_H
#define RT_STALL_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Of config.stall_threshold: do not watch. */
#define RT_STALL_OFF ((rt_time)-1)

/** The shortest threshold: the watch would take a good part of a core. */
#define RT_STALL_MIN RT_MILLISECONDS(1)

/** The most calls of a report. */
#define RT_STALL_FRAMES 32

/** A report. Grows at the end in later versions. */
struct rt_stall {
    uint32_t size; /* of the struct, as the library knows it */
    uint32_t shard;
    bool in_loop;        /* no task ran: the shard's own loop takes long; `task` is not valid */
    bool ended;          /* the task has gone on; `frames` are none */
    uint32_t task;       /* as rt_task_id() */
    const char *name;    /* of the task, cut to 31 bytes; "" = none */
    const char *queue;   /* of its task queue */
    rt_time age;         /* CPU time, ns: at least so long */
    rt_time at_most;     /* valid when ended: at most so long */
    rt_time threshold;   /* that was in force */
    uint64_t suppressed; /* stalls of this shard that were not reported since the last report */
    uint32_t frame_count;
    const uintptr_t *frames; /* innermost first; all but the first are return addresses */
};

/**
 * Takes a report instead of the log. Called by the watch's own thread, which is no shard: one at a
 * time. The struct and what it points to are valid until it returns.
 */
typedef void (*rt_stall_fn)(void *arg, const struct rt_stall *stall);

/**
 * Change the threshold of this runtime, from now on, on all shards.
 *
 * @param threshold  CPU time, ns, RT_STALL_MIN or more; RT_STALL_OFF.
 * @return 0; -EINVAL when out of range; -EOPNOTSUPP when the runtime was started without a watch.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_stall_set_threshold(rt_time threshold);

#ifdef __cplusplus
}
#endif

#endif /* RT_STALL_H */
