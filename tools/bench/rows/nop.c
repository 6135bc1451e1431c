/* SPDX-License-Identifier: MIT */
/*
 * Rows uring_nop and uring_nop1: a round through the ring that does nothing, by
 * 32 tasks side by side, whose operations share an entry into the kernel, and by
 * one task alone. The limit prepares as many entries and waits for them all.
 */
#include <errno.h>
#include <rt/rt.h>

#include "limit.h"
#include "rows.h"

/* As many as fit in one entry: at 32 the runtime submits what it has. */
static const uint32_t batch = 32;
static const uint32_t alone = 1;

static uint32_t tasks_of(const struct rt_bench *bench)
{
    return *(const uint32_t *)bench->arg;
}

/* Rounds of each task, so that all of them together are about as many as asked for. */
static uint64_t rounds_of(const struct rt_bench *bench)
{
    return bench->units / tasks_of(bench) + 1;
}

static int rounds(void *arg)
{
    int r = 0;

    for (uint64_t left = *(const uint64_t *)arg; r == 0 && left > 0; left--) {
        r = rt_nop(RT_NEVER);
    }
    return r;
}

/* Some milliseconds of rounds against some microseconds in which the tasks are made and ended. */
static int side_by_side(uint32_t tasks, uint64_t each)
{
    struct rt_group group = RT_GROUP_INIT;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < tasks; i++) {
        r = rt_group_spawn(&group, rounds, &each);
    }
    if (r < 0) {
        rt_group_cancel(&group);
        (void)rt_group_leave(&group, RT_NEVER);
        return r;
    }
    return rt_group_leave(&group, RT_NEVER);
}

static int nop_run(struct rt_bench *bench)
{
    const uint64_t each = rounds_of(bench);
    int r = side_by_side(tasks_of(bench), each / 10 + 1);

    if (r == 0) {
        rt_bench_start(bench);
        r = side_by_side(tasks_of(bench), each);
        rt_bench_stop(bench, each * tasks_of(bench));
    }
    return r < 0 ? rt_bench_fail(bench, r, "rt_nop: %s", rt_strerror(r)) : 0;
}

/* False when one of the operations failed. */
static bool limit_rounds(struct limit_ring *ring, uint32_t entries, uint64_t count)
{
    bool ok = true;

    for (uint64_t i = 0; ok && i < count; i++) {
        ok = limit_ring_nops(ring, entries) == entries;
    }
    return ok;
}

static int nop_limit(struct rt_bench *bench)
{
    const uint64_t each = rounds_of(bench);
    struct limit_ring *ring = limit_ring_create();
    bool ok;

    if (ring == NULL) {
        return rt_bench_fail(bench, -ENOSYS, "no ring; its message is on standard error");
    }
    ok = limit_rounds(ring, tasks_of(bench), each / 10 + 1);
    if (ok) {
        rt_bench_start(bench);
        ok = limit_rounds(ring, tasks_of(bench), each);
        rt_bench_stop(bench, each * tasks_of(bench));
    }
    limit_ring_destroy(ring);
    return ok ? 0 : rt_bench_fail(bench, -EIO, "an operation that does nothing failed");
}

const struct rt_bench_row bench_rows_nop[] = {
    {
        .name = "uring_nop",
        .summary = "an operation that does nothing, 32 tasks side by side",
        .run = nop_run,
        .limit = nop_limit,
        .arg = &batch,
    },
    {
        .name = "uring_nop1",
        .summary = "an operation that does nothing, one task alone",
        .run = nop_run,
        .limit = nop_limit,
        .arg = &alone,
    },
};
const size_t bench_rows_nop_count = sizeof(bench_rows_nop) / sizeof(bench_rows_nop[0]);
