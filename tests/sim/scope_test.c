/* SPDX-License-Identifier: MIT */
/*
 * Cancel scopes: each promise of rt/scope.h; scope_shield_test.c has those about shields.
 *
 * A task waits for what never comes, inside of scopes; the virtual clock says at which
 * nanosecond it was let go, and by whom. Nothing here lasts but by these deadlines.
 */
#include "scope_fixture.h"

#include "base/assert.h" /* RTI_DEBUG */
#include "support/death.h"

static int deadline_first(void *arg)
{
    struct never never;
    struct rt_scope scope;

    (void)arg;
    never_begin(&never);
    for (int way = 0; way < NEVER_WAYS; way++) {
        const rt_time deadline = rt_in(MS(10));

        rt_scope_enter(&scope, deadline);
        T_CHECK(wait_never(&never, (enum never_way)way) == -ETIME);
        check_time(deadline);
        T_CHECK(wait_never(&never, (enum never_way)way) == -ETIME); /* later ones at once */
        check_time(deadline);
        T_CHECK(!rt_cancelled());
        T_CHECK(rt_scope_leave(&scope) == -ETIME);
    }
    never_end(&never);
    return 0;
}

static void each_kind_of_wait_ends_at_the_deadline_of_its_scope(void **state)
{
    (void)state;
    run_first(deadline_first);
}

/* A scope that another task cancels */

struct watched {
    struct never never;
    struct rt_scope scope;
    enum never_way way;
    int first;
    int second;
    int left;
    int outside;
    bool cancelled_inside;
    bool cancelled_outside;
};

static int wait_in_scope(void *arg)
{
    struct watched *self = arg;

    rt_scope_enter(&self->scope, RT_NEVER);
    self->first = wait_never(&self->never, self->way);
    self->second = wait_never(&self->never, self->way);
    self->cancelled_inside = rt_cancelled();
    self->left = rt_scope_leave(&self->scope);
    self->cancelled_outside = rt_cancelled();
    self->outside = rt_sleep_until(rt_in(MS(1)));
    return 0;
}

static int cancel_first(void *arg)
{
    struct watched self;

    (void)arg;
    never_begin(&self.never);
    for (int way = 0; way < NEVER_WAYS; way++) {
        struct rt_task *task;
        const rt_time begin = rt_now();

        self.way = (enum never_way)way;
        task = spawn(wait_in_scope, &self);
        pause_for(MS(5));
        rt_scope_cancel(&self.scope);
        rt_scope_cancel(&self.scope);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
        check_time(begin + MS(6));
        T_CHECK(self.first == -ECANCELED && self.second == -ECANCELED);
        T_CHECK(self.left == -ECANCELED && self.cancelled_inside);
        T_CHECK(self.outside == 0 && !self.cancelled_outside); /* the task lives on */
    }
    never_end(&self.never);
    return 0;
}

static void a_cancelled_scope_ends_its_waits_and_leaves_the_task_alive(void **state)
{
    (void)state;
    run_first(cancel_first);
}

static int own_cancel_first(void *arg)
{
    struct rt_scope scope;

    (void)arg;
    rt_scope_enter(&scope, RT_NEVER);
    rt_scope_cancel(&scope); /* by the task itself */
    T_CHECK(rt_cancelled());
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == -ECANCELED);
    T_CHECK(rt_scope_leave(&scope) == -ECANCELED);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    return 0;
}

static void a_task_may_cancel_its_own_scope(void **state)
{
    (void)state;
    run_first(own_cancel_first);
}

/* Nesting */

static int nest_first(void *arg)
{
    static const struct {
        rt_time outer, inner, own;
        int result, inner_left, outer_left;
    } cases[] = {
        { MS(10), MS(20), MS(30), -ETIME, 0, -ETIME },
        { MS(20), MS(10), MS(30), -ETIME, -ETIME, 0 },
        { MS(20), MS(30), MS(10), -ETIME, 0, 0 }, /* the call's own: the block is not late */
        { MS(10), MS(10), MS(30), -ETIME, -ETIME, 0 },
    };
    struct rt_task *task = spawn(sleep_for_ever, NULL);

    (void)arg;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const rt_time begin = rt_now();
        struct rt_scope outer;
        struct rt_scope inner;

        rt_scope_enter(&outer, begin + cases[i].outer);
        rt_scope_enter(&inner, begin + cases[i].inner);
        T_CHECK(rt_join(task, NULL, begin + cases[i].own) == cases[i].result);
        check_time(begin + MS(10));
        T_CHECK(rt_scope_leave(&inner) == cases[i].inner_left);
        T_CHECK(rt_scope_leave(&outer) == cases[i].outer_left);
    }
    rt_cancel(task);
    return rt_join(task, NULL, RT_NEVER);
}

