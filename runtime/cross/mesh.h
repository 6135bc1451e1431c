/* SPDX-License-Identifier: MIT */
/*
 * Mesh: the shards of a runtime and all that is between them; and each shard's
 * end of it, which is the inbox of its executor.
 *
 *     take    the doorbell says who has something; for each of them
 *               requests      go to the task that starts calls (cross/call.c)
 *               replies       finish the calls that wait for them
 *               room, credit  let waiting messages go
 *     flush   publish what was sent, ring, wake who sleeps
 *     sleep   only when the doorbell agrees (D1)
 *
 * N1 A message that was sent is published when the turn ends, after 16 messages
 *    for the same shard, or after 50 us.
 * N2 Who is to wake a shard hands the wake to the kernel before it runs another
 *    task: by MSG_RING, or by the event counter where the ring has no room or
 *    refuses.
 * N3 A port with requests is in `work`, and then the task that starts calls
 *    exists, or none can be had and they were refused (P1). On a shard with shared
 *    task queues each request gets a task of its own at once.
 */
#ifndef RTI_CROSS_MESH_H
#define RTI_CROSS_MESH_H

#include "core/executor.h"
#include "cross/blocking.h"
#include "cross/claims.h"
#include "cross/closing.h"
#include "cross/doorbell.h"
#include "cross/dumps.h"
#include "cross/home.h"
#include "cross/port.h"
#include "cross/submit.h"
#include "cross/wake_map.h"

/* user_data of the inbox's own entries (core/inbox.h). */
#define RTI_NOTE_COUNTER 1u          /* the poll of the event counter */
#define RTI_NOTE_STOPPED 2u          /* the cancel of that poll */
#define RTI_NOTE_WAKE    (1ull << 32) /* a wake, of the shard in the low half */

/* Messages for one shard after which they are published. */
#define RTI_MESSAGES_PER_FLUSH 16

/* Task queues that every shard has: numbers 1 to this - 1. */
#define RTI_SHARED_TASKQS (1u << RTI_TERMS_QUEUE_BITS)

struct rti_mesh;

/* What services hang in: cross knows of them by number only. */
struct rti_service_ops {
    /* Run a request of a service, in a task that `is_own`, or the caller's own. `error` gets
     * -ESHUTDOWN when the function was not run; else it stays. */
    int (*run)(struct rti_mesh_shard *shard, const struct rti_request *request, bool is_own,
               int *error);

    /* The function that runs inline suspends: what `run` has put into shard->inside. */
    void (*suspends)(void *inside);
};

struct rti_mesh_shard {
    struct rti_inbox inbox;
    struct rti_mesh *mesh;
    struct rti_executor *executor;
    uint32_t index;
    int node;     /* its memory node; below 0: there is one only, or it is not known */
    bool gathers; /* wakes are gathered in the submission queue, to be delivered together */
    bool armed;   /* the event counter is polled */
    bool owed;    /* the next turn has to dump, or to free, what came within a task or is left */

    struct rti_port **out; /* to each shard; NULL: nothing was sent yet */
    struct rti_port **in;  /* from each shard; atomic, stored by the sender */

    struct rti_list unsent;          /* outlets with messages that are not published (N1) */
    struct rti_list unsent_channels; /* likewise channels (cross/spsc.c) */
    uint64_t unsent_since;           /* ticks when that was noticed; 0: not yet */
    struct rti_list work;            /* ports with requests (N3) */
    struct rti_list starved;         /* ports with posts that wait for a task to end */
    struct rt_task *pump;            /* the task that starts calls, or NULL */
    struct rti_pool served;          /* requests that have a task which has not run yet */
    void *inside;                    /* the call of a service that runs inline, or NULL */
    uint32_t replies_late;           /* replies that wait for room, in all ports (P3) */

    struct rti_closing_shard closing;

    /* what others touch */
    int ring_fd;  /* set before any shard runs */
    int event_fd; /* closed with the mesh */
    struct rti_doorbell doorbell;
    struct rti_wake_map wake_map;
    struct rti_submissions submissions;
    struct rti_home home;
    struct rti_dump_slot dumps[RTI_DUMPS_SETS];
};

struct rti_mesh {
    const struct rti_service_ops *service_ops; /* set before any shard runs */
    uint32_t shard_count;
    uint8_t taskqs[RTI_SHARED_TASKQS]; /* by number: a state (cross/taskqs.c); atomic */
    uint32_t port_entries;             /* a power of two */
    uint32_t posts_max;
    struct rti_mesh_shard **shards; /* each stored by its own thread before any runs */
    struct rti_claims *claims;
    struct rti_closing closing;
    struct rti_dumps dumps[RTI_DUMPS_SETS];
    struct rti_blocking blocking;
};

/* `config` is complete. 0 or -errno. */
int rti_mesh_init(struct rti_mesh *mesh, uint32_t shard_count, const struct rt_config *config);
void rti_mesh_fini(struct rti_mesh *mesh);

/*
 * One shard's end. attach on the shard's thread, with its executor made; detach
 * on it too, when the mesh is closed; destroy on any thread, after all have
 * detached and nobody can hold a waker any more.
 */
int rti_mesh_attach(struct rti_mesh *mesh, uint32_t index, struct rti_executor *executor, int node);
void rti_mesh_detach(struct rti_mesh_shard *shard);
void rti_mesh_destroy_shard(struct rti_mesh_shard *shard);

/* This thread's end of its mesh. Its executor has an inbox. */
static inline struct rti_mesh_shard *rti_mesh_here(void)
{
    return (struct rti_mesh_shard *)(void *)rti_current->inbox;
}

/* The same for a public call: aborts outside a task, naming it. */
static inline struct rti_mesh_shard *rti_mesh_of_task(const char *call)
{
    struct rti_executor *executor = rti_executor_here(call);

    RTI_ASSERT(executor->inbox != NULL);
    return rti_mesh_here();
}

/* The port to a shard, made if need be; NULL when there is no memory. */
struct rti_port *rti_mesh_port_to(struct rti_mesh_shard *shard, uint32_t to);

/* Publish what the outlet has, and ring. */
void rti_mesh_publish(struct rti_mesh_shard *shard, struct rti_outlet *outlet);

/* The outlet's ring has got a message (N1). Few stores: those behind a store into a slot that the
 * other shard has wait for it in order. */
static inline void rti_mesh_sent(struct rti_mesh_shard *shard, struct rti_outlet *outlet)
{
    if (rti_ring_unpublished(outlet->ring) >= RTI_MESSAGES_PER_FLUSH) {
        rti_mesh_publish(shard, outlet);
    } else if (rti_list_is_empty(&outlet->link)) {
        rti_list_push_back(&shard->unsent, &outlet->link);
        shard->inbox.unsent = true;
    }
}

/* In a task: look at the doorbell as a turn does. False when nobody has rung. */
bool rti_mesh_look_again(struct rti_mesh_shard *shard);

/* Ring a shard as the sender `shard`, or its control bit, and wake it if it sleeps (N2). The
 * second form with `shard` NULL is for threads that are no shard of the mesh. */
void rti_mesh_ring(struct rti_mesh_shard *shard, uint32_t to);
void rti_mesh_ring_control(struct rti_mesh_shard *shard, struct rti_mesh_shard *target);

/* Ring the control bit of every shard but `except` (may be NULL), by event counters. Any thread. */
void rti_mesh_ring_all(struct rti_mesh *mesh, const struct rti_mesh_shard *except);

/* Publish everything. */
void rti_mesh_flush(struct rti_mesh_shard *shard);

#endif /* RTI_CROSS_MESH_H */
