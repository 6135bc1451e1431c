/* SPDX-License-Identifier: MIT */
/*
 * Devices: how the turn meets requests that wait at a disk, without knowing it.
 *
 * What the disk has no room for yet waits on the shard, in a layer above (io/device.h). That
 * puts a struct rti_devices into the executor when the first file that it governs is
 * opened, and the turn asks it at its fixed places. All functions: on the executor's thread.
 */
#ifndef RTI_CORE_DEVICES_H
#define RTI_CORE_DEVICES_H

#include "rt/taskq.h"

struct rti_devices;

struct rti_devices_ops {
    /* The tasks of the turn have run: give the ring what may go now. */
    void (*turn_ends)(struct rti_devices *devices);

    /* After that: the first time at which something may go that waits; RT_NEVER where there is
     * none, or a completion comes before that. */
    rt_time (*wakes_at)(const struct rti_devices *devices);

    /* What the queue did on all devices is added to its statistics. */
    void (*count)(const struct rt_taskq *queue, struct rt_taskq_stats *stats);

    /* The queue, of which no task lives, goes away; children before their parent. */
    void (*forget)(struct rt_taskq *queue);

    /* The executor ends. No queue is left. */
    void (*close)(struct rti_devices *devices);
};

struct rti_devices {
    const struct rti_devices_ops *ops;
};

#endif /* RTI_CORE_DEVICES_H */
