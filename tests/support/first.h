/* SPDX-License-Identifier: MIT */
/*
 * First: a first task on the simulated kernel, run to its end, and what tests ask in it.
 *
 *     static int join_twice(void *arg) { ... T_CHECK(tasks_live() == 1); ... }
 *
 *     run_first(join_twice);                          in the test function
 *
 * Each run also proves that nothing was left behind and that no check failed.
 */
#ifndef RT_TEST_FIRST_H
#define RT_TEST_FIRST_H

#include "support/harness.h"
#include "support/sim.h"

#include "rt/executor.h"
#include "rt/task.h"

/* What `first` returned. There is a file "data" with the letters a to h. */
static inline int run_sim(const struct sim_config *sim_config, const struct rt_config *config,
                          rt_task_fn first, void *arg)
{
    int r;

    sim_begin(sim_config);
    sim_file_put("data", "abcdefgh", 8);
    r = rt_run(config, first, arg);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    return r;
}

/* On a kernel without faults and delays. */
static inline int run_config(const struct rt_config *config, rt_task_fn first, void *arg)
{
    return run_sim(&(struct sim_config){ .seed = 1 }, config, first, arg);
}

static inline void run_first(rt_task_fn first)
{
    assert_int_equal(run_config(NULL, first, NULL), 0);
}

static inline uint32_t tasks_live(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.tasks_live;
}

/* More often than any test has a task wait in turn. */
static inline void let_all_run(void)
{
    for (int i = 0; i < 5; i++) {
        rt_yield();
    }
}

#endif /* RT_TEST_FIRST_H */
