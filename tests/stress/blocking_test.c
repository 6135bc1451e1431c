/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls on real threads: many tasks of two shards, deadlines that race with threads, and
 * runtimes that end while functions run.
 *
 * Each function counts its runs in the frame of its task, without atomics: so ThreadSanitizer sees
 * a frame that is left too early, and a result that is read too early. What each call returned must
 * fit what was counted.
 */
#include "support/harness.h"

#include <errno.h>

#include "base/compiler.h"
#include "rt/rt.h"
#include "support/rand.h"

#define RUNTIMES 20
#define TASKS    20
#define CALLS    (RTI_ASAN || RTI_TSAN ? 20 : 60)

static uint64_t returned; /* atomic: functions, as counted by those who called them */

struct errand {
    unsigned runs;
    unsigned spins;
};

static int run_errand(void *arg)
{
    struct errand *errand = arg;
    volatile unsigned spins = errand->spins;

    while (spins > 0) {
        spins--;
    }
    errand->runs++;
    return (int)errand->spins;
}

static int call_often(void *arg)
{
    struct rand_state rand;

    rand_init(&rand, (uint64_t)(uintptr_t)arg);
    for (int i = 0; i < CALLS; i++) {
        struct errand errand = { .spins = (unsigned)rand_below(&rand, 5000) };
        const rt_time limit = (rt_time)rand_below(&rand, RT_MICROSECONDS(200));
        int result = -1;
        const int r = rt_blocking(run_errand, &errand, &result,
                                  rand_chance(&rand, 500) ? rt_in(limit) : RT_NEVER);

        T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED);
        T_CHECK(errand.runs == (r == 0) && result == (r == 0 ? (int)errand.spins : -1));
        if (r == 0) {
            __atomic_add_fetch(&returned, 1, __ATOMIC_RELAXED);
        }
    }
    return 0;
}

/* Half of the tasks are left to the end of the runtime, which cancels them. */
static int first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    for (uintptr_t i = 1; i <= TASKS; i++) {
        void *seed = (void *)(i * 2 + rt_shard_index()); /* a number */

        T_CHECK((i % 2 == 0 ? rt_group_spawn(&group, call_often, seed)
                            : rt_spawn(NULL, call_often, seed)) == 0);
    }
    return rt_group_leave(&group, RT_NEVER);
}

static void each_call_says_whether_its_function_has_run(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.blocking_threads = 3;
    for (int i = 0; i < RUNTIMES; i++) {
        assert_int_equal(rt_start(&config, first, NULL), 0);
        assert_int_equal(t_failures(), 0);
    }
    print_message("%llu functions have run\n", (unsigned long long)returned);
    assert_true(returned > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_says_whether_its_function_has_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
