/* SPDX-License-Identifier: MIT */
/*
 * As nth_call_test, of task queues that all shards share: a parent and a child are made on two
 * shards and dropped, and the nth call of all threads together fails, from the start to the stop.
 * What was not made is on no shard, and its number is the next to be had.
 */
#include "support/fault_checks.h"

#include <errno.h>

#include "rt/rt.h"

static int is_here(void *arg)
{
    return rt_taskq_of_id(*(uint32_t *)arg) != NULL;
}

/* On how many shards a number has a queue. One call fails in a run, so a second try does not. */
static int count_of(uint32_t id)
{
    int result = 0;

    if (rt_call(1, is_here, &id, &result, RT_NEVER) < 0) {
        T_CHECK(rt_call(1, is_here, &id, &result, RT_NEVER) == 0);
    }
    return result + is_here(&id);
}

static int make(uint32_t *id, uint32_t parent)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    int r;

    options.parent = parent != 0 ? rt_taskq_of_id(parent) : NULL;
    r = rt_taskq_create_all(id, &options);
    T_CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN);
    return r;
}

static void drop(uint32_t id)
{
    int r = rt_taskq_destroy_all(id);

    if (r < 0) {
        T_CHECK(r == -ENOMEM || r == -EAGAIN);
        r = rt_taskq_destroy_all(id);
    }
    T_CHECK(r == 0);
}

static int make_and_drop(void *arg)
{
    uint32_t parent = 0;
    uint32_t child = 0;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    r = make(&parent, 0);
    if (r == 0) {
        r = make(&child, parent);
    }
    if (child != 0) {
        drop(child);
    }
    if (parent != 0) {
        drop(parent);
    }
    T_CHECK(count_of(1) == 0 && count_of(2) == 0);
    if (make(&parent, 0) < 0) {
        T_CHECK(make(&parent, 0) == 0);
    }
    T_CHECK(parent == 1 && count_of(1) == 2);
    return r;
}

static int run(void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.log = hear_nothing;
    return rt_start(&config, make_and_drop, arg);
}

static void a_queue_is_on_all_shards_or_on_none(void **state)
{
    const struct fault_runs runs = fail_each_call(run, NULL);

    (void)state;
    assert_true(runs.calls >= 50 && runs.failed > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_on_all_shards_or_on_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
