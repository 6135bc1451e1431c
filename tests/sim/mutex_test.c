/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: each promise of rt/mutex.h, one at a time.
 *
 * Method: the first task holds the mutex and lets callers (sim/caller.h) come to
 * wait for it; then it unlocks, cancels or lets a deadline pass, and looks at who
 * came back with what. Random orders of these are in waits_test.
 */
#include "sim/caller.h"
#include "support/death.h"

#include "core/executor.h"

static int lock(void *mutex, rt_time deadline)
{
    return rt_mutex_lock(mutex, deadline);
}

/* Lock, let others run, unlock. */
static int use(void *mutex, rt_time deadline)
{
    const int r = rt_mutex_lock(mutex, deadline);

    if (r == 0) {
        rt_yield();
        rt_mutex_unlock(mutex);
    }
    return r;
}

static int lock_alone(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;

    (void)arg;
    caller_watch_others();
    for (unsigned i = 0; i < 3; i++) {
        T_CHECK(rt_mutex_lock(&mutex, i == 0 ? 0 : RT_NEVER) == 0);
        rt_mutex_unlock(&mutex);
    }
    T_CHECK(!caller_others_ran);
    return 0;
}

static void a_free_mutex_is_locked_and_unlocked_without_a_suspension(void **state)
{
    (void)state;
    caller_run(lock_alone);
}

static int serve_in_order(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller callers[4];

    (void)arg;
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    for (unsigned i = 0; i < 4; i++) {
        caller_start(&callers[i], use, &mutex, RT_NEVER);
    }
    rt_mutex_unlock(&mutex);
    T_CHECK(rt_mutex_lock(&mutex, 0) == -ETIME); /* it is the first caller's, who has not run yet */
    T_CHECK(caller_waits(&callers[0]));
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0); /* behind all of them */
    rt_mutex_unlock(&mutex);
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(caller_end(&callers[i]) == 0);
        T_CHECK(callers[i].place == i + 1);
    }
    return 0;
}

static void tasks_get_it_in_order_and_nobody_slips_in(void **state)
{
    (void)state;
    caller_run(serve_in_order);
}

static int cancel_before_and_after(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller before;
    struct caller after;

    (void)arg;
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    caller_start(&before, use, &mutex, RT_NEVER);
    caller_start(&after, use, &mutex, RT_NEVER);
    rt_cancel(before.task);
    rt_mutex_unlock(&mutex);
    rt_cancel(after.task);
    T_CHECK(caller_end(&before) == -ECANCELED);
    T_CHECK(caller_end(&after) == 0);
    T_CHECK(rt_mutex_lock(&mutex, 0) == 0);
    rt_mutex_unlock(&mutex);
    return 0;
}

static void a_cancel_ends_a_wait_but_takes_no_lock_away(void **state)
{
    (void)state;
    caller_run(cancel_before_and_after);
}

static int let_deadline_pass(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller callers[3];

    (void)arg;
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    caller_start(&callers[0], use, &mutex, RT_NEVER);
    caller_start(&callers[1], use, &mutex, deadline);
    caller_start(&callers[2], use, &mutex, RT_NEVER);
    T_CHECK(rt_sleep_until(deadline) == 0);
    T_CHECK(caller_end(&callers[1]) == -ETIME);
    T_CHECK(caller_waits(&callers[0]) && caller_waits(&callers[2]));
    rt_mutex_unlock(&mutex);
    T_CHECK(caller_end(&callers[0]) == 0 && callers[0].place == 2);
    T_CHECK(caller_end(&callers[2]) == 0 && callers[2].place == 3);
    return 0;
}

static void a_deadline_takes_one_out_of_the_middle_of_the_line(void **state)
{
    (void)state;
    caller_run(let_deadline_pass);
}

static int deadline_after_unlock(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller caller;

    (void)arg;
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    caller_start(&caller, use, &mutex, rt_in(RT_SECONDS(1)));
    rt_mutex_unlock(&mutex);
    rti_waiter_expire(caller.task->waiter); /* as the loop does when it sees that time has come */
    T_CHECK(caller_end(&caller) == 0);
    return 0;
}

