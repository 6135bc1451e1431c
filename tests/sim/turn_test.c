/* SPDX-License-Identifier: MIT */
/*
 * The turn, pass by pass: the test is the loop, and says what time it is.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>

#include "core/executor.h"
#include "rt/rt.h"

static struct rti_executor executor;
static int steps; /* how far the first task has come */

static void begin(rt_task_fn first)
{
    steps = 0;
    sim_begin(&(struct sim_config){ .seed = 1, .delay_min = 50000, .delay_max = 50000 });
    sim_file_put("data", "abcd", 4);
    assert_int_equal(rti_executor_init(&executor, NULL, -1), 0);
    assert_int_equal(rti_executor_start(&executor, first, NULL), 0);
}

static void end(void)
{
    assert_true(executor.closed);
    rti_executor_fini(&executor);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int sleep_twice(void *arg)
{
    (void)arg;
    steps = 1;
    T_CHECK(rt_sleep_until(rt_turn_time() + 1000) == 0);
    steps = 2;
    T_CHECK(rt_sleep_until(rt_turn_time() + 1000) == 0);
    steps = 3;
    return 0;
}

static int keep_busy(void *arg)
{
    (void)arg;
    while (steps < 3) {
        executor.runs_left.left = 0; /* its quota is used: every yield ends the turn's runs */
        executor.turn_begin -= executor.quota_ticks;
        rt_yield();
    }
    return 0;
}

static int sleep_beside_a_busy_task(void *arg)
{
    T_CHECK(rt_spawn(NULL, keep_busy, NULL) == 0);
    return sleep_twice(arg);
}

/* Each task has had its run when both have: the busy one ends each turn's runs. */
static void turn_twice(rt_time now)
{
    rti_executor_turn(&executor, now);
    rti_executor_turn(&executor, now);
}

/* A busy task keeps the loop from sleeping, so only the test moves the time. */
static void a_timer_fires_in_the_first_turn_that_is_not_before_its_deadline(void **state)
{
    rt_time now;

    (void)state;
    begin(sleep_beside_a_busy_task);
    now = sim_now();
    turn_twice(now);
    assert_int_equal(steps, 1);
    turn_twice(now + 999);
    assert_int_equal(steps, 1);
    turn_twice(now + 1000);
    assert_int_equal(steps, 2);
    turn_twice(now + 1999);
    assert_int_equal(steps, 2);
    turn_twice(now + 2000);
    assert_int_equal(steps, 3);
    while (!executor.closed) {
        rti_executor_turn(&executor, now + 2000);
    }
    end();
}

static int read_once(void *arg)
{
    struct rt_file *file = arg;
    char buf[4];

    T_CHECK(rt_file_read_at(file, buf, 4, 0, RT_NEVER) == 4);
    return 0;
}

static int read_side_by_side(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_file *file;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    for (int i = 0; i < 15; i++) {
        T_CHECK(rt_group_spawn(&group, read_once, file) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

/*
 * An open, 15 reads, a close: each turn submits what its tasks want with one enter, which also
 * sleeps. All reads end at one moment, of which the sleep brings the first; its task runs, and as
 * the ring's flag says that there are more, the turn ends with one enter that brings them all.
 */
static void a_turn_submits_once_and_enters_again_only_for_what_is_left(void **state)
{
    unsigned turns = 0;

    (void)state;
    begin(read_side_by_side);
    while (!executor.closed) {
        rti_executor_turn(&executor, sim_now());
        turns++;
    }
    assert_int_equal(turns, 5);
    assert_int_equal(sim_stats()->enters, 4);
    assert_int_equal(sim_stats()->waits, 3);
    assert_int_equal(sim_stats()->sqes, 17);
    end();
}

/* ---- more completions than an enter brings ---- */

#define MANY      60
#define PER_ENTER 20

static bool is_busy; /* a task goes on until all have read */

static int read_and_count(void *arg)
{
    const int r = read_once(arg);

    steps++;
    return r;
}

static int use_each_quota(void *arg)
{
    (void)arg;
    while (steps < MANY) {
        executor.runs_left.left = 0; /* its quota is used: every yield ends the turn's runs */
        executor.turn_begin -= executor.quota_ticks;
        rt_yield();
    }
    return 0;
}

static int read_many_at_once(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_file *file;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    for (int i = 0; i < MANY; i++) {
        T_CHECK(rt_group_spawn(&group, read_and_count, file) == 0);
    }
    if (is_busy) {
        T_CHECK(rt_group_spawn(&group, use_each_quota, NULL) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

/* The most completions that a turn took. */
static uint64_t most_taken(bool beside_a_busy_task)
{
    uint64_t most = 0;

    is_busy = beside_a_busy_task;
    begin(read_many_at_once);
    while (!executor.closed) {
        const uint64_t before = executor.reactor.completions;

        rti_executor_turn(&executor, sim_now());
        most = executor.reactor.completions - before > most ? executor.reactor.completions - before
                                                            : most;
        if (is_busy) {
            sim_advance(50000);
        }
    }
    assert_int_equal(steps, MANY);
    end();
    return most;
}

static void those_that_were_woken_run_before_the_kernel_is_asked_for_more(void **state)
{
    (void)state;
    assert_int_equal(most_taken(false), PER_ENTER);
}

static void completions_are_all_taken_where_tasks_are_left_of_the_turn_before(void **state)
{
    (void)state;
    assert_int_equal(most_taken(true), MANY);
}

static int only_return(void *arg)
{
    (void)arg;
    steps = 1;
    return 0;
}

static void a_program_without_io_never_enters_the_kernel(void **state)
{
    (void)state;
    begin(only_return);
    rti_executor_turn(&executor, sim_now());
    assert_int_equal(steps, 1);
    assert_int_equal(sim_stats()->enters, 0);
    end();
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    T_CHECK(rt_sleep_until(rt_turn_time() + RT_SECONDS(3600)) == 0);
    return 0;
}

/* An hour passes in one sleep: nothing else wakes an idle executor. */
static void an_idle_executor_sleeps_until_its_next_timer(void **state)
{
    rt_time start;

    (void)state;
    begin(wait_for_ever);
    start = sim_now();
    rti_executor_turn(&executor, start);
    assert_true(sim_now() - start >= RT_SECONDS(3600));
    assert_int_equal(sim_stats()->enters, 1);
    rti_executor_turn(&executor, sim_now());
    end();
}

/* A flag that is stale hides what comes while an executor looks for work before it sleeps. */
static int time_nops(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        const rt_time begin = rt_now();

        T_CHECK(rt_nop(RT_NEVER) == 0);
        T_CHECK(rt_now() - begin < 100000); /* of which the kernel takes 50000 */
    }
    return 0;
}

static void a_spin_hides_no_completion(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.spin = RT_MILLISECONDS(1);
    for (int i = 0; i < 2; i++) {
        sim_begin(&(struct sim_config){ .seed = 1,
                                        .delay_min = 50000,
                                        .delay_max = 50000,
                                        .step_max = 200,
                                        .stale_taskrun = i == 1 });
        assert_int_equal(rt_run(&config, time_nops, NULL), 0);
        assert_int_equal(sim_end(NULL), 0);
        assert_int_equal(t_failures(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_in_the_first_turn_that_is_not_before_its_deadline),
        cmocka_unit_test(a_turn_submits_once_and_enters_again_only_for_what_is_left),
        cmocka_unit_test(those_that_were_woken_run_before_the_kernel_is_asked_for_more),
        cmocka_unit_test(completions_are_all_taken_where_tasks_are_left_of_the_turn_before),
        cmocka_unit_test(a_program_without_io_never_enters_the_kernel),
        cmocka_unit_test(an_idle_executor_sleeps_until_its_next_timer),
        cmocka_unit_test(a_spin_hides_no_completion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
