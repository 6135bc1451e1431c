/* SPDX-License-Identifier: MIT */
/*
 * Task queues divide the core, and keep latency goals: the real executor on the simulated kernel,
 * so shares and lateness are exact numbers.
 *
 * Choosing among queues as such is proved in unit/core/sched_property_test.c.
 */
#include "taskq_fixture.h"

/* Shares */

static int divide_first(void *arg)
{
    struct rt_taskq *queues[] = { make_queue("a", 1000, 0, NULL), make_queue("b", 3000, 0, NULL) };
    struct busy busy[] = { { .step = 20000 }, { .step = 30000 } };

    (void)arg;
    run_busy(queues, busy, 2, RT_SECONDS(2));
    T_CHECK(is_near(busy[0].burnt, RT_MILLISECONDS(500), RT_MILLISECONDS(5)));
    T_CHECK(is_near(busy[1].burnt, RT_MILLISECONDS(1500), RT_MILLISECONDS(15)));

    T_CHECK(rt_taskq_set_shares(queues[0], 9000) == 0); /* from now on */
    busy[0].burnt = 0;
    busy[1].burnt = 0;
    run_busy(queues, busy, 2, RT_SECONDS(2));
    T_CHECK(is_near(busy[0].burnt, RT_MILLISECONDS(1500), RT_MILLISECONDS(15)));
    T_CHECK(is_near(busy[1].burnt, RT_MILLISECONDS(500), RT_MILLISECONDS(5)));
    return 0;
}

static void two_busy_queues_divide_the_core_by_their_shares(void **state)
{
    (void)state;
    run_first(divide_first);
}

static int poorest_first(void *arg)
{
    struct rt_taskq *queues[] = { make_queue("poor", RT_SHARES_MIN, 0, NULL),
                                  make_queue("rich", RT_SHARES_MAX, 0, NULL) };
    struct busy busy[] = { { .step = 20000 }, { .step = 100000 } };
    const rt_time time = RT_SECONDS(11);

    (void)arg;
    run_busy(queues, busy, 2, time);
    T_CHECK(is_near(busy[0].burnt, time / 10001, QUOTA + 100000));
    T_CHECK(busy[0].burnt > QUOTA); /* it had its slice more than once */
    return 0;
}

static void one_share_beside_ten_thousand_is_not_starved(void **state)
{
    (void)state;
    run_first(poorest_first);
}

static int parents_first(void *arg)
{
    struct rt_taskq *parent = make_queue("parent", 1000, 0, NULL);
    struct rt_taskq *queues[] = { make_queue("a", 1, 0, parent), make_queue("b", 3, 0, parent),
                                  make_queue("other", 1000, 0, NULL) };
    struct busy busy[] = { { .step = 20000 }, { .step = 30000 }, { .step = 50000 } };

    (void)arg;
    run_busy(queues, busy, 3, RT_SECONDS(4));
    T_CHECK(is_near(busy[0].burnt, RT_MILLISECONDS(500), RT_MILLISECONDS(5)));
    T_CHECK(is_near(busy[1].burnt, RT_MILLISECONDS(1500), RT_MILLISECONDS(15)));
    T_CHECK(is_near(busy[2].burnt, RT_MILLISECONDS(2000), RT_MILLISECONDS(20)));
    return 0;
}

static void children_divide_what_their_parent_gets(void **state)
{
    (void)state;
    run_first(parents_first);
}

/* What a task burns before it sleeps is not forgotten, and sleeping is no merit. */
static int rude(void *arg)
{
    struct busy *busy = arg;

    sim_advance(RT_MILLISECONDS(100)); /* without yielding */
    busy->burnt += RT_MILLISECONDS(100);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    return burn(arg);
}

static int debts_first(void *arg)
{
    struct rt_taskq *queues[] = { make_queue("rude", 1000, 0, NULL),
                                  make_queue("polite", 1000, 0, NULL) };
    struct busy busy[] = { { .step = 20000, .end = sim_now() + RT_MILLISECONDS(400) },
                           { .step = 20000, .end = sim_now() + RT_MILLISECONDS(400) } };
    struct rt_task *polite;
    struct rt_task *task;

    (void)arg;
    polite = spawn_in(queues[1], burn, &busy[1]);
    task = spawn_in(queues[0], rude, &busy[0]);
    end_task(task);
    end_task(polite);
    T_CHECK(is_near(busy[0].burnt, RT_MILLISECONDS(200), 2 * QUOTA));
    T_CHECK(is_near(busy[1].burnt, RT_MILLISECONDS(200), 2 * QUOTA));
    return 0;
}

static void a_queue_that_took_too_much_pays_it_back_though_it_slept(void **state)
{
    (void)state;
    run_first(debts_first);
}

/* Latency */

static int latency_first(void *arg)
{
    struct rt_taskq *queues[] = { make_queue("batch", 1000, 0, NULL),
                                  make_queue("compaction", 1000, 0, NULL) };
    struct busy busy[] = { { .step = STEP }, { .step = STEP } };
    struct quick quick = { .rounds = 100 };
    struct rt_task *task = spawn_in(make_queue("quick", 100, GOAL, NULL), sleep_and_work, &quick);

    (void)arg;
    run_busy(queues, busy, 2, RT_MILLISECONDS(150));
    end_task(task);
    T_CHECK(quick.late_max <= GOAL + STEP); /* a slice of the others */
    T_CHECK(quick.late_max > 0);
    T_CHECK(is_near(busy[0].burnt, busy[1].burnt, 2 * QUOTA));
    return 0;
}

