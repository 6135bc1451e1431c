/* SPDX-License-Identifier: MIT */
/*
 * Look: before a task waits for another shard it looks for a moment whether that
 * is about to be ready.
 *
 *     struct rti_look look;
 *
 *     rti_look_begin(&look, shard, deadline);
 *     while (rti_look_on(&look, pauses)) {
 *         if (ready) return;
 *     }
 *
 * A wait costs two switches and a turn here, read-modify-writes of shared lines on
 * both sides, and a sleep and its wake (25 us on a virtual machine) if this shard
 * has nothing else to do. A shard that is awake answers within a microsecond. So
 * a look lasts no longer than a few times that, and only while no other task of
 * this shard wants to run.
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

/* What was sent is published: it does not wait while this task looks. */
static inline void rti_look_begin(struct rti_look *look, struct rti_mesh_shard *shard,
                                  rt_time deadline)
{
    const bool only_tries = deadline <= shard->executor->turn_time;

    look->executor = shard->executor;
    look->pauses_left = only_tries ? 0 : RTI_LOOK_PAUSES;
    if (!rti_list_is_empty(&shard->unsent) || !rti_list_is_empty(&shard->unsent_channels)) {
        rti_mesh_flush(shard);
    }
}

/* Pause, unless the time is up or another task wants to run. */
static inline bool rti_look_on(struct rti_look *look, uint32_t pauses)
{
    if (look->pauses_left < pauses || rti_taskq_length(&look->executor->queue) > 0) {
        return false;
    }
    look->pauses_left -= pauses;
    for (uint32_t i = 0; i < pauses; i++) {
        rti_cpu_relax();
    }
    return true;
}

#endif /* RTI_CROSS_LOOK_H */
