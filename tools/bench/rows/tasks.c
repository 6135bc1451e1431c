/* SPDX-License-Identifier: MIT */
/* Rows of tasks without a stack, and of tasks that a group owns. */
#include <errno.h>
#include <rt/rt.h>

#include "limit.h"
#include "rows.h"
#include "sides.h"

#define GROUP 8 /* tasks that a group has at a time */

static int64_t left; /* polls, or tasks of groups, that are to come */
static bool stop;    /* the futures that wake each other are to end */

static int count_down(void *arg)
{
    (void)arg;
    left--;
    return 0;
}

/* The calls whose shapes differ, made alike. */
#define limit_pending LIMIT_PENDING
#define rt_pending    RT_PENDING

static inline int limit_begin_future(struct limit_task **out, struct limit_future *future)
{
    *out = limit_spawn_future(future);
    return *out == NULL ? -ENOMEM : 0;
}

static inline struct limit_group limit_group_made(void)
{
    return (struct limit_group)LIMIT_GROUP_INIT;
}

static inline void limit_group_end(struct limit_group *group)
{
    (void)group; /* is empty, and has nothing to give back */
}

static inline int rt_begin_future(struct rt_task **out, struct rt_future *future)
{
    return rt_spawn_future(out, future);
}

static inline struct rt_group rt_group_made(void)
{
    return (struct rt_group)RT_GROUP_INIT;
}

static inline void rt_group_end(struct rt_group *group)
{
    (void)rt_group_leave(group, RT_NEVER);
}

static int limit_enter(int (*fn)(void *), struct rt_bench *bench)
{
    return limit_run(GROUP, fn, bench);
}

#define SIDE(name) limit_##name
#include "tasks_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "tasks_loops.h"
#undef SIDE

const struct rt_bench_row bench_rows_tasks[] = {
    { .name = "future_wake",
      .summary = "wake a task without a stack, and poll it; two wake each other",
      .run = rt_future_wake,
      .limit = limit_future_wake },
    { .name = "spawn_join_future",
      .summary = "make a task without a stack, ready at once; wait for its end, take its result",
      .run = rt_spawn_join_future,
      .limit = limit_spawn_join_future },
    { .name = "group_spawn_wait",
      .summary = "a task of a group; 8 are made, then waited for together",
      .run = rt_group_spawn_wait,
      .limit = limit_group_spawn_wait },
};
const size_t bench_rows_tasks_count = sizeof(bench_rows_tasks) / sizeof(bench_rows_tasks[0]);
