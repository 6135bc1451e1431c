/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: what their tasks do, and what must be true of it.
 *
 * Nothing here runs by itself: shards_test.c and taskq_shards_test.c choose the seed and the sizes,
 * and check the ends.
 */
#ifndef RT_TEST_SHARDS_PROGRAM_H
#define RT_TEST_SHARDS_PROGRAM_H

#include "shards_messages.h"
#include "shards_outside.h"
#include "shards_queues.h"
#include "shards_sets.h"
#include "shards_state.h"

static int run_worker(void *arg)
{
    return take_steps(1 + draw(3), (unsigned)(uintptr_t)arg);
}

/* A task of the same shard, that is joined, cancelled or let go. */
static int step_spawn(unsigned depth, bool cancels)
{
    struct rt_task *task;
    int r = rt_spawn_in(&task, queue_to_spawn_in(), run_worker, (void *)(uintptr_t)(depth + 1));

    T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    if (r < 0) {
        return 0;
    }
    if (draw(2) == 0) {
        rt_yield();
    }
    if (cancels) {
        rt_cancel(task);
    }
    r = draw(3) > 0 ? rt_join(task, NULL, some_deadline()) : -ETIME;
    if (r < 0) {
        rt_detach(task);
    }
    return r == -ECANCELED ? r : 0;
}

static int take_step(enum step step, unsigned depth)
{
    switch (step) {
    case STEP_POST:
    case STEP_TRY_POST:
        return step_post(depth, step == STEP_TRY_POST);
    case STEP_BURST:
        return step_burst(depth);
    case STEP_CALL:
        return step_call(depth);
    case STEP_CALLS:
        return step_calls(depth);
    case STEP_EACH:
        return step_each(depth);
    case STEP_ALL:
        return step_all(depth);
    case STEP_MEET:
        return program.has_room ? step_meet() : 0;
    case STEP_SPAWN:
    case STEP_CANCEL:
        return step_spawn(depth, step == STEP_CANCEL);
    case STEP_SLEEP:
        return rt_sleep_until(rt_in(draw(100000)));
    case STEP_STOP:
        if (draw(10) == 0) {
            rt_stop(NULL);
        }
        return 0;
    case STEP_MAKE_QUEUE:
        return make_queue();
    case STEP_DROP_QUEUE:
        return drop_queue();
    case STEP_ADOPT:
        return adopt();
    case STEP_YIELD:
    case STEP_KINDS:
    default:
        rt_yield();
        return 0;
    }
}

static int take_steps(unsigned count, unsigned depth)
{
    int r = 0;

    while (count-- > 0 && depth <= DEPTH_MAX && program.steps_left > 0 && r != -ECANCELED) {
        const enum step step = (enum step)draw(STEP_KINDS);

        if ((program.kinds & (1U << step)) != 0) {
            program.steps_left--;
            r = take_step(step, depth);
        }
    }
    return r == -ECANCELED ? r : 0;
}

static int wait_for_release(uint32_t shard)
{
    int r = 0;

    program.waiting[shard] = rt_waker_self();
    program.is_waiting[shard] = true;
    while (!program.is_released[shard] && r == 0) {
        r = rt_park(RT_NEVER);
    }
    program.is_waiting[shard] = false;
    return r;
}

static int first_task(void *arg)
{
    const uint32_t shard = rt_shard_index();
    int r = 0;

    (void)arg;
    T_CHECK(rt_shard_count() == program.shards);
    for (uint32_t i = 0; i < program.active_count; i++) {
        r = program.active[i] == shard ? take_steps(draw(40), 0) : r;
    }
    if (r == 0 && program.outside_releases) {
        r = wait_for_release(shard);
    }
    rt_stats_get(&program.stats[shard], sizeof(program.stats[shard]));
    if (program.may_fail && draw(4) == 0) {
        r = -(int)(shard + 200);
    }
    program.first_results[shard] = r;
    return r;
}

#endif /* RT_TEST_SHARDS_PROGRAM_H */