static void a_deadline_after_the_unlock_takes_no_lock_away(void **state)
{
    (void)state;
    caller_run(deadline_after_unlock);
}

static int lock_when_cancelled(void *mutex, rt_time deadline)
{
    struct rt_mutex free_one = RT_MUTEX_INIT;

    rt_cancel_self();
    T_CHECK(rt_mutex_lock(&free_one, RT_NEVER) == 0); /* it need not wait */
    rt_mutex_unlock(&free_one);
    return rt_mutex_lock(mutex, deadline);
}

static int run_cancelled(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller caller;

    (void)arg;
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    caller_start(&caller, lock_when_cancelled, &mutex, RT_NEVER);
    T_CHECK(caller_end(&caller) == -ECANCELED);
    rt_mutex_unlock(&mutex);
    return 0;
}

static void a_cancelled_task_locks_only_what_it_need_not_wait_for(void **state)
{
    (void)state;
    caller_run(run_cancelled);
}

/* Misuse */

static int lock_and_stay(void *mutex, rt_time deadline)
{
    const int r = rt_mutex_lock(mutex, deadline);

    return r < 0 ? r : rt_sleep_until(deadline);
}

static int lock_twice(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;

    (void)arg;
    return rt_mutex_lock(&mutex, RT_NEVER) + rt_mutex_lock(&mutex, RT_NEVER);
}

static int unlock_free(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;

    (void)arg;
    rt_mutex_unlock(&mutex);
    return 0;
}

static int unlock_anothers(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller caller;

    (void)arg;
    caller_start(&caller, lock_and_stay, &mutex, RT_NEVER);
    rt_mutex_unlock(&mutex);
    return 0;
}

static void an_unlock_without_the_lock_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(unlock_free, "rt_mutex_unlock(): the running task does not hold");
    assert_misuse_in_task(unlock_anothers, "rt_mutex_unlock(): the running task does not hold");
}

static void a_second_lock_by_its_owner_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(lock_twice, "rt_mutex_lock(): the task holds the mutex already");
}

static int lock_after_the_owner(void *arg)
{
    struct rt_mutex mutex = RT_MUTEX_INIT;
    struct caller caller;

    (void)arg;
    caller_start(&caller, lock, &mutex, RT_NEVER);
    T_CHECK(caller_end(&caller) == 0);
    return rt_mutex_lock(&mutex, RT_NEVER);
}

static void a_lock_of_what_an_ended_task_holds_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(lock_after_the_owner, "rt_mutex_lock(): the task that held the mutex");
}

static int lock_another_shards(void *arg)
{
    static struct rti_executor other = { .index = 1, .config.name = "other" };
    static struct rt_task owner = { .executor = &other };
    struct rt_mutex mutex = { .owner = &owner };

    (void)arg;
    return rt_mutex_lock(&mutex, RT_NEVER);
}

static void a_mutex_that_a_task_of_another_shard_holds_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(lock_another_shards, "rt_mutex_lock(): the object belongs to shard 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_mutex_is_locked_and_unlocked_without_a_suspension),
        cmocka_unit_test(tasks_get_it_in_order_and_nobody_slips_in),
        cmocka_unit_test(a_cancel_ends_a_wait_but_takes_no_lock_away),
        cmocka_unit_test(a_deadline_takes_one_out_of_the_middle_of_the_line),
        cmocka_unit_test(a_deadline_after_the_unlock_takes_no_lock_away),
        cmocka_unit_test(a_cancelled_task_locks_only_what_it_need_not_wait_for),
        cmocka_unit_test(an_unlock_without_the_lock_aborts),
        cmocka_unit_test(a_second_lock_by_its_owner_aborts),
        cmocka_unit_test(a_lock_of_what_an_ended_task_holds_aborts),
        cmocka_unit_test(a_mutex_that_a_task_of_another_shard_holds_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
