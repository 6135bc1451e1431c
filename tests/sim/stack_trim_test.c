/* SPDX-License-Identifier: MIT */
/*
 * Stacks after a burst: their memory is back within a second, whether the shard is busy
 * or sleeps, and what a load needs again and again is left alone.
 *
 * The clock is the simulated one; the stacks are real, and rt_stats counts them.
 */
#include "support/first.h"

#include "rt/rt.h"

#define BURST 1000
#define WARM  100

static struct rt_event go;

static int wait_for_it(void *arg)
{
    (void)arg;
    return rt_event_wait(&go, RT_NEVER);
}

/* So many tasks that live at the same time, and end. */
static void burst(unsigned tasks)
{
    struct rt_group group = RT_GROUP_INIT;

    go = (struct rt_event)RT_EVENT_INIT;
    for (unsigned i = 0; i < tasks; i++) {
        T_CHECK(rt_group_spawn(&group, wait_for_it, NULL) == 0);
    }
    rt_yield();
    rt_event_set(&go);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
}

static struct rt_stats stats_now(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats;
}

/* A task that computes and yields for so long. */
static void be_busy(rt_time length)
{
    const rt_time end = rt_in(length);

    while (rt_now() < end) {
        sim_advance(RT_MILLISECONDS(1));
        rt_yield();
    }
}

static int busy_first(void *arg)
{
    (void)arg;
    burst(BURST);
    T_CHECK(stats_now().stacks_free >= BURST && stats_now().stacks_trimmed == 0);
    be_busy(RT_MILLISECONDS(200));
    T_CHECK(stats_now().stacks_trimmed == 0); /* the next burst may come soon */
    be_busy(RT_MILLISECONDS(800));
    T_CHECK(stats_now().stacks_free == WARM);
    T_CHECK(stats_now().stacks_trimmed + WARM >= BURST);
    burst(BURST); /* all of them can be used */
    be_busy(RT_SECONDS(1));
    T_CHECK(stats_now().stacks_free == WARM);
    return 0;
}

static void run_warm(uint32_t stacks_warm, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.stacks_warm = stacks_warm;
    assert_int_equal(run_config(&config, first, NULL), 0);
}

static void a_busy_shard_gives_stacks_back_within_a_second_of_the_burst(void **state)
{
    (void)state;
    run_warm(WARM, busy_first);
}

static int idle_first(void *arg)
{
    uint64_t sleeps;

    (void)arg;
    burst(BURST);
    sleeps = stats_now().sleeps;
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(1))) == 0);
    T_CHECK(stats_now().stacks_free == WARM);
    T_CHECK(stats_now().sleeps - sleeps <= 1 + 2); /* its own, and after each of two periods */
    sleeps = stats_now().sleeps;
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(3600))) == 0);
    T_CHECK(stats_now().sleeps - sleeps == 1);
    return 0;
}

static void an_idle_shard_gives_stacks_back_and_then_sleeps_undisturbed(void **state)
{
    (void)state;
    run_warm(WARM, idle_first);
}

static int small_first(void *arg)
{
    uint64_t sleeps;

    (void)arg;
    burst(WARM);
    sleeps = stats_now().sleeps;
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(3600))) == 0);
    T_CHECK(stats_now().sleeps - sleeps == 1);
    T_CHECK(stats_now().stacks_trimmed == 0);
    return 0;
}

static void what_stays_warm_wakes_nobody(void **state)
{
    (void)state;
    run_warm(WARM, small_first);
}

static int steady_first(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) { /* busy and asleep in turn */
        burst(200);
        be_busy(RT_MILLISECONDS(10));
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(90))) == 0);
    }
    T_CHECK(stats_now().stacks_trimmed == 0);
    return 0;
}

static void stacks_that_are_needed_again_and_again_keep_their_memory(void **state)
{
    (void)state;
    run_warm(1, steady_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_shard_gives_stacks_back_within_a_second_of_the_burst),
        cmocka_unit_test(an_idle_shard_gives_stacks_back_and_then_sleeps_undisturbed),
        cmocka_unit_test(what_stays_warm_wakes_nobody),
        cmocka_unit_test(stacks_that_are_needed_again_and_again_keep_their_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
