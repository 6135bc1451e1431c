/* SPDX-License-Identifier: MIT */
/*
 * Limit fibers from the inside: the slot, the state word, the run queue and the
 * quota of the contract; how a wait suspends and how it is ended. Inlined into
 * each call that waits.
 *
 * F1 Every call that suspends ends in limit_switch(), a tail call, so a resumed
 *    fiber goes on in its own code. Whoever makes a fiber runnable has done before
 *    all that its wait still owed; `value` is what the wait returns.
 * F2 A future has no stack. It stands in the run queue like a fiber, and its stack
 *    pointer is that of the loop, which polls it on the thread's own stack. So
 *    whoever switches need not ask which of the two it is.
 */
#ifndef LIMIT_FIBER_H
#define LIMIT_FIBER_H

#include <stddef.h>

#include "limit.h"
#include "switch.h"
#include "wheel.h"

enum fiber_state {
    SCHEDULED = 1 << 0, /* stands in the run queue; of a running future: will stand there */
    RUNNING = 1 << 1,
    COMPLETED = 1 << 2, /* has returned; the result is in the slot */
    HANDLE = 1 << 3,    /* will be joined */
    CLOSED = 1 << 4,    /* the slot is free */
    PARKED = 1 << 5,    /* waits for a wake: only then does limit_wake() end the wait */
    FUTURE = 1 << 6,    /* is polled, and has no stack (F2) */
    GROUPED = 1 << 7,   /* belongs to a group, and has no handle */
    FIRST = 1 << 8,     /* limit_run() returns when it does */
};

struct limit_task {
    uint32_t state;
    int32_t value;       /* what the wait returns when the fiber is switched to */
    void *stack_pointer; /* valid while switched out */
    char *stack;
    union {
        struct {
            struct limit_task *awaiter; /* who joins it, or NULL */
            int *awaiter_result;        /* where the awaiter wants the result */
        };
        struct { /* GROUPED */
            struct limit_group *group;
            struct limit_task **link; /* what points here in the group's list */
        };
    };
    uint32_t generation; /* of the slot: rises when it is freed */
    int32_t result;      /* valid when COMPLETED */
    union {
        struct {
            int (*fn)(void *);
            void *arg;
        };
        struct limit_future *future; /* FUTURE */
    };
    union {
        struct limit_timer timer;
        struct {
            struct limit_timer *unused[2]; /* the timer's links: it is not armed */
            uint32_t sleeps_at;            /* of one that sleeps: its place in its slot */
        };
    };
    union {
        struct limit_task *next;   /* of the free slots, or of its group */
        struct limit_taskq *queue; /* of a fiber of queue.c */
    };
    struct limit_waiter waiting; /* in the list of what the fiber waits for */
} __attribute__((aligned(64)));

struct fiber_executor {
    struct limit_task *running;
    struct limit_task **ring; /* run queue: has room for all, so a push cannot fail */
    uint32_t head, tail, mask;
    int32_t credit; /* runs until the next look at the cycle counter */
    uint64_t quota_end;
    uint64_t quotas; /* that were used up */
    struct limit_task *free_slots;
    char **free_stacks; /* the last one given back is the next one taken */
    uint32_t free_stack_count;
    uint32_t fibers;
    uint32_t selects; /* the case at which the last select began to look */
    struct limit_task *slots;
    char *stacks;
    void *loop;            /* stack pointer of limit_run() */
    struct sleeps *sleeps; /* NULL: nobody sleeps */
    struct limit_wheel wheel;
};

/* The loop is switched to with this when the first fiber has returned, else with 0. */
#define LOOP_ENDS 1

_Static_assert(sizeof(struct limit_task) == 128, "two cache lines, as a task of the runtime");

/* One per thread at a time; NULL outside limit_run(). */
extern __thread struct fiber_executor *fiber_current __attribute__((tls_model("initial-exec")));

__attribute__((noreturn, cold)) void fiber_misuse(const char *what);

/* A runtime would look at I/O and timers when the quota is used up. */
void fiber_look_at_clock(struct fiber_executor *executor);

/* In sleep.c: wake those whose deadline has passed; and sleep until there is one. */
void fiber_wake_sleepers(struct fiber_executor *executor);
void fiber_sleep_all(struct fiber_executor *executor);

static inline struct fiber_executor *fiber_here(void)
{
    if (__builtin_expect(fiber_current == NULL, 0)) {
        fiber_misuse("called outside limit_run()");
    }
    return fiber_current;
}

static inline void fiber_push(struct fiber_executor *executor, struct limit_task *task)
{
    executor->ring[executor->tail++ & executor->mask] = task;
}

/* A run counts against the quota. */
static inline void fiber_count_run(struct fiber_executor *executor)
{
    if (__builtin_expect(--executor->credit < 0, 0)) {
        fiber_look_at_clock(executor);
    }
}

/* Take the next task, there being one, and mark it as running. */
static inline struct limit_task *fiber_begin_next(struct fiber_executor *executor)
{
    struct limit_task *next;

    fiber_count_run(executor);
    next = executor->ring[executor->head++ & executor->mask];
    next->state = (next->state & ~(uint32_t)SCHEDULED) | RUNNING;
    executor->running = next;
    return next;
}

