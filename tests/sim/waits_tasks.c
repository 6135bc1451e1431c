/* SPDX-License-Identifier: MIT */
/*
 * Waits for time, for wakes, and for other tasks: sleep, park, join, groups.
 *
 * Who is waited for is a helper, a task that ends with a number of its own when it
 * is released, and with -ECANCELED when it was cancelled before that.
 */
#include "waits.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

#define CHILD_RESULT 1000

/* Sleep */

static int sleep_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_sleep_until(deadline);
}

static struct rt_case sleep_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    return rt_case_at(waiter->deadline);
}

static int sleep_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    (void)waiter;
    return rt_poll_sleep(future, deadline);
}

static bool sleep_got(struct waiter *waiter, int result)
{
    return result == 0 && rt_now() >= waiter->deadline;
}

static const struct kind sleep_kind = {
    .name = "sleep",
    .deadline_is_event = true,
    .selected_twice = true,
    .call = sleep_call,
    .make_case = sleep_case,
    .poll = sleep_poll,
    .got = sleep_got,
};

/* Park: `flag` says that a wake came while it waited, `woken` that one ever came. */

static int park_call(struct waiter *waiter, rt_time deadline)
{
    waiter->flag = false;
    return rt_park(deadline);
}

static bool park_got(struct waiter *waiter, int result)
{
    return result == 0 && (RTI_DEBUG || waiter->woken > 0); /* debug builds wake for nothing */
}

static void park_happen(struct run *run)
{
    struct waiter *waiter = some_waiter(run);

    if (waiter->started) {
        waiter->woken++;
        waiter->flag = waiter->waiting;
        rt_wake(waiter->waker);
    }
}

static bool park_is_there(const struct waiter *waiter)
{
    return waiter->flag;
}

static const struct kind park_kind = {
    .name = "park",
    .call = park_call,
    .got = park_got,
    .happen = park_happen,
    .is_there = park_is_there,
};

/* Helpers */

static int wait_for_release(struct waiter *waiter, unsigned place)
{
    waiter->helpers[place] = rt_waker_self();
    while (!waiter->flag && rt_park(RT_NEVER) == 0) {
    }
    helper_ended(waiter->run);
    return waiter->flag ? CHILD_RESULT + (int)waiter->number : -ECANCELED;
}

static int first_helper(void *arg)
{
    return wait_for_release(arg, 0);
}

static int second_helper(void *arg)
{
    return wait_for_release(arg, 1);
}

static void release(struct waiter *waiter)
{
    waiter->flag = true;
    for (unsigned i = 0; i < 2; i++) {
        if (waiter->helpers[i].task != NULL) {
            rt_wake(waiter->helpers[i]); /* perhaps of one that has ended: does nothing */
        }
    }
}

static void release_some(struct run *run)
{
    release(some_waiter(run));
}

/* Join */

static void have_child(struct waiter *waiter)
{
    waiter->flag = false;
    waiter->child = NULL;
    helper_begins(waiter->run);
    if (rt_spawn(&waiter->child, first_helper, waiter) < 0) {
        T_CHECK(waiter->run->stopped);
        helper_ended(waiter->run);
        waiter->waits_left = 1; /* it has nothing more to wait for */
    }
}

static int join_call(struct waiter *waiter, rt_time deadline)
{
    return rt_join(waiter->child, &waiter->result, deadline);
}

static struct rt_case join_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    return rt_case_join(waiter->child, &waiter->result);
}

static int join_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    return rt_poll_join(future, waiter->child, &waiter->result, deadline);
}

static bool join_got(struct waiter *waiter, int result)
{
    const int expected = CHILD_RESULT + (int)waiter->number;

    T_CHECK(waiter->flag ? waiter->result == expected : waiter->result == -ECANCELED);
    T_CHECK(waiter->flag || waiter->run->stopped);
    have_child(waiter);
    return result == 0;
}

static bool join_is_there(const struct waiter *waiter)
{
    return rt_is_finished(waiter->child);
}

static void end_children(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        if (run->waiters[i].child != NULL) {
            rt_cancel(run->waiters[i].child);
            rt_detach(run->waiters[i].child);
        }
    }
}

static const struct kind join_kind = {
    .name = "join",
    .make_waiter = have_child,
    .call = join_call,
    .make_case = join_case,
    .poll = join_poll,
    .got = join_got,
    .happen = release_some,
    .is_there = join_is_there,
    .wind_up = end_children,
};

/* Groups, one of each waiter */

static void have_member(struct waiter *waiter, rt_task_fn fn)
{
    helper_begins(waiter->run);
    if (rt_group_spawn(&waiter->group, fn, waiter) < 0) {
        T_CHECK(waiter->run->stopped);
        helper_ended(waiter->run);
    }
}

static void have_members(struct waiter *waiter)
{
    waiter->flag = false;
    have_member(waiter, first_helper);
    if (rand_chance(&waiter->run->rand, 500)) {
        have_member(waiter, second_helper);
    }
}

