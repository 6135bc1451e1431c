/* SPDX-License-Identifier: MIT */
/*
 * Groups with a limit and a policy, in every order, beside a model.
 *
 * Two spawners wait for room in a group that its owner leaves at some time, and
 * whose members end, well or not. The model keeps who waits and who was promised a
 * place. After each step all waits must stand as it says: places are given out in
 * the order of asking, none is lost and none is given twice, and who is turned
 * away is told why.
 */
#include "support/harness.h"

#include <errno.h>

#include "explore/causes.h"
#include "explore/world.h"

#define TASKS_MAX 1 /* of the group */
#define SPAWNERS  2

enum standing { OUTSIDE, WAITING, GRANTED, TURNED_AWAY };

struct spawner {
    struct rt_task *task; /* NULL when it has ended */
    rt_time deadline;
    enum standing standing;
    unsigned turn; /* when it began to wait, beside the other */
    int expected;  /* why it was turned away */
};

static struct rt_group group;
static struct spawner spawners[SPAWNERS];
static unsigned turns;
static unsigned live;
static unsigned granted;
static int closed; /* 0, or why nobody may spawn */
static enum rt_group_policy policy;

enum { SPAWNED_AT_ONCE, SPAWNED_AFTER_WAIT, SHUT_DOWN, AFTER_FAILURE, BY_DEADLINE, BY_CANCEL };

/* ---- the model ---- */

static bool has_room(void)
{
    return live + granted < TASKS_MAX;
}

static struct spawner *first_waiting(void)
{
    struct spawner *first = NULL;

    for (unsigned i = 0; i < SPAWNERS; i++) {
        if (spawners[i].standing == WAITING && (first == NULL || spawners[i].turn < first->turn)) {
            first = &spawners[i];
        }
    }
    return first;
}

static void end_wait(struct spawner *spawner, int reason)
{
    if (spawner->standing == WAITING) {
        spawner->standing = TURNED_AWAY;
        spawner->expected = reason;
    }
}

static void close_model(int reason)
{
    closed = reason;
    for (unsigned i = 0; i < SPAWNERS; i++) {
        end_wait(&spawners[i], reason);
    }
}

static void give_places(void)
{
    struct spawner *first;

    while (has_room() && (first = first_waiting()) != NULL) {
        first->standing = GRANTED;
        granted++;
    }
}

static void check_standings(void)
{
    for (unsigned i = 0; i < SPAWNERS; i++) {
        if (rt_now() >= spawners[i].deadline) {
            end_wait(&spawners[i], -ETIME);
        }
    }
    for (unsigned i = 0; i < SPAWNERS; i++) {
        const struct spawner *spawner = &spawners[i];

        if (spawner->standing != OUTSIDE && spawner->task->waiter != NULL) {
            const struct rti_waiter *waiter = spawner->task->waiter;

            EXPLORE_CHECK(waiter->done == (spawner->standing != WAITING));
            EXPLORE_CHECK(spawner->standing != TURNED_AWAY || waiter->result == spawner->expected);
        }
    }
    EXPLORE_CHECK(rt_group_live(&group) == live && group.granted == granted);
}

/* ---- the tasks ---- */

static int end_well_or_not(void *arg)
{
    int r = 0;

    (void)arg;
    world_gate();
    if (policy == RT_GROUP_CANCEL_ON_FAILURE &&
        explore_choose(2, "whether the member fails") == 1) {
        r = -EIO;
    }
    live--;
    if (r < 0 && closed == 0) {
        close_model(-ECANCELED);
    }
    give_places();
    return r;
}

static void note(int r, bool had_to_wait)
{
    switch (r) {
    case 0:
        explore_met(had_to_wait ? SPAWNED_AFTER_WAIT : SPAWNED_AT_ONCE);
        break;
    case -ESHUTDOWN:
        explore_met(SHUT_DOWN);
        break;
    case -ETIME:
        explore_met(BY_DEADLINE);
        break;
    default:
        explore_met(rt_cancelled() ? BY_CANCEL : AFTER_FAILURE);
        break;
    }
}

