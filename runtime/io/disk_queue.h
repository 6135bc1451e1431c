/* SPDX-License-Identifier: MIT */
/*
 * Disk queues: which request of a shard goes to a device next, and whether it may go now.
 *
 * One struct rti_disk for each device that a shard uses, and in it a struct rti_disk_queue for
 * each task queue that uses the device, with the shares, the limits and the parent of that.
 * It makes no request and reads no clock.
 *
 * Each request has a cost: device time by a measured model, or a guess by its size. When a
 * request of a queue begins, the queue's finish tag rises by the cost divided by its shares.
 * The next to begin is of the queue whose start tag is the least: its finish tag, or the
 * virtual time of its level where that is more. The virtual time is the start tag that began
 * last. (Start-time fair queueing: Goyal, Vin and Cheng, 1996; with several in service at
 * a time, SFQ(D): Jin, Chase and Kaur, 2004.)
 *
 * A tag is of a queue, not of a request: all that wait in a queue follow one another, so only
 * the first has a start tag, and it is known when it begins. So a request that is taken back
 * before it began has changed no tag.
 *
 * How much begins at a time is up to the device: io/disk_share.h divides its capacity
 * between shards, io/disk_depth.h learns it from latencies, if no model told it.
 *
 * Q1 The virtual time of a level never falls, and no start tag is behind it: a queue that had
 *    nothing to do, or was held by a limit, has gained nothing.
 * Q2 Two queues of a level that both have requests which wait and may go differ in what they were
 *    given, by shares, by no more than the largest request of each.
 * Q3 When nothing waits and nothing is in flight, all had what they wanted, and owe nothing.
 * Q4 While something waits, the shard has requests in flight, or a time at which it may go.
 * Q5 Who is alone on the device is never held back, but by its own limits.
 *
 * How the file layer calls this, all on the owning shard:
 *
 *     rti_disk_enqueue()   where a task begins an operation
 *     rti_disk_next()      after that, after a completion, and before the shard submits, until it
 *                          says NULL: what it returns goes into the ring. So whatever need not
 *                          wait goes to the kernel in the same round as it would without all this
 *     rti_disk_settle()    before the shard submits: other shards may have what this one does not
 *                          use
 *     rti_disk_wakes_at()  before the shard sleeps: not longer than until then
 *     rti_disk_complete()  when the completion is seen, before the next rti_disk_next()
 *     rti_disk_cancel()    when a deadline or a cancel comes; if it says false the kernel has
 *                          the request: ask it to cancel, and wait for the completion
 *
 * Where nothing is shared out and no limit is set, rti_disk_pass() takes the place of the first
 * two.
 *
 * A request that the kernel refuses (no room in the ring) stays begun until it was made or is
 * completed with a latency of 0.
 */
#ifndef RTI_IO_DISK_QUEUE_H
#define RTI_IO_DISK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"
#include "io/disk_depth.h"
#include "io/disk_limit.h"
#include "io/disk_share.h"

/* Tags run in cost * 2^16 / shares, with 128 bits: they never wrap. */
__extension__ typedef unsigned __int128 rti_disk_tag;

/* A request costs no more: with 2^16 it fits 64 bits. As picoseconds that is 140 s. */
#define RTI_DISK_COST_MAX (1ull << 47)

/* What a device can do, of reads and of writes. */
struct rti_disk_model {
    uint64_t request_cost[2]; /* of each request; in picoseconds of device time, if measured */
    uint32_t byte_cost[2];    /* of each byte */
};

/* Costs by the size of a request, of a device that nobody has measured. */
extern const struct rti_disk_model rti_disk_guess;

/* Queues that compete with each other: those without a parent, or the children of one. */
struct rti_disk_level {
    rti_disk_tag now;        /* virtual time, Q1 */
    rti_disk_tag finish_max; /* of all finish tags that were ever given */
    struct rti_list waiting; /* queues with requests that wait; who began last is last */
    uint32_t busy;           /* requests that wait or are in flight */
};

struct rti_disk_stats {
    uint64_t begun;
    uint64_t bytes;
    uint64_t cost;
    rt_time waited; /* from rti_disk_enqueue() to rti_disk_next(), of all that began */
    rt_time served; /* latencies told to rti_disk_complete() */
};

/* Memory of the caller's, aligned as malloc() does. */
struct rti_disk_queue {
    rti_disk_tag finish;
    struct rti_disk_limit byte_limit;
    struct rti_disk_limit request_limit;
    struct rti_disk_level children; /* of a parent */
    struct rti_disk_queue *parent;
    struct rti_list link;     /* in `waiting` of its level, or alone */
    struct rti_list requests; /* that wait, oldest first */
    struct rti_disk_stats stats;
    uint32_t busy;    /* its requests that wait or are in flight, and its children's */
    uint32_t shares;  /* RT_SHARES_MIN..RT_SHARES_MAX */
    uint32_t members; /* children */
};

