/* SPDX-License-Identifier: MIT */
/*
 * Pace: in which batches an instance starts operations, and takes those that are complete.
 *
 * By itself a shard gives the kernel all that its tasks asked for in a turn of its loop, and then
 * takes all that is complete. fio's options want less at a time, or more:
 *
 *     iodepth_batch_submit, iodepth_batch_complete_max   at most so many start in a turn. fio
 *         takes that many, starts as many, and submits them; the smaller of both counts
 *     iodepth_batch_complete_min   what is complete waits until there are so many, or nothing is
 *         under way any more; then all of them go on
 *
 * The kernel still wakes the shard for each, so a minimum saves no entry here. It makes the load
 * come in the same bursts.
 */
#ifndef STORAGE_PACE_H
#define STORAGE_PACE_H

#include <rt/rt.h>

#include "job.h"

struct pace {
    struct rt_event next_turn; /* set when a turn came after one that was full */
    struct rt_event taken;     /* set when a batch is complete */
    uint64_t turn;             /* in which `started` were started */
    uint32_t started;
    uint32_t gathered;     /* complete, and waiting */
    uint32_t start_max;    /* of a turn */
    uint32_t complete_min; /* of a batch */
    uint32_t depth;
    bool turning; /* a task waits for the next turn, for all of them */
};

void pace_init(struct pace *pace, const struct job *job);

/* Wait until one more may start. Then 1 if that was later, else 0; or -ECANCELED. */
int pace_start(struct pace *pace);

/* An operation has ended, well or not, and `in_flight` others are under way: wait for its batch. 0,
 * or -ECANCELED. */
int pace_end(struct pace *pace, uint32_t in_flight);

#endif /* STORAGE_PACE_H */
