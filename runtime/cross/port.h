/* SPDX-License-Identifier: MIT */
/*
 * Port: what goes from one shard, the sender, to another, the receiver: requests
 * one way, and their replies the other.
 *
 *              requests: function, argument, record of the call, terms
 *     sender  ------------------------------------------------->  receiver
 *             <-------------------------------------------------
 *              replies: record of the call, result
 *
 * A slot is held until its function has started; nothing is held during a call.
 * So calls may go back and forth to any depth through rings of one slot. Made by
 * the sender at its first message, and published by its first ring.
 *
 * P1 A request does not wait at the head of its ring but while the receiver has
 *    other work: without a task to run it in, a call is answered -EAGAIN, and a
 *    post moves to `posts`, for which its sender had a credit.
 * P2 Posts that were sent and not started are at most posts_max; credits are
 *    returned by `requests.started`, at the latest when the ring was emptied.
 * P3 A reply that finds its ring full waits in `late`, linked through the record.
 *
 * Each of the two shards touches the part that bears its name, and no other.
 */
#ifndef RTI_CROSS_PORT_H
#define RTI_CROSS_PORT_H

#include "base/list.h"
#include "cross/ring.h"
#include "rt/call.h"

/*
 * Terms: under which a request is run, in one word, so that two slots fill a line.
 *
 *     bit 63 ... 22                    21 ... 12                  11 ... 0
 *     deadline of the caller, or 0     number of a service, or 0  number of the caller's task queue
 *
 * The deadline is in steps of 1024 ns, rounded up: the function has no less time than its caller.
 * Of the steps there are the low bits: with the time of the reader they give the deadline, which is
 * 13 days off at most, for one that is further does not go along.
 */
#define RTI_TERMS_QUEUE_BITS     12
#define RTI_TERMS_SERVICE_BITS   10
#define RTI_TERMS_DEADLINE_SHIFT (RTI_TERMS_QUEUE_BITS + RTI_TERMS_SERVICE_BITS)
#define RTI_TERMS_STEP_BITS      10
#define RTI_TERMS_QUEUE_MASK     ((1ull << RTI_TERMS_QUEUE_BITS) - 1)
#define RTI_TERMS_SERVICE_MASK   ((1ull << RTI_TERMS_SERVICE_BITS) - 1)
#define RTI_TERMS_DEADLINE_MASK  (UINT64_MAX >> RTI_TERMS_DEADLINE_SHIFT)
#define RTI_TERMS_PASSED         1ull /* in place of a deadline: it has passed */
#define RTI_TERMS_FAR            (INT64_C(1) << 50)

/* In place of terms: the function does not wait and needs no task. It runs where requests are taken
 * out of the ring. */
#define RTI_TERMS_TASKLESS UINT64_MAX

/* So none is that. */
#define RTI_SERVICE_NUMBER_MAX (RTI_TERMS_SERVICE_MASK - 1)

static inline uint64_t rti_terms(uint32_t queue, rt_time deadline, rt_time now)
{
    uint64_t steps = RTI_TERMS_PASSED;

    if (deadline > now) {
        if (deadline - now >= RTI_TERMS_FAR) {
            return queue;
        }
        steps = (((uint64_t)deadline - 1) >> RTI_TERMS_STEP_BITS) + 1;
        steps &= RTI_TERMS_DEADLINE_MASK;
        steps = steps > RTI_TERMS_PASSED ? steps : RTI_TERMS_PASSED + 1;
    }
    return steps << RTI_TERMS_DEADLINE_SHIFT | queue;
}

static inline uint64_t rti_terms_of_service(uint32_t number)
{
    return (uint64_t)number << RTI_TERMS_QUEUE_BITS;
}

static inline uint32_t rti_terms_queue(uint64_t terms)
{
    return (uint32_t)(terms & RTI_TERMS_QUEUE_MASK);
}

static inline uint32_t rti_terms_service(uint64_t terms)
{
    return (uint32_t)(terms >> RTI_TERMS_QUEUE_BITS & RTI_TERMS_SERVICE_MASK);
}

static inline bool rti_terms_have_deadline(uint64_t terms)
{
    return terms >> RTI_TERMS_DEADLINE_SHIFT != 0;
}

