/* SPDX-License-Identifier: MIT */
/* Fixture: task queues on the simulated kernel, where CPU time is what a task says it has burnt. */
#ifndef RT_TEST_TASKQ_FIXTURE_H
#define RT_TEST_TASKQ_FIXTURE_H

#include "support/harness.h"
#include "support/sim.h"

#include "rt/rt.h"

#define QUOTA     RT_MICROSECONDS(500)
#define GOAL      RT_MICROSECONDS(200)
#define STEP      RT_MICROSECONDS(5)
#define RUNS_LATE 16 /* task runs, and calls of rt_should_yield(), between two looks at the time */

static char log_text[256]; /* the last line of the log */

static inline void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

static inline void run_config(struct rt_config config, rt_task_fn first)
{
    config.log = keep_line;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_int_equal(rt_run(&config, first, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static inline void run_first(rt_task_fn first)
{
    run_config((struct rt_config)RT_CONFIG_INIT, first);
}

/* Queues and what runs in them */

static inline struct rt_taskq *make_queue(const char *name, uint32_t shares, rt_time latency,
                                          struct rt_taskq *parent)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_taskq *queue = NULL;

    options.name = name;
    options.shares = shares;
    options.latency = latency;
    options.parent = parent;
    T_CHECK(rt_taskq_create(&queue, &options) == 0);
    return queue;
}

/* Burns CPU time until `end`, in steps between which it yields if that is due. */
struct busy {
    rt_time step;
    rt_time end;
    rt_time burnt;
    rt_time began; /* when it ran first */
};

static inline int burn(void *arg)
{
    struct busy *busy = arg;

    busy->began = sim_now();
    while (sim_now() < busy->end) {
        sim_advance(busy->step);
        busy->burnt += busy->step;
        rt_yield_if_due();
    }
    return 0;
}

static inline struct rt_task *spawn_in(struct rt_taskq *queue, rt_task_fn fn, void *arg)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn_in(&task, queue, fn, arg) == 0);
    return task;
}

static inline struct rt_taskq_stats stats_of(const struct rt_taskq *queue)
{
    struct rt_taskq_stats stats;

    rt_taskq_stats(queue, &stats, sizeof(stats));
    return stats;
}

static inline void end_task(struct rt_task *task)
{
    int result = -1;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0);
}

static inline bool is_near(rt_time is, rt_time wanted, rt_time allowed)
{
    if (is < wanted - allowed || is > wanted + allowed) {
        fprintf(stderr, "%lld, and %lld +- %lld was wanted\n", (long long)is, (long long)wanted,
                (long long)allowed);
        return false;
    }
    return true;
}

/* Let these run side by side for so long. */
static inline void run_busy(struct rt_taskq *const *queues, struct busy *busy, unsigned count,
                            rt_time time)
{
    struct rt_task *tasks[8];
    const rt_time end = sim_now() + time;

    for (unsigned i = 0; i < count; i++) {
        busy[i].end = end;
        tasks[i] = spawn_in(queues[i], burn, &busy[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        end_task(tasks[i]);
    }
}

struct quick {
    rt_time late_max;
    unsigned rounds;
};

static inline int sleep_and_work(void *arg)
{
    struct quick *quick = arg;

    for (unsigned i = 0; i < quick->rounds; i++) {
        const rt_time at = rt_in(RT_MILLISECONDS(1));
        rt_time late;

        T_CHECK(rt_sleep_until(at) == 0);
        late = sim_now() - at;
        quick->late_max = late > quick->late_max ? late : quick->late_max;
        sim_advance(RT_MICROSECONDS(20));
    }
    return 0;
}

#endif /* RT_TEST_TASKQ_FIXTURE_H */
