/* SPDX-License-Identifier: MIT */
/*
 * Conditions: each promise of rt/condition.h, one at a time.
 *
 * Method: callers (sim/caller.h) lock a mutex and wait; the first task signals,
 * cancels or lets deadlines pass, with and without the mutex, and looks at who came
 * back with what. Each caller unlocks when it is back, which aborts if it does not
 * hold the mutex. Random orders of these are in waits_test.
 */
#include "sim/caller.h"
#include "support/death.h"

struct pair {
    struct rt_mutex mutex;
    struct rt_condition condition;
};

#define PAIR_INIT { RT_MUTEX_INIT, RT_CONDITION_INIT }

static int wait_in(void *arg, rt_time deadline)
{
    struct pair *pair = arg;
    int r;

    T_CHECK(rt_mutex_lock(&pair->mutex, RT_NEVER) == 0);
    r = rt_condition_wait(&pair->condition, &pair->mutex, deadline);
    rt_mutex_unlock(&pair->mutex);
    return r;
}

static int signal_one_by_one(void *arg)
{
    struct pair pair = PAIR_INIT;
    struct caller callers[3];

    (void)arg;
    rt_condition_signal(&pair.condition); /* nobody waits: it is not kept */
    for (unsigned i = 0; i < 3; i++) {
        caller_start(&callers[i], wait_in, &pair, RT_NEVER);
        T_CHECK(caller_waits(&callers[i]));
    }
    for (unsigned i = 0; i < 3; i++) {
        rt_condition_signal(&pair.condition);
        caller_let_run();
        T_CHECK(caller_end(&callers[i]) == 0 && callers[i].place == i + 1);
        T_CHECK(i == 2 || caller_waits(&callers[i + 1]));
    }
    return 0;
}

static void a_signal_lets_the_oldest_go_on(void **state)
{
    (void)state;
    caller_run(signal_one_by_one);
}

static int broadcast_with_the_mutex(void *arg)
{
    struct pair pair = PAIR_INIT;
    struct caller callers[4];

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        caller_start(&callers[i], wait_in, &pair, RT_NEVER);
    }
    T_CHECK(rt_mutex_lock(&pair.mutex, 0) == 0); /* those who wait do not hold it */
    rt_condition_broadcast(&pair.condition);
    caller_start(&callers[3], wait_in, &pair, RT_NEVER); /* this one wants the mutex, behind them */
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(caller_waits(&callers[i])); /* the mutex is not free */
    }
    rt_mutex_unlock(&pair.mutex);
    for (unsigned i = 0; i < 3; i++) {
        T_CHECK(caller_end(&callers[i]) == 0 && callers[i].place == i + 1);
    }
    caller_let_run();
    T_CHECK(caller_waits(&callers[3])); /* it came after the broadcast */
    rt_condition_broadcast(&pair.condition);
    T_CHECK(caller_end(&callers[3]) == 0);
    return 0;
}

static void a_broadcast_lets_those_go_on_who_wait_now_one_after_the_other(void **state)
{
    (void)state;
    caller_run(broadcast_with_the_mutex);
}

static int end_while_locked(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct pair pair = PAIR_INIT;
    struct caller late;
    struct caller cancelled;
    struct caller other;

    (void)arg;
    caller_start(&late, wait_in, &pair, deadline);
    caller_start(&cancelled, wait_in, &pair, RT_NEVER);
    caller_start(&other, wait_in, &pair, RT_NEVER);
    T_CHECK(rt_mutex_lock(&pair.mutex, RT_NEVER) == 0);
    rt_cancel(cancelled.task);
    T_CHECK(rt_sleep_until(deadline) == 0);
    caller_let_run();
    T_CHECK(caller_waits(&late) && caller_waits(&cancelled)); /* for the mutex, come what may */
    rt_cancel(late.task);
    rt_mutex_unlock(&pair.mutex);
    T_CHECK(caller_end(&cancelled) == -ECANCELED && cancelled.place == 1);
    T_CHECK(caller_end(&late) == -ETIME && late.place == 2);
    T_CHECK(caller_waits(&other));
    rt_condition_signal(&pair.condition); /* those who have gone took no signal */
    T_CHECK(caller_end(&other) == 0);
    return 0;
}