static void of_nested_deadlines_the_earliest_ends_a_wait(void **state)
{
    (void)state;
    run_first(nest_first);
}

/* The inner scope is over, and its task goes on in the outer one. */
static int after_inner_first(void *arg)
{
    const rt_time begin = rt_now();
    struct rt_scope outer;
    struct rt_scope inner;

    (void)arg;
    rt_scope_enter(&outer, begin + MS(20));
    rt_scope_enter(&inner, begin + MS(10));
    T_CHECK(rt_sleep_until(begin + MS(15)) == -ETIME);
    T_CHECK(rt_scope_leave(&inner) == -ETIME);
    T_CHECK(rt_sleep_until(begin + MS(15)) == 0);
    check_time(begin + MS(15));
    T_CHECK(rt_sleep_until(RT_NEVER) == -ETIME);
    check_time(begin + MS(20));
    T_CHECK(rt_scope_leave(&outer) == -ETIME);
    T_CHECK(rt_sleep_until(begin + MS(30)) == 0);
    return 0;
}

static void leaving_a_scope_ends_its_hold(void **state)
{
    (void)state;
    run_first(after_inner_first);
}

/* The first reason counts, both for the wait and for the scope. */
static int reasons_first(void *arg)
{
    struct rt_scope scope;

    (void)arg;
    rt_scope_enter(&scope, rt_in(MS(10)));
    T_CHECK(rt_sleep_until(RT_NEVER) == -ETIME);
    rt_scope_cancel(&scope);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    return 0;
}

static void a_scope_says_what_ended_a_wait_first(void **state)
{
    (void)state;
    run_first(reasons_first);
}

/* What needs no wait is done, in a scope that is over as well. */
static int no_wait_first(void *arg)
{
    struct rt_chan *chan;
    struct rt_scope scope;
    uint64_t item = 3;

    (void)arg;
    T_CHECK(rt_chan_create(&chan, sizeof(item), 1) == 0);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        const rt_time begin = rt_now();

        rt_scope_enter(&scope, cancelled ? RT_NEVER : 0);
        if (cancelled) {
            rt_scope_cancel(&scope);
        }
        T_CHECK(rt_chan_send(chan, &item, RT_NEVER) == 0);
        T_CHECK(rt_chan_recv(chan, &item, RT_NEVER) == 0);
        T_CHECK(rt_scope_leave(&scope) == 0); /* no wait was ended */
        check_time(begin);
    }
    rt_chan_destroy(chan);
    return 0;
}

static void a_call_that_needs_no_wait_works_in_a_scope_that_is_over(void **state)
{
    (void)state;
    run_first(no_wait_first);
}

/* A cancel of the task is not the scope's. */

static int end_by_task_cancel(void *arg)
{
    struct rt_scope scope;
    int r;

    (void)arg;
    rt_scope_enter(&scope, rt_in(MS(50)));
    r = rt_sleep_until(RT_NEVER);
    T_CHECK(rt_cancelled());
    T_CHECK(rt_scope_leave(&scope) == 0);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    return r;
}

static int task_cancel_first(void *arg)
{
    struct rt_task *task = spawn(end_by_task_cancel, NULL);
    int result = 0;

    (void)arg;
    pause_for(MS(5));
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ECANCELED);
    return 0;
}

static void a_cancel_of_the_task_goes_through_scopes(void **state)
{
    (void)state;
    run_first(task_cancel_first);
}

/* Waits that give something back */

static int outlive_its_cancel(void *arg)
{
    struct rt_scope shield;

    (void)arg;
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    rt_shield(&shield, RT_NEVER);
    pause_for(MS(20));
    T_CHECK(rt_scope_leave(&shield) == 0);
    return 0;
}

static int leave_first(void *arg)
{
    const rt_time begin = rt_now();
    struct rt_group group = RT_GROUP_INIT;
    struct rt_scope scope;

    (void)arg;
    T_CHECK(rt_group_spawn(&group, outlive_its_cancel, NULL) == 0);
    rt_scope_enter(&scope, begin + MS(5));
    T_CHECK(rt_group_leave(&group, begin + MS(10)) == 0); /* drains as long as it says */
    check_time(begin + MS(30));
    T_CHECK(rt_group_live(&group) == 0);
    T_CHECK(rt_scope_leave(&scope) == 0);
    return 0;
}

static void leaving_a_group_is_not_touched_by_scopes(void **state)
{
    (void)state;
    run_first(leave_first);
}

