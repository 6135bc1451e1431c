/* SPDX-License-Identifier: MIT */
/*
 * The state word, wakes, joins and operations, in every order.
 *
 * Each program is two or three tasks and what may come to them (explore/world.h).
 * What a call must return follows from what came first (explore/causes.h).
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "explore/causes.h"
#include "explore/world.h"

/* ---- wakes ---- */

struct parker {
    struct rt_waker waker;
    bool has_waker;
    bool flag;
};

static struct parker parkers[2];

static int park_for_flag(void *arg)
{
    struct parker *parker = arg;

    parker->waker = rt_waker_self();
    parker->has_waker = true;
    while (!parker->flag) {
        world_point(); /* the window in which a wake must not be lost */
        EXPLORE_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

static void note_state_of(const struct rt_task *task)
{
    if ((task->state & RTI_TASK_RUNNING) != 0) {
        explore_met(0);
    } else {
        explore_met((task->state & RTI_TASK_SCHEDULED) != 0 ? 1 : 2);
    }
}

static void set_flag(struct parker *parker)
{
    note_state_of(parker->waker.task);
    parker->flag = true;
    rt_wake(parker->waker);
}

static bool first_parks(void)
{
    return parkers[0].has_waker;
}

static bool second_parks(void)
{
    return parkers[1].has_waker;
}

static void set_first_flag(void)
{
    set_flag(&parkers[0]);
}

static void set_second_flag(void)
{
    set_flag(&parkers[1]);
}

static void wake_first(void)
{
    rt_wake(parkers[0].waker);
}

static void setup_parkers(void)
{
    memset(parkers, 0, sizeof(parkers));
    world_spawn(NULL, "first", park_for_flag, &parkers[0]);
    world_spawn(NULL, "second", park_for_flag, &parkers[1]);
}

static void a_wake_is_never_lost(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "wakes",
        .setup = setup_parkers,
        .events = { { "flag and wake of the first", set_first_flag, first_parks, 1 },
                    { "flag and wake of the second", set_second_flag, second_parks, 1 },
                    { "wake of the first", wake_first, first_parks, 2 } },
        .spurious = 1,
        .runs_max = 100000,
        .outcomes = { "woken while it runs", "woken in the queue", "woken while it waits" } }));
}

/* ---- generations ---- */

static int leave_waker(void *arg)
{
    (void)arg;
    parkers[0].waker = rt_waker_self();
    parkers[0].has_waker = true;
    return 0;
}

static void setup_old(void)
{
    memset(parkers, 0, sizeof(parkers));
    world_spawn(NULL, "old", leave_waker, NULL);
}

static int park_once(void *arg)
{
    (void)arg;
    parkers[1].waker = rt_waker_self();
    parkers[1].has_waker = true;
    EXPLORE_CHECK(parkers[1].waker.task == parkers[0].waker.task && "the slot is the same");
    world_point();
    EXPLORE_CHECK(rt_park(RT_NEVER) == 0);
    EXPLORE_CHECK(parkers[1].flag && "only its own wake wakes it");
    return 0;
}

static bool old_is_gone(void)
{
    return parkers[0].has_waker && world_executor.tasks.used == 0;
}

static void spawn_new(void)
{
    world_spawn(NULL, "new", park_once, NULL);
}

static void wake_old(void)
{
    explore_met(parkers[1].has_waker ? 1 : 0);
    rt_wake(parkers[0].waker);
}

static void set_new_flag(void)
{
    parkers[1].flag = true;
    rt_wake(parkers[1].waker);
}

static void a_waker_of_an_old_generation_wakes_nobody(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "generations",
        .setup = setup_old,
        .events = { { "spawn into the slot", spawn_new, old_is_gone, 1 },
                    { "wake by the old waker", wake_old, first_parks, 3 },
                    { "flag and wake of the new", set_new_flag, second_parks, 1 } },
        .runs_max = 10000,
        .outcomes = { "old waker, old task", "old waker, new task" } }));
}

