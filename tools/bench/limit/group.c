/* SPDX-License-Identifier: MIT */
/* Limit groups: a list of tasks, how many live, the first failure, and who waits for the end. */
#include <errno.h>

#include "fiber.h"

int limit_group_spawn(struct limit_group *group, int (*fn)(void *), void *arg)
{
    struct limit_task *task;

    if (group->live >= group->tasks_max) {
        return -EAGAIN;
    }
    task = fiber_spawn(fiber_here(), fn, arg, GROUPED);
    if (__builtin_expect(task == NULL, 0)) {
        return -EAGAIN;
    }
    task->group = group;
    task->link = &group->first;
    task->next = group->first;
    if (task->next != NULL) {
        task->next->link = &task->next;
    }
    group->first = task;
    group->live++;
    return 0;
}

void fiber_leave_group(struct fiber_executor *executor, struct limit_task *task, int result)
{
    struct limit_group *group = task->group;

    *task->link = task->next;
    if (task->next != NULL) {
        task->next->link = task->link;
    }
    fiber_free_slot(executor, task);
    if (result < 0 && group->first_error == 0) {
        group->first_error = result;
    }
    if (--group->live == 0 && group->waiter != NULL) { /* F1 */
        fiber_finish(executor, group->waiter);
        group->waiter = NULL;
    }
}

int limit_group_wait(struct limit_group *group, int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();

    if (group->live == 0) {
        return 0;
    }
    group->waiter = executor->running;
    return fiber_wait(executor, executor->running, deadline);
}
