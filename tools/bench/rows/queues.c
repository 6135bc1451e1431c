/* SPDX-License-Identifier: MIT */
/*
 * Rows of task queues: what it costs to go on with another queue, which includes a
 * wake and a wait; and what it costs to ask whether to yield.
 */
#include <errno.h>
#include <rt/rt.h>

#include "limit.h"
#include "rows.h"
#include "sides.h"

/* The fiber of the second queue is to return. */
static volatile bool stop;

/* The calls whose shapes differ, made alike. */
static inline int limit_make_queue(struct limit_taskq **out)
{
    *out = limit_taskq_create(RT_SHARES_DEFAULT);
    return *out == NULL ? -ENOMEM : 0;
}

static inline int limit_take_queue_away(struct limit_taskq *queue)
{
    limit_taskq_destroy(queue);
    return 0;
}

static inline int limit_begin_in(struct limit_task **out, struct limit_taskq *queue,
                                 int (*fn)(void *), void *arg)
{
    *out = limit_spawn_in(queue, fn, arg);
    return *out == NULL ? -ENOMEM : 0;
}

static inline void limit_wake_in_queue(struct limit_waker waker)
{
    limit_taskq_wake(waker);
}

static inline void limit_wait_in_queue(void)
{
    (void)limit_taskq_park(LIMIT_NEVER);
}

static inline int rt_make_queue(struct rt_taskq **out)
{
    return rt_taskq_create(out, NULL);
}

static inline int rt_take_queue_away(struct rt_taskq *queue)
{
    return rt_taskq_destroy(queue);
}

static inline int rt_begin_in(struct rt_task **out, struct rt_taskq *queue, int (*fn)(void *),
                              void *arg)
{
    return rt_spawn_in(out, queue, fn, arg);
}

static inline void rt_wake_in_queue(struct rt_waker waker)
{
    rt_wake(waker);
}

static inline void rt_wait_in_queue(void)
{
    (void)rt_park(RT_NEVER); /* nobody cancels */
}

static inline void limit_hand_over(struct limit_waker waker)
{
    limit_wake_in_queue(waker);
    limit_wait_in_queue();
}

static inline void rt_hand_over(struct rt_waker waker)
{
    rt_wake_in_queue(waker);
    rt_wait_in_queue();
}

static int limit_enter(int (*fn)(void *), struct rt_bench *bench)
{
    return limit_run_in_queue(2, fn, bench);
}

#define SIDE(name) limit_##name
#include "queues_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "queues_loops.h"
#undef SIDE

static int bare_counter(struct rt_bench *bench)
{
    const uint64_t before = bare_counter_reads(bench->units / 10 + 1);
    uint64_t after;

    rt_bench_start(bench);
    after = bare_counter_reads(bench->units);
    rt_bench_stop(bench, bench->units);
    return after >= before ? 0 : -EBADMSG;
}

const struct rt_bench_row bench_rows_queues[] = {
    { .name = "queue_switch",
      .summary = "wake a task of the other of two queues, and wait: one switch between queues",
      .run = rt_queue_switch,
      .limit = limit_queue_switch },
    { .name = "should_yield",
      .summary = "ask whether to yield; bare: a read of the cycle counter",
      .run = rt_should_yield_row,
      .limit = limit_should_yield_row,
      .bare = bare_counter },
};
const size_t bench_rows_queues_count = sizeof(bench_rows_queues) / sizeof(bench_rows_queues[0]);
