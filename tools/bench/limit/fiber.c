/* SPDX-License-Identifier: MIT */
/*
 * Limit fibers: yield, spawn and join, park and wake, with the state word, the
 * run queue and the quota of the contract, and nothing else. See fiber.h.
 */
#include "fiber.h"

#include <stdio.h>
#include <sys/mman.h>
#include <x86intrin.h>

/* Runs between two looks at the cycle counter: the contract's "late by at most 16 task runs". */
#define RUNS_PER_LOOK 16

/* Cycles of a quota of 0.5 ms at about 2.6 GHz. Only its order matters: what it bounds, a look at
 * I/O and timers, is part of row late_sleep alone. */
#define QUOTA_CYCLES UINT64_C(1300000)

__thread struct fiber_executor *fiber_current __attribute__((tls_model("initial-exec")));

void fiber_misuse(const char *what)
{
    fprintf(stderr, "limit: %s\n", what);
    abort();
}

__attribute__((noinline)) void fiber_look_at_clock(struct fiber_executor *executor)
{
    uint64_t now = __rdtsc();

    executor->credit = RUNS_PER_LOOK;
    if (now >= executor->quota_end) {
        executor->quota_end = now + QUOTA_CYCLES;
        executor->quotas++;
        if (executor->sleeps != NULL) {
            fiber_wake_sleepers(executor);
        }
    }
}

__attribute__((noinline)) void fiber_arm(struct fiber_executor *executor, struct limit_task *self,
                                         int64_t deadline)
{
    wheel_arm(&executor->wheel, &self->timer, deadline);
}

/* The next is taken before self is pushed: the same order, and no load waits for that store. */
void limit_yield(void)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;
    struct limit_task *next;

    if (fiber_none_scheduled(executor)) { /* self is next, too */
        fiber_count_run(executor);
        return;
    }
    self->state = (self->state & ~(uint32_t)RUNNING) | SCHEDULED;
    next = fiber_begin_next(executor);
    fiber_push(executor, self);
    (void)limit_switch(&self->stack_pointer, next->stack_pointer, next->value);
}

void fiber_main(void)
{
    struct limit_task *self = fiber_current->running;
    int result = self->fn(self->arg);
    struct fiber_executor *executor = fiber_current;
    struct limit_task *next;
    void *forgotten;

    /* Nobody takes the stack before the switch, so what is left of this fiber may run on it. */
    executor->free_stacks[executor->free_stack_count++] = self->stack;
    if (__builtin_expect((self->state & (FIRST | GROUPED)) == 0, 1)) {
        fiber_complete(executor, self, result);
    } else if ((self->state & GROUPED) != 0) {
        fiber_leave_group(executor, self, result);
    } else {
        self->result = result;
        (void)limit_switch(&forgotten, executor->loop, LOOP_ENDS);
    }
    fiber_must_have_next(executor);
    next = fiber_begin_next(executor);
    (void)limit_switch(&forgotten, next->stack_pointer, next->value);
    __builtin_unreachable();
}

struct limit_task *limit_spawn(int (*fn)(void *), void *arg)
{
    return fiber_spawn(fiber_here(), fn, arg, HANDLE);
}

int limit_join(struct limit_task *task, int *result)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;

    if (__builtin_expect(task == self || task->awaiter != NULL, 0)) {
        fiber_misuse("a fiber is joined twice, or joins itself");
    }
    if ((task->state & COMPLETED) != 0) {
        *result = task->result;
        fiber_free_slot(executor, task);
        return 0;
    }
    task->awaiter = self;
    task->awaiter_result = result;
    return fiber_suspend(executor, self);
}

int limit_park(int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;

    if (deadline != LIMIT_NEVER) {
        wheel_arm(&executor->wheel, &self->timer, deadline);
    }
    self->state |= PARKED;
    return fiber_suspend(executor, self);
}

void limit_wake(struct limit_waker waker)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *task = waker.task;

    if (task->generation != waker.generation) {
        return;
    }
    if ((task->state & PARKED) != 0) {
        task->state &= ~(uint32_t)PARKED;
        fiber_finish(executor, task);
    } else if ((task->state & FUTURE) != 0) {
        fiber_wake_future(executor, task);
    }
}

struct limit_waker limit_waker_self(void)
{
    struct limit_task *self = fiber_here()->running;

    return (struct limit_waker){ .task = self, .generation = self->generation };
}

static void release(struct fiber_executor *executor)
{
    if (executor->stacks != NULL) {
        munmap(executor->stacks, (size_t)executor->fibers * LIMIT_STACK_BYTES);
    }
    free(executor->slots);
    free(executor->free_stacks);
    free(executor->ring);
    free(executor);
}

static struct fiber_executor *create(uint32_t fibers)
{
    struct fiber_executor *executor = calloc(1, sizeof(*executor));
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
        executor->slots[i] = (struct limit_task){ .next = executor->free_slots };
        executor->free_slots = &executor->slots[i];
        executor->free_stacks[executor->free_stack_count++] = executor->stacks +
                                                              (size_t)i * LIMIT_STACK_BYTES;
    }
    executor->wheel.tick = (uint64_t)limit_now() >> WHEEL_TICK_BITS;
    return executor;
}

/* Run until the first fiber returns. Fibers switch to each other; the loop comes in for what has no
 * stack (F2). */
static void loop(struct fiber_executor *executor)
{
    struct limit_task *next = fiber_begin_next(executor);

    while (limit_switch(&executor->loop, next->stack_pointer, next->value) != LOOP_ENDS) {
        next = fiber_poll_futures(executor);
    }
}

int limit_run(uint32_t fibers, int (*fn)(void *), void *arg)
{
    struct fiber_executor *executor;
    struct limit_task *first;
    int result;

    if (fiber_current != NULL) {
        fiber_misuse("limit_run() inside limit_run()");
    }
    executor = create(fibers + 1);
    if (executor == NULL) {
        return -1;
    }
    fiber_current = executor;
    first = fiber_spawn(executor, fn, arg, FIRST); /* there is room */
    loop(executor);
    if (executor->free_stack_count != executor->fibers) {
        fiber_misuse("a fiber lives on when the first returns");
    }
    fiber_current = NULL;
    result = first->result;
    release(executor);
    return result;
}
