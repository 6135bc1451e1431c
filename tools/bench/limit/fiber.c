/* SPDX-License-Identifier: MIT */
/*
 * Limit fibers: yield, spawn and join, park and wake, with the state word, the
 * run queue and the quota of the contract, and nothing else.
 *
 * Every function that suspends ends in limit_switch() (a tail call), so a
 * resumed fiber goes on in its own code. F1: whoever makes a fiber runnable has
 * done before all that its wait still owed; `value` is what the wait returns.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "limit.h"
#include "switch.h"
#include "wheel.h"

enum state {
    SCHEDULED = 1 << 0, /* stands in the run queue */
    RUNNING = 1 << 1,
    COMPLETED = 1 << 2, /* has returned; the result is in the slot */
    HANDLE = 1 << 3,    /* will be joined */
    CLOSED = 1 << 4,    /* the slot is free */
    PARKED = 1 << 5,    /* waits for a wake: only then does limit_wake() end the wait */
};

/* Runs between two looks at the cycle counter: the contract's "late by at most 16 task runs". */
#define RUNS_PER_LOOK 16

/* Cycles of a quota of 0.5 ms at about 2.6 GHz. Only its order matters: what it bounds, a look at
 * I/O, is no part of these rows. */
#define QUOTA_CYCLES UINT64_C(1300000)

struct limit_task {
    uint32_t state;
    int32_t value;       /* what the wait returns when the fiber is switched to */
    void *stack_pointer; /* valid while switched out */
    char *stack;
    struct limit_task *awaiter; /* who joins it, or NULL */
    int *awaiter_result;        /* where the awaiter wants the result */
    uint32_t generation;        /* of the slot: rises when it is freed */
    int32_t result;             /* valid when COMPLETED */
    int (*fn)(void *);
    void *arg;
    struct limit_timer timer;
    struct limit_task *next_free;
} __attribute__((aligned(64)));

struct executor {
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
    struct limit_task *slots;
    char *stacks;
    void *thread; /* stack pointer of limit_run() */
    int result;   /* of the first fiber */
    struct limit_wheel wheel;
};

/* One per thread at a time; NULL outside limit_run(). */
static __thread struct executor *current __attribute__((tls_model("initial-exec")));

static __attribute__((noreturn, cold, noinline)) void misuse(const char *what)
{
    fprintf(stderr, "limit: %s\n", what);
    abort();
}

static inline struct executor *here(void)
{
    if (__builtin_expect(current == NULL, 0)) {
        misuse("called outside limit_run()");
    }
    return current;
}

static inline void push(struct executor *executor, struct limit_task *task)
{
    executor->ring[executor->tail++ & executor->mask] = task;
}

/* A runtime would look at I/O and timers when the quota is used up. */
static __attribute__((noinline)) void look_at_clock(struct executor *executor)
{
    uint64_t now = __rdtsc();

    executor->credit = RUNS_PER_LOOK;
    if (now >= executor->quota_end) {
        executor->quota_end = now + QUOTA_CYCLES;
        executor->quotas++;
    }
}

/* Take the next fiber, there being one, and mark it as running. */
static inline struct limit_task *begin_next(struct executor *executor)
{
    struct limit_task *next;

    if (__builtin_expect(--executor->credit < 0, 0)) {
        look_at_clock(executor);
    }
    next = executor->ring[executor->head++ & executor->mask];
    next->state = (next->state & ~(uint32_t)SCHEDULED) | RUNNING;
    executor->running = next;
    return next;
}

static inline bool none_scheduled(const struct executor *executor)
{
    return executor->head == executor->tail;
}

static inline void must_have_next(const struct executor *executor)
{
    if (__builtin_expect(none_scheduled(executor), 0)) {
        misuse("every fiber waits, and nothing is there to wake one");
    }
}

/* The next is taken before self is pushed: the same order, and no load waits for that store. */
void limit_yield(void)
{
    struct executor *executor = here();
    struct limit_task *self = executor->running;
    struct limit_task *next;

    if (none_scheduled(executor)) {
        return;
    }
    self->state = (self->state & ~(uint32_t)RUNNING) | SCHEDULED;
    next = begin_next(executor);
    push(executor, self);
    (void)limit_switch(&self->stack_pointer, next->stack_pointer, 0);
}

/* Put a fiber in the run queue, unless it stands there. */
static inline void schedule(struct executor *executor, struct limit_task *task)
{
    if ((task->state & SCHEDULED) == 0) {
        task->state |= SCHEDULED;
        push(executor, task);
    }
}

static inline void free_slot(struct executor *executor, struct limit_task *task)
{
    task->state = COMPLETED | CLOSED;
    task->generation++;
    task->next_free = executor->free_slots;
    executor->free_slots = task;
}

/* Where a fiber starts, and ends. */
static __attribute__((noreturn)) void fiber_main(void)
{
    struct limit_task *self = current->running;
    int result = self->fn(self->arg);
    struct executor *executor = current;
    struct limit_task *next;
    void *forgotten;

    /* Nobody takes the stack before the switch, so what is left of this fiber may run on it. */
    executor->free_stacks[executor->free_stack_count++] = self->stack;
    self->state = (self->state & ~(uint32_t)RUNNING) | COMPLETED;
    self->result = result;
    if (self == executor->slots) { /* the first fiber */
        executor->result = result;
        (void)limit_switch(&forgotten, executor->thread, 0);
    } else if (self->awaiter != NULL) { /* F1 */
        *self->awaiter_result = result;
        schedule(executor, self->awaiter);
        free_slot(executor, self);
    }
    must_have_next(executor);
    next = begin_next(executor);
    (void)limit_switch(&forgotten, next->stack_pointer, next->value);
    __builtin_unreachable();
}

