/* SPDX-License-Identifier: MIT */
/*
 * A shard that polls a device does not sleep, and so nobody wakes it: messages of others must be
 * met all the same.
 *
 * Shard 0 reads from a polled file, and the simulated kernel keeps the request. Only a call of
 * shard 1, served meanwhile, lets it go on. Each seed is another order of the two threads.
 */
#include "support/harness.h"

#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"
#include "support/shards.h"

#define SEEDS 300u
#define BLOCK 512u

static char bytes[BLOCK] __attribute__((aligned(512)));
static unsigned served;

/* On shard 0, once the kernel keeps the read. */
static int let_it_go_on(void *arg)
{
    (void)arg;
    while (sim_held(IORING_OP_READ) == 0) {
        T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(2))) == 0);
    }
    served++;
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
    return 7;
}

static int read_polled(void)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file_stat stat;
    struct rt_file *file = NULL;
    struct rt_stats stats;

    memset(bytes, 'd', BLOCK);
    sim_file_put("data", bytes, BLOCK);
    memset(bytes, 0, BLOCK);
    options.flags = O_RDONLY | O_DIRECT;
    options.polled = 1;
    T_CHECK(rt_file_open_with(&file, "data", &options, RT_NEVER) == 0);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.polled == 1);
    sim_hold(IORING_OP_READ, SIM_DONE);
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, 0, RT_NEVER) == BLOCK);
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.polled_transfers == 1);
    return rt_file_close(file);
}

static int first(void *arg)
{
    int result = 0;

    (void)arg;
    if (rt_shard_index() == 0) {
        return read_polled();
    }
    T_CHECK(rt_call(0, let_it_go_on, NULL, &result, RT_NEVER) == 0 && result == 7);
    return 0;
}

static void calls_are_served_while_a_device_is_polled(void **state)
{
    char expected[BLOCK];

    (void)state;
    memset(expected, 'd', BLOCK);
    for (unsigned i = 0; i < SEEDS; i++) {
        struct shards shards;

        shards_init(&shards, i + 1, 2);
        shards.sim.faults = (struct sim_faults){ 0 };
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
        shards_run(&shards, first, NULL);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
        assert_memory_equal(bytes, expected, BLOCK);
    }
    assert_int_equal(served, SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_served_while_a_device_is_polled),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take the feature away */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
