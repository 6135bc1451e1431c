/* SPDX-License-Identifier: MIT */
/*
 * Rows of batches: many tasks that live at the same time, of 20,000 and of a million.
 *
 * The whole batch is spawned, then each of its tasks suspends once and ends. The
 * same batch runs once before, unmeasured: the first use of a stack makes the
 * kernel find a page for it, which costs several times the rest. What is
 * measured is the warm pool, out of the cache for there are so many.
 *
 * spawn_batch_1m_cold is that first batch. Its limit is a page fault and nothing
 * else: pages as far apart as the smallest stacks are, each touched once.
 *
 * The batch is always whole, whatever number of units is asked for: half of it
 * would be in the cache for the better part, and another row.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "limit.h"
#include "rows.h"

/* Where the guard of a stack is a mapping, some 32,000 tasks are the most (vm.max_map_count). */
#define BATCH   20000
#define MILLION 1000000

#define PAGE_STRIDE ((size_t)16384) /* a stack of the smallest size */

struct batch {
    uint32_t count;
    bool futures; /* else fibers */
    bool cold;    /* the first batch is measured */
};

/* The calls whose shapes differ, made alike. */
#define limit_pending LIMIT_PENDING
#define rt_pending    RT_PENDING

static inline int limit_begin(struct limit_task **out, int (*fn)(void *), void *arg)
{
    *out = limit_spawn(fn, arg);
    return *out != NULL ? 0 : -EAGAIN;
}

static inline int limit_begin_future(struct limit_task **out, struct limit_future *future)
{
    *out = limit_spawn_future(future);
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

static inline int rt_begin_future(struct rt_task **out, struct rt_future *future)
{
    return rt_spawn_future(out, future);
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
    const struct batch *batch = bench->arg;
    const int r = limit_run(batch->count, limit_first, bench);

    return r == -1 ? rt_bench_fail(bench, -ENOMEM, "no memory for %u tasks", batch->count) : r;
}

static int touch_pages(struct rt_bench *bench)
{
    const struct batch *batch = bench->arg;
    const size_t bytes = batch->count * PAGE_STRIDE;
    volatile char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pages == MAP_FAILED) {
        return rt_bench_fail(bench, -errno, "no room for %u pages", batch->count);
    }
    (void)madvise((void *)pages, bytes, MADV_NOHUGEPAGE); /* a kernel without has none of them */
    rt_bench_start(bench);
    for (uint32_t i = 0; i < batch->count; i++) {
        pages[i * PAGE_STRIDE] = 1;
    }
    rt_bench_stop(bench, batch->count);
    munmap((void *)pages, bytes);
    return 0;
}

static const struct batch usual = { .count = BATCH };
static const struct batch usual_futures = { .count = BATCH, .futures = true };
static const struct batch million = { .count = MILLION };
static const struct batch million_cold = { .count = MILLION, .cold = true };
static const struct batch million_futures = { .count = MILLION, .futures = true };

const struct rt_bench_row bench_rows_batch[] = {
    {
        .name = "spawn_batch",
        .summary = "a task of 20,000 that live together: spawn, one suspension, join",
        .run = rt_spawn_batch,
        .limit = limit_side,
        .arg = &usual,
        .units_max = BATCH,
    },
    {
        .name = "spawn_batch_future",
        .summary = "a future of 20,000 that live together: spawn, one suspension, join",
        .run = rt_spawn_batch,
        .limit = limit_side,
        .arg = &usual_futures,
        .units_max = BATCH,
    },
    {
        .name = "spawn_batch_1m",
        .summary = "a task of a million that live together: spawn, one suspension, join",
        .run = rt_spawn_batch,
        .limit = limit_side,
        .arg = &million,
        .units_max = MILLION,
        .flags = RT_BENCH_LONG,
    },
    {
        .name = "spawn_batch_1m_cold",
        .summary = "the same with stacks that have no memory yet, beside a page fault",
        .run = rt_spawn_batch,
        .limit = touch_pages,
        .arg = &million_cold,
        .goal = 1.3,
        .units_max = MILLION,
        .flags = RT_BENCH_LONG,
    },
    {
        .name = "spawn_batch_future_1m",
        .summary = "a future of a million with 64 bytes each: spawn, one suspension, join",
        .run = rt_spawn_batch,
        .limit = limit_side,
        .arg = &million_futures,
        .units_max = MILLION,
        .flags = RT_BENCH_LONG,
    },
};
const size_t bench_rows_batch_count = sizeof(bench_rows_batch) / sizeof(bench_rows_batch[0]);
