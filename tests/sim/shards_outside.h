/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: threads that are no shards submit functions, stop the runtime,
 * and let the first tasks go.
 */
#ifndef RT_TEST_SHARDS_OUTSIDE_H
#define RT_TEST_SHARDS_OUTSIDE_H

#include "os/sys.h"
#include "shards_state.h"

static int run_submission(void *arg)
{
    return take_steps(draw(3), 1) == 0 ? *(int *)arg : -ECANCELED;
}

static int submit(struct rt_runtime *runtime, uint32_t shard, rt_task_fn fn, int value)
{
    struct rt_submission submission;
    int result = -1;
    int r = rt_submit(runtime, shard, &submission, fn, &value);

    T_CHECK(r == 0 || r == -ESHUTDOWN);
    if (r < 0) {
        return r;
    }
    do {
        r = rt_submission_wait(&submission, &result,
                               draw(2) == 0 ? RT_NEVER : sim_now() + draw(50000));
    } while (r == -ETIME);
    T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    T_CHECK(r < 0 || result == value || result == -ECANCELED);
    program.submissions += r == 0;
    return r;
}

static int release(void *arg)
{
    const uint32_t shard = rt_shard_index();

    program.is_released[shard] = true;
    if (program.is_waiting[shard]) {
        rt_wake(program.waiting[shard]);
    }
    return *(int *)arg;
}

static void release_all(struct rt_runtime *runtime)
{
    for (uint32_t i = 0; i < program.shards; i++) {
        while (submit(runtime, i, release, (int)i) == -EAGAIN) { /* at its limit of tasks */
            sim_sleep(1000);
        }
    }
}

static void act_outside(struct rt_runtime *runtime)
{
    for (unsigned steps = draw(4); steps > 0; steps--) {
        switch (draw(3)) {
        case 0:
            sim_sleep(draw(200000));
            break;
        case 1:
            (void)submit(runtime, some_shard(), run_submission, (int)draw(1000));
            break;
        default:
            if ((program.kinds & (1U << STEP_STOP)) != 0) {
                rt_stop(runtime); /* perhaps not for the first time */
            }
            break;
        }
    }
}

static void *helper(void *runtime)
{
    act_outside(runtime);
    return NULL;
}

/* The launching thread, with another one that is no shard either. */
static void be_outside(struct rt_runtime *runtime, void *arg)
{
    const bool has_helper = draw(3) == 0;
    pthread_t thread;

    (void)arg;
    if (has_helper) {
        T_CHECK(rti_sys_thread_create(&thread, helper, runtime) == 0);
    }
    act_outside(runtime);
    if (has_helper) {
        T_CHECK(rti_sys_thread_join(thread) == 0);
    }
    if (program.outside_releases) {
        release_all(runtime);
    }
}

#endif /* RT_TEST_SHARDS_OUTSIDE_H */