struct limit_task *limit_spawn(int (*fn)(void *), void *arg)
{
    struct executor *executor = here();
    struct limit_task *task = executor->free_slots;
    char *stack;

    if (__builtin_expect(task == NULL || executor->free_stack_count == 0, 0)) {
        return NULL;
    }
    executor->free_slots = task->next_free;
    stack = executor->free_stacks[--executor->free_stack_count];
    task->stack = stack;
    task->stack_pointer = limit_frame_make(
        limit_stack_top(stack, (size_t)(stack - executor->stacks) / LIMIT_STACK_BYTES), fiber_main);
    task->fn = fn;
    task->arg = arg;
    task->awaiter = NULL;
    task->state = SCHEDULED | HANDLE;
    push(executor, task);
    return task;
}

/* Suspend the running fiber until somebody schedules it. A tail call of every wait. */
static inline int wait_for_wake(struct executor *executor, struct limit_task *self)
{
    struct limit_task *next;

    self->state &= ~(uint32_t)RUNNING;
    self->value = 0;
    must_have_next(executor);
    next = begin_next(executor);
    return limit_switch(&self->stack_pointer, next->stack_pointer, next->value);
}

int limit_join(struct limit_task *task, int *result)
{
    struct executor *executor = here();
    struct limit_task *self = executor->running;

    if (__builtin_expect(task == self || task->awaiter != NULL, 0)) {
        misuse("a fiber is joined twice, or joins itself");
    }
    if ((task->state & COMPLETED) != 0) {
        *result = task->result;
        free_slot(executor, task);
        return 0;
    }
    task->awaiter = self;
    task->awaiter_result = result;
    return wait_for_wake(executor, self);
}

int limit_park(int64_t deadline)
{
    struct executor *executor = here();
    struct limit_task *self = executor->running;

    if (deadline != LIMIT_NEVER) {
        wheel_arm(&executor->wheel, &self->timer, deadline);
    }
    self->state |= PARKED;
    return wait_for_wake(executor, self);
}

void limit_wake(struct limit_waker waker)
{
    struct executor *executor = here();
    struct limit_task *task = waker.task;

    if (task->generation != waker.generation || (task->state & PARKED) == 0) {
        return;
    }
    wheel_disarm(&task->timer); /* F1 */
    task->state &= ~(uint32_t)PARKED;
    schedule(executor, task);
}

struct limit_waker limit_waker_self(void)
{
    struct limit_task *self = here()->running;

    return (struct limit_waker){ .task = self, .generation = self->generation };
}

static void release(struct executor *executor)
{
    if (executor->stacks != NULL) {
        munmap(executor->stacks, (size_t)executor->fibers * LIMIT_STACK_BYTES);
    }
    free(executor->slots);
    free(executor->free_stacks);
    free(executor->ring);
    free(executor);
}

static struct executor *create(uint32_t fibers)
{
    struct executor *executor = calloc(1, sizeof(*executor));
    size_t ring_entries = 1;
    void *stacks;

    if (executor == NULL) {
        return NULL;
    }
    while (ring_entries < fibers) {
        ring_entries *= 2;
    }
    executor->fibers = fibers;
    executor->mask = (uint32_t)(ring_entries - 1);
    executor->ring = calloc(ring_entries, sizeof(struct limit_task *));
    executor->free_stacks = calloc(fibers, sizeof(char *));
    executor->slots = aligned_alloc(64, fibers * sizeof(struct limit_task));
    stacks = mmap(NULL, (size_t)fibers * LIMIT_STACK_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    executor->stacks = stacks == MAP_FAILED ? NULL : stacks;
    if (executor->ring == NULL || executor->free_stacks == NULL || executor->slots == NULL ||
        executor->stacks == NULL) {
        release(executor);
        return NULL;
    }
    for (uint32_t i = fibers; i-- > 0;) {
        executor->slots[i] = (struct limit_task){ .next_free = executor->free_slots };
        executor->free_slots = &executor->slots[i];
        executor->free_stacks[executor->free_stack_count++] = executor->stacks +
                                                              (size_t)i * LIMIT_STACK_BYTES;
    }
    executor->wheel.tick = (uint64_t)limit_now() >> WHEEL_TICK_BITS;
    return executor;
}

int limit_run(uint32_t fibers, int (*fn)(void *), void *arg)
{
    struct executor *executor;
    struct limit_task *first;
    int result;

    if (current != NULL) {
        misuse("limit_run() inside limit_run()");
    }
    executor = create(fibers + 1);
    if (executor == NULL) {
        return -1;
    }
    current = executor;
    (void)limit_spawn(fn, arg); /* the first slot, and there is room */
    first = begin_next(executor);
    (void)limit_switch(&executor->thread, first->stack_pointer, 0);
    if (executor->free_stack_count != executor->fibers) {
        misuse("a fiber lives on when the first returns");
    }
    current = NULL;
    result = executor->result;
    release(executor);
    return result;
}
