/* SPDX-License-Identifier: MIT */
/*
 * A shard looks for work before it sleeps, as config.spin and config.spin_policy say.
 *
 * Method: shards on the simulated kernel, whose clock moves by each reading of it, so a look
 * takes virtual time. Tasks wait for timers and for calls at known distances; rt_stats
 * tells how often the shard looked, found, and slept.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"
#include "support/rand.h"
#include "support/shards.h"

#define ROUNDS 200

struct counts {
    uint64_t sleeps;
    uint64_t looks;
    uint64_t found;
};

/* What rounds of one distance add to the counts. */
struct stage {
    rt_time distance;
    struct counts added;
};

static struct counts now_counted(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return (struct counts){ stats.sleeps, stats.looks, stats.looks_found };
}

static void run_stage(struct stage *stage)
{
    const struct counts before = now_counted();
    struct counts after;

    for (int i = 0; i < ROUNDS; i++) {
        T_CHECK(rt_sleep_until(rt_in(stage->distance)) == 0);
    }
    after = now_counted();
    stage->added = (struct counts){ after.sleeps - before.sleeps, after.looks - before.looks,
                                    after.found - before.found };
}

static int run_stages(void *arg)
{
    for (struct stage *stage = arg; stage->distance != 0; stage++) {
        run_stage(stage);
    }
    return 0;
}

static void run(struct stage *stages, rt_time spin, enum rt_spin_policy policy)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.spin = spin;
    config.spin_policy = policy;
    sim_begin(&(struct sim_config){ .seed = rt_test_seed(0), .step_max = 500 });
    assert_int_equal(rt_run(&config, run_stages, stages), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static void without_spin_every_wait_sleeps(void **state)
{
    struct stage stages[] = { { .distance = RT_MICROSECONDS(20) }, { .distance = 0 } };

    (void)state;
    run(stages, RT_SPIN_OFF, RT_SPIN_FIXED);
    assert_int_equal(stages[0].added.looks, 0);
    assert_true(stages[0].added.sleeps >= ROUNDS);
}

static void a_fixed_spin_looks_before_every_sleep(void **state)
{
    struct stage stages[] = { { .distance = RT_MICROSECONDS(20) },
                              { .distance = RT_MILLISECONDS(1) },
                              { .distance = 0 } };

    (void)state;
    run(stages, RT_MICROSECONDS(50), RT_SPIN_FIXED);
    assert_int_equal(stages[0].added.sleeps, 0); /* each look found the timer */
    assert_true(stages[0].added.found >= ROUNDS);
    assert_true(stages[1].added.sleeps >= ROUNDS);
    assert_true(stages[1].added.looks >= ROUNDS); /* in vain */
    assert_int_equal(stages[1].added.found, 0);
}

static void an_adaptive_spin_looks_while_waits_are_short_and_stops_when_they_are_long(void **state)
{
    struct stage stages[] = { { .distance = RT_MILLISECONDS(1) },
                              { .distance = RT_MICROSECONDS(20) },
                              { .distance = RT_MILLISECONDS(1) },
                              { .distance = RT_MICROSECONDS(20) },
                              { .distance = 0 } };

    (void)state;
    run(stages, 0, RT_SPIN_ADAPTIVE);
    for (int i = 0; i < 4; i += 2) {
        assert_true(stages[i].added.sleeps >= ROUNDS);
        assert_int_equal(stages[i].added.found, 0);
        assert_in_range(stages[i].added.looks, ROUNDS / 17 - 1, ROUNDS / 17 + 1 + 8);
        assert_in_range(stages[i + 1].added.sleeps, 0, 17); /* until a probe has seen it */
        assert_true(stages[i + 1].added.found >= ROUNDS - 17);
    }
}

/* Calls between shards, in many orders of threads: the callee's looks are ended by the doorbell. */

static int count_call(void *arg)
{
    ++*(unsigned *)arg;
    return 0;
}

static int call_and_count(void *arg)
{
    unsigned calls = 0;
    int r = 0;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    while (calls < ROUNDS && (r == 0 || r == -EAGAIN)) {
        r = rt_call(1, count_call, &calls, NULL, RT_NEVER);
        T_CHECK(rt_sleep_until(rt_in(calls % 8 < 6 ? 2000 : RT_MILLISECONDS(2))) == 0);
    }
    T_CHECK(calls == ROUNDS);
    return 0;
}

static void calls_arrive_whatever_the_policy_does(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(60); i++) {
        struct shards shards;

        shards_init(&shards, rt_test_seed(i), 2);
        shards.runtime.spin = RT_MICROSECONDS(20);
        shards.runtime.spin_policy = RT_SPIN_ADAPTIVE;
        shards_run(&shards, call_and_count, NULL);
        assert_true(shards.started);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_spin_every_wait_sleeps),
        cmocka_unit_test(a_fixed_spin_looks_before_every_sleep),
        cmocka_unit_test(an_adaptive_spin_looks_while_waits_are_short_and_stops_when_they_are_long),
        cmocka_unit_test(calls_arrive_whatever_the_policy_does),
    };

    (void)setenv("RT_SPURIOUS", "0", 1); /* wakes for nothing would make turns of their own */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
