/* SPDX-License-Identifier: MIT */
/*
 * Task queues that all shards share: shard 0 asks, the others serve, on the simulated kernel.
 *
 * Shards have room for few tasks and posts, so that the limits are met.
 */
#ifndef RT_TEST_TASKQ_ALL_FIXTURE_H
#define RT_TEST_TASKQ_ALL_FIXTURE_H

#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "core/taskq.h"
#include "cross/mesh.h"
#include "rt/rt.h"
#include "support/shards.h"

#define SEED      7
#define TASKS_MAX 6 /* of a shard in the cases with a limit */
#define POSTS_MAX 4

static rt_task_fn ask; /* what shard 0 does */
static struct rt_waker keepers[3];
static bool is_over;

static inline int first(void *arg)
{
    const uint32_t shard = rt_shard_index();
    int r = 0;

    if (shard == 0) {
        r = ask(arg);
        is_over = true;
        for (uint32_t i = 1; i < rt_shard_count(); i++) {
            rt_wake(keepers[i]);
        }
        return r;
    }
    keepers[shard] = rt_waker_self();
    while (!is_over && r == 0) {
        r = rt_park(RT_NEVER);
    }
    T_CHECK(rti_mesh_here()->served.in_use == 0);
    return r;
}

static inline void run(uint32_t count, rt_task_fn what)
{
    struct shards shards;

    ask = what;
    is_over = false;
    memset(keepers, 0, sizeof(keepers));
    shards_init(&shards, SEED, count);
    shards.sim = (struct sim_config){ .seed = SEED, .step_max = 50, .switch_per_mille = 200 };
    shards.runtime.tasks_max = TASKS_MAX;
    shards.runtime.posts_max = POSTS_MAX;
    shards.runtime.port_entries = 8;
    shards_run(&shards, first, NULL);
    assert_true(shards.started);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

static inline uint32_t make(struct rt_taskq *parent)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    uint32_t id = 0;

    options.parent = parent;
    T_CHECK(rt_taskq_create_all(&id, &options) == 0 && id > 0);
    return id;
}

/* Run fn(arg) in a shared queue, to the end. */
static inline int run_in(uint32_t id, rt_task_fn fn, void *arg)
{
    struct rt_task *task;
    int result = -1;

    T_CHECK(rt_spawn_in(&task, rt_taskq_of_id(id), fn, arg) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static inline int queue_here(void *arg)
{
    (void)arg;
    return (int)rt_taskq_self()->id;
}

#endif /* RT_TEST_TASKQ_ALL_FIXTURE_H */
