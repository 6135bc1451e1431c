/* SPDX-License-Identifier: MIT */
/*
 * Group: a list through the slots of its tasks, a line of those who wait for room
 * to spawn, and at most one who waits for it to be empty.
 *
 * G1 live + granted is at most tasks_max, where there is a limit; with somebody in
 *    the line it is equal to it. So a place that comes free goes to the oldest, and
 *    nobody else can take it before that task has run.
 * G2 Empty means that neither a task nor a promise is left: whoever was promised a
 *    place will come back to the group, so its memory must be there.
 */
#include "rt/group.h"

#include "core/executor.h"
#include "core/future.h"
#include "core/trace.h"
#include "core/waiters.h"

static void group_leave(struct rti_waiter *waiter)
{
    ((struct rt_group *)waiter->object)->waiter = NULL;
}

/* One of the members: all must end. */
static bool group_whom(const struct rti_waiter *waiter, struct rti_whom *out)
{
    const struct rt_group *group = waiter->object;

    if (group->first == NULL) {
        return false;
    }
    out->task = group->first->index;
    return true;
}

static const struct rti_wait_kind wait_kind = { .name = "group wait",
                                                .leave = group_leave,
                                                .whom = group_whom };
static const struct rti_wait_kind leave_kind = { .name = "group leave",
                                                 .leave = group_leave,
                                                 .whom = group_whom };

static void must_own(const struct rt_group *group, const char *call)
{
    if (group->first != NULL) {
        rti_executor_must_own(group->first->executor, call);
    }
}

/* Room */

static bool has_room(const struct rt_group *group)
{
    return group->tasks_max == 0 || group->live + group->granted < group->tasks_max;
}

static bool is_empty(const struct rt_group *group)
{
    return group->live + group->granted == 0; /* G2 */
}

static RTI_NOINLINE void promise_room(struct rt_group *group)
{
    struct rti_queued *oldest;

    while (has_room(group) && (oldest = rti_waiters_pop(&group->room)) != NULL) {
        group->granted++;
        rti_waiter_finish(&oldest->waiter, 0);
    }
}

/* A place has come free, or a promise was kept: who waits for it? (G1, G2) */
static void place_came_free(struct rt_group *group)
{
    if (RTI_UNLIKELY(!rti_waiters_is_empty(&group->room))) {
        promise_room(group);
    }
    if (is_empty(group) && group->waiter != NULL) {
        struct rti_waiter *waiter = group->waiter;

        group->waiter = NULL;
        rti_waiter_finish(waiter, 0);
    }
}

/* Nobody may spawn any more. */
static void turn_away(struct rt_group *group, int reason)
{
    struct rti_queued *oldest;

    while ((oldest = rti_waiters_pop(&group->room)) != NULL) {
        rti_waiter_finish(&oldest->waiter, reason);
    }
}

static void room_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_group *)waiter->object)->room, rti_queued_of(waiter));
}

static const struct rti_wait_kind room_kind = { .name = "group room", .leave = room_leave };

/* Spawning */

/* Whether the group takes members: 0, or why not. */
static inline int is_open(const struct rt_group *group)
{
    if (RTI_UNLIKELY(group->leaving != 0)) {
        return -ESHUTDOWN;
    }
    return group->policy == RT_GROUP_CANCEL_ON_FAILURE && group->failures > 0 ? -ECANCELED : 0;
}

/* Get a place, and know whether it was a promise. */
static inline int enter(struct rt_group *group, rt_time deadline, bool *promised)
{
    int r = is_open(group);

    *promised = false;
    if (RTI_LIKELY(r < 0 || has_room(group))) {
        return r;
    }
    if (deadline == 0) {
        return -EAGAIN;
    }
    r = rti_wait_in_line(&group->room, &room_kind, group, 0, deadline);
    *promised = r == 0;
    return r < 0 ? r : is_open(group);
}

/* The task was spawned, or was not. */
static inline int entered(struct rt_group *group, bool promised, int r)
{
    if (RTI_UNLIKELY(promised)) {
        group->granted--;
        place_came_free(group);
    }
    return r;
}

RTI_RETURNS_AFTER_SWITCH
int rt_group_spawn_with(struct rt_group *group, rt_task_fn fn, void *arg,
                        const struct rt_spawn_options *options, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_group_spawn_with");
    bool promised;
    int r;

    must_own(group, "rt_group_spawn_with");
    r = enter(group, deadline, &promised);
    if (r == 0) {
        r = rti_task_spawn(executor, NULL, fn, arg, options, group);
    }
    return entered(group, promised, r);
}

int rt_group_spawn(struct rt_group *group, rt_task_fn fn, void *arg)
{
    struct rti_executor *executor = rti_executor_here("rt_group_spawn");
    bool promised;
    int r;

    must_own(group, "rt_group_spawn");
    r = enter(group, 0, &promised);
    return r < 0 ? r : rti_task_spawn(executor, NULL, fn, arg, NULL, group);
}

