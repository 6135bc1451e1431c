/* SPDX-License-Identifier: MIT */
/*
 * Look: before a task waits for another shard it looks for a moment whether that
 * is about to be ready.
 *
 *     struct rti_look look;
 *
 *     rti_look_begin(&look, shard, other, deadline);
 *     while (rti_look_on(&look, pauses)) {
 *         if (ready) return;
 *     }
 *
 * A wait costs two switches and a turn here, read-modify-writes of shared lines on
 * both sides, and a sleep and its wake (25 us on a virtual machine) if this shard
 * has nothing else to do. A shard that is awake answers within a microsecond. So
 * a look lasts no longer than a few times that, and is only for a shard that has
 * nothing better to do: no task to run, no completion to take. Not for an answer
 * of a shard that sleeps either: then it is better to go through the turn first,
 * and wake it with all that it has to be told.
 */
#ifndef RTI_CROSS_LOOK_H
#define RTI_CROSS_LOOK_H

#include "cross/mesh.h"
#include "os/cycles.h"

/* In all; one lasts 20 to 40 ns. */
#define RTI_LOOK_PAUSES 100u

struct rti_look {
    const struct rti_executor *executor;
    uint32_t pauses_left;
};

/* `other` is the shard that is to answer, or NULL when that is not known. What was sent is
 * published: it does not wait while this task looks. */
static inline void rti_look_begin(struct rti_look *look, struct rti_mesh_shard *shard,
                                  const struct rti_mesh_shard *other, rt_time deadline)
{
    struct rti_executor *executor = shard->executor;

    look->executor = executor;
    look->pauses_left = 0;
    if (deadline <= executor->turn_time || rti_executor_has_runnable(executor) ||
        rti_uring_ready(&executor->reactor.ring) > 0 || rti_reactor_has_work(&executor->reactor) ||
        (other != NULL && rti_doorbell_sleeps(&other->doorbell))) {
        return;
    }
    look->pauses_left = RTI_LOOK_PAUSES;
    if (shard->inbox.unsent) {
        rti_mesh_flush(shard);
    }
}

/* Pause, unless the time is up or another task wants to run. */
static inline bool rti_look_on(struct rti_look *look, uint32_t pauses)
{
    if (look->pauses_left < pauses || rti_executor_has_runnable(look->executor)) {
        return false;
    }
    look->pauses_left -= pauses;
    for (uint32_t i = 0; i < pauses; i++) {
        rti_cpu_relax();
    }
    return true;
}

#endif /* RTI_CROSS_LOOK_H */
