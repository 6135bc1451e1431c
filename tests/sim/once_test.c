/* SPDX-License-Identifier: MIT */
/*
 * Onces: each promise of rt/once.h, one at a time.
 *
 * Method: callers (sim/caller.h) run a function that waits until the first task lets it
 * go on, and returns what that task has chosen. The function counts its runs.
 */
#include "sim/caller.h"
#include "support/death.h"

struct work {
    struct rt_once once;
    struct rt_semaphore steps; /* one for each run that may end */
    int result;                /* of the run that ends next */
    unsigned begun;
    unsigned ended;
};

#define WORK_INIT { RT_ONCE_INIT, RT_SEMAPHORE_INIT(0), 0, 0, 0 }

static int do_work(void *arg)
{
    struct work *work = arg;
    int r;

    T_CHECK(work->begun == work->ended); /* one at a time */
    work->begun++;
    r = rt_semaphore_take(&work->steps, 1, RT_NEVER);
    work->ended++;
    return r < 0 ? r : work->result;
}

static int run_once(void *arg, rt_time deadline)
{
    struct work *work = arg;

    return rt_once_run(&work->once, do_work, work, deadline);
}

/* Let the run that is under way return `result`, and all others do what they then do. */
static void end_run(struct work *work, int result)
{
    work->result = result;
    rt_semaphore_put(&work->steps, 1);
    caller_let_run();
}

static int run_side_by_side(void *arg)
{
    struct work work = WORK_INIT;
    struct caller callers[3];

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        caller_start(&callers[i], run_once, &work, RT_NEVER);
        T_CHECK(caller_waits(&callers[i]));
    }
    end_run(&work, 7);
    for (unsigned i = 0; i < 3; i++) {
        T_CHECK(caller_end(&callers[i]) == 7 && callers[i].place == i + 1);
    }
    caller_watch_others();
    T_CHECK(run_once(&work, 0) == 7 && run_once(&work, RT_NEVER) == 7);
    T_CHECK(!caller_others_ran && work.begun == 1);
    return 0;
}

static void it_is_done_once_and_all_get_the_result(void **state)
{
    (void)state;
    caller_run(run_side_by_side);
}

static int fail_then_succeed(void *arg)
{
    struct work work = WORK_INIT;
    struct caller callers[3];

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        caller_start(&callers[i], run_once, &work, RT_NEVER);
    }
    end_run(&work, -EIO);
    T_CHECK(caller_end(&callers[0]) == -EIO);
    T_CHECK(work.begun == 2 && caller_waits(&callers[1]) && caller_waits(&callers[2]));
    end_run(&work, 0);
    T_CHECK(caller_end(&callers[1]) == 0 && caller_end(&callers[2]) == 0);
    T_CHECK(work.begun == 2);
    return 0;
}

static void after_a_failure_the_next_in_line_runs_it(void **state)
{
    (void)state;
    caller_run(fail_then_succeed);
}

static int run_then_try_again(void *arg, rt_time deadline)
{
    T_CHECK(run_once(arg, deadline) == -EIO);
    return run_once(arg, 0);
}

static int slip_in(void *arg)
{
    struct work work = WORK_INIT;
    struct caller callers[2];

    (void)arg;
    caller_start(&callers[0], run_then_try_again, &work, RT_NEVER);
    caller_start(&callers[1], run_once, &work, RT_NEVER);
    end_run(&work, -EIO);
    T_CHECK(caller_end(&callers[0]) == -ETIME); /* it is the other's turn, who has not run yet */
    end_run(&work, 5);
    T_CHECK(caller_end(&callers[1]) == 5 && work.begun == 2);
    return 0;
}

static void nobody_slips_in_before_the_next_in_line(void **state)
{
    (void)state;
    caller_run(slip_in);
}

static int fail_alone(void *arg)
{
    struct work work = WORK_INIT;
    struct caller caller;

    (void)arg;
    caller_start(&caller, run_once, &work, RT_NEVER);
    end_run(&work, -EIO);
    T_CHECK(caller_end(&caller) == -EIO);
    caller_start(&caller, run_once, &work, RT_NEVER);
    end_run(&work, 0);
    T_CHECK(caller_end(&caller) == 0 && work.begun == 2);
    return 0;
}

static void after_a_failure_that_nobody_waited_for_the_next_caller_runs_it(void **state)
{
    (void)state;
    caller_run(fail_alone);
}

static int give_up(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct work work = WORK_INIT;
    struct caller runner;
    struct caller late;
    struct caller cancelled;
    struct caller last;

    (void)arg;
    caller_start(&runner, run_once, &work, deadline); /* its own run has no deadline */
    caller_start(&late, run_once, &work, deadline);
    caller_start(&cancelled, run_once, &work, RT_NEVER);
    caller_start(&last, run_once, &work, RT_NEVER);
    rt_cancel(cancelled.task);
    T_CHECK(rt_sleep_until(deadline) == 0);
    T_CHECK(caller_end(&late) == -ETIME && caller_end(&cancelled) == -ECANCELED);
    T_CHECK(run_once(&work, 0) == -ETIME);
    T_CHECK(caller_waits(&runner) && caller_waits(&last) && work.begun == 1);
    rt_cancel(runner.task); /* what it waits for in the run fails, so the run does */
    T_CHECK(caller_end(&runner) == -ECANCELED);
    caller_let_run();
    T_CHECK(work.begun == 2);
    end_run(&work, 1);
    T_CHECK(caller_end(&last) == 1);
    return 0;
}

static void who_waits_may_give_up_and_a_cancelled_run_is_another_tasks_turn(void **state)
{
    (void)state;
    caller_run(give_up);
}

static int cancel_the_next_runner(void *arg)
{
    struct work work = WORK_INIT;
    struct caller callers[3];

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        caller_start(&callers[i], run_once, &work, RT_NEVER);
    }
    rt_cancel(callers[0].task);
    while (work.once.runner != callers[1].task) { /* until it is handed over, and no longer */
        rt_yield();
    }
    rt_cancel(callers[1].task);
    T_CHECK(caller_end(&callers[0]) == -ECANCELED);
    T_CHECK(caller_end(&callers[1]) == -ECANCELED);
    end_run(&work, 3);
    T_CHECK(caller_end(&callers[2]) == 3);
    return 0;
}

static void a_run_that_was_handed_to_a_cancelled_task_is_handed_on(void **state)
{
    (void)state;
    caller_run(cancel_the_next_runner);
}

static int run_again(void *arg)
{
    struct work *work = arg;

    return rt_once_run(&work->once, run_again, work, RT_NEVER);
}

static int come_back(void *arg)
{
    struct work work = WORK_INIT;

    (void)arg;
    return run_again(&work);
}

static void a_function_that_comes_back_to_its_once_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(come_back, "rt_once_run(): the function that is to be run once has come");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_done_once_and_all_get_the_result),
        cmocka_unit_test(after_a_failure_the_next_in_line_runs_it),
        cmocka_unit_test(nobody_slips_in_before_the_next_in_line),
        cmocka_unit_test(after_a_failure_that_nobody_waited_for_the_next_caller_runs_it),
        cmocka_unit_test(who_waits_may_give_up_and_a_cancelled_run_is_another_tasks_turn),
        cmocka_unit_test(a_run_that_was_handed_to_a_cancelled_task_is_handed_on),
        cmocka_unit_test(a_function_that_comes_back_to_its_once_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
