/* SPDX-License-Identifier: MIT */
/*
 * Waiters: a line of tasks that wait for one object, first come, first served.
 *
 * The line itself is public (struct rt_waiters): two pointers, and all zero is
 * an empty one, so that a mutex or a channel can be initialised statically. A
 * place in it lies in the frame of the task that waits.
 *
 * Whoever ends a wait takes the place out of the line first (Q1): to hand the
 * object over to the oldest,
 *
 *     struct rti_queued *oldest = rti_waiters_pop(&mutex->waiters);
 *     if (oldest != NULL) {
 *         rti_waiter_finish(&oldest->waiter, 0);
 *     }
 *
 * and in kind->leave, which finds the object in waiter->object,
 *
 *     rti_waiters_remove(&mutex->waiters, rti_queued_of(waiter));
 */
#ifndef RTI_CORE_WAITERS_H
#define RTI_CORE_WAITERS_H

#include "core/wait.h"

struct rti_queued {
    struct rti_waiter waiter;
    struct rti_queued *prev; /* NULL: the oldest */
    struct rti_queued *next; /* NULL: the youngest */
};

/* A place with what its task has brought: where an item is or shall be, or how much it wants. */
struct rti_placed {
    struct rti_queued queued;
    union {
        void *item;
        uint64_t wanted;
    };
};

static inline struct rti_placed *rti_placed_of(struct rti_queued *queued)
{
    return RTI_CONTAINER_OF(queued, struct rti_placed, queued);
}

/* A waiter of an object that one task at a time can wait for, with what that has brought. */
struct rti_brought {
    struct rti_waiter waiter;
    union {
        void *item;
        uint64_t wanted;
    };
};

/* Wait for `object` alone: *place, which is NULL, shows the struct rti_brought until the wait has
 * ended; who ends it makes it NULL. Else as below. */
int rti_wait_alone(void **place, const struct rti_wait_kind *kind, const void *object,
                   uint64_t brought, rt_time deadline);

/* Stand in line for `object` with what was brought, until the wait has ended; its result, or why it
 * was not begun. As the last thing that a call does: each `ret` after a switch is mispredicted. */
int rti_wait_in_line(struct rt_waiters *line, const struct rti_wait_kind *kind, const void *object,
                     uint64_t brought, rt_time deadline);

static inline struct rti_queued *rti_queued_of(struct rti_waiter *waiter)
{
    return RTI_CONTAINER_OF(waiter, struct rti_queued, waiter);
}

static inline bool rti_waiters_is_empty(const struct rt_waiters *line)
{
    return line->first == NULL;
}

/* The oldest, or NULL. */
static inline struct rti_queued *rti_waiters_first(const struct rt_waiters *line)
{
    return line->first;
}

static inline void rti_waiters_push(struct rt_waiters *line, struct rti_queued *self)
{
    struct rti_queued *last = line->last;

    self->prev = last;
    self->next = NULL;
    if (last != NULL) {
        last->next = self;
    } else {
        line->first = self;
    }
    line->last = self;
}

static inline void rti_waiters_remove(struct rt_waiters *line, struct rti_queued *self)
{
    if (self->prev != NULL) {
        self->prev->next = self->next;
    } else {
        line->first = self->next;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    } else {
        line->last = self->prev;
    }
}

/* Take the oldest out, or NULL. */
static inline struct rti_queued *rti_waiters_pop(struct rt_waiters *line)
{
    struct rti_queued *oldest = line->first;

    if (oldest != NULL) {
        line->first = oldest->next;
        if (oldest->next != NULL) {
            oldest->next->prev = NULL;
        } else {
            line->last = NULL;
        }
    }
    return oldest;
}

#endif /* RTI_CORE_WAITERS_H */
