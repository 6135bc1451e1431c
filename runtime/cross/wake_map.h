/* SPDX-License-Identifier: MIT */
/*
 * Wake map: wakes of tasks by other shards and by threads that are none.
 *
 * A bit per task, which lies with the tasks (core/task.h), and two levels above
 * it that say where bits are. Setting a bit twice is setting it once; it needs
 * no memory, cannot fail and waits for nobody. A bit may name a slot that has a
 * new task by now: that task gets a spurious wake, which it must bear anyway.
 *
 *     waker: upwards                owner: downwards
 *     task   fetch_or   |           doorbell  exchange  |
 *     level  fetch_or   |           top       exchange  |
 *     top    fetch_or   |           level     exchange  |
 *     ring the doorbell v           task      exchange  v   each bit: a wake
 *
 * M1 Whatever the owner has passed already, the waker sets afterwards, so the
 *    owner is rung again: no wake is lost, and no bit stays.
 * M2 A waker that finds its bit set may stop: whoever set it will go on.
 */
#ifndef RTI_CROSS_WAKE_MAP_H
#define RTI_CROSS_WAKE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct rt_task;
struct rti_executor;

struct rti_wake_map {
    uint64_t *top;   /* a bit per word of `level`; atomic */
    uint64_t *level; /* a bit per word of 64 tasks; atomic */
    uint32_t top_words;
};

/* For slots 0..slots - 1: 0 or -ENOMEM. */
int rti_wake_map_init(struct rti_wake_map *map, uint32_t slots);
void rti_wake_map_fini(struct rti_wake_map *map);

/* Set the task's bit. False when it was set (M2); else the caller rings. Any thread. */
bool rti_wake_map_set(struct rti_wake_map *map, const struct rt_task *task);

/* Wake the tasks whose bits are set. On the owner. */
void rti_wake_map_take(struct rti_wake_map *map, struct rti_executor *executor);

/* Wake a task from this thread, which may be its own, another shard's or none; may be spurious. */
void rti_wake_task(struct rt_task *task);

#endif /* RTI_CROSS_WAKE_MAP_H */