/* Of terms that have one. */
static inline rt_time rti_terms_deadline(uint64_t terms, rt_time now)
{
    const uint64_t steps = terms >> RTI_TERMS_DEADLINE_SHIFT;
    const uint64_t steps_now = (uint64_t)now >> RTI_TERMS_STEP_BITS;
    const uint64_t left = (steps - steps_now) & RTI_TERMS_DEADLINE_MASK;

    if (steps == RTI_TERMS_PASSED || left > RTI_TERMS_DEADLINE_MASK / 2) {
        return 0;
    }
    return (rt_time)((steps_now + left) << RTI_TERMS_STEP_BITS);
}

struct rti_request {
    union {
        rt_task_fn fn;
        int (*of_service)(void *instance, void *arg); /* where the terms name one */
    };
    void *arg;
    struct rt_call *call; /* NULL: a post */
    uint64_t terms;
};

struct rti_reply {
    struct rt_call *call;
    int32_t result;
    int32_t error; /* 0, or why the function was not run */
};

/* A ring with something to be published when the turn ends. */
struct rti_outlet {
    struct rti_list link; /* in rti_mesh_shard.unsent while there is something */
    struct rti_ring *ring;
    uint32_t to; /* the shard to be rung */
};

struct rti_port {
    struct rti_ring requests; /* produced by the sender */
    struct rti_ring replies;  /* produced by the receiver */

    struct {
        struct rti_outlet outlet;       /* of requests */
        struct rti_list room_waiters;   /* tasks with a request and no slot, in order */
        struct rti_list credit_waiters; /* tasks with a post and no credit, in order */
        uint32_t posts_sent;
        uint32_t started_seen; /* of them, as was seen last */
        bool credit_asked;     /* the receiver was asked, and no credit was used since */
    } sender;
    char apart1[RTI_APART];

    struct {
        struct rti_outlet outlet;     /* of replies */
        struct rti_list work_link;    /* in rti_mesh_shard.work while requests may be in the ring */
        struct rti_list starved_link; /* in rti_mesh_shard.starved while posts wait */
        struct rt_call *late;         /* the first reply that waits (P3) */
        struct rt_call **late_end;
        uint32_t burst;         /* requests taken in a row */
        uint32_t posts_started; /* published with the head, or when the sender waits for it */
        bool credit_wanted;     /* the sender is to be rung when the next post starts */
        uint32_t posts_head;    /* of `posts`; runs free */
        uint32_t posts_tail;
    } receiver;
    char apart2[RTI_APART];

    /* read-only */
    uint32_t from;
    uint32_t to;
    uint32_t posts_max;
    uint32_t posts_mask;
    uint32_t entries;
    int node; /* of the receiver, for the request slots; below 0: as the sender's */
    struct rti_request *request_slots;
    struct rti_reply *reply_slots;
    struct rti_request *posts; /* that wait for a task to end; a ring of posts_mask + 1 */
};

/* Made by the sender. `entries` is a power of two; `node` is the receiver's memory node if that is
 * another one than the sender's, else below 0. NULL when there is no memory. */
struct rti_port *rti_port_create(uint32_t from, uint32_t to, uint32_t entries, uint32_t posts_max,
                                 int node);
void rti_port_destroy(struct rti_port *port);

/* Posts that were taken out of the ring and wait for a task to end. */
static inline uint32_t rti_port_posts_waiting(const struct rti_port *port)
{
    return port->receiver.posts_tail - port->receiver.posts_head;
}

/* Whether the sender may send one more post (P2). Looks at what the receiver says when it knows
 * of no credit. */
static inline bool rti_port_has_credit(struct rti_port *port)
{
    if (RTI_UNLIKELY(port->sender.posts_sent - port->sender.started_seen >= port->posts_max)) {
        /* pairs with the release in rti_port_return_credits() */
        port->sender.started_seen = __atomic_load_n(&port->requests.started, __ATOMIC_ACQUIRE);
    }
    return port->sender.posts_sent - port->sender.started_seen < port->posts_max;
}

/* The sender uses a credit; who waits for another one asks anew. */
static inline void rti_port_use_credit(struct rti_port *port)
{
    port->sender.posts_sent++;
    if (RTI_UNLIKELY(port->sender.credit_asked)) {
        port->sender.credit_asked = false;
    }
}

/* Let the sender have the credits of the posts that were started. */
static inline void rti_port_return_credits(struct rti_port *port)
{
    if (port->receiver.posts_started != port->requests.started) {
        /* pairs with the acquire in rti_port_has_credit() */
        __atomic_store_n(&port->requests.started, port->receiver.posts_started, __ATOMIC_RELEASE);
    }
}

#endif /* RTI_CROSS_PORT_H */
