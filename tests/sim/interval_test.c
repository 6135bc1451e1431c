/* SPDX-License-Identifier: MIT */
/*
 * Intervals: each promise of rt/interval.h, to the nanosecond.
 *
 * Method: the simulated clock stands still but for sleeps, and for sim_advance(), by
 * which a task is late. So the moment at which each wait returns is known.
 */
#include "sim/caller.h"
#include "support/ear.h"
#include "support/rand.h"

#define PERIOD RT_MILLISECONDS(10)

/* Wait; it must come back at `moment`, with so many missed. */
static void expect(struct rt_interval *interval, rt_time moment, uint64_t missed)
{
    uint64_t seen = 99;

    T_CHECK(rt_interval_wait(interval, &seen, RT_NEVER) == 0);
    T_CHECK(rt_now() == moment);
    T_CHECK(seen == missed);
}

static int keep_the_grid(void *arg)
{
    const rt_time first = rt_in(RT_MILLISECONDS(3));
    struct rt_interval interval;

    (void)arg;
    for (uint32_t policy = RT_MISSED_BURST; policy <= RT_MISSED_DELAY; policy++) {
        const rt_time begin = first + policy * RT_SECONDS(100);

        T_CHECK(rt_interval_init(&interval, begin, PERIOD, policy) == 0);
        for (rt_time i = 0; i < 1000; i++) {
            expect(&interval, begin + i * PERIOD, 0);
            sim_advance(i % 2 == 0 ? 1 : PERIOD - 1); /* late, but by less than a period */
        }
    }
    return 0;
}

static void work_that_takes_less_than_a_period_shifts_nothing(void **state)
{
    (void)state;
    caller_run(keep_the_grid);
}

/* A wait that begins late by less than a period comes back at once, and the next is on the grid. */
static int be_a_little_late(void *arg)
{
    const rt_time first = rt_in(PERIOD);
    struct rt_interval interval;

    (void)arg;
    for (uint32_t policy = RT_MISSED_BURST; policy <= RT_MISSED_DELAY; policy++) {
        const rt_time begin = first + policy * RT_SECONDS(1);

        T_CHECK(rt_interval_init(&interval, begin, PERIOD, policy) == 0);
        expect(&interval, begin, 0);
        sim_advance(2 * PERIOD - 1);
        expect(&interval, begin + 2 * PERIOD - 1, 0);
        expect(&interval, begin + 2 * PERIOD, 0);
    }
    return 0;
}

static void a_wait_that_is_late_by_less_than_a_period_has_missed_none(void **state)
{
    (void)state;
    caller_run(be_a_little_late);
}

static int miss_and_burst(void *arg)
{
    const rt_time first = rt_in(PERIOD);
    const rt_time late = first + 4 * PERIOD + 7;
    struct rt_interval interval;

    (void)arg;
    T_CHECK(rt_interval_init(&interval, first, PERIOD, RT_MISSED_BURST) == 0);
    expect(&interval, first, 0);
    sim_advance(late - first);
    expect(&interval, late, 3);
    expect(&interval, late, 2);
    expect(&interval, late, 1);
    expect(&interval, late, 0);
    expect(&interval, first + 5 * PERIOD, 0);
    return 0;
}

static void a_burst_makes_up_for_every_moment_and_returns_to_the_grid(void **state)
{
    (void)state;
    caller_run(miss_and_burst);
}

static int miss_and_skip(void *arg)
{
    const rt_time first = rt_in(PERIOD);
    struct rt_interval interval;

    (void)arg;
    T_CHECK(rt_interval_init(&interval, first, PERIOD, RT_MISSED_SKIP) == 0);
    expect(&interval, first, 0);
    sim_advance(4 * PERIOD + 7);
    expect(&interval, first + 4 * PERIOD + 7, 3);
    expect(&interval, first + 5 * PERIOD, 0);
    sim_advance(3 * PERIOD); /* back on a moment: it has come, and is no missed one */
    expect(&interval, first + 8 * PERIOD, 2);
    expect(&interval, first + 9 * PERIOD, 0);
    return 0;
}

static void a_skip_goes_on_with_the_first_moment_of_the_grid_after_now(void **state)
{
    (void)state;
    caller_run(miss_and_skip);
}

static int miss_and_delay(void *arg)
{
    const rt_time first = rt_in(PERIOD);
    struct rt_interval interval;
    rt_time grid;

    (void)arg;
    T_CHECK(rt_interval_init(&interval, first, PERIOD, RT_MISSED_DELAY) == 0);
    expect(&interval, first, 0);
    sim_advance(4 * PERIOD + 7);
    grid = rt_now();
    expect(&interval, grid, 3);
    expect(&interval, grid + PERIOD, 0);
    expect(&interval, grid + 2 * PERIOD, 0);
    return 0;
}

static void a_delay_begins_a_new_grid_a_period_after_now(void **state)
{
    (void)state;
    caller_run(miss_and_delay);
}

/* Every policy against a model that counts moments one by one. */
static rt_time next_of(uint32_t policy, rt_time due, rt_time period, rt_time now, uint64_t *missed)
{
    rt_time next = due + period;

    *missed = 0;
    for (rt_time moment = due + period; moment <= now; moment += period) {
        (*missed)++;
    }
    if (policy == RT_MISSED_SKIP) {
        while (next <= now) {
            next += period;
        }
    }
    return policy == RT_MISSED_DELAY && *missed > 0 ? now + period : next;
}