/* As the guide has it for a block whose children are to end with it. */
static int block_first(void *arg)
{
    const rt_time begin = rt_now();
    struct rt_group group = RT_GROUP_INIT;
    struct rt_scope scope;

    (void)arg;
    T_CHECK(rt_group_spawn(&group, sleep_for_ever, NULL) == 0);
    rt_scope_enter(&scope, begin + MS(5));
    T_CHECK(rt_group_wait(&group, RT_NEVER) == -ETIME);
    T_CHECK(rt_group_leave(&group, 0) == 0);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    check_time(begin + MS(5));
    return 0;
}

static void a_block_that_is_late_ends_its_children_by_their_group(void **state)
{
    (void)state;
    run_first(block_first);
}

static int child_of_scope(void *arg)
{
    *(int *)arg = rt_sleep_until(rt_in(MS(10)));
    return 0;
}

static int inherit_first(void *arg)
{
    struct rt_scope scope;
    struct rt_task *task;
    int slept = 99;

    (void)arg;
    rt_scope_enter(&scope, rt_in(MS(5)));
    task = spawn(child_of_scope, &slept);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0 && slept == 0);
    return 0;
}

static void a_child_does_not_inherit_a_scope(void **state)
{
    (void)state;
    run_first(inherit_first);
}

/* Misuse */

static int wrong_order_misuse(void *arg)
{
    struct rt_scope outer;
    struct rt_scope inner;

    (void)arg;
    rt_scope_enter(&outer, RT_NEVER);
    rt_scope_enter(&inner, RT_NEVER);
    return rt_scope_leave(&outer);
}

static struct rt_scope static_scope;

static int left_twice_misuse(void *arg)
{
    (void)arg;
    rt_scope_enter(&static_scope, RT_NEVER);
    T_CHECK(rt_scope_leave(&static_scope) == 0);
    return rt_scope_leave(&static_scope);
}

static int leave_it(void *arg)
{
    (void)arg;
    return rt_scope_leave(&static_scope);
}

static int of_another_misuse(void *arg)
{
    (void)arg;
    rt_scope_enter(&static_scope, RT_NEVER);
    return rt_join(spawn(leave_it, NULL), NULL, RT_NEVER);
}

static int cancel_after_misuse(void *arg)
{
    (void)arg;
    rt_scope_enter(&static_scope, RT_NEVER);
    T_CHECK(rt_scope_leave(&static_scope) == 0);
    rt_scope_cancel(&static_scope);
    return 0;
}

static int cancel_shield_misuse(void *arg)
{
    (void)arg;
    rt_shield(&static_scope, RT_NEVER);
    rt_scope_cancel(&static_scope);
    return 0;
}

static int return_within_misuse(void *arg)
{
    (void)arg;
    rt_self_set_name("one that forgets");
    rt_scope_enter(&static_scope, RT_NEVER);
    return 0;
}

static int length_of_time_misuse(void *arg)
{
    (void)arg;
    rt_scope_enter(&static_scope, MS(10));
    (void)rt_sleep_until(RT_NEVER);
    return rt_scope_leave(&static_scope);
}

static void misuse_aborts_and_names_the_call(void **state)
{
    (void)state;
    assert_misuse_in_task(wrong_order_misuse, "rt_scope_leave(): not the innermost scope");
    assert_misuse_in_task(left_twice_misuse, "rt_scope_leave(): not the innermost scope");
    assert_misuse_in_task(of_another_misuse, "rt_scope_leave(): not the innermost scope");
    assert_misuse_in_task(cancel_after_misuse, "rt_scope_cancel(): the scope was left");
    assert_misuse_in_task(cancel_shield_misuse, "rt_scope_cancel(): a shield is no scope");
    assert_misuse_in_task(return_within_misuse,
                          "'one that forgets' returns from within a scope that it has not left");
    if (RTI_DEBUG) {
        assert_misuse_in_task(length_of_time_misuse, "it is a length of time");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_wait_ends_at_the_deadline_of_its_scope),
        cmocka_unit_test(a_cancelled_scope_ends_its_waits_and_leaves_the_task_alive),
        cmocka_unit_test(a_task_may_cancel_its_own_scope),
        cmocka_unit_test(of_nested_deadlines_the_earliest_ends_a_wait),
        cmocka_unit_test(leaving_a_scope_ends_its_hold),
        cmocka_unit_test(a_scope_says_what_ended_a_wait_first),
        cmocka_unit_test(a_call_that_needs_no_wait_works_in_a_scope_that_is_over),
        cmocka_unit_test(a_cancel_of_the_task_goes_through_scopes),
        cmocka_unit_test(leaving_a_group_is_not_touched_by_scopes),
        cmocka_unit_test(a_block_that_is_late_ends_its_children_by_their_group),
        cmocka_unit_test(a_child_does_not_inherit_a_scope),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
