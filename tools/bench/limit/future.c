/* SPDX-License-Identifier: MIT */
/* Limit futures: tasks without a stack, which the loop polls. See fiber.h, F2. */
#include "fiber.h"

struct limit_task *limit_spawn_future(struct limit_future *future)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *task = executor->free_slots;

    if (__builtin_expect(task == NULL, 0)) {
        return NULL;
    }
    executor->free_slots = task->next;
    task->stack_pointer = executor->loop; /* F2 */
    task->value = 0;                      /* no end of the loop */
    task->future = future;
    task->awaiter = NULL;
    task->state = SCHEDULED | HANDLE | FUTURE;
    fiber_push(executor, task);
    return task;
}

void fiber_wake_future(struct fiber_executor *executor, struct limit_task *task)
{
    if ((task->state & (SCHEDULED | COMPLETED)) != 0) {
        return;
    }
    task->state |= SCHEDULED;
    if ((task->state & RUNNING) == 0) {
        fiber_push(executor, task);
    }
}

static inline void poll_one(struct fiber_executor *executor, struct limit_task *task)
{
    struct limit_future *future = task->future;
    const int r = future->poll(future);

    if (r == LIMIT_PENDING) {
        task->state &= ~(uint32_t)RUNNING;
        if ((task->state & SCHEDULED) != 0) { /* by its own poll */
            fiber_push(executor, task);
        }
        return;
    }
    if (future->drop != NULL) {
        future->drop(future);
    }
    fiber_complete(executor, task, r);
}

struct limit_task *fiber_poll_futures(struct fiber_executor *executor)
{
    struct limit_task *next = executor->running;

    do {
        poll_one(executor, next);
        fiber_must_have_next(executor);
        next = fiber_begin_next(executor);
    } while ((next->state & FUTURE) != 0);
    return next;
}
