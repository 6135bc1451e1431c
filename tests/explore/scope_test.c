/* SPDX-License-Identifier: MIT */
/*
 * Cancel scopes and shields in every order.
 *
 * A task joins a child inside of a scope, and then again outside, where only a
 * cancel of the task may end that. Each wait must end with the reason that came
 * first, and in the step in which it came.
 */
#include "support/harness.h"

#include <errno.h>

#include "explore/causes.h"
#include "explore/world.h"

#define BY_SCOPE OTHER_HAPPENED /* the scope was cancelled */

static struct rt_task *task;
static struct rt_task *child;
static struct rt_scope scope;
static bool is_inside;  /* the scope is entered */
static bool is_joining; /* in it */
static bool is_shield;
static unsigned shielded_until; /* moment from which a cancel reaches into the shield; 0: none */

static int end_some_time(void *arg)
{
    (void)arg;
    world_gate();
    came(HAPPENED);
    return 42;
}

static void cancel(void)
{
    came(CANCELLED);
    rti_task_cancel(task);
}

static bool is_there(void)
{
    return task != NULL;
}

/* A scope is cancelled by a task. */
static int cancel_scope(void *arg)
{
    (void)arg;
    world_gate();
    if (is_inside) {
        came(BY_SCOPE);
        rt_scope_cancel(&scope);
    }
    return 0;
}

/* Whether the wait inside has to end. */
static bool must_end(void)
{
    if (is_shield) {
        return has_come(HAPPENED) || (has_come(CANCELLED) && has_come(TIMED_OUT));
    }
    return has_come(HAPPENED) || has_come(CANCELLED) || has_come(TIMED_OUT) || has_come(BY_SCOPE);
}

static void check(void)
{
    look_at_the_clock();
    if (shielded_until == 0 && has_come(CANCELLED) && has_come(TIMED_OUT)) {
        shielded_until = ++moment;
    }
    if (is_joining && task->waiter != NULL) {
        EXPLORE_CHECK(task->waiter->done == must_end());
    }
}

/* Outside, and the child may have been joined inside. */
static void end_outside(int joined)
{
    int r = joined;

    is_inside = false;
    if (joined < 0) {
        r = rt_join(child, NULL, RT_NEVER);
        EXPLORE_CHECK(r == 0 || has_come(CANCELLED));
    }
    if (r < 0) {
        EXPLORE_CHECK(r == -ECANCELED);
        rt_detach(child);
    }
    task = NULL;
}

/* What ends a wait that begins now; of what has come before it, a cancel goes first. */
static bool has_ended_before(enum cause *cause)
{
    static const enum cause order[] = { HAPPENED, BY_SCOPE, CANCELLED, TIMED_OUT };

    for (unsigned i = 0; i < CAUSES; i++) {
        if (has_come(order[i])) {
            *cause = order[i];
            return true;
        }
    }
    return false;
}

static int join_in_scope(void *arg)
{
    static const int joined[CAUSES] = {
        [CANCELLED] = -ECANCELED, [TIMED_OUT] = -ETIME, [BY_SCOPE] = -ECANCELED
    };
    static const int left[CAUSES] = { [TIMED_OUT] = -ETIME, [BY_SCOPE] = -ECANCELED };
    enum cause cause = HAPPENED;
    bool is_before;
    int r;

    (void)arg;
    is_inside = true;
    rt_scope_enter(&scope, deadline);
    world_gate();
    is_before = has_ended_before(&cause);
    is_joining = true;
    r = rt_join(child, NULL, RT_NEVER);
    is_joining = false;
    if (!is_before) {
        cause = first_cause();
    }
    EXPLORE_CHECK(r == joined[cause]);
    EXPLORE_CHECK(rt_scope_leave(&scope) == left[cause]);
    end_outside(r);
    return 0;
}

static void begin(bool shield)
{
    causes_begin();
    shielded_until = 0;
    is_inside = false;
    is_joining = false;
    is_shield = shield;
    world_spawn(&child, "child", end_some_time, NULL);
}

static void setup_scope(void)
{
    begin(false);
    world_spawn(&task, "task", join_in_scope, NULL);
    rt_detach(task);
    world_spawn(NULL, "canceller", cancel_scope, NULL);
}

static void a_scope_ends_the_waits_inside_and_no_others(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "scope",
        .setup = setup_scope,
        .check = check,
        .events = { { "cancel of the task", cancel, is_there, 1 } },
        .settled = true,
        .timeouts = 1,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "joined", "cancelled", "timed out", "scope cancelled" } }));
}

static int join_in_shield(void *arg)
{
    int r;

    (void)arg;
    rt_shield(&scope, deadline);
    is_joining = true;
    r = rt_join(child, NULL, RT_NEVER);
    is_joining = false;
    if (shielded_until == 0 || (has_come(HAPPENED) && cause_moments[HAPPENED] < shielded_until)) {
        EXPLORE_CHECK(r == 0);
        explore_met(has_come(CANCELLED) ? 1 : 0);
    } else {
        EXPLORE_CHECK(r == -ECANCELED);
        explore_met(2);
    }
    EXPLORE_CHECK(rt_scope_leave(&scope) == 0);
    end_outside(r);
    return 0;
}

static void setup_shield(void)
{
    begin(true);
    world_spawn(&task, "task", join_in_shield, NULL);
    rt_detach(task);
}

static void a_shield_holds_a_cancel_off_until_its_deadline(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "shield",
        .setup = setup_shield,
        .check = check,
        .events = { { "cancel of the task", cancel, is_there, 1 } },
        .settled = true,
        .timeouts = 1,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "joined", "joined though cancelled", "cancelled after the shield" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_ends_the_waits_inside_and_no_others),
        cmocka_unit_test(a_shield_holds_a_cancel_off_until_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