static void who_gives_up_comes_back_with_the_mutex_and_takes_no_signal(void **state)
{
    (void)state;
    caller_run(end_while_locked);
}

static int end_after_signal(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct pair pair = PAIR_INIT;
    struct caller late;
    struct caller cancelled;

    (void)arg;
    caller_start(&late, wait_in, &pair, deadline);
    caller_start(&cancelled, wait_in, &pair, RT_NEVER);
    T_CHECK(rt_mutex_lock(&pair.mutex, RT_NEVER) == 0);
    rt_condition_broadcast(&pair.condition);
    rt_cancel(cancelled.task);
    T_CHECK(rt_sleep_until(deadline + 1) == 0);
    rt_mutex_unlock(&pair.mutex);
    T_CHECK(caller_end(&late) == 0);
    T_CHECK(caller_end(&cancelled) == 0);
    return 0;
}

static void what_comes_after_the_signal_does_not_undo_it(void **state)
{
    (void)state;
    caller_run(end_after_signal);
}

static int wait_in_scope(void *arg, rt_time deadline)
{
    struct rt_scope scope;
    int r;

    rt_scope_enter(&scope, deadline);
    r = wait_in(arg, RT_NEVER);
    T_CHECK(rt_scope_leave(&scope) == r);
    return r;
}

static int let_scope_end(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct pair pair = PAIR_INIT;
    struct caller late;
    struct caller signalled;

    (void)arg;
    caller_start(&signalled, wait_in_scope, &pair, deadline);
    caller_start(&late, wait_in_scope, &pair, deadline);
    T_CHECK(rt_mutex_lock(&pair.mutex, RT_NEVER) == 0);
    rt_condition_signal(&pair.condition);
    T_CHECK(rt_sleep_until(deadline + 1) == 0);
    T_CHECK(caller_waits(&late) && caller_waits(&signalled));
    rt_mutex_unlock(&pair.mutex);
    T_CHECK(caller_end(&signalled) == 0);
    T_CHECK(caller_end(&late) == -ETIME);
    return 0;
}

static void the_deadline_of_a_scope_ends_the_wait_but_not_the_way_back(void **state)
{
    (void)state;
    caller_run(let_scope_end);
}

static int wait_when_cancelled(void *arg, rt_time deadline)
{
    rt_cancel_self();
    return wait_in(arg, deadline);
}

static int begin_too_late(void *arg)
{
    struct pair pair = PAIR_INIT;
    struct caller caller;

    (void)arg;
    caller_start(&caller, wait_when_cancelled, &pair, RT_NEVER);
    T_CHECK(caller_end(&caller) == -ECANCELED);
    caller_start(&caller, wait_in, &pair, 0);
    T_CHECK(caller_end(&caller) == -ETIME);
    return 0;
}

static void a_wait_that_may_not_begin_leaves_the_mutex_locked(void **state)
{
    (void)state;
    caller_run(begin_too_late);
}

static int wait_without_the_mutex(void *arg)
{
    struct pair pair = PAIR_INIT;

    (void)arg;
    return rt_condition_wait(&pair.condition, &pair.mutex, RT_NEVER);
}

static void a_wait_without_the_mutex_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(wait_without_the_mutex, "rt_condition_wait(): the running task does not");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_lets_the_oldest_go_on),
        cmocka_unit_test(a_broadcast_lets_those_go_on_who_wait_now_one_after_the_other),
        cmocka_unit_test(who_gives_up_comes_back_with_the_mutex_and_takes_no_signal),
        cmocka_unit_test(what_comes_after_the_signal_does_not_undo_it),
        cmocka_unit_test(the_deadline_of_a_scope_ends_the_wait_but_not_the_way_back),
        cmocka_unit_test(a_wait_that_may_not_begin_leaves_the_mutex_locked),
        cmocka_unit_test(a_wait_without_the_mutex_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
