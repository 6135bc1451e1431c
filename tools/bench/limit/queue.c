/* SPDX-License-Identifier: MIT */
/*
 * Limit task queues: fibers that stand in a run queue of their own each, and what
 * chooses between these by shares (EEVDF, as the contract demands); and the question
 * whether to yield.
 *
 * Q1 Of a level, `average` + `ahead` / `shares` is the mean of the virtual times of the
 *    runnable queues, weighted by shares, for `ahead` is the sum of their distances from
 *    `average`. So a charge, a wake and a sleep are an addition each; the division is
 *    left to who needs the mean.
 * Q2 `average` never falls: with `ahead` below 0 it waits for the mean to come up to it.
 * Q3 A queue is in `runnable` while a fiber stands in it or one of it runs.
 *
 * The queue of a fiber is in its slot, so whoever suspends needs no other place to look
 * for the active one.
 */
#include <x86intrin.h>

#include "fiber.h"

__extension__ typedef unsigned __int128 uwide;

#define RUNS_PER_LOOK 16
#define QUOTA_CYCLES  UINT64_C(1300000) /* 0.5 ms at about 2.6 GHz, as in fiber.c */

/* Virtual time is cycles * 2^SCALE / shares, computed with 2^INVERSE / shares. */
#define SCALE   16
#define INVERSE 32

#define SHARES 1000 /* of the first queue */

struct level {
    struct limit_link runnable; /* a circle of queues, in no order (Q3) */
    uint64_t average;           /* Q1, Q2 */
    int64_t ahead;              /* Q1 */
    uint64_t shares;            /* of the runnable queues together */
    uint64_t charged_at;        /* up to then, all cycles are charged */
    uint64_t period;            /* how often no queue was runnable */
};

struct limit_taskq {
    struct limit_link link; /* in the level's circle; first, to be found by it */
    struct limit_task **ring;
    uint32_t head, tail, mask;
    uint32_t shares;
    uint64_t inverse;  /* of the shares */
    uint64_t vruntime; /* runs free: compare differences */
    uint64_t deadline; /* when it will have had one slice, as vruntime */
    uint64_t period;   /* of the level, when it woke */
    bool runnable;
    struct level *level;
};

