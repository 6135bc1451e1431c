/* SPDX-License-Identifier: MIT */
/*
 * Semaphores: each promise of rt/semaphore.h, one at a time.
 *
 * Method: callers (sim/caller.h) take some units each and keep them; the first task
 * puts, closes, cancels or lets deadlines pass, and looks at who came back with what
 * and how many units are there. Random orders of these are in waits_test.
 */
#include "sim/caller.h"
#include "support/death.h"

#include "core/executor.h"
#include "core/waiters.h"

static int take1(void *semaphore, rt_time deadline)
{
    return rt_semaphore_take(semaphore, 1, deadline);
}

static int take2(void *semaphore, rt_time deadline)
{
    return rt_semaphore_take(semaphore, 2, deadline);
}

static int take5(void *semaphore, rt_time deadline)
{
    return rt_semaphore_take(semaphore, 5, deadline);
}

/* Whether so many units are there and no more, for nobody waits. */
static bool has_units(struct rt_semaphore *semaphore, uint32_t units)
{
    const bool has = units == 0 || rt_semaphore_take(semaphore, units, 0) == 0;
    const bool no_more = rt_semaphore_take(semaphore, 1, 0) == -ETIME;

    rt_semaphore_put(semaphore, units);
    return has && no_more;
}

static int take_alone(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(3);

    (void)arg;
    caller_watch_others();
    T_CHECK(rt_semaphore_take(&semaphore, 2, RT_NEVER) == 0);
    T_CHECK(rt_semaphore_take(&semaphore, 2, 0) == -ETIME);
    T_CHECK(has_units(&semaphore, 1));
    rt_semaphore_put(&semaphore, 2);
    rt_semaphore_put(&semaphore, 4); /* units that nobody has taken */
    T_CHECK(has_units(&semaphore, 7));
    T_CHECK(!caller_others_ran);
    return 0;
}

static void units_that_are_there_are_taken_and_put_without_a_suspension(void **state)
{
    (void)state;
    caller_run(take_alone);
}

static int large_before_small(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(4);
    struct caller large;
    struct caller small[2];

    (void)arg;
    caller_start(&large, take5, &semaphore, RT_NEVER);
    caller_start(&small[0], take1, &semaphore, RT_NEVER);
    caller_start(&small[1], take1, &semaphore, RT_NEVER);
    T_CHECK(rt_semaphore_take(&semaphore, 1, 0) == -ETIME); /* though 4 are there */
    T_CHECK(caller_waits(&small[0]));
    rt_semaphore_put(&semaphore, 2);
    T_CHECK(rt_semaphore_take(&semaphore, 1, 0) == -ETIME); /* 5 are one's and 1 is another's */
    T_CHECK(caller_end(&large) == 0 && large.place == 1);
    T_CHECK(caller_end(&small[0]) == 0 && small[0].place == 2);
    T_CHECK(caller_waits(&small[1]));
    rt_semaphore_put(&semaphore, 1);
    T_CHECK(caller_end(&small[1]) == 0 && has_units(&semaphore, 0));
    return 0;
}

static void a_large_request_is_served_before_small_ones_that_come_later(void **state)
{
    (void)state;
    caller_run(large_before_small);
}

static int first_gives_up(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(3);
    struct caller late;
    struct caller cancelled;
    struct caller behind[3];

    (void)arg;
    caller_start(&late, take5, &semaphore, deadline);
    caller_start(&behind[0], take2, &semaphore, RT_NEVER);
    caller_start(&cancelled, take5, &semaphore, RT_NEVER);
    caller_start(&behind[1], take1, &semaphore, RT_NEVER);
    caller_start(&behind[2], take1, &semaphore, RT_NEVER);
    T_CHECK(rt_sleep_until(deadline) == 0);
    T_CHECK(caller_end(&late) == -ETIME);
    T_CHECK(caller_end(&behind[0]) == 0);
    T_CHECK(caller_waits(&cancelled) && caller_waits(&behind[1]));
    rt_cancel(cancelled.task);
    T_CHECK(caller_end(&cancelled) == -ECANCELED);
    T_CHECK(caller_end(&behind[1]) == 0);
    T_CHECK(caller_waits(&behind[2])); /* that was the last one */
    rt_semaphore_put(&semaphore, 1);
    T_CHECK(caller_end(&behind[2]) == 0 && has_units(&semaphore, 0));
    return 0;
}