static int be_late_at_random(void *arg)
{
    struct rand_state rand;

    (void)arg;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned run = 0; run < 100; run++) {
        const uint32_t policy = (uint32_t)rand_below(&rand, 3);
        const rt_time period = rand_range(&rand, 1, 1 << rand_below(&rand, 30));
        rt_time due = rt_now() + rand_range(&rand, -50, 50) * (period / 7);
        struct rt_interval interval;

        T_CHECK(rt_interval_init(&interval, due, period, policy) == 0);
        for (unsigned i = 0; i < 50; i++) {
            const rt_time now = due > rt_now() ? due : rt_now();
            uint64_t missed;

            due = next_of(policy, due, period, now, &missed);
            expect(&interval, now, missed);
            sim_advance(rand_range(&rand, 0, 2 * period) * (rand_below(&rand, 4) == 0 ? 9 : 0));
        }
    }
    return 0;
}

static void every_policy_agrees_with_one_that_counts_moments(void **state)
{
    (void)state;
    caller_run(be_late_at_random);
}

static int wait_for(void *interval, rt_time deadline)
{
    return rt_interval_wait(interval, NULL, deadline);
}

static int end_otherwise(void *arg)
{
    const rt_time first = rt_in(PERIOD);
    struct rt_interval interval;
    struct rt_scope scope;
    struct caller caller;

    (void)arg;
    T_CHECK(rt_interval_init(&interval, first, PERIOD, RT_MISSED_SKIP) == 0);
    T_CHECK(rt_interval_wait(&interval, NULL, 0) == -ETIME);
    T_CHECK(rt_interval_wait(&interval, NULL, first - 1) == -ETIME && rt_now() == first - 1);
    rt_scope_enter(&scope, first - 1);
    T_CHECK(rt_interval_wait(&interval, NULL, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    caller_start(&caller, wait_for, &interval, RT_NEVER);
    rt_cancel(caller.task);
    T_CHECK(caller_end(&caller) == -ECANCELED);
    T_CHECK(rt_now() == first - 1);
    T_CHECK(rt_interval_wait(&interval, NULL, first) == 0); /* at both: the moment has come */
    T_CHECK(rt_now() == first);
    T_CHECK(rt_interval_wait(&interval, NULL, first) == -ETIME);
    sim_advance(PERIOD);
    T_CHECK(rt_interval_wait(&interval, NULL, 0) == 0); /* what has come counts */
    expect(&interval, first + 2 * PERIOD, 0);
    return 0;
}

static void a_wait_that_ends_otherwise_leaves_the_moment_to_the_next(void **state)
{
    (void)state;
    caller_run(end_otherwise);
}

static int reach_the_end_of_time(void *arg)
{
    struct rt_interval interval;
    uint64_t missed;

    (void)arg;
    for (uint32_t policy = RT_MISSED_BURST; policy <= RT_MISSED_DELAY; policy++) {
        T_CHECK(rt_interval_init(&interval, rt_in(1), RT_NEVER - 1, policy) == 0);
        T_CHECK(rt_interval_wait(&interval, &missed, RT_NEVER) == 0 && missed == 0);
        T_CHECK(rt_interval_wait(&interval, NULL, rt_in(PERIOD)) == -ETIME); /* it does not come */
    }
    for (uint32_t policy = RT_MISSED_SKIP; policy <= RT_MISSED_DELAY; policy++) {
        const rt_time period = rt_now() / 2 + 1; /* one missed, and then the one that is not */

        T_CHECK(rt_interval_init(&interval, 0, period - 1, policy) == 0);
        T_CHECK(rt_interval_wait(&interval, &missed, RT_NEVER) == 0 && missed == 2);
    }
    T_CHECK(rt_interval_init(&interval, RT_NEVER, 1, RT_MISSED_BURST) == 0);
    T_CHECK(rt_interval_wait(&interval, NULL, rt_in(PERIOD)) == -ETIME);
    return 0;
}

static void a_moment_after_the_end_of_time_does_not_come(void **state)
{
    (void)state;
    caller_run(reach_the_end_of_time);
}

static int refuse(void *arg)
{
    struct rt_interval interval;

    (void)arg;
    T_CHECK(rt_interval_init(&interval, 5, 7, RT_MISSED_DELAY) == 0);
    T_CHECK(rt_interval_init(&interval, 1, 0, RT_MISSED_BURST) == -EINVAL);
    T_CHECK(rt_interval_init(&interval, 1, -1, RT_MISSED_BURST) == -EINVAL);
    T_CHECK(rt_interval_init(&interval, 1, INT64_MIN, RT_MISSED_BURST) == -EINVAL);
    T_CHECK(rt_interval_init(&interval, -1, 1, RT_MISSED_BURST) == -EINVAL);
    T_CHECK(rt_interval_init(&interval, 1, 1, RT_MISSED_DELAY + 1) == -EINVAL);
    T_CHECK(heard.lines == 5 && heard.level == RT_LOG_ERROR);
    T_CHECK(interval.next == 5 && interval.period == 7 && interval.policy == RT_MISSED_DELAY);
    return 0;
}

static void what_is_no_interval_is_refused_with_a_text(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.log = hear;
    sim_begin(&(struct sim_config){ .seed = 1 });
    T_CHECK(rt_run(&config, refuse, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_that_takes_less_than_a_period_shifts_nothing),
        cmocka_unit_test(a_wait_that_is_late_by_less_than_a_period_has_missed_none),
        cmocka_unit_test(a_burst_makes_up_for_every_moment_and_returns_to_the_grid),
        cmocka_unit_test(a_skip_goes_on_with_the_first_moment_of_the_grid_after_now),
        cmocka_unit_test(a_delay_begins_a_new_grid_a_period_after_now),
        cmocka_unit_test(every_policy_agrees_with_one_that_counts_moments),
        cmocka_unit_test(a_wait_that_ends_otherwise_leaves_the_moment_to_the_next),
        cmocka_unit_test(a_moment_after_the_end_of_time_does_not_come),
        cmocka_unit_test(what_is_no_interval_is_refused_with_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
