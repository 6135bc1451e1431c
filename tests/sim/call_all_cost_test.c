/* SPDX-License-Identifier: MIT */
/*
 * A call to all shards costs the same per shard, however many there are.
 *
 * Method: one shard calls all others, again and again, on the simulated kernel without faults; each
 * counts its messages, rings and kernel enters, from 2 shards to 128. What is counted does not
 * depend on time. tests/gate counts the instructions.
 */
#include "support/harness.h"

#include <string.h>

#include "rt/rt.h"
#include "support/shards.h"

#define SHARDS_MAX 128
#define ROUNDS     16 /* between the two looks at counters; the second look is one more */

struct cost {
    uint64_t messages;
    uint64_t rings;
    uint64_t enters;
};

struct scene {
    uint32_t shards;
    struct rt_stats before[SHARDS_MAX];
    struct rt_stats after[SHARDS_MAX];
    struct rt_call_part parts[SHARDS_MAX];
    uint64_t sum;
};

static struct scene scene; /* one thread runs at a time */

static int count(void *into)
{
    struct rt_stats *stats = into;

    rt_stats_get(&stats[rt_shard_index()], sizeof(*stats));
    return 0;
}

static int give_index(void *arg)
{
    (void)arg;
    return (int)rt_shard_index();
}

static void add(void *into, const struct rt_call_part *part)
{
    *(uint64_t *)into += (uint64_t)part->result;
}

static int call_all(void *arg)
{
    (void)arg;
    return rt_call_all(scene.parts, give_index, NULL, RT_NEVER);
}

static int map_reduce(void *arg)
{
    (void)arg;
    return rt_map_reduce(scene.parts, scene.shards, give_index, add, &scene.sum, RT_NEVER);
}

static int first(void *round)
{
    const rt_task_fn *what = round;

    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK((*what)(NULL) == 0); /* ports are made by the first */
    T_CHECK(rt_call_all(scene.parts, count, scene.before, RT_NEVER) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        T_CHECK((*what)(NULL) == 0);
    }
    T_CHECK(rt_call_all(scene.parts, count, scene.after, RT_NEVER) == 0);
    return 0;
}

static struct cost cost_of(uint32_t from, uint32_t to)
{
    struct cost cost = { 0 };

    for (uint32_t i = from; i < to; i++) {
        cost.messages += scene.after[i].messages_sent - scene.before[i].messages_sent;
        cost.rings += scene.after[i].rings - scene.before[i].rings;
        cost.enters += scene.after[i].enters - scene.before[i].enters;
    }
    return cost;
}

static void run(uint32_t count_of_shards, rt_task_fn what)
{
    struct shards shards;

    memset(&scene, 0, sizeof(scene));
    scene.shards = count_of_shards;
    for (uint32_t i = 0; i < count_of_shards; i++) {
        scene.parts[i].shard = i;
    }
    shards_init(&shards, 1, count_of_shards); /* of which nothing is left to chance: */
    shards.sim = (struct sim_config){ .seed = 1 };
    shards.runtime = (struct rt_config)RT_CONFIG_INIT;
    shards.runtime.shards = count_of_shards;
    shards.runtime.place = RT_PLACE_UNBOUND;
    shards_run(&shards, first, &what);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
}

static void print(uint32_t shards, const char *who, struct cost cost, uint32_t per)
{
    const double each = (double)(ROUNDS + 1) * per;

    print_message("%3u shards, %-6s per shard: %.2f messages, %.2f rings, %.2f enters\n", shards,
                  who, (double)cost.messages / each, (double)cost.rings / each,
                  (double)cost.enters / each);
}

/* A message there and one back. Who called wakes for each reply at most, and once to send them all;
 * the called wake for the request, and enter once more to send the reply. */
static void assert_cost(struct cost cost, uint64_t others)
{
    const uint64_t calls = (ROUNDS + 1) * others;

    assert_int_equal(cost.messages, calls);
    assert_true(cost.rings <= calls);
    assert_true(cost.enters <= 2 * calls);
}

static void assert_flat(rt_task_fn what)
{
    static const uint32_t counts[] = { 2, 8, 32, SHARDS_MAX };

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const uint32_t others = counts[i] - 1;
        struct cost caller;
        struct cost called;

        run(counts[i], what);
        caller = cost_of(0, 1);
        called = cost_of(1, counts[i]);
        print(counts[i], "caller", caller, others);
        print(counts[i], "called", called, others);
        assert_cost(caller, others);
        assert_cost(called, others);
    }
}

static void a_call_to_all_costs_the_same_per_shard(void **state)
{
    (void)state;
    assert_flat(call_all);
}

static void a_map_reduce_costs_the_same_per_shard(void **state)
{
    (void)state;
    assert_flat(map_reduce);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_to_all_costs_the_same_per_shard),
        cmocka_unit_test(a_map_reduce_costs_the_same_per_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