static inline bool fiber_none_scheduled(const struct fiber_executor *executor)
{
    return executor->head == executor->tail;
}

static inline void fiber_must_have_next(struct fiber_executor *executor)
{
    if (__builtin_expect(fiber_none_scheduled(executor), 0)) {
        fiber_sleep_all(executor);
    }
}

/* Put a fiber that does not run in the run queue, unless it stands there. */
static inline void fiber_schedule(struct fiber_executor *executor, struct limit_task *task)
{
    if ((task->state & SCHEDULED) == 0) {
        task->state |= SCHEDULED;
        fiber_push(executor, task);
    }
}

/* Suspend the running fiber until somebody schedules it. A tail call of every wait (F1). */
static inline int fiber_suspend(struct fiber_executor *executor, struct limit_task *self)
{
    struct limit_task *next;

    self->state &= ~(uint32_t)RUNNING;
    self->value = 0;
    fiber_must_have_next(executor);
    next = fiber_begin_next(executor);
    return limit_switch(&self->stack_pointer, next->stack_pointer, next->value);
}

/* Out of the way of waits that have no deadline. */
void fiber_arm(struct fiber_executor *executor, struct limit_task *self, int64_t deadline);

/* As above, until then or the deadline. */
static inline int fiber_wait(struct fiber_executor *executor, struct limit_task *self,
                             int64_t deadline)
{
    if (deadline != LIMIT_NEVER) {
        fiber_arm(executor, self, deadline);
    }
    return fiber_suspend(executor, self);
}

/* What a fiber has waited for has happened. */
static inline void fiber_finish(struct fiber_executor *executor, struct limit_task *task)
{
    wheel_disarm(&task->timer); /* F1 */
    fiber_schedule(executor, task);
}

static inline void fiber_free_slot(struct fiber_executor *executor, struct limit_task *task)
{
    task->state = COMPLETED | CLOSED;
    task->generation++;
    task->next = executor->free_slots;
    executor->free_slots = task;
}

/* Where a fiber starts, and ends. */
__attribute__((noreturn)) void fiber_main(void);

/* A fiber that stands in the run queue; NULL: no room. `state` is what it has besides. */
static inline struct limit_task *fiber_spawn(struct fiber_executor *executor, int (*fn)(void *),
                                             void *arg, uint32_t state)
{
    struct limit_task *task = executor->free_slots;
    char *stack;

    if (__builtin_expect(task == NULL || executor->free_stack_count == 0, 0)) {
        return NULL;
    }
    executor->free_slots = task->next;
    stack = executor->free_stacks[--executor->free_stack_count];
    task->stack = stack;
    task->stack_pointer = limit_frame_make(
        limit_stack_top(stack, (size_t)(stack - executor->stacks) / LIMIT_STACK_BYTES), fiber_main);
    task->fn = fn;
    task->arg = arg;
    task->awaiter = NULL;
    task->state = SCHEDULED | state;
    fiber_push(executor, task);
    return task;
}

/* The end of a task that may be joined, after its code. */
static inline void fiber_complete(struct fiber_executor *executor, struct limit_task *task,
                                  int result)
{
    task->state = (task->state & ~(uint32_t)(RUNNING | SCHEDULED)) | COMPLETED;
    task->result = result;
    if (task->awaiter != NULL) { /* F1 */
        *task->awaiter_result = result;
        fiber_schedule(executor, task->awaiter);
        fiber_free_slot(executor, task);
    }
}

/* In future.c: a wake of a future; and poll the running one, and those after it, until a fiber is
 * next: that one. */
void fiber_wake_future(struct fiber_executor *executor, struct limit_task *task);
struct limit_task *fiber_poll_futures(struct fiber_executor *executor);

/* In group.c: the end of a task of a group. */
void fiber_leave_group(struct fiber_executor *executor, struct limit_task *task, int result);

/* A list of waiters runs in a circle through its head: who leaves it, from where ever, needs no
 * branch, as a deadline or a cancel must. */

static inline bool fiber_nobody_waits(const struct limit_link *waiters)
{
    return waiters->next == waiters;
}

/* Behind all others. */
static inline void fiber_link(struct limit_link *waiters, struct limit_link *link)
{
    link->next = waiters;
    link->previous = waiters->previous;
    waiters->previous->next = link;
    waiters->previous = link;
}

static inline void fiber_unlink(struct limit_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
}

/* Whose own waiter it is: not a leg of a select. */
static inline struct limit_task *fiber_of(const struct limit_waiter *waiter)
{
    return (struct limit_task *)((char *)waiter - offsetof(struct limit_task, waiting));
}

/* The first of a list that has one, taken off it. */
static inline struct limit_task *fiber_pop(struct limit_link *waiters)
{
    struct limit_link *first = waiters->next;

    fiber_unlink(first);
    return fiber_of((struct limit_waiter *)first);
}

/* Stand in a list until somebody takes the fiber off it, or the deadline. */
static inline int fiber_wait_in(struct limit_link *waiters, int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;

    fiber_link(waiters, &self->waiting.link);
    return fiber_wait(executor, self, deadline);
}

#endif /* LIMIT_FIBER_H */
