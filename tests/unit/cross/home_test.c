/* SPDX-License-Identifier: MIT */
/*
 * Objects that go home: see rt/home.h for what is promised.
 *
 * Method: by hand, on one shard and on two of the simulated kernel; what is misused
 * aborts in a child. Random programs are in tests/sim/home_test.c.
 */
#include "support/harness.h"

#include <stdlib.h>

#include "cross/mesh.h"
#include "rt/rt.h"
#include "support/death.h"
#include "support/first.h"
#include "support/rand.h"
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
    run_first(free_at_home);
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

/* So many of shard 1 that it is still at it when both shards are quiet; each frees one of shard 0,
 * which wakes who was waiting for it. */

static struct rt_home_node owners[OBJECTS];
static uint32_t without_shards; /* freed when no shard ran any more */

static void wake_who_waits(struct rt_home_node *node)
{
    (void)node;
    freed++;
    without_shards += rti_current == NULL;
    rt_wake(waiting);
}

static void free_what_it_owns(struct rt_home_node *node)
{
    rt_home_free(&nodes[node - owners]);
}

static int make_owners(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        rt_home_init(&owners[i], free_what_it_owns);
    }
    return 0;
}

static int free_owners_last(void *arg)
{
    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    waiting = rt_waker_self();
    for (uint32_t i = 0; i < OBJECTS; i++) {
        rt_home_init(&nodes[i], wake_who_waits);
    }
    T_CHECK(rt_call(1, make_owners, NULL, NULL, RT_NEVER) == 0);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        rt_home_free(&owners[i]);
    }
    return 0;
}

static void who_has_ended_may_be_woken_by_the_last_that_are_freed(void **state)
{
    (void)state;
    without_shards = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct shards shards;

        freed = 0;
        shards_init(&shards, rt_test_seed(i), 2);
        shards.sim = (struct sim_config){ .seed = rt_test_seed(i), .switch_per_mille = 100 };
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
        shards_run(&shards, free_owners_last, NULL);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
        assert_int_equal(freed, OBJECTS);
    }
    assert_true(without_shards > 0); /* else this has shown nothing */
}

static int free_twice(void *arg)
{
    (void)arg;
    rt_home_init(&nodes[0], count_it);
    rt_home_free(&nodes[0]);
    rt_home_free(&nodes[0]);
    return 0;
}

static void pause_a_moment(struct rt_home_node *node)
{
    (void)node;
    rt_yield();
}

static int free_with_a_pause(void *arg)
{
    (void)arg;
    rt_home_init(&nodes[0], pause_a_moment);
    rt_home_free(&nodes[0]);
    return 0;
}

/* Also where it is a task that runs it. */
static void a_function_that_suspends_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(free_with_a_pause, "in a no-suspend section: an rt_home_fn");
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
        cmocka_unit_test(who_has_ended_may_be_woken_by_the_last_that_are_freed),
        cmocka_unit_test(a_function_that_suspends_aborts),
        cmocka_unit_test(freeing_twice_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
