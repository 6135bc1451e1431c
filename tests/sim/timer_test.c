/* SPDX-License-Identifier: MIT */
/*
 * Sleeps on the simulated clock: when they end, with and without a slack, and what
 * it costs in wake-ups; and many that end at once.
 *
 * Method: the clock moves by sleeps of the shard alone, so each moment is known.
 */
#include "sim/caller.h"

#define MANY 1000 /* more than expire in one turn */

struct sleeper {
    rt_time deadline;
    rt_time woken;
};

static int sleep_once(void *arg)
{
    struct sleeper *sleeper = arg;

    T_CHECK(rt_sleep_until(sleeper->deadline) == 0);
    sleeper->woken = rt_now();
    return 0;
}

static uint64_t sleeps(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.sleeps;
}

/* Let tasks sleep so long from now; how often the shard slept until all had woken. */
static uint64_t let_sleep(struct sleeper *sleepers, const rt_time *lengths, unsigned count)
{
    struct rt_group group = RT_GROUP_INIT;
    const rt_time now = rt_now();
    uint64_t before;

    for (unsigned i = 0; i < count; i++) {
        sleepers[i].deadline = now + lengths[i];
        T_CHECK(rt_group_spawn(&group, sleep_once, &sleepers[i]) == 0);
    }
    before = sleeps();
    T_CHECK(rt_group_wait(&group, RT_NEVER) == 0);
    return sleeps() - before;
}

static const rt_time lengths[] = { 1000000, 1000001, 1150000, 1200000, 1200001, 9000000 };
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static int sleep_exactly(void *arg)
{
    struct sleeper sleepers[LENGTHS];

    (void)arg;
    T_CHECK(let_sleep(sleepers, lengths, LENGTHS) == LENGTHS);
    for (unsigned i = 0; i < LENGTHS; i++) {
        T_CHECK(sleepers[i].woken == sleepers[i].deadline);
    }
    return 0;
}

static void without_a_slack_every_sleep_ends_at_its_nanosecond(void **state)
{
    (void)state;
    caller_run(sleep_exactly);
}

/* With 200 us: four by the first wake-up, the others by one each. */
static int sleep_slackly(void *arg)
{
    struct sleeper sleepers[LENGTHS];
    rt_time begin;

    (void)arg;
    begin = rt_now();
    T_CHECK(let_sleep(sleepers, lengths, LENGTHS) == 3);
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(sleepers[i].woken == begin + 1200000);
    }
    T_CHECK(sleepers[4].woken == begin + 1400001);
    T_CHECK(sleepers[5].woken == begin + 9200000);
    return 0;
}

static void a_slack_meets_deadlines_together_but_none_early(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.timer_slack = RT_MICROSECONDS(200);
    sim_begin(&(struct sim_config){ .seed = 1 });
    T_CHECK(rt_run(&config, sleep_slackly, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* What a turn leaves over is no reason to wait for: neither the end of time nor a slack. */
static int sleep_together(void *arg)
{
    static struct sleeper sleepers[MANY];
    static rt_time same[MANY];
    const rt_time slack = *(const rt_time *)arg;

    for (unsigned i = 0; i < MANY; i++) {
        same[i] = RT_MILLISECONDS(5);
    }
    T_CHECK(let_sleep(sleepers, same, MANY) == 1);
    for (unsigned i = 0; i < MANY; i++) {
        T_CHECK(sleepers[i].woken == sleepers[i].deadline + slack);
    }
    return 0;
}

static void sleeps_that_end_at_once_take_one_wake_up_however_many_they_are(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;
    rt_time slack;

    (void)state;
    for (slack = 0; slack <= RT_MILLISECONDS(1); slack += RT_MILLISECONDS(1)) {
        config.timer_slack = slack;
        sim_begin(&(struct sim_config){ .seed = 1 });
        T_CHECK(rt_run(&config, sleep_together, &slack) == 0);
        assert_int_equal(sim_end(NULL), 0);
        assert_int_equal(t_failures(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_slack_every_sleep_ends_at_its_nanosecond),
        cmocka_unit_test(a_slack_meets_deadlines_together_but_none_early),
        cmocka_unit_test(sleeps_that_end_at_once_take_one_wake_up_however_many_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
