/* SPDX-License-Identifier: MIT */
/* Group: a list through the slots of its tasks, and at most one who waits for it to be empty. */
#include "rt/group.h"

#include "core/executor.h"
#include "core/trace.h"

struct group_waiter {
    struct rti_waiter waiter;
    struct rt_group *group;
};

static void group_abort(struct rti_waiter *waiter, int reason)
{
    struct group_waiter *self = RTI_CONTAINER_OF(waiter, struct group_waiter, waiter);

    self->group->waiter = NULL;
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind wait_kind = { .name = "group wait", .abort = group_abort };
static const struct rti_wait_kind leave_kind = { .name = "group leave", .abort = group_abort };

static void must_own(const struct rt_group *group, const char *call)
{
    if (group->first != NULL) {
        rti_executor_must_own(group->first->executor, call);
    }
}

int rt_group_spawn_with(struct rt_group *group, rt_task_fn fn, void *arg,
                        const struct rt_spawn_options *options)
{
    struct rti_executor *executor = rti_executor_here("rt_group_spawn");

    must_own(group, "rt_group_spawn");
    if (group->leaving != 0) {
        return -ESHUTDOWN;
    }
    return rti_task_spawn(executor, NULL, fn, arg, options, group);
}

int rt_group_spawn(struct rt_group *group, rt_task_fn fn, void *arg)
{
    return rt_group_spawn_with(group, fn, arg, NULL);
}

static int await_empty(struct rt_group *group, const struct rti_wait_kind *kind, bool exempt,
                       rt_time deadline)
{
    struct group_waiter self = { .group = group };

    if (group->waiter != NULL) {
        rti_misuse("a group is being waited for by two tasks");
    }
    if (rti_current->running->group == group) {
        rti_misuse("task %u waits for its own group to be empty", rti_current->running->index);
    }
    rti_waiter_init(&self.waiter, kind);
    self.waiter.exempt = exempt;
    group->waiter = &self.waiter;
    return rti_wait(&self.waiter, deadline);
}

int rt_group_wait(struct rt_group *group, rt_time deadline)
{
    int r;

    (void)rti_executor_here("rt_group_wait");
    must_own(group, "rt_group_wait");
    if (group->live == 0) {
        return 0;
    }
    r = rti_wait_allowed();
    return r < 0 ? r : await_empty(group, &wait_kind, false, deadline);
}

void rt_group_cancel(struct rt_group *group)
{
    (void)rti_executor_here("rt_group_cancel");
    must_own(group, "rt_group_cancel");
    for (struct rt_task *task = group->first; task != NULL; task = task->next) {
        rti_task_cancel(task); /* ends no task at once: the list stays as it is */
    }
}

int rt_group_leave(struct rt_group *group, rt_time drain_deadline)
{
    (void)rti_executor_here("rt_group_leave");
    must_own(group, "rt_group_leave");
    group->leaving = 1;
    if (group->live > 0 && await_empty(group, &leave_kind, true, drain_deadline) < 0) {
        rt_group_cancel(group);
        if (group->live > 0) {
            (void)await_empty(group, &leave_kind, true, RT_NEVER);
        }
    }
    return group->first_error;
}

uint32_t rt_group_live(const struct rt_group *group)
{
    return group->live;
}

void rti_group_task_ended(struct rt_group *group, const struct rt_task *task, int result)
{
    const bool gave_way = result == -ECANCELED && (task->state & RTI_TASK_CANCEL) != 0;

    if (result < 0 && !gave_way && group->first_error == 0) {
        group->first_error = result;
    }
    if (--group->live == 0 && group->waiter != NULL) {
        struct rti_waiter *waiter = group->waiter;

        group->waiter = NULL;
        rti_waiter_finish(waiter, 0);
    }
}