static void a_queue_with_a_goal_is_late_by_a_slice_at_most(void **state)
{
    (void)state;
    run_first(latency_first);
}

/* A batch task wakes the quick one in the middle of its slice, and goes on. */
struct pair {
    struct rt_waker waker;
    rt_time woken; /* 0: not */
    rt_time late;
    bool end;
};

static int wait_for_wakes(void *arg)
{
    struct pair *pair = arg;

    pair->waker = rt_waker_self();
    while (!pair->end) {
        T_CHECK(rt_park(RT_NEVER) == 0);
        if (pair->woken != 0) {
            pair->late = sim_now() - pair->woken;
            pair->woken = 0;
        }
    }
    return 0;
}

static int wake_and_go_on(void *arg)
{
    struct pair *pair = arg;

    for (unsigned i = 0; i < 20; i++) {
        T_CHECK(rt_sleep_until(rt_in(1)) == 0); /* a new slice */
        sim_advance(STEP);
        pair->late = -1;
        pair->woken = sim_now();
        rt_wake(pair->waker);
        while (pair->late < 0) {
            sim_advance(STEP);
            rt_yield_if_due();
        }
        T_CHECK(pair->late <= STEP);
    }
    pair->end = true;
    rt_wake(pair->waker);
    return 0;
}

static int cut_first(void *arg)
{
    struct rt_taskq *batch = make_queue("batch", 1000, 0, NULL);
    struct rt_taskq *quick = make_queue("quick", 100, GOAL, NULL);
    struct pair pair = { .woken = 0 };
    struct rt_task *tasks[2] = { spawn_in(quick, wait_for_wakes, &pair), NULL };

    (void)arg;
    T_CHECK(rt_sleep_until(rt_in(1)) == 0); /* it parks */
    tasks[1] = spawn_in(batch, wake_and_go_on, &pair);
    end_task(tasks[1]);
    end_task(tasks[0]);
    T_CHECK(stats_of(batch).slices_cut >= 20);
    T_CHECK(stats_of(batch).run == 20 * 2 * STEP);
    T_CHECK(stats_of(quick).slices_cut == 0);
    return 0;
}

static void a_queue_with_a_goal_that_is_woken_cuts_the_slice(void **state)
{
    (void)state;
    run_first(cut_first);
}

/* A goal of a queue that is changed at run time */
static int goal_first(void *arg)
{
    struct rt_taskq *batch = make_queue("batch", 1000, 0, NULL);
    struct rt_taskq *quick = make_queue("quick", 1000, 0, NULL);
    struct busy busy = { .step = STEP };
    struct quick slow = { .rounds = 20 };
    struct quick fast = { .rounds = 20 };
    struct rt_task *task = spawn_in(quick, sleep_and_work, &slow);

    (void)arg;
    run_busy(&batch, &busy, 1, RT_MILLISECONDS(40));
    end_task(task);
    T_CHECK(slow.late_max > RT_MICROSECONDS(300)); /* the quota */
    T_CHECK(rt_taskq_set_latency(quick, RT_MICROSECONDS(50)) == 0);
    T_CHECK(stats_of(quick).latency == RT_MICROSECONDS(50));
    task = spawn_in(quick, sleep_and_work, &fast);
    run_busy(&batch, &busy, 1, RT_MILLISECONDS(40));
    end_task(task);
    T_CHECK(fast.late_max <= RT_MICROSECONDS(50) + STEP);
    return 0;
}

static void a_goal_holds_from_when_it_is_set(void **state)
{
    (void)state;
    run_first(goal_first);
}

/* Looking for work before a sleep is nobody's work. */
static int wait_for_nops(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        T_CHECK(rt_nop(RT_NEVER) == 0);
    }
    return 0;
}

static int spinning_first(void *arg)
{
    struct rt_taskq *queue = make_queue("waits", 0, 0, NULL);
    struct rt_taskq_stats stats;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_in(&task, queue, wait_for_nops, NULL) == 0);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    rt_taskq_stats(queue, &stats, sizeof(stats));
    T_CHECK(stats.runs >= 10 && stats.run < RT_MICROSECONDS(500)); /* of 10 ms in which it span */
    return 0;
}

static void who_waits_for_io_is_not_charged_for_the_spin(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.spin = RT_MILLISECONDS(1);
    sim_begin(&(struct sim_config){ .seed = 1,
                                    .delay_min = RT_MILLISECONDS(3),
                                    .delay_max = RT_MILLISECONDS(3),
                                    .step_max = 200 });
    assert_int_equal(rt_run(&config, spinning_first, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_busy_queues_divide_the_core_by_their_shares),
        cmocka_unit_test(one_share_beside_ten_thousand_is_not_starved),
        cmocka_unit_test(children_divide_what_their_parent_gets),
        cmocka_unit_test(a_queue_that_took_too_much_pays_it_back_though_it_slept),
        cmocka_unit_test(a_queue_with_a_goal_is_late_by_a_slice_at_most),
        cmocka_unit_test(a_queue_with_a_goal_that_is_woken_cuts_the_slice),
        cmocka_unit_test(a_goal_holds_from_when_it_is_set),
        cmocka_unit_test(who_waits_for_io_is_not_charged_for_the_spin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
