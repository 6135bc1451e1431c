/* SPDX-License-Identifier: MIT */
/* Shards: see shards.h. */
#include "support/shards.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/rand.h"

#define ELAPSED_MAX RT_SECONDS(10)
#define ENTERS_MAX  1000000 /* a usual run has some thousands */

/* One thread runs at a time: on one CPU it is handed the baton without waking another one. */
static void stay_on_one_cpu(void)
{
    static bool is_done;
    cpu_set_t allowed;

    if (is_done || sched_getaffinity(0, sizeof(allowed), &allowed) < 0) {
        return;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            CPU_ZERO(&allowed);
            CPU_SET((size_t)cpu, &allowed);
            break;
        }
    }
    (void)sched_setaffinity(0, sizeof(allowed), &allowed);
    is_done = true;
}

static void note_line(void *arg, enum rt_log_level level, const char *text)
{
    struct shards *shards = arg;
    static int is_shown = -1;

    if (is_shown < 0) {
        is_shown = getenv("RT_SIM_TRACE") != NULL;
    }
    shards->errors += level == RT_LOG_ERROR;
    if (is_shown) {
        fprintf(stderr, "log: %s\n", text);
    }
}

static uint32_t pick(struct rand_state *rand, const uint32_t *values, size_t count)
{
    return values[rand_below(rand, count)];
}

#define PICK(rand, ...) \
    pick(rand, (const uint32_t[]){ __VA_ARGS__ }, \
         sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

void shards_init(struct shards *shards, uint64_t seed, uint32_t count)
{
    struct rand_state rand;

    memset(shards, 0, sizeof(*shards));
    rand_init(&rand, seed ^ UINT64_C(0x5a4d5));
    if (rand_chance(&rand, 500)) {
        shards->sim = sim_config_chaos(seed);
        shards->sim.faults.multishot_ends = 100;
        shards->sim.faults.error = (uint16_t)PICK(&rand, 0, 100, 900); /* of messages, mostly */
    } else {
        shards->sim = (struct sim_config){ .seed = seed };
    }
    shards->sim.kernel = (enum sim_kernel)PICK(&rand, SIM_KERNEL_6_18, SIM_KERNEL_6_18,
                                               SIM_KERNEL_6_6, SIM_KERNEL_6_1);
    shards->sim.enters_max = ENTERS_MAX;
    shards->sim.step_max = PICK(&rand, 50, 500, 5000);
    shards->sim.switch_per_mille = (uint16_t)PICK(&rand, 5, 50, 200, 500);
    shards->runtime = (struct rt_config)RT_CONFIG_INIT;
    shards->runtime.shards = count;
    shards->runtime.place = RT_PLACE_UNBOUND;
    shards->runtime.ring_entries = PICK(&rand, 1, 2, 8, 64);
    shards->runtime.cq_entries = PICK(&rand, 2, 8, 256);
    shards->runtime.tasks_max = PICK(&rand, 1, 2, 3, 8, SHARDS_TASKS_MANY);
    shards->runtime.port_entries = PICK(&rand, 1, 1, 2, 8, 64);
    shards->runtime.posts_max = PICK(&rand, 1, 2, 5, 64);
    shards->runtime.spin = PICK(&rand, 0, 0, 20000);
    shards->runtime.spin_policy = PICK(&rand, RT_SPIN_FIXED, RT_SPIN_ADAPTIVE);
    shards->runtime.log_level = RT_LOG_WARNING;
    shards->runtime.log = note_line;
    shards->runtime.log_arg = shards;
    shards->elapsed_max = ELAPSED_MAX;
}

static void fault(struct shards *shards, const char *text)
{
    fprintf(stderr, "shards: %s; replay with RT_SEED=%" PRIu64 "\n", text, shards->sim.seed);
    shards->faults++;
}

static void launch_and_wait(struct shards *shards, rt_task_fn first, void *arg)
{
    struct rt_runtime *runtime;

    shards->result = rt_launch(&runtime, &shards->runtime, first, arg);
    shards->started = shards->result == 0;
    if (shards->started) {
        if (shards->outside != NULL) {
            shards->outside(runtime, arg);
        }
        shards->result = rt_wait(runtime);
    }
}

void shards_run(struct shards *shards, rt_task_fn first, void *arg)
{
    rt_time begin;

    stay_on_one_cpu();
    sim_begin(&shards->sim);
    begin = sim_now();
    if (shards->by_start) {
        shards->result = rt_start(&shards->runtime, first, arg);
        shards->started = true;
    } else {
        launch_and_wait(shards, first, arg);
    }
    shards->elapsed = sim_now() - begin;
    shards->hash = sim_trace_hash();
    if (sim_end(NULL) != 0) {
        fault(shards, "something was left behind");
    }
    if (shards->elapsed > shards->elapsed_max) {
        fault(shards, "it took so long that a wake may have been lost");
    }
    if (shards->started && shards->errors > 0) {
        fault(shards, "there was an error in the log");
    }
}