static void have_group(struct waiter *waiter)
{
    waiter->group = (struct rt_group)RT_GROUP_INIT;
    have_members(waiter);
}

static int group_wait(struct waiter *waiter, rt_time deadline)
{
    return rt_group_wait(&waiter->group, deadline);
}

static bool group_got(struct waiter *waiter, int result)
{
    T_CHECK(rt_group_live(&waiter->group) == 0);
    have_members(waiter);
    return result == 0;
}

static bool group_is_there(const struct waiter *waiter)
{
    return rt_group_live(&waiter->group) == 0;
}

static void leave_groups(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        T_CHECK(rt_group_leave(&run->waiters[i].group, 0) == 0);
        T_CHECK(rt_group_live(&run->waiters[i].group) == 0);
    }
}

static const struct kind group_wait_kind = {
    .name = "group wait",
    .make_waiter = have_group,
    .call = group_wait,
    .got = group_got,
    .happen = release_some,
    .is_there = group_is_there,
    .wind_up = leave_groups,
};

/* Leave: the members end when they are released, or else after the deadline; who leaves is not
 * cancelled, so in the end all are released. */

static bool all_released;

static void leave_make(struct run *run)
{
    (void)run;
    all_released = false;
}

static int group_leave(struct waiter *waiter, rt_time deadline)
{
    return rt_group_leave(&waiter->group, deadline);
}

static bool leave_got(struct waiter *waiter, int result)
{
    T_CHECK(rt_group_live(&waiter->group) == 0);
    have_group(waiter);
    if (all_released) {
        release(waiter);
    }
    return result == 0;
}

static void release_all(struct run *run)
{
    all_released = true;
    for (unsigned i = 0; i < run->waiter_count; i++) {
        release(&run->waiters[i]);
    }
}

static const struct kind group_leave_kind = {
    .name = "group leave",
    .exempt = true,
    .make = leave_make,
    .make_waiter = have_group,
    .call = group_leave,
    .got = leave_got,
    .happen = release_some,
    .is_there = group_is_there,
    .let_go = release_all,
    .wind_up = leave_groups,
};

/* Room in a group, which all waiters share: each success is one more member. */

#define MEMBERS_MAX (WAITERS_MAX * WAITS_MAX)

static struct {
    struct rt_group group;
    bool left;
    unsigned spawned;
    unsigned running;
    unsigned released;
    unsigned started;
    struct rt_waker members[MEMBERS_MAX]; /* in the order in which they started */
} crowd;

static void crowd_make(struct run *run)
{
    const uint32_t tasks_max = 1 + (uint32_t)rand_below(&run->rand, 3);

    memset(&crowd, 0, sizeof(crowd));
    crowd.group = (struct rt_group)RT_GROUP_INIT_WITH(tasks_max, RT_GROUP_COLLECT);
}

static int crowd_member(void *arg)
{
    const unsigned number = crowd.started++;

    (void)arg;
    crowd.running++;
    T_CHECK(number < MEMBERS_MAX && crowd.running <= crowd.group.tasks_max);
    crowd.members[number] = rt_waker_self();
    while (crowd.released <= number && rt_park(RT_NEVER) == 0) {
    }
    crowd.running--;
    return 0;
}

static int crowd_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_group_spawn_with(&crowd.group, crowd_member, NULL, NULL, deadline);
}

static bool crowd_got(struct waiter *waiter, int result)
{
    switch (result) {
    case 0:
        crowd.spawned++;
        return !crowd.left;
    case -EAGAIN:
        return waiter->deadline == 0;
    case -ESHUTDOWN:
        return crowd.left || waiter->run->stopped;
    default:
        return false;
    }
}

static void crowd_happen(struct run *run)
{
    if (rand_chance(&run->rand, 50)) {
        crowd.left = true;
        T_CHECK(rt_group_leave(&crowd.group, 0) == 0);
    } else if (crowd.released < crowd.started) {
        rt_wake(crowd.members[crowd.released++]); /* perhaps of one that has ended: does nothing */
    }
}

static bool crowd_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return crowd.left || rt_group_live(&crowd.group) < crowd.group.tasks_max;
}

static void crowd_wind_up(struct run *run)
{
    (void)run;
    T_CHECK(rt_group_leave(&crowd.group, 0) == 0);
    T_CHECK(crowd.running == 0 && crowd.started == crowd.spawned);
}

static const struct kind crowd_kind = {
    .name = "room in a group",
    .make = crowd_make,
    .call = crowd_call,
    .got = crowd_got,
    .happen = crowd_happen,
    .is_there = crowd_is_there,
    .wind_up = crowd_wind_up,
};

const struct kind *const waits_tasks[] = {
    &sleep_kind, &park_kind, &join_kind, &group_wait_kind, &group_leave_kind, &crowd_kind, NULL,
};