/* ---- join ---- */

static struct rt_task *parent;
static struct rt_task *child;

static int end_some_time(void *arg)
{
    (void)arg;
    world_gate();
    world_point();
    came(HAPPENED);
    return 42;
}

static int join_child(void *arg)
{
    int result = 0;
    int expected = 1;
    int r;

    (void)arg;
    if (rt_is_finished(child)) {
        expected = 0;
    } else if (rt_cancelled()) {
        expected = -ECANCELED;
    }
    r = rt_join(child, &result, deadline);
    EXPLORE_CHECK(r == (expected != 1 ? expected : result_of(first_cause())));
    if (r == -ETIME) {
        r = rt_join(child, &result, RT_NEVER);
        EXPLORE_CHECK(r == 0 || (r == -ECANCELED && rt_cancelled()));
    }
    EXPLORE_CHECK(r < 0 || (result == 42 && has_come(HAPPENED)));
    if (r < 0) {
        EXPLORE_CHECK(child->awaiter == NULL); /* the handle is ours alone */
        rt_detach(child);
    }
    child = NULL;
    return 0;
}

static void setup_join(void)
{
    causes_begin();
    world_spawn(&child, "child", end_some_time, NULL);
    world_spawn(&parent, "parent", join_child, NULL);
    rt_detach(parent);
}

static bool parent_lives(void)
{
    return child != NULL;
}

static void cancel_parent(void)
{
    came(CANCELLED);
    rti_task_cancel(parent);
}

static void cancel_child(void)
{
    rti_task_cancel(child);
}

static void a_join_ends_by_what_came_first(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "join",
        .setup = setup_join,
        .check = look_at_the_clock,
        .events = { { "cancel of the parent", cancel_parent, parent_lives, 1 },
                    { "cancel of the child", cancel_child, parent_lives, 1 } },
        .timeouts = 1,
        .spurious = 1,
        .runs_max = 100000,
        .outcomes = { "joined", "cancelled", "timed out" } }));
}

/* ---- detach ---- */

static void detach_child(void)
{
    explore_met((child->state & RTI_TASK_COMPLETED) != 0 ? 1 : 0);
    rt_detach(child);
    child = NULL;
}

static bool child_is_held(void)
{
    return child != NULL;
}

static bool child_is_gone(void)
{
    return world_executor.tasks.used == 0;
}

static void setup_detach(void)
{
    causes_begin();
    world_spawn(&child, "child", end_some_time, NULL);
}

static void spawn_child(void)
{
    world_spawn(&child, "next", end_some_time, NULL);
}

static void a_slot_is_freed_when_the_task_and_its_handle_have_ended(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "detach",
        .setup = setup_detach,
        .events = { { "detach", detach_child, child_is_held, 2 },
                    { "cancel", cancel_child, child_is_held, 2 },
                    { "spawn into the slot", spawn_child, child_is_gone, 1 } },
        .runs_max = 10000,
        .outcomes = { "detached while it lives", "detached when it has ended" } }));
}

/* ---- sleep ---- */

static int sleep_until_deadline(void *arg)
{
    int r;

    (void)arg;
    r = rt_sleep_until(deadline);
    EXPLORE_CHECK(r == (first_cause() == TIMED_OUT ? 0 : -ECANCELED));
    EXPLORE_CHECK(r < 0 || rt_turn_time() >= deadline);
    parent = NULL;
    return 0;
}

static void setup_sleep(void)
{
    causes_begin();
    world_spawn(&parent, "sleeper", sleep_until_deadline, NULL);
    rt_detach(parent);
}

static bool is_there(void)
{
    return parent != NULL;
}

static void wake_for_nothing(void)
{
    rti_task_wake_by_waker(parent);
}