static void those_behind_the_first_go_on_as_far_as_they_fit_when_it_gives_up(void **state)
{
    (void)state;
    caller_run(first_gives_up);
}

static int end_after_the_put(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(0);
    struct caller callers[2];

    (void)arg;
    caller_start(&callers[0], take1, &semaphore, rt_in(RT_SECONDS(1)));
    caller_start(&callers[1], take1, &semaphore, RT_NEVER);
    rt_semaphore_put(&semaphore, 2);
    rti_waiter_expire(
        callers[0].task->waiter); /* as the loop does when it sees that time has come */
    rt_cancel(callers[1].task);
    rt_semaphore_close(&semaphore);
    T_CHECK(caller_end(&callers[0]) == 0);
    T_CHECK(caller_end(&callers[1]) == 0);
    return 0;
}

static void what_comes_after_the_put_takes_no_units_away(void **state)
{
    (void)state;
    caller_run(end_after_the_put);
}

static int close_with_waiters(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(1);
    struct caller callers[2];

    (void)arg;
    caller_start(&callers[0], take5, &semaphore, RT_NEVER);
    caller_start(&callers[1], take1, &semaphore, RT_NEVER);
    rt_semaphore_close(&semaphore);
    rt_semaphore_close(&semaphore);
    T_CHECK(caller_end(&callers[0]) == -EPIPE && callers[0].place == 1);
    T_CHECK(caller_end(&callers[1]) == -EPIPE);
    T_CHECK(rt_semaphore_take(&semaphore, 1, RT_NEVER) == -EPIPE);
    rt_semaphore_put(&semaphore, 5);
    T_CHECK(rt_semaphore_take(&semaphore, 1, 0) == -EPIPE);
    return 0;
}

static void a_close_ends_all_waits_and_leaves_no_units(void **state)
{
    (void)state;
    caller_run(close_with_waiters);
}

static int take_when_cancelled(void *semaphore, rt_time deadline)
{
    rt_cancel_self();
    T_CHECK(rt_semaphore_take(semaphore, 1, deadline) == 0);
    return rt_semaphore_take(semaphore, 1, deadline);
}

static int run_cancelled(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(1);
    struct caller caller;

    (void)arg;
    caller_start(&caller, take_when_cancelled, &semaphore, RT_NEVER);
    T_CHECK(caller_end(&caller) == -ECANCELED);
    return 0;
}

static void a_cancelled_task_takes_only_what_it_need_not_wait_for(void **state)
{
    (void)state;
    caller_run(run_cancelled);
}

/* Misuse */

static int take_nothing(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(1);

    (void)arg;
    return rt_semaphore_take(&semaphore, 0, RT_NEVER);
}

static void a_take_of_no_units_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(take_nothing, "rt_semaphore_take(): 0 units");
}

static int put_too_many(void *arg)
{
    struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(UINT32_MAX);

    (void)arg;
    rt_semaphore_put(&semaphore, 1);
    return 0;
}

static void more_units_than_can_be_counted_abort(void **state)
{
    (void)state;
    assert_misuse_in_task(put_too_many, "rt_semaphore_put(): the semaphore has more than");
}

static int put_for_another_shard(void *arg)
{
    static struct rti_executor other;
    static struct rt_task task = { .executor = &other };
    static struct rti_queued queued = { .waiter = { .task = &task } };
    struct rt_semaphore semaphore = { .waiters = { &queued, &queued } };

    (void)arg;
    rt_semaphore_put(&semaphore, 1);
    return 0;
}

static void a_put_for_a_task_of_another_shard_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(put_for_another_shard, "rt_semaphore_put(): the object belongs to");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_that_are_there_are_taken_and_put_without_a_suspension),
        cmocka_unit_test(a_large_request_is_served_before_small_ones_that_come_later),
        cmocka_unit_test(those_behind_the_first_go_on_as_far_as_they_fit_when_it_gives_up),
        cmocka_unit_test(what_comes_after_the_put_takes_no_units_away),
        cmocka_unit_test(a_close_ends_all_waits_and_leaves_no_units),
        cmocka_unit_test(a_cancelled_task_takes_only_what_it_need_not_wait_for),
        cmocka_unit_test(a_take_of_no_units_aborts),
        cmocka_unit_test(more_units_than_can_be_counted_abort),
        cmocka_unit_test(a_put_for_a_task_of_another_shard_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
