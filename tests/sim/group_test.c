/* SPDX-License-Identifier: MIT */
/*
 * Groups, and what tasks leave behind when they end.
 *
 * The list of a group is taken apart in every order, and after each step its
 * tasks are cancelled: only those that are in it may feel that. The rest is on
 * handles, stacks and wakes that must not stay when their task or wait is gone.
 */
#include "support/death.h"
#include "support/first.h"

#include <errno.h>

#include "core/executor.h"
#include "rt/rt.h"

/* The list: four members end in some order, some of them before the cancel */

#define MEMBERS 4
#define ORDERS  24 /* 4! */

struct member {
    struct rt_waker waker;
    bool may_end;
    bool cancelled;
};

static struct member members[MEMBERS];
static struct member outsiders[MEMBERS]; /* in the slots of members that have ended */

static int wait_for_the_end(void *arg)
{
    struct member *self = arg;

    self->waker = rt_waker_self();
    while (!self->may_end && !self->cancelled) {
        self->cancelled = rt_park(RT_NEVER) == -ECANCELED;
    }
    return 0;
}

static void end_member(struct member *member)
{
    member->may_end = true;
    rt_wake(member->waker);
}

/* Order number `order` of 0..3, the factorial digits of the number saying which is next. */
static void make_order(unsigned order, unsigned out[MEMBERS])
{
    unsigned left[MEMBERS] = { 0, 1, 2, 3 };

    for (unsigned i = 0; i < MEMBERS; i++) {
        const unsigned choices = MEMBERS - i;
        const unsigned choice = order % choices;

        order /= choices;
        out[i] = left[choice];
        for (unsigned j = choice; j + 1 < choices; j++) {
            left[j] = left[j + 1];
        }
    }
}

static void end_some_then_cancel(const unsigned order[MEMBERS], unsigned ended)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_group others = RT_GROUP_INIT;

    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = outsiders[i] = (struct member){ .may_end = false };
        T_CHECK(rt_group_spawn(&group, wait_for_the_end, &members[i]) == 0);
    }
    rt_yield();
    for (unsigned i = 0; i < ended; i++) {
        end_member(&members[order[i]]);
        rt_yield();
        T_CHECK(rt_group_live(&group) == MEMBERS - i - 1);
    }
    for (unsigned i = 0; i < ended; i++) {
        T_CHECK(rt_group_spawn(&others, wait_for_the_end, &outsiders[i]) == 0);
    }
    rt_yield();
    rt_group_cancel(&group);
    rt_yield();
    T_CHECK(rt_group_live(&group) == 0 && rt_group_live(&others) == ended);
    for (unsigned i = 0; i < MEMBERS; i++) {
        T_CHECK(members[order[i]].cancelled == (i >= ended));
        T_CHECK(!outsiders[i].cancelled);
    }
    for (unsigned i = 0; i < ended; i++) {
        end_member(&outsiders[i]);
    }
    T_CHECK(rt_group_leave(&others, RT_NEVER) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
}

static int end_in_every_order(void *arg)
{
    unsigned order[MEMBERS];

    (void)arg;
    for (unsigned i = 0; i < ORDERS; i++) {
        make_order(i, order);
        for (unsigned ended = 0; ended <= MEMBERS; ended++) {
            end_some_then_cancel(order, ended);
        }
    }
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_group_cancels_its_members_in_whatever_order_others_have_ended(void **state)
{
    (void)state;
    run_first(end_in_every_order);
}

/* The result of leaving */

static int return_number(void *arg)
{
    return *(const int *)arg;
}

static int sleep_until_cancelled(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static int fail_when_cancelled(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER) == -ECANCELED ? -EIO : 0;
}

static int leave_with_results(void *arg)
{
    static int results[] = { 3, -ECANCELED, -EXDEV };
    struct rt_group failing = RT_GROUP_INIT;
    struct rt_group cancelled = RT_GROUP_INIT;

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        T_CHECK(rt_group_spawn(&failing, return_number, &results[i]) == 0);
        rt_yield();
    }
    T_CHECK(rt_group_leave(&failing, RT_NEVER) == -ECANCELED); /* nobody had cancelled it */
    T_CHECK(rt_group_spawn(&cancelled, sleep_until_cancelled, NULL) == 0);
    T_CHECK(rt_group_spawn(&cancelled, fail_when_cancelled, NULL) == 0);
    T_CHECK(rt_group_leave(&cancelled, 0) == -EIO && rt_group_failures(&cancelled) == 1);
    return 0;
}

static void a_member_that_gives_way_to_a_cancel_has_not_failed(void **state)
{
    (void)state;
    run_first(leave_with_results);
}

static int spawn_too_late(void *arg)
{
    static int zero;
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    T_CHECK(rt_group_leave(&group, 0) == 0);
    T_CHECK(rt_group_spawn(&group, return_number, &zero) == -ESHUTDOWN);
    return 0;
}

static void a_group_that_was_left_takes_nobody(void **state)
{
    (void)state;
    run_first(spawn_too_late);
}

static int wait_for_group(void *arg)
{
    return rt_group_wait(arg, RT_NEVER);
}

