/* SPDX-License-Identifier: MIT */
/*
 * As nth_call_test, of task queues: they are made, filled with more tasks than they first have room
 * for, changed, and destroyed. A queue that is not made leaves its parent and the goals as they
 * were.
 */
#include "support/fault_checks.h"

#include <errno.h>

#include "rt/rt.h"

#define QUEUES 6  /* more than the scheduler first has room for */
#define TASKS  70 /* more than a queue first has room for */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int make(struct rt_taskq **out, struct rt_taskq *parent, rt_time latency)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;

    options.parent = parent;
    options.latency = latency;
    return rt_taskq_create(out, &options);
}

static int fill(struct rt_taskq *queue)
{
    struct rt_task *tasks[TASKS];
    unsigned spawned = 0;
    int r = 0;

    while (r == 0 && spawned < TASKS) {
        r = rt_spawn_in(&tasks[spawned], queue, do_nothing, NULL);
        spawned += r == 0;
    }
    for (unsigned i = 0; i < spawned; i++) {
        T_CHECK(rt_join(tasks[i], NULL, RT_NEVER) == 0);
    }
    return r;
}

static int use_queues(void *arg)
{
    struct rt_taskq *parent;
    struct rt_taskq *children[QUEUES];
    unsigned made = 0;
    int r = make(&parent, NULL, 0);

    (void)arg;
    if (r < 0) {
        return r;
    }
    while (r == 0 && made < QUEUES) {
        r = make(&children[made], parent, RT_MICROSECONDS(100));
        made += r == 0;
    }
    for (unsigned i = 0; i < made; i++) {
        const int filled = fill(children[i]);

        r = r == 0 ? filled : r;
        T_CHECK(rt_taskq_destroy(parent) == -EBUSY);
        T_CHECK(rt_taskq_set_latency(children[i], 0) == 0);
        T_CHECK(rt_taskq_destroy(children[i]) == 0);
    }
    T_CHECK(rt_taskq_destroy(parent) == 0);
    return r;
}

static void a_queue_without_memory_is_not_made_and_leaves_nothing(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        struct rt_config config = RT_CONFIG_INIT;
        int r;

        config.log = hear_nothing;
        fault_begin(n);
        r = rt_run(&config, use_queues, NULL);
        failed = fault_end();
        T_CHECK(failed || r == 0);
        check_nothing_is_left(n, descriptors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_without_memory_is_not_made_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
