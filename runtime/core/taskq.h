/* SPDX-License-Identifier: MIT */
/*
 * Task queue: a FIFO of runnable tasks.
 *
 * A ring of pointers, so that a push never fails and needs no memory: it has
 * room for every task that belongs to the queue, and a task stands in it at
 * most once (its SCHEDULED bit). Room is made when a task is spawned.
 */
#ifndef RTI_CORE_TASKQ_H
#define RTI_CORE_TASKQ_H

#include <stdint.h>

#include "base/assert.h"
#include "rt/task.h"

struct rti_taskq {
    struct rt_task **ring;
    uint32_t mask;    /* entries - 1 */
    uint32_t head;    /* next to pop; runs free */
    uint32_t tail;    /* next to push; runs free */
    uint32_t members; /* tasks that belong to the queue; at most mask + 1 */
    const char *name;
    uint64_t runs; /* tasks popped, ever */
};

int rti_taskq_init(struct rti_taskq *queue, const char *name);
void rti_taskq_fini(struct rti_taskq *queue);

/* Double the room, keeping the order: 0 or -ENOMEM. */
int rti_taskq_grow(struct rti_taskq *queue);

/* A task joins the queue's members, which makes room for it: 0 or -ENOMEM. */
static inline int rti_taskq_join(struct rti_taskq *queue)
{
    if (RTI_UNLIKELY(queue->members > queue->mask)) {
        const int r = rti_taskq_grow(queue);

        if (r < 0) {
            return r;
        }
    }
    queue->members++;
    return 0;
}

/* A member leaves; it must not stand in the queue. */
static inline void rti_taskq_leave(struct rti_taskq *queue)
{
    RTI_DASSERT(queue->members > 0);
    queue->members--;
}

static inline uint32_t rti_taskq_length(const struct rti_taskq *queue)
{
    return queue->tail - queue->head;
}

static inline void rti_taskq_push(struct rti_taskq *queue, struct rt_task *task)
{
    RTI_DASSERT(rti_taskq_length(queue) <= queue->mask);
    queue->ring[queue->tail++ & queue->mask] = task;
}

/* The oldest task, or NULL. */
static inline struct rt_task *rti_taskq_pop(struct rti_taskq *queue)
{
    if (queue->head == queue->tail) {
        return NULL;
    }
    queue->runs++;
    return queue->ring[queue->head++ & queue->mask];
}

#endif /* RTI_CORE_TASKQ_H */
