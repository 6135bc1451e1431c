/* SPDX-License-Identifier: MIT */
/*
 * Shards: a runtime of many shards on the simulated kernel, one run per seed.
 *
 *     struct shards shards;
 *
 *     shards_init(&shards, seed, 3);          chance decides about the rest of the config
 *     shards.runtime.port_entries = 1;        what the test wants otherwise
 *     shards_run(&shards, first, NULL);
 *     assert_int_equal(shards.result, 0);
 *
 * The runtime is started through its public functions. Its threads are real, but
 * one runs at a time, and the seed says which (see sim.h). After a run nothing is
 * left: no thread, ring, descriptor or request; and the time that has passed is
 * such that no wake was lost and then made good by some timer.
 */
#ifndef RT_TEST_SHARDS_H
#define RT_TEST_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "rt/executor.h"
#include "rt/start.h"
#include "support/sim.h"

/* Small programs that a test runs; sanitized ones take ten times as long. */
#define SHARDS_SEEDS (RTI_ASAN || RTI_TSAN ? 2000U : 10000U)

/* What shards_init() chooses for tasks_max, when it does not choose next to nothing. */
#define SHARDS_TASKS_MANY 256

struct shards {
    struct sim_config sim;
    struct rt_config runtime;

    /* What the launching thread does before it waits for the end; NULL: nothing. */
    void (*outside)(struct rt_runtime *runtime, void *arg);

    bool by_start;       /* by rt_start(), signals and all; `outside` is not called */
    rt_time elapsed_max; /* more virtual time must not pass; 0: 10 s */

    /* set by the run */
    bool started;    /* else `result` says why not; true when by_start */
    int result;      /* of rt_launch(), rt_wait() or rt_start() */
    rt_time elapsed; /* virtual */
    uint64_t hash;   /* of all that the kernel was asked and answered, and of who ran when */
    unsigned errors; /* lines of error in the log */
    unsigned faults; /* things that must not be, each printed */
};

/* All of it from the seed. Half of the seeds have no faults in the kernel. */
void shards_init(struct shards *shards, uint64_t seed, uint32_t count);

void shards_run(struct shards *shards, rt_task_fn first, void *arg);

#endif /* RT_TEST_SHARDS_H */