static void ask(struct spawner *spawner)
{
    if (closed != 0) {
        spawner->standing = TURNED_AWAY;
        spawner->expected = closed;
    } else if (has_room()) {
        spawner->standing = GRANTED;
        granted++; /* as if it was promised, and kept in the same step */
    } else if (rt_cancelled()) {
        spawner->standing = TURNED_AWAY;
        spawner->expected = -ECANCELED;
    } else if (spawner->deadline <= rt_turn_time()) {
        spawner->standing = TURNED_AWAY;
        spawner->expected = -ETIME;
    } else {
        spawner->standing = WAITING;
        spawner->turn = ++turns;
    }
}

static int spawn_member(void *arg)
{
    struct spawner *spawner = arg;
    bool had_to_wait;
    int r;

    world_gate();
    ask(spawner);
    had_to_wait = spawner->standing == WAITING;
    r = rt_group_spawn_with(&group, end_well_or_not, NULL, NULL, spawner->deadline);
    EXPLORE_CHECK(spawner->standing != WAITING);
    if (spawner->standing == GRANTED) {
        granted--;
        spawner->expected = closed; /* it was closed since the promise */
        live += closed == 0;
        give_places();
    }
    EXPLORE_CHECK(r == spawner->expected);
    note(r, had_to_wait);
    spawner->standing = OUTSIDE;
    spawner->task = NULL;
    return 0;
}

static int leave(void *arg)
{
    const struct rt_group init = RT_GROUP_INIT_WITH(TASKS_MAX, policy);

    (void)arg;
    group = init;
    EXPLORE_CHECK(rt_group_spawn(&group, end_well_or_not, NULL) == 0);
    live++;
    world_gate();
    close_model(-ESHUTDOWN);
    (void)rt_group_leave(&group, RT_NEVER);
    EXPLORE_CHECK(live == 0 && granted == 0);
    return 0;
}

static void cancel_first(void)
{
    rti_task_cancel(spawners[0].task);
    end_wait(&spawners[0], -ECANCELED);
}

static bool first_is_there(void)
{
    return spawners[0].task != NULL;
}

static void setup(void)
{
    causes_begin();
    group = (struct rt_group)RT_GROUP_INIT;
    turns = 0;
    live = 0;
    granted = 0;
    closed = 0;
    world_spawn(NULL, "owner", leave, NULL);
    for (unsigned i = 0; i < SPAWNERS; i++) {
        spawners[i] = (struct spawner){ .deadline = i == 0 ? RT_NEVER : deadline };
        world_spawn(&spawners[i].task, i == 0 ? "first" : "second", spawn_member, &spawners[i]);
        rt_detach(spawners[i].task);
    }
}

static void places_are_given_out_in_the_order_of_asking(void **state)
{
    (void)state;
    policy = RT_GROUP_COLLECT;
    assert_true(world_explore(&(struct world_program){
        .name = "group with a limit",
        .setup = setup,
        .check = check_standings,
        .events = { { "cancel of the first", cancel_first, first_is_there, 1 } },
        .settled = true,
        .timeouts = 1,
        .runs_max = 200000,
        .outcomes = { "spawned at once", "spawned after a wait", "shut down" } }));
}

static void a_failure_turns_away_who_waits(void **state)
{
    (void)state;
    policy = RT_GROUP_CANCEL_ON_FAILURE;
    assert_true(world_explore(&(struct world_program){
        .name = "group that fails",
        .setup = setup,
        .check = check_standings,
        .events = { { "cancel of the first", cancel_first, first_is_there, 1 } },
        .settled = true,
        .timeouts = 1,
        .runs_max = 200000,
        .outcomes = { "spawned at once", "spawned after a wait", "shut down", "after a failure",
                      "timed out", "cancelled" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_given_out_in_the_order_of_asking),
        cmocka_unit_test(a_failure_turns_away_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
