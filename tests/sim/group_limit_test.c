/* SPDX-License-Identifier: MIT */
/*
 * Groups with a limit and a policy, and groups in groups.
 *
 * Members wait until they are told to end, so a test knows who lives. A spawn that
 * waits for room runs in a task of its own and notes when it got it.
 */
#include "support/death.h"
#include "support/first.h"

#include <errno.h>

#include "rt/rt.h"

#define LIMIT 3

/* A member that ends when told, or when cancelled. */

struct member {
    struct rt_waker waker;
    int result;
    bool started;
    bool may_end;
    bool cancelled;
};

static int wait_to_end(void *arg)
{
    struct member *self = arg;

    self->waker = rt_waker_self();
    self->started = true;
    while (!self->may_end) {
        if (rt_park(RT_NEVER) == -ECANCELED) {
            self->cancelled = true;
            return -ECANCELED;
        }
    }
    return self->result;
}

static void end_member(struct member *member, int result)
{
    member->result = result;
    member->may_end = true;
    rt_wake(member->waker);
}

/* A task that spawns one member, waiting for room. */

struct spawner {
    struct rt_group *group;
    struct member *member;
    rt_time deadline;
    int result;
    int *turn; /* counts those who got room */
    int got;   /* which one this was */
};

static int spawn_one(void *arg)
{
    struct spawner *self = arg;

    self->result = rt_group_spawn_with(self->group, wait_to_end, self->member, NULL,
                                       self->deadline);
    if (self->result == 0) {
        self->got = ++*self->turn;
    }
    return self->result;
}

static void fill(struct rt_group *group, struct member *members)
{
    for (int i = 0; i < LIMIT; i++) {
        members[i] = (struct member){ .started = false };
        T_CHECK(rt_group_spawn(group, wait_to_end, &members[i]) == 0);
    }
    let_all_run();
}

static void start_spawners(struct spawner *spawners, struct rt_task **tasks, int count,
                           struct rt_group *group, struct member *members, int *turn)
{
    for (int i = 0; i < count; i++) {
        members[i] = (struct member){ .started = false };
        spawners[i] = (struct spawner){
            .group = group, .member = &members[i], .deadline = RT_NEVER, .turn = turn
        };
        T_CHECK(rt_spawn(&tasks[i], spawn_one, &spawners[i]) == 0);
        let_all_run();
    }
}

static int limit_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT_WITH(LIMIT, RT_GROUP_COLLECT);
    struct member members[LIMIT];
    struct member late[2 * LIMIT];
    struct spawner spawners[LIMIT];
    struct rt_task *tasks[LIMIT];
    int turn = 0;

    (void)arg;
    fill(&group, members);
    T_CHECK(rt_group_spawn(&group, wait_to_end, &late[0]) == -EAGAIN);
    T_CHECK(rt_group_spawn_with(&group, wait_to_end, &late[0], NULL, 0) == -EAGAIN);
    start_spawners(spawners, tasks, LIMIT, &group, late, &turn);
    T_CHECK(turn == 0 && rt_group_live(&group) == LIMIT);
    for (int i = 0; i < LIMIT; i++) {
        end_member(&members[i], 0);
        rt_yield(); /* the member ends: its place is promised, and nobody else gets it */
        T_CHECK(rt_group_spawn(&group, wait_to_end, &late[LIMIT]) == -EAGAIN);
        let_all_run();
        T_CHECK(spawners[i].got == i + 1 && late[i].started);
        T_CHECK(rt_group_live(&group) == LIMIT);
    }
    for (int i = 0; i < LIMIT; i++) {
        T_CHECK(rt_join(tasks[i], NULL, RT_NEVER) == 0);
        end_member(&late[i], 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0 && rt_group_failures(&group) == 0);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void spawns_beyond_the_limit_wait_in_order_or_are_shed(void **state)
{
    (void)state;
    run_first(limit_first);
}

static int give_up_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT_WITH(LIMIT, RT_GROUP_COLLECT);
    struct member members[LIMIT];
    struct member late[LIMIT];
    struct spawner spawners[LIMIT];
    struct rt_task *tasks[LIMIT];
    const rt_time soon = rt_in(RT_MILLISECONDS(1));
    int turn = 0;

    (void)arg;
    fill(&group, members);
    start_spawners(spawners, tasks, LIMIT, &group, late, &turn);
    rt_cancel(tasks[0]);
    let_all_run();
    T_CHECK(spawners[0].result == -ECANCELED);
    T_CHECK(rt_group_spawn_with(&group, wait_to_end, &late[0], NULL, soon) == -ETIME);
    T_CHECK(rt_now() >= soon);
    end_member(&members[1], 0);
    let_all_run();
    T_CHECK(spawners[1].got == 1 && spawners[2].got == 0);

    /* a place that was promised is used, also when the cancel comes before the task has run */
    end_member(&members[0], 0);
    rt_yield();
    rt_cancel(tasks[2]);
    let_all_run();
    T_CHECK(spawners[2].result == 0 && late[2].started);
    T_CHECK(rt_group_leave(&group, 0) == 0 && rt_group_live(&group) == 0);
    for (int i = 0; i < LIMIT; i++) {
        T_CHECK(rt_join(tasks[i], NULL, RT_NEVER) == 0);
    }
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_wait_for_room_ends_by_cancel_and_deadline(void **state)
{
    (void)state;
    run_first(give_up_first);
}

static int leave_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT_WITH(LIMIT, RT_GROUP_COLLECT);
    struct member members[LIMIT];
    struct member late[LIMIT];
    struct spawner spawners[LIMIT];
    struct rt_task *tasks[LIMIT];
    int turn = 0;

    (void)arg;
    fill(&group, members);
    start_spawners(spawners, tasks, LIMIT, &group, late, &turn);
    end_member(&members[0], 0);
    rt_yield(); /* spawner 0 has a promise when the group is left */
    T_CHECK(rt_group_leave(&group, 0) == 0);
    for (int i = 0; i < LIMIT; i++) {
        T_CHECK(rt_join(tasks[i], NULL, RT_NEVER) == 0);
        T_CHECK(spawners[i].result == -ESHUTDOWN || (i == 0 && spawners[i].result == 0));
    }
    T_CHECK(rt_group_live(&group) == 0 && tasks_live() == 1);
    return 0;
}

