/* SPDX-License-Identifier: MIT */
/*
 * Wake map: every bit that is set becomes one wake, and none stays.
 *
 * Method: tasks all over the table park; their bits are set and taken as waker
 * and owner do it. The upper levels of a table of millions are looked at with
 * a block whose tasks say that they stand elsewhere.
 */
#include "support/harness.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cross/mesh.h"
#include "cross/wake_map.h"
#include "os/sys.h"
#include "rt/rt.h"

#define TASKS 4300u /* more than 64 * 64: two words of the level */

static struct rt_waker wakers[TASKS];
static unsigned wakes[TASKS];
static bool over;

static int park(void *arg)
{
    const uint32_t number = (uint32_t)(uintptr_t)arg;

    wakers[number] = rt_waker_self();
    while (!over) {
        if (rt_park(RT_NEVER) == 0) {
            wakes[number]++;
        }
    }
    return 0;
}

static unsigned all_wakes(void)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < TASKS; i++) {
        sum += wakes[i];
    }
    return sum;
}

static void check_empty(const struct rti_wake_map *map)
{
    for (uint32_t i = 0; i < map->top_words; i++) {
        T_CHECK(map->top[i] == 0);
    }
    T_CHECK(map->level[0] == 0 && map->level[1] == 0);
}

static void wake_some(struct rti_mesh_shard *shard)
{
    static const uint32_t some[] = { 0, 1, 62, 63, 64, 255, 256, 4094, 4095, 4096, 4200 };
    const unsigned count = sizeof(some) / sizeof(some[0]);
    const unsigned before = all_wakes();

    for (unsigned i = 0; i < count; i++) {
        T_CHECK(rti_wake_map_set(&shard->wake_map, wakers[some[i]].task));
        T_CHECK(!rti_wake_map_set(&shard->wake_map, wakers[some[i]].task)); /* M2 */
    }
    rti_wake_map_take(&shard->wake_map, shard->executor);
    check_empty(&shard->wake_map);
    rt_yield();
    T_CHECK(all_wakes() == before + count);
    for (unsigned i = 0; i < count; i++) {
        T_CHECK(wakes[some[i]] > 0);
        wakes[some[i]] = 0;
    }
    T_CHECK(all_wakes() == 0);
    rti_wake_map_take(&shard->wake_map, shard->executor); /* of nothing */
    rt_yield();
    T_CHECK(all_wakes() == 0);
}

/* A thread that is no shard: each wake comes, though many are under way at once. */
static void *wake_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < TASKS; i++) {
        rt_wake(wakers[i]);
    }
    return NULL;
}

static void be_woken_by_thread(void)
{
    pthread_t thread;

    T_CHECK(pthread_create(&thread, NULL, wake_all, NULL) == 0);
    for (unsigned i = 0; i < TASKS; i++) {
        while (wakes[i] == 0) { /* the test's timeout ends this if a wake is lost */
            T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(100))) == 0);
        }
    }
    T_CHECK(pthread_join(thread, NULL) == 0);
}

static int first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    for (uintptr_t i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&group, park, (void *)i) == 0);
    }
    rt_yield();
    wake_some(rti_mesh_here());
    be_woken_by_thread();
    over = true;
    return rt_group_leave(&group, 0);
}

static void every_bit_is_one_wake(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.stack_bytes = 16384;
    assert_int_equal(rt_run(&config, first, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static struct rt_waker gone;

static int nothing(void *arg)
{
    (void)arg;
    gone = rt_waker_self();
    return 0;
}

static int wake_the_gone(void *arg)
{
    struct rti_mesh_shard *shard = rti_mesh_here();
    struct rt_stats before;
    struct rt_stats after;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, nothing, NULL) == 0);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    rt_stats_get(&before, sizeof(before));
    T_CHECK(rti_wake_map_set(&shard->wake_map, gone.task));
    rti_wake_map_take(&shard->wake_map, shard->executor);
    T_CHECK(!rti_executor_has_runnable(shard->executor));
    rt_stats_get(&after, sizeof(after));
    T_CHECK(after.wakes_received == before.wakes_received + 1);
    return 0;
}

static void a_stale_bit_wakes_nobody(void **state)
{
    (void)state;
    assert_int_equal(rt_run(NULL, wake_the_gone, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static void the_levels_of_a_table_of_millions_are_named_right(void **state)
{
    static const uint32_t indices[] = { 0, 63, 64, 4095, 4096, 262143, 262144, 16777216 };
    struct rti_task_block *block = rti_sys_alloc(sizeof(*block));
    struct rti_wake_map map;

    (void)state;
    assert_non_null(block);
    assert_int_equal(rti_wake_map_init(&map, 16777217), 0);
    assert_int_equal(map.top_words, 65);
    for (unsigned i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        struct rt_task *task = &block->tasks[indices[i] % RTI_TASKS_PER_BLOCK];
        const uint32_t word = indices[i] / 64;

        memset(block->wakes, 0, sizeof(block->wakes));
        task->index = indices[i];
        assert_true(rti_wake_map_set(&map, task));
        assert_true(block->wakes[indices[i] % RTI_TASKS_PER_BLOCK / 64] == 1ull << indices[i] % 64);
        assert_true((map.level[word / 64] & 1ull << word % 64) != 0);
        assert_true((map.top[word / 64 / 64] & 1ull << word / 64 % 64) != 0);
    }
    rti_wake_map_fini(&map);
    rti_sys_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_is_one_wake),
        cmocka_unit_test(a_stale_bit_wakes_nobody),
        cmocka_unit_test(the_levels_of_a_table_of_millions_are_named_right),
    };

    (void)setenv("RT_SPURIOUS", "0", 1); /* each wake is counted */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
