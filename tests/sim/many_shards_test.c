/* SPDX-License-Identifier: MIT */
/*
 * So many shards that a doorbell has several words: 62 senders share one.
 *
 * Method: 200 shards on the simulated kernel. A token goes around by posts, so that
 * each word is rung by a single sender while all others sleep; then everybody
 * calls one shard at the same time, and one shard wakes tasks on all others.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rt/call.h"
#include "rt/rt.h"
#include "rt/start.h"

#define SHARDS 200
#define ROUNDS 2
#define EVERY  5000 /* one run here for so many of tests with few shards */

static struct {
    unsigned passes;
    struct rt_waker keeper; /* of shard 0's first task */
    uint64_t sum;
    struct rt_waker sleepers[SHARDS];
    unsigned asleep;
    bool is_over;
} table;

static void init_many(struct shards *shards, uint64_t seed)
{
    memset(&table, 0, sizeof(table));
    shards_init(shards, seed, SHARDS);
    shards->runtime.ring_entries = 8;
    shards->runtime.cq_entries = 16;
    shards->runtime.tasks_max = 8;
    shards->runtime.spin = RT_SPIN_OFF;
}

static void run_many(rt_task_fn first)
{
    for (unsigned i = 0; i < 1 + rt_test_seed_count(SHARDS_SEEDS) / EVERY; i++) {
        struct shards shards;

        init_many(&shards, rt_test_seed(i));
        shards_run(&shards, first, NULL);
        assert_true(shards.started);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
    }
}

static int pass_on(void *arg)
{
    const uint32_t next = (rt_shard_index() + 1) % SHARDS;

    (void)arg;
    if (++table.passes < ROUNDS * SHARDS) {
        T_CHECK(rt_post(next, pass_on, NULL, RT_NEVER) == 0);
    } else {
        table.is_over = true;
        rt_wake(table.keeper);
    }
    return 0;
}

static int keep_token(void *arg)
{
    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    table.keeper = rt_waker_self();
    T_CHECK(rt_post(1, pass_on, NULL, RT_NEVER) == 0);
    while (!table.is_over) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    T_CHECK(table.passes == ROUNDS * SHARDS);
    return 0;
}

static void a_token_passes_every_shard(void **state)
{
    (void)state;
    run_many(keep_token);
}

static int add(void *arg)
{
    table.sum += *(uint32_t *)arg;
    return 0;
}

/* At its limit of tasks the shard refuses: then again, later. */
static int call_one(void *arg)
{
    uint32_t index = rt_shard_index();
    int r;

    (void)arg;
    do {
        r = rt_call(SHARDS / 2, add, &index, NULL, RT_NEVER);
        T_CHECK(r == 0 || r == -EAGAIN);
    } while (r == -EAGAIN && rt_sleep_until(rt_in(1000)) == 0);
    return 0;
}

static void all_shards_can_call_one(void **state)
{
    (void)state;
    run_many(call_one);
    assert_int_equal(table.sum, SHARDS * (SHARDS - 1) / 2);
}

static int sleep_until_all_sleep(void *arg)
{
    (void)arg;
    table.sleepers[rt_shard_index()] = rt_waker_self();
    if (++table.asleep == SHARDS) {
        table.is_over = true;
        for (uint32_t i = 0; i < SHARDS; i++) {
            rt_wake(table.sleepers[i]);
        }
    }
    while (!table.is_over) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

static void one_shard_can_wake_all_others(void **state)
{
    (void)state;
    run_many(sleep_until_all_sleep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_passes_every_shard),
        cmocka_unit_test(all_shards_can_call_one),
        cmocka_unit_test(one_shard_can_wake_all_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
