/* SPDX-License-Identifier: MIT */
/*
 * Objects that go home: see rt/home.h for what is promised.
 *
 * Method: by hand on one shard and on two of the simulated kernel; what is misused
 * aborts in a child. Random programs are in tests/sim/home_test.c.
 */
#include "support/harness.h"

#include <stdlib.h>

#include "cross/mesh.h"
#include "rt/rt.h"
#include "support/death.h"
#include "support/shards.h"

#define OBJECTS 1000

static struct rt_home_node nodes[OBJECTS];
static uint32_t freed;
static struct rt_waker waiting; /* for all to be freed */
static uint32_t wrong;          /* freed elsewhere than at home, which is shard 0 */

static void count_it(struct rt_home_node *node)
{
    (void)node;
    if (++freed == OBJECTS) {
        rt_wake(waiting);
    }
    wrong += rti_mesh_here()->index != 0;
}

static int free_at_home(void *arg)
{
    (void)arg;
    rt_home_init(&nodes[0], count_it);
    rt_home_free(&nodes[0]);
    T_CHECK(freed == 1);
    rt_home_init(&nodes[0], count_it); /* it may live again */
    rt_home_free(&nodes[0]);
    T_CHECK(freed == 2);
    return 0;
}

static void an_object_is_freed_at_once_where_it_was_made(void **state)
{
    (void)state;
    freed = 0;
    assert_int_equal(rt_run(NULL, free_at_home, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(freed, 2);
}

static int free_all_away(void *arg)
{
    struct rt_stats *stats = arg;

    for (uint32_t i = 0; i < OBJECTS; i++) {
        rt_home_free(&nodes[i]);
    }
    T_CHECK(freed == 0); /* nothing was sent yet */
    rt_stats_get(stats, sizeof(*stats));
    return 0;
}

static int hand_all_over(void *arg)
{
    struct rt_stats here;
    struct rt_stats there;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < OBJECTS; i++) {
        rt_home_init(&nodes[i], count_it);
    }
    waiting = rt_waker_self();
    T_CHECK(rt_call(1, free_all_away, &there, NULL, RT_NEVER) == 0);
    while (freed < OBJECTS) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    rt_stats_get(&here, sizeof(here));
    T_CHECK(there.objects_sent_home == OBJECTS && there.objects_came_home == 0);
    T_CHECK(here.objects_sent_home == 0 && here.objects_came_home == OBJECTS);
    return 0;
}

static void what_another_shard_frees_comes_home_and_is_counted(void **state)
{
    struct shards shards;

    (void)state;
    freed = 0;
    shards_init(&shards, 1, 2);
    shards.sim = (struct sim_config){ .seed = 1 };
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards_run(&shards, hand_all_over, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(freed, OBJECTS);
    assert_int_equal(wrong, 0);
}

static int free_twice(void *arg)
{
    (void)arg;
    rt_home_init(&nodes[0], count_it);
    rt_home_free(&nodes[0]);
    rt_home_free(&nodes[0]);
    return 0;
}

static void freeing_twice_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(free_twice, "rt_home_free(): the object was given back already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_freed_at_once_where_it_was_made),
        cmocka_unit_test(what_another_shard_frees_comes_home_and_is_counted),
        cmocka_unit_test(freeing_twice_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
