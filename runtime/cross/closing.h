/* SPDX-License-Identifier: MIT */
/*
 * Closing: how the shards of a mesh end together, so that no message is lost and
 * none comes to a shard that is gone.
 *
 *     RUNNING --> STOPPING --> DRAINING --> (all acked) --> (all arrived): closed
 *        |  rti_closing_stop()    ^
 *        +------------------------+ the last first task has returned
 *
 * A shard that sees DRAINING sends no request any more, cancels its tasks,
 * publishes what it had sent, and acks. When all have acked, every request that
 * will ever be is in a ring: each shard looks at all of them. A shard is then
 * quiet when no task of it lives, no post waits, and no reply is unsent; it
 * stays quiet, since only replies to its own tasks could come, and it has none.
 * So it arrives, once. When all have arrived, all leave.
 *
 * E1 When a shard leaves, no message is in a ring or at work.
 * E2 After that nobody sends to it; rings of its doorbell are harmless, for the
 *    doorbell, the ports and the event counters outlive all threads.
 * E3 All leave: who makes a count full rings everybody.
 * E4 A shard that has arrived rings nobody but for E3, and for what goes home (O3), which takes the
 *    event counter: no wake of its is under way.
 *
 * Everybody is rung by event counters: a ring's descriptor may be gone already.
 */
#ifndef RTI_CROSS_CLOSING_H
#define RTI_CROSS_CLOSING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rti_mesh;
struct rti_mesh_shard;
struct rt_submission;

enum rti_closing_state {
    RTI_RUNNING,  /* until all first tasks have returned */
    RTI_STOPPING, /* the first tasks were asked to end; nobody submits any more */
    RTI_DRAINING, /* all first tasks have returned; all tasks are asked to end */
};

struct rti_closing {
    uint32_t state;    /* enum rti_closing_state; atomic, rises only */
    uint32_t returned; /* first tasks that have returned; atomic */
    uint32_t acked;    /* shards that send no request any more; atomic */
    uint32_t arrived;  /* shards that are quiet; atomic */
    bool keeps;        /* a first task that fails stops nobody */

    /* Submitters pass one by one, and only while it is open: when it is closed, all that passed
     * have rung. No shard waits here but one that stops. */
    pthread_mutex_t gate;
    bool gate_closed;
};

struct rti_closing_shard {
    int result; /* of the first task; 0 when it only gave way to a cancel */
    bool stops; /* has seen STOPPING */
    bool acked;
    bool again; /* would arrive, but for entries that the kernel has not answered: no sleep now */
    bool arrived;
};

void rti_closing_init(struct rti_closing *closing, bool keeps);
void rti_closing_fini(struct rti_closing *closing);

/* Ask all shards to stop. Any thread. */
void rti_closing_stop(struct rti_mesh *mesh);

/* Hand a submission to a shard: 0 or -ESHUTDOWN. Any thread. */
int rti_closing_submit(struct rti_mesh *mesh, struct rti_mesh_shard *target,
                       struct rt_submission *submission);

/* The control bit was taken: has something changed? */
void rti_closing_look(struct rti_mesh_shard *shard);

void rti_closing_first_returned(struct rti_mesh_shard *shard, int result);
void rti_closing_drained(struct rti_mesh_shard *shard);

#endif /* RTI_CROSS_CLOSING_H */
