/* SPDX-License-Identifier: MIT */
/*
 * A caller's deadline goes along with its call: the function knows it, and its waits end by the
 * clock of its own shard.
 *
 * Method: shard 0 asks on the simulated kernel. Where it matters who ends the function, the
 * caller's shard does nothing else until that has ended, so no cancel of its can have come.
 */
#include "support/harness.h"

#include <errno.h>

#include "rt/rt.h"
#include "support/shards.h"

#define SEED  13
#define COUNT 3                                /* shards */
#define STEP  ((rt_time)1024)                  /* in which a deadline goes along */
#define SPAN  ((rt_time)RT_MICROSECONDS(500))

static rt_task_fn ask; /* what shard 0 does; the others serve until it has returned */

static int first(void *arg)
{
    return rt_shard_index() == 0 ? ask(arg) : 0;
}

static void run(rt_task_fn what)
{
    struct shards shards;

    ask = what;
    shards_init(&shards, SEED, COUNT);
    shards.sim = (struct sim_config){ .seed = SEED, .step_max = 50, .switch_per_mille = 200 };
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards.runtime.spin = 0;
    shards_run(&shards, first, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

/* ---- what a function knows ---- */

static int note_deadline(void *arg)
{
    *(rt_time *)arg = rt_deadline();
    return 0;
}

/* By way of another shard, in a call that would have more time. */
static int note_from_further_on(void *arg)
{
    return rt_call(2, note_deadline, arg, NULL, rt_in(100 * SPAN));
}

static bool is_that(rt_time seen, rt_time deadline, rt_time rounded)
{
    return seen >= deadline && seen < deadline + rounded;
}

static int ask_what_it_knows(void *arg)
{
    struct rt_call_part part = { .shard = 1 };
    struct rt_scope scope;
    rt_time deadline = rt_in(SPAN);
    rt_time seen = 0;

    (void)arg;
    T_CHECK(rt_deadline() == RT_NEVER);
    T_CHECK(rt_call(1, note_deadline, &seen, NULL, RT_NEVER) == 0 && seen == RT_NEVER);
    T_CHECK(rt_call(1, note_deadline, &seen, NULL, deadline) == 0);
    T_CHECK(is_that(seen, deadline, STEP));
    T_CHECK(rt_call(0, note_deadline, &seen, NULL, deadline) == 0 && seen == deadline);
    T_CHECK(rt_call(1, note_from_further_on, &seen, NULL, deadline) == 0);
    T_CHECK(is_that(seen, deadline, 2 * STEP));

    rt_scope_enter(&scope, deadline);
    T_CHECK(rt_deadline() == deadline);
    T_CHECK(rt_call(1, note_deadline, &seen, NULL, RT_NEVER) == 0);
    T_CHECK(is_that(seen, deadline, STEP));
    part.arg = &seen;
    seen = 0;
    T_CHECK(rt_call_each(&part, 1, note_deadline, deadline + SPAN) == 0);
    T_CHECK(is_that(seen, deadline, STEP));
    T_CHECK(rt_scope_leave(&scope) == 0);
    T_CHECK(rt_call(1, note_deadline, &seen, NULL, RT_NEVER) == 0 && seen == RT_NEVER);
    return 0;
}

static void a_function_knows_the_earliest_deadline_of_its_callers(void **state)
{
    (void)state;
    run(ask_what_it_knows);
}

static int be_cancelled(void *arg)
{
    (void)arg;
    rt_cancel_self();
    T_CHECK(rt_deadline() <= rt_now());
    return 0;
}

static void the_deadline_of_a_cancelled_task_has_passed(void **state)
{
    (void)state;
    run(be_cancelled);
}

/* ---- what ends it ---- */

struct sleeper {
    rt_time deadline;
    rt_time woken;
    int saw;
    bool has_begun;
    bool has_ended;
};

static int sleep_for_ever(void *arg)
{
    struct sleeper *sleeper = arg;

    __atomic_store_n(&sleeper->has_begun, true, __ATOMIC_RELEASE);
    sleeper->saw = rt_sleep_until(RT_NEVER);
    sleeper->woken = rt_now();
    __atomic_store_n(&sleeper->has_ended, true, __ATOMIC_RELEASE);
    return sleeper->saw;
}

/* Its shard takes no turn from when the function on the other one has begun until that has
 * ended. */
static int hold_shard(void *arg)
{
    const struct sleeper *sleeper = arg;

    while (!__atomic_load_n(&sleeper->has_begun, __ATOMIC_ACQUIRE)) {
        rt_yield();
    }
    while (!__atomic_load_n(&sleeper->has_ended, __ATOMIC_ACQUIRE) &&
           rt_now() < sleeper->deadline + SPAN) { /* each look at the clock takes a little time */
    }
    T_CHECK(sleeper->has_ended);
    return 0;
}

static int ask_and_hold(void *arg)
{
    const rt_time deadline = rt_in(SPAN);
    struct sleeper sleeper = { .saw = 1, .deadline = deadline };
    struct rt_scope scope;
    struct rt_task *task;

    (void)arg;
    rt_scope_enter(&scope, deadline);
    T_CHECK(rt_spawn(&task, hold_shard, &sleeper) == 0);
    T_CHECK(rt_call(1, sleep_for_ever, &sleeper, NULL, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME); /* it was the scope's, wherever that was noticed */
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(sleeper.saw == -ETIME);
    T_CHECK(sleeper.woken >= deadline);
    return 0;
}

static void waits_of_a_function_end_without_a_word_from_the_caller(void **state)
{
    (void)state;
    run(ask_and_hold);
}

static int ask_here(void *arg)
{
    struct sleeper sleeper = { .saw = 1 };
    struct rt_scope scope;
    int result = 7;

    (void)arg;
    T_CHECK(rt_call(0, sleep_for_ever, &sleeper, &result, rt_in(SPAN)) == -ETIME);
    T_CHECK(sleeper.saw == -ETIME && result == 7);
    rt_scope_enter(&scope, rt_in(SPAN));
    T_CHECK(rt_call(0, sleep_for_ever, &sleeper, &result, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME && result == 7);
    return 0;
}

static void it_holds_for_a_call_to_the_own_shard_too(void **state)
{
    (void)state;
    run(ask_here);
}

/* ---- who comes too late ---- */

static unsigned runs;

static int count_run(void *arg)
{
    (void)arg;
    runs++;
    return 0;
}

static int compute_past(void *arg)
{
    const rt_time *deadline = arg;

    while (rt_now() <= *deadline + STEP) {
    }
    return 0;
}

/* The function before it in the ring takes all of its time. */
static int ask_too_late(void *arg)
{
    rt_time deadline = rt_in(SPAN);
    struct rt_call slow;

    (void)arg;
    T_CHECK(rt_call_begin(&slow, 1, compute_past, &deadline, RT_NEVER) == 0);
    T_CHECK(rt_call(1, count_run, NULL, NULL, deadline) == -ETIME);
    T_CHECK(rt_call_end(&slow, NULL, RT_NEVER) == 0);
    T_CHECK(rt_call(0, count_run, NULL, NULL, deadline) == -ETIME);
    T_CHECK(rt_call(1, count_run, NULL, NULL, 0) == -ETIME);
    T_CHECK(runs == 0);
    T_CHECK(rt_call(1, count_run, NULL, NULL, rt_in(SPAN)) == 0 && runs == 1);
    return 0;
}

static void a_function_whose_time_is_over_before_it_begins_is_not_run(void **state)
{
    (void)state;
    runs = 0;
    run(ask_too_late);
}

/* ---- results ---- */

static int return_late(void *arg)
{
    T_CHECK(rt_sleep_until(RT_NEVER) < 0);
    return *(const int *)arg;
}

static int give_up_early(void *arg)
{
    (void)arg;
    return -ETIME; /* of something of its own */
}

static int ask_for_results(void *arg)
{
    const int number = 42;
    int result = 0;

    (void)arg;
    T_CHECK(rt_call(1, return_late, (void *)&number, &result, rt_in(SPAN)) == 0 && result == 42);
    T_CHECK(rt_call(1, give_up_early, NULL, &result, rt_in(SPAN)) == 0 && result == -ETIME);
    return 0;
}

static void a_result_counts_when_it_comes_late_and_an_early_timeout_is_one(void **state)
{
    (void)state;
    run(ask_for_results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_knows_the_earliest_deadline_of_its_callers),
        cmocka_unit_test(the_deadline_of_a_cancelled_task_has_passed),
        cmocka_unit_test(waits_of_a_function_end_without_a_word_from_the_caller),
        cmocka_unit_test(it_holds_for_a_call_to_the_own_shard_too),
        cmocka_unit_test(a_function_whose_time_is_over_before_it_begins_is_not_run),
        cmocka_unit_test(a_result_counts_when_it_comes_late_and_an_early_timeout_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