static inline int64_t ahead(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

static inline bool queue_is_empty(const struct limit_taskq *queue)
{
    return queue->head == queue->tail;
}

static inline uint64_t virtual_of(const struct limit_taskq *queue, uint64_t cycles)
{
    return (uint64_t)((uwide)cycles * queue->inverse >> (INVERSE - SCALE));
}

/* Bring the average up to the mean. */
static inline void raise_average(struct level *level)
{
    if (level->ahead > 0) { /* Q2 */
        const uint64_t rise = (uint64_t)level->ahead / level->shares;

        level->average += rise;
        level->ahead -= (int64_t)(rise * level->shares);
    }
}

static inline void begin_slice(struct limit_taskq *queue)
{
    queue->deadline = queue->vruntime + virtual_of(queue, QUOTA_CYCLES);
}

static inline void charge(struct level *level, struct limit_taskq *queue, uint64_t at)
{
    const uint64_t step = virtual_of(queue, at - level->charged_at);

    level->charged_at = at;
    queue->vruntime += step;
    level->ahead += (int64_t)(step * queue->shares); /* Q1 */
    if (ahead(queue->vruntime, queue->deadline) >= 0) {
        begin_slice(queue);
    }
}

/* No credit: it stands at the mean at least. No forgiveness: ahead of it, it stays there. */
static inline void queue_wake(struct limit_taskq *queue)
{
    struct level *level = queue->level;

    raise_average(level);
    if (ahead(level->average, queue->vruntime) > 0 || queue->period != level->period) {
        queue->vruntime = level->average;
    }
    queue->period = level->period;
    begin_slice(queue);
    level->ahead += ahead(queue->vruntime, level->average) * queue->shares; /* Q1 */
    level->shares += queue->shares;
    queue->runnable = true;
    fiber_link(&level->runnable, &queue->link);
}

static inline void queue_sleep(struct limit_taskq *queue)
{
    struct level *level = queue->level;

    raise_average(level);
    level->ahead -= ahead(queue->vruntime, level->average) * queue->shares; /* Q1 */
    level->shares -= queue->shares;
    queue->runnable = false;
    fiber_unlink(&queue->link);
    if (level->shares == 0) { /* what was owed was owed to nobody */
        level->period++;
        level->ahead = 0;
    }
}

/* Of the runnable queues that are owed time the one whose deadline is the earliest. */
static struct limit_taskq *pick(struct level *level)
{
    struct limit_taskq *best = NULL;

    if (level->runnable.next == level->runnable.previous) { /* none or one */
        return fiber_nobody_waits(&level->runnable) ? NULL
                                                    : (struct limit_taskq *)level->runnable.next;
    }
    raise_average(level);
    for (struct limit_link *link = level->runnable.next; link != &level->runnable;
         link = link->next) {
        struct limit_taskq *queue = (struct limit_taskq *)link;

        if (ahead(queue->vruntime, level->average) <= 0 &&
            (best == NULL || ahead(best->deadline, queue->deadline) > 0)) {
            best = queue;
        }
    }
    return best;
}

/* The active queue is empty: charge it, and go on with another one. */
static inline struct limit_taskq *next_queue(struct fiber_executor *executor,
                                             struct limit_taskq *active)
{
    const uint64_t at = __rdtsc();
    struct limit_taskq *next;

    executor->credit = RUNS_PER_LOOK; /* that was a look */
    if (__builtin_expect(at >= executor->quota_end, 0)) {
        executor->quota_end = at + QUOTA_CYCLES;
        executor->quotas++;
    }
    charge(active->level, active, at);
    queue_sleep(active);
    next = pick(active->level);
    if (__builtin_expect(next == NULL, 0)) {
        fiber_misuse("every fiber waits, and nothing is there to wake one");
    }
    return next;
}

/* The next fiber of the queue whose slice runs, or of the one that is chosen; marked as running. */
static inline struct limit_task *begin_next(struct fiber_executor *executor,
                                            struct limit_taskq *queue)
{
    struct limit_task *next;

    if (queue_is_empty(queue)) {
        queue = next_queue(executor, queue);
    } else {
        fiber_count_run(executor);
    }
    next = queue->ring[queue->head++ & queue->mask];
    next->state = (next->state & ~(uint32_t)SCHEDULED) | RUNNING;
    executor->running = next;
    return next;
}

static inline void push(struct limit_task *task)
{
    struct limit_taskq *queue = task->queue;

    queue->ring[queue->tail++ & queue->mask] = task;
    if (!queue->runnable) { /* Q3 */
        queue_wake(queue);
    }
}

int limit_taskq_park(int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;
    struct limit_task *next;

    if (deadline != LIMIT_NEVER) {
        fiber_arm(executor, self, deadline);
    }
    self->state = (self->state & ~(uint32_t)RUNNING) | PARKED;
    self->value = 0;
    next = begin_next(executor, self->queue);
    return limit_switch(&self->stack_pointer, next->stack_pointer, next->value);
}

void limit_taskq_wake(struct limit_waker waker)
{
    struct limit_task *task = waker.task;

    (void)fiber_here();
    if (task->generation == waker.generation && (task->state & PARKED) != 0) {
        task->state = (task->state & ~(uint32_t)PARKED) | SCHEDULED;
        wheel_disarm(&task->timer); /* F1 */
        push(task);
    }
}

/* Where a fiber of a queue starts, and ends. As fiber_main(), in a queue. */
static __attribute__((noreturn)) void queue_main(void)
{
    struct limit_task *self = fiber_current->running;
    int result = self->fn(self->arg);
    struct fiber_executor *executor = fiber_current;
    struct limit_task *next;
    void *forgotten;

    executor->free_stacks[executor->free_stack_count++] = self->stack;
    self->state = (self->state & ~(uint32_t)RUNNING) | COMPLETED;
    self->result = result;
    next = begin_next(executor, self->queue);
    (void)limit_switch(&forgotten, next->stack_pointer, next->value);
    __builtin_unreachable();
}

struct limit_task *limit_spawn_in(struct limit_taskq *queue, int (*fn)(void *), void *arg)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *task = executor->free_slots;
    char *stack;

    if (__builtin_expect(task == NULL || executor->free_stack_count == 0, 0)) {
        return NULL;
    }
    executor->free_slots = task->next;
    stack = executor->free_stacks[--executor->free_stack_count];
    task->stack = stack;
    task->stack_pointer = limit_frame_make(
        limit_stack_top(stack, (size_t)(stack - executor->stacks) / LIMIT_STACK_BYTES), queue_main);
    task->fn = fn;
    task->arg = arg;
    task->awaiter = NULL;
    task->queue = queue;
    task->state = SCHEDULED | HANDLE;
    push(task);
    return task;
}

