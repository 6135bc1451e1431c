/* SPDX-License-Identifier: MIT */
/*
 * When a running task is told to yield, and what a task that yields cannot keep waiting: on the
 * simulated kernel, so how late is an exact number.
 */
#include "taskq_fixture.h"

/* Preemption points */

/* Calls until it is time to yield, the first of which is `apart` from the one before. */
static unsigned calls_until_due(rt_time apart)
{
    unsigned calls = 1;

    while (!rt_should_yield()) {
        sim_advance(apart);
        calls++;
    }
    return calls;
}

static int should_yield_first(void *arg)
{
    (void)arg;
    rt_yield();
    for (int i = 0; i < 50; i++) { /* calls that are close: a look at the ticks in 16 */
        T_CHECK(!rt_should_yield());
        sim_advance(100);
    }
    sim_advance(QUOTA);
    T_CHECK(calls_until_due(100) <= RUNS_LATE);
    T_CHECK(rt_should_yield() && rt_should_yield()); /* until it yields */
    rt_yield();
    T_CHECK(!rt_should_yield());
    for (int i = 0; i < 50; i++) { /* further than 1 us apart: a look at each */
        sim_advance(2000);
        T_CHECK(!rt_should_yield());
    }
    sim_advance(QUOTA);
    T_CHECK(calls_until_due(2000) == 1);
    rt_yield();
    T_CHECK(calls_until_due(10000) >= (unsigned)(QUOTA / 10000)); /* not before the quota is used */
    return 0;
}

static void should_yield_is_true_soon_after_the_quota_and_until_the_task_yields(void **state)
{
    (void)state;
    run_first(should_yield_first);
}

static int yields_if_due(void *arg)
{
    unsigned *others = arg;

    rt_yield_if_due();
    T_CHECK(*others == 0); /* not due */
    sim_advance(QUOTA);
    for (int i = 0; i < RUNS_LATE; i++) {
        rt_yield_if_due();
    }
    T_CHECK(*others == 1);
    return 0;
}

static int count_one(void *arg)
{
    ++*(unsigned *)arg;
    return 0;
}

static int if_due_first(void *arg)
{
    unsigned others = 0;
    struct rt_task *tasks[2];

    (void)arg;
    T_CHECK(rt_spawn(&tasks[0], yields_if_due, &others) == 0);
    T_CHECK(rt_spawn(&tasks[1], count_one, &others) == 0);
    end_task(tasks[0]);
    end_task(tasks[1]);
    return 0;
}

static void yield_if_due_yields_only_when_it_is(void **state)
{
    (void)state;
    run_first(if_due_first);
}

/* Others, as long as nobody has told them to stop, yield in a circle. */
struct circle {
    rt_time run;
    bool end;
};

static int yield_in_a_circle(void *arg)
{
    struct circle *circle = arg;

    while (!circle->end) {
        sim_advance(circle->run);
        rt_yield();
    }
    return 0;
}

static rt_time quota; /* of the executor that runs */

static int late_sleep_first(void *arg)
{
    static const rt_time runs[] = { 50, 500, RT_MICROSECONDS(20) };

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned count = 1; count <= 3; count++) {
            struct circle circle = { .run = runs[i] };
            struct quick quick = { .rounds = 20 };
            struct rt_task *tasks[3];
            struct rt_task *sleeper;

            T_CHECK(rt_spawn(&sleeper, sleep_and_work, &quick) == 0);
            for (unsigned k = 0; k < count; k++) {
                T_CHECK(rt_spawn(&tasks[k], yield_in_a_circle, &circle) == 0);
            }
            end_task(sleeper);
            circle.end = true;
            for (unsigned k = 0; k < count; k++) {
                end_task(tasks[k]);
            }
            /* and, once it is woken, one run of each other */
            T_CHECK(quick.late_max <= quota + (RUNS_LATE + (rt_time)count) * runs[i]);
        }
    }
    return 0;
}

static void a_sleep_beside_tasks_that_yield_is_late_by_the_quota_and_16_runs(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    quota = QUOTA;
    run_first(late_sleep_first);
    quota = RT_MICROSECONDS(100);
    config.task_quota = quota;
    run_config(config, late_sleep_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(should_yield_is_true_soon_after_the_quota_and_until_the_task_yields),
        cmocka_unit_test(yield_if_due_yields_only_when_it_is),
        cmocka_unit_test(a_sleep_beside_tasks_that_yield_is_late_by_the_quota_and_16_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
