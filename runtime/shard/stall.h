/* SPDX-License-Identifier: MIT */
/*
 * Stall: finds the task that holds its core too long; see rt/stall.h.
 *
 * The thread of watch.h looks at all shards four times per threshold:
 *
 *          no run has ended           the thread has used the
 *          since the last look        threshold since the mark
 *   free --------------------> marked ----------------------> reported
 *    ^                           |  it is another run          |  again at twice the age
 *    |                           v  (then this one is marked)  v
 *    +--------- a run has ended, or the shard sleeps ----------+
 *
 * To mark a run and to report it the thread itself is asked (probe.h), for only it
 * knows one run from the next.
 */
#ifndef RTI_SHARD_STALL_H
#define RTI_SHARD_STALL_H

#include "shard/probe.h"

struct rt_runtime;

struct rti_stall_shard {
    struct rti_probe probe;
    uint64_t turns;   /* as seen by the last look */
    uint64_t read_at; /* likewise */
    rt_time used;     /* likewise: CPU time of the thread */
    bool marked;      /* probe.expected is the run that is on */
    bool stalls;      /* it has been counted */
    bool reported;    /* and reported */
    rt_time age;      /* of that run, as known for sure */
    rt_time next_age; /* at which it is reported */
    rt_time reported_at;
    uint64_t suppressed;
};

struct rti_stall {
    bool on;            /* stalls are watched for */
    rt_time threshold;  /* atomic; RT_STALL_OFF */
    rt_time idle_since; /* all shards sleep; 0: not all */
    struct rti_stall_shard *shards;
};

/* Whether stalls are to be watched for, and make ready: 0, or -errno, having said why. */
int rti_stall_begin(struct rt_runtime *runtime);
void rti_stall_end(struct rt_runtime *runtime);

/* Look at all shards; when to look again. RT_NEVER: when a shard has woken the watch. */
rt_time rti_stall_look(struct rt_runtime *runtime);

/* On the shard's thread: let it be watched from now on; and no more. */
void rti_stall_join(struct rt_runtime *runtime, uint32_t index);
void rti_stall_leave(struct rt_runtime *runtime, uint32_t index);

#endif /* RTI_SHARD_STALL_H */
