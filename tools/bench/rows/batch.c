/* SPDX-License-Identifier: MIT */
/*
 * Row spawn_batch: many tasks that live at the same time.
 *
 * The whole batch is spawned, then each of its tasks suspends once and ends. The
 * same batch runs once before, unmeasured: the first use of a stack makes the
 * kernel find a page for it, which costs several times the rest. What is
 * measured is the warm pool, out of the cache for there are so many.
 *
 * The batch is always whole, whatever number of units is asked for: half of it
 * would be in the cache for the better part, and another row.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdlib.h>

#include "limit.h"
#include "rows.h"

/* Where the guard of a stack is a mapping, some 32,000 tasks are the most (vm.max_map_count). */
#define BATCH 20000

/* The calls whose shapes differ, made alike. */
static inline int limit_begin(struct limit_task **out, int (*fn)(void *), void *arg)
{
    *out = limit_spawn(fn, arg);
    return *out != NULL ? 0 : -EAGAIN;
}

static inline int limit_end(struct limit_task *task)
{
    int result = 0;
    const int r = limit_join(task, &result);

    return r < 0 ? r : result;
}

static inline int rt_begin(struct rt_task **out, rt_task_fn fn, void *arg)
{
    return rt_spawn(out, fn, arg);
}

static inline int rt_end(struct rt_task *task)
{
    int result = 0;
    const int r = rt_join(task, &result, RT_NEVER);

    return r < 0 ? r : result;
}

#define SIDE(name) limit_##name
#include "batch_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "batch_loops.h"
#undef SIDE

static int limit_first(void *arg)
{
    return limit_spawn_batch(arg);
}

static int limit_side(struct rt_bench *bench)
{
    const int r = limit_run(BATCH, limit_first, bench);

    return r == -1 ? rt_bench_fail(bench, -ENOMEM, "no memory for %d fibers", BATCH) : r;
}

const struct rt_bench_row bench_rows_batch[] = {
    {
        .name = "spawn_batch",
        .summary = "a task of 20,000 that live together: spawn, one suspension, join",
        .run = rt_spawn_batch,
        .limit = limit_side,
        .units_max = BATCH,
    },
};
const size_t bench_rows_batch_count = sizeof(bench_rows_batch) / sizeof(bench_rows_batch[0]);
