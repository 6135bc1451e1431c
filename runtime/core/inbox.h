/* SPDX-License-Identifier: MIT */
/*
 * Inbox: how the turn meets what is between shards, without knowing it.
 *
 * The executor must see messages of others before it sleeps, and publish its
 * own before it does; but the layer that has them (cross/) lies above. So that
 * layer puts a struct rti_inbox into the executor, and the turn asks it at its
 * fixed places. An executor without one stands alone (tests of the core).
 *
 * All functions: on the executor's thread, in the loop's own flow unless noted.
 */
#ifndef RTI_CORE_INBOX_H
#define RTI_CORE_INBOX_H

#include <stdbool.h>
#include <stdint.h>

struct rt_task;
struct rti_inbox;

struct rti_inbox_ops {
    /* The turn begins: turn what others sent into runnable tasks. */
    void (*take)(struct rti_inbox *inbox);

    /* The turn ends: publish what was sent. Wakes of sleeping shards are put into the submission
     * queue; the enter that follows delivers them. */
    void (*flush)(struct rti_inbox *inbox);

    /* Between two task runs, at `ticks`: publish what has waited too long. */
    void (*flush_if_due)(struct rti_inbox *inbox, uint64_t ticks);

    /* Whether something waits to be taken; for the spin before a sleep. */
    bool (*is_rung)(const struct rti_inbox *inbox);

    /* Tell the others that this shard sleeps. False when something has come: do not sleep. */
    bool (*try_sleep)(struct rti_inbox *inbox);

    /* In a task that runs a call inline (RTI_TASK_INLINE) and is about to suspend for the first
     * time: from now on it is a task like others. */
    void (*detach)(struct rti_inbox *inbox, struct rt_task *task);

    /* A completion that belongs to no operation: user_data has no generation (R3). */
    void (*note)(struct rti_inbox *inbox, uint64_t user_data, int32_t result, uint32_t flags);

    /* The first task has returned `result`. In that task's flow. */
    void (*first_returned)(struct rti_inbox *inbox, int result);

    /* The executor was drained and no task lives: close it if no other shard needs it. */
    void (*drained)(struct rti_inbox *inbox);
};

struct rti_inbox {
    const struct rti_inbox_ops *ops;
    bool unsent; /* something was sent since the last flush; else neither flush is called */

    /* counted by the layer above, read by rt_stats_get() */
    uint64_t messages_sent;
    uint64_t messages_taken;
    uint64_t calls_refused;
    uint64_t posts_delayed;
    uint64_t room_waits;
    uint64_t rings;
    uint64_t wakes_sent;
    uint64_t wakes_resent;
    uint64_t wakes_received;
    uint64_t objects_sent_home;
    uint64_t objects_came_home;
};

#endif /* RTI_CORE_INBOX_H */