static void leaving_turns_away_those_who_wait_for_room(void **state)
{
    (void)state;
    run_first(leave_first);
}

static int failure_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT_WITH(LIMIT, RT_GROUP_CANCEL_ON_FAILURE);
    struct member members[LIMIT];
    struct member late[1];
    struct spawner spawners[1];
    struct rt_task *tasks[1];
    int turn = 0;

    (void)arg;
    fill(&group, members);
    start_spawners(spawners, tasks, 1, &group, late, &turn);
    end_member(&members[1], -EIO);
    let_all_run();
    T_CHECK(members[0].cancelled && members[2].cancelled && !members[1].cancelled);
    T_CHECK(spawners[0].result == -ECANCELED && !late[0].started);
    T_CHECK(rt_group_live(&group) == 0 && rt_group_failures(&group) == 1);
    T_CHECK(rt_group_spawn(&group, wait_to_end, &late[0]) == -ECANCELED);
    T_CHECK(rt_join(tasks[0], NULL, RT_NEVER) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == -EIO);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void the_first_failure_cancels_the_others_where_the_policy_says_so(void **state)
{
    (void)state;
    run_first(failure_first);
}

static int collect_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct member members[LIMIT];

    (void)arg;
    fill(&group, members);
    end_member(&members[1], -EIO);
    let_all_run();
    end_member(&members[0], -ENOENT);
    let_all_run();
    T_CHECK(!members[2].cancelled && rt_group_live(&group) == 1);
    end_member(&members[2], 5);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == -EIO && rt_group_failures(&group) == 2);
    return 0;
}

static void without_a_policy_all_go_on_and_failures_are_counted(void **state)
{
    (void)state;
    run_first(collect_first);
}

/* A tree: each node owns a group of WIDTH others, DEPTH levels deep. */

#define DEPTH 3
#define WIDTH 3

struct node {
    int depth;  /* levels below it */
    int *ended; /* of its parent: how many of its children have ended */
};

static int nodes_alive;

static int live_as_node(void *arg)
{
    const struct node *self = arg;
    struct rt_group children = RT_GROUP_INIT;
    int ended = 0;
    struct node child = { .depth = self->depth - 1, .ended = &ended };
    const int count = self->depth > 0 ? WIDTH : 0;

    nodes_alive++;
    for (int i = 0; i < count; i++) {
        T_CHECK(rt_group_spawn(&children, live_as_node, &child) == 0);
    }
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    T_CHECK(ended == 0); /* the cancel comes from above */
    T_CHECK(rt_group_leave(&children, 0) == 0);
    T_CHECK(ended == count);
    nodes_alive--;
    ++*self->ended;
    return -ECANCELED;
}

static int tree_first(void *arg)
{
    int ended = 0;
    struct node root = { .depth = DEPTH, .ended = &ended };
    struct rt_task *task;
    int result = 0;

    (void)arg;
    T_CHECK(rt_spawn(&task, live_as_node, &root) == 0);
    let_all_run();
    T_CHECK(nodes_alive == 1 + WIDTH + WIDTH * WIDTH + WIDTH * WIDTH * WIDTH);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ECANCELED);
    T_CHECK(nodes_alive == 0 && ended == 1);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_tree_of_groups_stops_from_its_root_downwards(void **state)
{
    (void)state;
    nodes_alive = 0;
    run_first(tree_first);
}

#ifndef NDEBUG
static int forgets_its_group(void *arg)
{
    static struct member members[2];
    struct rt_group group = RT_GROUP_INIT;
    int r = rt_group_spawn(&group, wait_to_end, &members[0]);

    (void)arg;
    rt_self_set_name("forgetful");
    return r == 0 ? rt_group_spawn(&group, wait_to_end, &members[1]) : r;
}

static void debug_builds_abort_when_a_group_is_not_left(void **state)
{
    (void)state;
    assert_misuse_in_task(forgets_its_group,
                          "'forgetful' returns, and tasks live in a group of its "
                          "frame that it has not left (rt_group_leave()): 2");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawns_beyond_the_limit_wait_in_order_or_are_shed),
        cmocka_unit_test(a_wait_for_room_ends_by_cancel_and_deadline),
        cmocka_unit_test(leaving_turns_away_those_who_wait_for_room),
        cmocka_unit_test(the_first_failure_cancels_the_others_where_the_policy_says_so),
        cmocka_unit_test(without_a_policy_all_go_on_and_failures_are_counted),
        cmocka_unit_test(a_tree_of_groups_stops_from_its_root_downwards),
#ifndef NDEBUG
        cmocka_unit_test(debug_builds_abort_when_a_group_is_not_left),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