enum rti_disk_state {
    RTI_DISK_IDLE,   /* not of the scheduler */
    RTI_DISK_WAITS,  /* between rti_disk_enqueue() and rti_disk_next() or rti_disk_cancel() */
    RTI_DISK_BEGUN,  /* until rti_disk_complete() */
    RTI_DISK_PASSED, /* rti_disk_pass(): as begun, but it takes no share of the device */
};

/* Lies in the caller's operation; zeroed before the first use. */
struct rti_disk_request {
    struct rti_list link; /* while it waits */
    struct rti_disk_queue *queue;
    rt_time came;
    uint64_t cost;
    uint32_t bytes;
    bool write;
    bool alone; /* nothing else was in flight when it began */
    uint8_t state;
    bool polled; /* of io/device.h; nothing to the scheduler */
};

struct rti_disk {
    struct rti_disk_level root;
    struct rti_disk_part part;
    struct rti_disk_depth depth;
    struct rti_disk_model model;
    uint64_t weight; /* shares of the queues of `root` that are busy */
    bool learns;     /* the capacity, for lack of a model */
};

/*
 * The device has as much capacity as `share` was made with. By a measured model that is the device
 * time that may be in flight: at least its cost of as many requests as saturate the device, for
 * instance what it does in twice its unloaded latency. Without a model (NULL) costs are a guess,
 * and the capacity is learned; RTI_DISK_CAPACITY_FIRST is where to begin.
 */
void rti_disk_init(struct rti_disk *disk, struct rti_disk_share *share,
                   const struct rti_disk_model *model, rt_time now);
void rti_disk_fini(struct rti_disk *disk); /* nothing waits, nothing is in flight */

/* A queue; its parent, if any, has no parent and no requests of its own. */
void rti_disk_queue_init(struct rti_disk_queue *queue, struct rti_disk *disk,
                         struct rti_disk_queue *parent, uint32_t shares);
void rti_disk_queue_fini(struct rti_disk_queue *queue); /* not busy, without children */

/* What has been given too much stays too much, by the cost. */
void rti_disk_queue_set_shares(struct rti_disk *disk, struct rti_disk_queue *queue,
                               uint32_t shares);

/* 0 = no limit. A parent's limits are of all its children together. */
void rti_disk_queue_set_limits(struct rti_disk_queue *queue, uint64_t bytes_per_second,
                               uint64_t requests_per_second, rt_time now);

void rti_disk_enqueue(struct rti_disk *disk, struct rti_disk_queue *queue,
                      struct rti_disk_request *request, bool write, uint32_t bytes, rt_time now);

/* Whether a limit, or what waits already, may hold a request of the queue. */
static inline bool rti_disk_queue_is_held(const struct rti_disk_queue *queue)
{
    const struct rti_disk_queue *top = queue->parent != NULL ? queue->parent : queue;

    return (queue->byte_limit.rate | queue->request_limit.rate | top->byte_limit.rate |
            top->request_limit.rate) != 0 ||
           !rti_list_is_empty(&queue->requests);
}

/* The request begins now, and only counts: of a queue that is not held, on a device that is not
 * shared out. */
static inline void rti_disk_pass(struct rti_disk_queue *queue, struct rti_disk_request *request,
                                 uint32_t bytes)
{
    RTI_DASSERT(request->state == RTI_DISK_IDLE && !rti_disk_queue_is_held(queue));
    request->queue = queue;
    request->state = RTI_DISK_PASSED;
    queue->stats.begun++;
    queue->stats.bytes += bytes;
}

/* The request to begin now, or NULL. */
struct rti_disk_request *rti_disk_next(struct rti_disk *disk, rt_time now);

/* A request that waits is taken back: true, and it is the caller's. False: it has begun. */
bool rti_disk_cancel(struct rti_disk *disk, struct rti_disk_request *request);

/*
 * A request that had begun has ended, in whatever way.
 *
 * `latency` is what the device took, or 0 when that says nothing about the device: it failed, or
 * was cancelled. It is from when the kernel was given the request to when the completion could have
 * been seen: what the shard itself was late, because tasks ran, is not the device's. So if the
 * shard did not sleep since it last looked at completions, until that look and no longer; 0 if it
 * began after that.
 */
void rti_disk_complete(struct rti_disk *disk, struct rti_disk_request *request, rt_time latency,
                       rt_time now);

/* The turn is over. */
void rti_disk_settle(struct rti_disk *disk);

/* After rti_disk_next() has said NULL, at the same `now`: the first time, after it, at which a
 * limit lets something go that waits. RT_NEVER when there is none, or the device is full: then a
 * completion comes. */
rt_time rti_disk_wakes_at(const struct rti_disk *disk, rt_time now);

/* Whether others use the device too, or did within the last second (RTI_DISK_LINGER): requests of
 * other queues, here or on other shards. */
bool rti_disk_has_others(const struct rti_disk *disk, const struct rti_disk_queue *queue,
                         rt_time now);

/* Whether something waits. */
static inline bool rti_disk_has_waiting(const struct rti_disk *disk)
{
    return !rti_list_is_empty(&disk->root.waiting);
}

/* The structure, for tests. */
void rti_disk_check(const struct rti_disk *disk);

#endif /* RTI_IO_DISK_QUEUE_H */
