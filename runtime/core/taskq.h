/* SPDX-License-Identifier: MIT */
/*
 * Task queue: a FIFO of runnable tasks, and what the scheduler knows of it.
 *
 * A ring of pointers, so that a push never fails and needs no memory: it has
 * room for every task that belongs to the queue, and a task stands in it at
 * most once (its SCHEDULED bit). Room is made when a task is spawned.
 *
 * The executor runs the tasks of one queue, the active one, until it is empty or
 * its slice is over, and then lets the scheduler choose (core/sched.h).
 *
 * P1 A queue in which a task stands is runnable for the scheduler. Of those that
 *    are, only the active one may be empty: it stays runnable until another queue
 *    is, so that a shard with one queue never asks the scheduler.
 */
#ifndef RTI_CORE_TASKQ_H
#define RTI_CORE_TASKQ_H

#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"
#include "core/sched.h"
#include "core/slice.h"
#include "rt/taskq.h"

struct rti_device_line;
struct rti_executor;

struct rt_taskq {
    struct rt_task **ring;
    uint64_t head;    /* next to pop; runs free, and so counts the runs */
    uint64_t tail;    /* next to push; runs free */
    uint32_t mask;    /* entries - 1 */
    uint32_t members; /* tasks that belong to the queue; at most mask + 1 */
    struct rti_sched_entity entity;
    struct rti_executor *executor;

    struct rt_taskq *next_worked; /* in the list of those that gave the kernel work */
    uint32_t kernel_work;         /* operations begun and ended since that was charged */
    uint32_t id;                  /* 0: the default queue, or no other shard knows it */
    struct rti_list link;         /* in the executor's list of queues */
    rt_time latency;
    rt_shares_fn shares_fn;
    void *shares_arg;
    rt_time sampled_at; /* turn in which shares_fn was asked */
    char name[RT_TASKQ_NAME_BYTES];

    uint64_t since; /* ticks: when it became runnable, or its last slice ended; while it waits */
    uint64_t run;   /* ticks charged */
    uint64_t wait;  /* ticks */
    uint64_t runs_alone; /* runs of a task that yielded with no other there: it was not popped */
    uint64_t switches;
    uint64_t slices_cut;
    uint64_t stalls;

    struct rti_device_line *device_lines; /* what waits at disks, of this queue (io/device.h) */
    uint64_t disk_bytes_per_second;       /* 0 = no limit */
    uint64_t disk_requests_per_second;    /* 0 = no limit */
};

/* A queue that the executor does not know yet. */
int rti_taskq_init(struct rt_taskq *queue, struct rti_executor *executor, const char *name);
void rti_taskq_fini(struct rt_taskq *queue);

/* Double the room, keeping the order: 0 or -ENOMEM. */
int rti_taskq_grow(struct rt_taskq *queue);

/* As rt_taskq_create(), outside of a task too. */
int rti_taskq_create(struct rti_executor *executor, struct rt_taskq **out,
                     const struct rt_taskq_options *options);

/* Tasks belong to it, or queues have it as parent. */
static inline bool rti_taskq_is_used(const struct rt_taskq *queue)
{
    return queue->members > 0 || queue->entity.children.members > 0;
}

/* As rt_taskq_destroy(), also of one that every shard has. */
int rti_taskq_destroy(struct rt_taskq *queue);

/* All queues but the default one are taken away: no task lives. */
void rti_taskq_destroy_others(struct rti_executor *executor);

static inline struct rt_taskq *rti_taskq_of_entity(struct rti_sched_entity *entity)
{
    return RTI_CONTAINER_OF(entity, struct rt_taskq, entity);
}

/* Whether one more can join without making room. */
static inline bool rti_taskq_has_place(const struct rt_taskq *queue)
{
    return queue->members <= queue->mask;
}

/* A task joins the queue's members, which makes room for it: 0 or -ENOMEM. */
static inline int rti_taskq_join(struct rt_taskq *queue)
{
    if (RTI_UNLIKELY(!rti_taskq_has_place(queue))) {
        const int r = rti_taskq_grow(queue);

        if (r < 0) {
            return r;
        }
    }
    queue->members++;
    return 0;
}

/* A member leaves; it must not stand in the queue. */
static inline void rti_taskq_leave(struct rt_taskq *queue)
{
    RTI_DASSERT(queue->members > 0);
    queue->members--;
}

/* Times a task of it was started or continued. */
static inline uint64_t rti_taskq_runs(const struct rt_taskq *queue)
{
    return queue->head + queue->runs_alone;
}

static inline uint32_t rti_taskq_length(const struct rt_taskq *queue)
{
    return (uint32_t)(queue->tail - queue->head);
}

static inline void rti_taskq_push(struct rt_taskq *queue, struct rt_task *task)
{
    RTI_DASSERT(rti_taskq_length(queue) <= queue->mask);
    queue->ring[queue->tail++ & queue->mask] = task;
    if (RTI_UNLIKELY(!rti_sched_is_runnable(&queue->entity))) {
        rti_slice_queue_woke(queue); /* P1 */
    }
}

/* The oldest task; one stands there. */
static inline struct rt_task *rti_taskq_take(struct rt_taskq *queue)
{
    RTI_DASSERT(rti_taskq_length(queue) > 0);
    return queue->ring[queue->head++ & queue->mask];
}

/* As rti_taskq_push(), by a task of the active queue, which is runnable (P1). */
static inline void rti_taskq_push_active(struct rt_taskq *queue, struct rt_task *task)
{
    RTI_DASSERT(rti_sched_is_runnable(&queue->entity));
    queue->ring[queue->tail++ & queue->mask] = task;
}

/* The oldest task, if there is one, will soon be taken. */
static inline void rti_taskq_prefetch(const struct rt_taskq *queue)
{
    __builtin_prefetch(queue->ring[queue->head & queue->mask]);
}

/* The oldest task, or NULL. */
static inline struct rt_task *rti_taskq_pop(struct rt_taskq *queue)
{
    return queue->head == queue->tail ? NULL : rti_taskq_take(queue);
}

/* The oldest task, for which `task` is put in as the youngest; the queue is not empty. */
static inline struct rt_task *rti_taskq_exchange(struct rt_taskq *queue, struct rt_task *task)
{
    struct rt_task *oldest = queue->ring[queue->head++ & queue->mask];

    queue->ring[queue->tail++ & queue->mask] = task;
    return oldest;
}

#endif /* RTI_CORE_TASKQ_H */