static void a_sleep_ends_at_its_deadline_or_by_cancel(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "sleep",
                                 .setup = setup_sleep,
                                 .check = look_at_the_clock,
                                 .events = { { "cancel", cancel_parent, is_there, 2 },
                                             { "wake by a waker", wake_for_nothing, is_there, 1 } },
                                 .timeouts = 1,
                                 .spurious = 2,
                                 .runs_max = 10000 }));
}

/* ---- operations ---- */

static int do_nop(void *arg)
{
    int r;

    (void)arg;
    world_gate(); /* cancel and deadline may come before the operation is begun */
    if (rt_cancelled()) {
        EXPLORE_CHECK(rt_nop(deadline) == -ECANCELED && world_executor.reactor.in_flight == 0);
        explore_met(3);
    } else {
        r = rt_nop(deadline);
        EXPLORE_CHECK(world_executor.reactor.in_flight == 0 && "the kernel has let go"); /* O1 */
        if (world_completion() == 0) {
            EXPLORE_CHECK(r == 0); /* O2, Q3 */
            explore_met(HAPPENED);
        } else {
            EXPLORE_CHECK(r == result_of(first_cause()));
        }
    }
    parent = NULL;
    return 0;
}

static void setup_nop(void)
{
    causes_begin();
    world_spawn(&parent, "worker", do_nop, NULL);
    rt_detach(parent);
}

static void an_operation_ends_by_its_own_completion(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "operation",
        .setup = setup_nop,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel_parent, is_there, 2 } },
        .timeouts = 3, /* the deadline, and when to ask the kernel again */
        .spurious = 1,
        .runs_max = 100000,
        .outcomes = { "completed", "cancelled", "timed out", "cancelled before" } }));
}

/* ---- groups ---- */

static struct rt_group group;
static unsigned members_ended;

static int end_by_itself(void *arg)
{
    (void)arg;
    world_gate();
    members_ended++;
    return 0;
}

static int end_by_cancel(void *arg)
{
    int r;

    (void)arg;
    do {
        r = rt_park(RT_NEVER); /* a wake for nothing ends it too */
    } while (r == 0);
    EXPLORE_CHECK(r == -ECANCELED && has_come(TIMED_OUT)); /* by leave, at its deadline */
    members_ended++;
    return r;
}

static int leave_group(void *arg)
{
    const struct rt_group none = RT_GROUP_INIT;
    int r;

    (void)arg;
    group = none;
    EXPLORE_CHECK(rt_group_spawn(&group, end_by_itself, NULL) == 0);
    EXPLORE_CHECK(rt_group_spawn(&group, end_by_cancel, NULL) == 0);
    r = rt_group_wait(&group, deadline);
    EXPLORE_CHECK(r == result_of(first_cause())); /* never empty by itself */
    EXPLORE_CHECK(rt_group_leave(&group, deadline) == 0);
    EXPLORE_CHECK(members_ended == 2 && rt_group_live(&group) == 0);
    parent = NULL;
    return 0;
}

static void setup_group(void)
{
    causes_begin();
    members_ended = 0;
    world_spawn(&parent, "owner", leave_group, NULL);
    rt_detach(parent);
}

static void a_group_is_left_when_its_last_task_has_ended(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "group",
                                 .setup = setup_group,
                                 .check = look_at_the_clock,
                                 .events = { { "cancel", cancel_parent, is_there, 1 } },
                                 .timeouts = 2,
                                 .spurious = 1,
                                 .runs_max = 100000 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_is_never_lost),
        cmocka_unit_test(a_waker_of_an_old_generation_wakes_nobody),
        cmocka_unit_test(a_join_ends_by_what_came_first),
        cmocka_unit_test(a_slot_is_freed_when_the_task_and_its_handle_have_ended),
        cmocka_unit_test(a_sleep_ends_at_its_deadline_or_by_cancel),
        cmocka_unit_test(an_operation_ends_by_its_own_completion),
        cmocka_unit_test(a_group_is_left_when_its_last_task_has_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