static struct limit_taskq *create(struct level *level, uint32_t entries, uint32_t shares)
{
    struct limit_taskq *queue = calloc(1, sizeof(*queue));

    if (queue == NULL) {
        return NULL;
    }
    queue->ring = calloc(entries, sizeof(struct limit_task *));
    if (queue->ring == NULL) {
        free(queue);
        return NULL;
    }
    queue->mask = entries - 1;
    queue->shares = shares;
    queue->inverse = (UINT64_C(1) << INVERSE) / shares;
    queue->vruntime = level->average;
    queue->level = level;
    return queue;
}

struct limit_taskq *limit_taskq_create(uint32_t shares)
{
    const struct fiber_executor *executor = fiber_here();

    return create(executor->running->queue->level, executor->mask + 1, shares);
}

void limit_taskq_destroy(struct limit_taskq *queue)
{
    if (queue->runnable) {
        fiber_misuse("a queue goes away in which fibers are runnable");
    }
    free(queue->ring);
    free(queue);
}

struct first {
    int (*fn)(void *);
    void *arg;
};

/* Puts itself, the only fiber there is, in the first queue. */
static int run_in_queue(void *arg)
{
    const struct first *first = arg;
    struct fiber_executor *executor = fiber_here();
    struct level level = { .charged_at = __rdtsc() };
    struct limit_taskq *queue;
    int result;

    level.runnable.next = &level.runnable;
    level.runnable.previous = &level.runnable;
    queue = create(&level, executor->mask + 1, SHARES);
    if (queue == NULL) {
        return -1;
    }
    executor->running->queue = queue;
    queue_wake(queue);
    result = first->fn(first->arg);
    queue_sleep(queue);
    limit_taskq_destroy(queue);
    return result;
}

int limit_run_in_queue(uint32_t fibers, int (*fn)(void *), void *arg)
{
    struct first first = { .fn = fn, .arg = arg };

    return limit_run(fibers, run_in_queue, &first);
}

/* True until the fiber yields, which gives it another quota. */
static __attribute__((noinline)) bool look_at_quota(struct fiber_executor *executor)
{
    if (__rdtsc() >= executor->quota_end) {
        executor->credit = 0; /* the next call looks again */
        return true;
    }
    executor->credit = RUNS_PER_LOOK - 1;
    return false;
}

bool limit_should_yield(void)
{
    struct fiber_executor *executor = fiber_here();

    return __builtin_expect(--executor->credit < 0, 0) && look_at_quota(executor);
}

uint64_t bare_counter_reads(uint64_t count)
{
    uint64_t last = 0;

    for (uint64_t i = 0; i < count; i++) {
        last = __rdtsc();
    }
    return last;
}