int rt_group_spawn_future(struct rt_group *group, struct rt_future *future)
{
    struct rti_executor *executor = rti_executor_here("rt_group_spawn_future");
    bool promised;
    int r;

    must_own(group, "rt_group_spawn_future");
    rti_future_prepare(future, "rt_group_spawn_future");
    r = enter(group, 0, &promised);
    return r < 0 ? r : rti_task_spawn_future(executor, NULL, future, NULL, group);
}

/* Waiting */

static void check_alone(const struct rt_group *group)
{
    if (group->waiter != NULL) {
        rti_misuse("a group is being waited for by two tasks");
    }
    if (rti_current->running->group == group) {
        rti_misuse("task %u waits for its own group to be empty", rti_current->running->index);
    }
}

RTI_RETURNS_AFTER_SWITCH
int rt_group_wait(struct rt_group *group, rt_time deadline)
{
    (void)rti_executor_here("rt_group_wait");
    must_own(group, "rt_group_wait");
    if (is_empty(group)) {
        return 0;
    }
    check_alone(group);
    return rti_wait_alone(&group->waiter, &wait_kind, group, 0, deadline);
}

/* Whatever comes: whoever leaves gives something back. */
RTI_RETURNS_AFTER_SWITCH
static int await_empty(struct rt_group *group, rt_time deadline)
{
    struct rti_waiter self;

    check_alone(group);
    rti_waiter_init(&self, &leave_kind);
    self.object = group;
    self.mode = RTI_WAIT_EXEMPT;
    group->waiter = &self;
    return rti_wait(&self, deadline);
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
    turn_away(group, -ESHUTDOWN);
    if (!is_empty(group) && await_empty(group, drain_deadline) < 0) {
        rt_group_cancel(group);
        if (!is_empty(group)) {
            (void)await_empty(group, RT_NEVER);
        }
    }
    return group->first_error;
}

uint32_t rt_group_live(const struct rt_group *group)
{
    return group->live;
}

uint32_t rt_group_failures(const struct rt_group *group)
{
    return group->failures;
}

/* Members: called when a task is made and when it has ended. */

void rti_group_join(struct rt_group *group, struct rt_task *task)
{
    struct rti_executor *executor = task->executor;

    task->next = group->first;
    task->link = &group->first;
    if (task->next != NULL) {
        task->next->link = &task->next;
    }
    group->first = task;
    if (group->live++ == 0) {
        group->next = executor->groups;
        group->link = &executor->groups;
        if (group->next != NULL) {
            group->next->link = &group->next;
        }
        executor->groups = group;
    }
}

static void unlink_member(struct rt_group *group, struct rt_task *task)
{
    *task->link = task->next;
    if (task->next != NULL) {
        task->next->link = task->link;
    }
    if (--group->live == 0) {
        *group->link = group->next;
        if (group->next != NULL) {
            group->next->link = group->link;
        }
    }
}

static RTI_COLD void member_failed(struct rt_group *group, const struct rt_task *task, int result)
{
    if (result == -ECANCELED && (task->state & RTI_TASK_CANCEL) != 0) {
        return; /* it gave way */
    }
    group->failures++;
    if (group->first_error == 0) {
        group->first_error = result;
    }
    if (group->policy == RT_GROUP_CANCEL_ON_FAILURE && group->failures == 1) {
        turn_away(group, -ECANCELED);
        rt_group_cancel(group);
    }
}

void rti_group_task_ended(struct rt_group *group, struct rt_task *task, int result)
{
    unlink_member(group, task);
    if (RTI_UNLIKELY(result < 0)) {
        member_failed(group, task, result);
    }
    place_came_free(group);
}

/* Members that live, found without a look into the group. */
static RTI_COLD uint32_t count_members(const struct rti_executor *executor,
                                       const struct rt_group *group)
{
    const struct rt_task *task;
    uint32_t count = 0;

    for (uint32_t i = 0; (task = rti_task_at(&executor->tasks, i)) != NULL; i++) {
        count += (task->state & (RTI_TASK_CLOSED | RTI_TASK_COMPLETED)) == 0 &&
                 task->group == group;
    }
    return count;
}

/* The frame is gone, and what lay in it may be overwritten: no look into the group. */
void rti_group_check_left(const struct rt_task *task)
{
    const uintptr_t low = (uintptr_t)rti_stack_low(task->stack);
    const uintptr_t top = (uintptr_t)rti_stack_top(task->stack);

    for (const struct rt_group *group = task->executor->groups; group != NULL;
         group = group->next) {
        if ((uintptr_t)group >= low && (uintptr_t)group < top) {
            rti_misuse("task %u '%s' returns, and tasks live in a group of its frame that it has "
                       "not left (rt_group_leave()): %u",
                       task->index, task->name != NULL ? task->name : "",
                       count_members(task->executor, group));
        }
    }
}
