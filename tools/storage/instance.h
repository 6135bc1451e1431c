/* SPDX-License-Identifier: MIT */
/*
 * Instance: one run of a job, on a shard of its own.
 *
 * `depth` tasks, the slots, take operations from the workload one after the other, each with a
 * buffer of its own; so as many are under way. A slot that has no rate to keep starts its next
 * operation when its last one has ended (a closed loop). With a rate the workload says when each
 * operation is meant to start. If all slots are busy then, it starts late, and what it waited
 * counts as latency: a device that stalls is seen by all that would have come meanwhile.
 *
 * An instance goes through phases:
 *
 *     ramp       as the next, but nothing is counted
 *     main       until the workload or the time is over; then the last sync
 *     read back  with verify: the workload is told again, and what it wrote is read and checked
 */
#ifndef STORAGE_INSTANCE_H
#define STORAGE_INSTANCE_H

#include <stdatomic.h>

#include "result.h"
#include "workload.h"

/* Written by the shard, looked at by whoever shows the progress. What was counted so far. */
struct instance_progress {
    _Atomic uint64_t operations[JOB_DIRECTIONS];
    _Atomic uint64_t bytes[JOB_DIRECTIONS];
    atomic_bool counting; /* the ramp is over, and the end is not there yet */
};

struct instance {
    const struct job *job;
    struct result_job *result;
    uint64_t size; /* of the job, or of its files */
    uint32_t number;
    struct instance_progress progress;
};

/* Run it; in a task of its shard. 0, or the error that is in the result too. */
int instance_run(struct instance *instance);

#endif /* STORAGE_INSTANCE_H */