static int wait_side_by_side(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    if (rt_group_spawn(&group, sleep_until_cancelled, NULL) == 0 &&
        rt_spawn(NULL, wait_for_group, &group) == 0) {
        rt_yield();
        (void)rt_group_leave(&group, 0);
    }
    return 0;
}

static void a_second_task_that_waits_for_a_group_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(wait_side_by_side, "a group is being waited for by two tasks");
}

/* Handles and stacks */

static int detach_before_and_after(void *arg)
{
    static int number = 5;
    struct rt_task *early;
    struct rt_task *late;

    (void)arg;
    T_CHECK(rt_spawn(&early, return_number, &number) == 0);
    T_CHECK(rt_spawn(&late, return_number, &number) == 0);
    rt_detach(early);
    T_CHECK(tasks_live() == 3);
    rt_yield();
    T_CHECK(rt_is_finished(late));
    T_CHECK(tasks_live() == 2); /* the detached one is gone, the other has its handle */
    rt_detach(late);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_detach_of_a_task_that_has_ended_frees_it(void **state)
{
    (void)state;
    run_first(detach_before_and_after);
}

#define BURST      3000
#define STACKS_MAX 1024

static int burst_then_sleep(void *arg)
{
    static int zero;
    struct rt_group group = RT_GROUP_INIT;
    struct rti_stack_stats stats;

    (void)arg;
    for (unsigned i = 0; i < BURST; i++) {
        T_CHECK(rt_group_spawn(&group, return_number, &zero) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(1))) == 0);
    rti_stack_get_stats(rti_current->stacks, &stats);
    T_CHECK(stats.in_use == 1);
    T_CHECK(stats.cached <= STACKS_MAX && stats.cached > 0);
    T_CHECK(stats.trimmed >= BURST - STACKS_MAX - 1);
    return 0;
}

static void an_idle_executor_gives_back_the_memory_of_most_stacks(void **state)
{
    (void)state;
    run_first(burst_then_sleep);
}

/* Waits that end at once */

static int sleep_then_park(void *arg)
{
    const rt_time start = rt_now();

    (void)arg;
    T_CHECK(rt_sleep_until(0) == 0);
    T_CHECK(rt_park(start + RT_MILLISECONDS(1)) == -ETIME); /* nobody has woken this task */
    T_CHECK(rt_now() >= start + RT_MILLISECONDS(1));
    T_CHECK(rt_park(0) == -ETIME);
    T_CHECK(rt_park(start + RT_MILLISECONDS(2)) == -ETIME);
    T_CHECK(rt_now() >= start + RT_MILLISECONDS(2));
    return 0;
}

static void a_sleep_that_ends_at_once_leaves_no_wake_behind(void **state)
{
    (void)state;
    run_first(sleep_then_park);
}

#define WAITS_MAX 100000 /* some 6000 are enough, see `quota` below */

static int set_flag(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

typedef int (*wait_fn)(struct rt_task *task);

static int sleep_not_at_all(struct rt_task *task)
{
    (void)task;
    return rt_sleep_until(rt_turn_time());
}

static int try_to_join(struct rt_task *task)
{
    return rt_join(task, NULL, 0) == -ETIME ? 0 : -1;
}

static int wait_when_cancelled(struct rt_task *task)
{
    (void)task;
    rt_cancel_self();
    return rt_park(RT_NEVER) == -ECANCELED ? 0 : -1;
}

static int wait_again_and_again(void *arg)
{
    const wait_fn wait = *(const wait_fn *)arg;
    struct rt_task *sleeper;
    bool flag = false;

    T_CHECK(rt_spawn(&sleeper, sleep_until_cancelled, NULL) == 0);
    T_CHECK(rt_spawn(NULL, set_flag, &flag) == 0);
    for (unsigned i = 0; i < WAITS_MAX && !flag; i++) {
        if (wait(sleeper) != 0) {
            return -EXDEV;
        }
    }
    T_CHECK(flag);
    rt_cancel(sleeper);
    rt_detach(sleeper);
    return 0;
}

/* The clock moves by 50 ns at each look on average, and a task looks once in 16 waits. */
static void waits_that_end_at_once_let_others_run_when_the_quota_is_used(void **state)
{
    static wait_fn waits[] = { sleep_not_at_all, try_to_join, wait_when_cancelled };
    struct rt_config config = RT_CONFIG_INIT;
    const struct sim_config sim = { .seed = 1, .step_max = 100 };

    (void)state;
    config.task_quota = RT_MICROSECONDS(20);
    for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_int_equal(run_sim(&sim, &config, wait_again_and_again, &waits[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_cancels_its_members_in_whatever_order_others_have_ended),
        cmocka_unit_test(a_member_that_gives_way_to_a_cancel_has_not_failed),
        cmocka_unit_test(a_group_that_was_left_takes_nobody),
        cmocka_unit_test(a_second_task_that_waits_for_a_group_aborts),
        cmocka_unit_test(a_detach_of_a_task_that_has_ended_frees_it),
        cmocka_unit_test(an_idle_executor_gives_back_the_memory_of_most_stacks),
        cmocka_unit_test(a_sleep_that_ends_at_once_leaves_no_wake_behind),
        cmocka_unit_test(waits_that_end_at_once_let_others_run_when_the_quota_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
