/* SPDX-License-Identifier: MIT */
/* Tasks of both sides of a row, for its loops: the calls whose shapes differ, made alike. */
#ifndef BENCH_ROWS_SIDES_H
#define BENCH_ROWS_SIDES_H

#include <errno.h>
#include <rt/rt.h>

#include "limit.h"

static inline int limit_begin(struct limit_task **out, int (*fn)(void *), void *arg)
{
    *out = limit_spawn(fn, arg);
    return *out == NULL ? -ENOMEM : 0;
}

static inline void limit_end(struct limit_task *task, int *result)
{
    (void)limit_join(task, result);
}

static inline int rt_begin(struct rt_task **out, int (*fn)(void *), void *arg)
{
    return rt_spawn(out, fn, arg);
}

static inline void rt_end(struct rt_task *task, int *result)
{
    (void)rt_join(task, result, RT_NEVER); /* nobody cancels */
}

/* Run fn(bench) in a first task. It is one already. */
static inline int rt_enter(int (*fn)(void *), struct rt_bench *bench)
{
    return fn(bench);
}

#endif /* BENCH_ROWS_SIDES_H */
