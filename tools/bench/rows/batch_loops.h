/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of batches, written once and compiled twice by batch.c: over
 * the limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name.
 * There must be SIDE(begin)(&task, fn, arg), SIDE(begin_future)(&task, future) and
 * SIDE(end)(task), which return below 0 on failure, beside SIDE(yield)() and
 * SIDE(pending). No include guard: it is meant to be included twice.
 */

/* What a batch is made of, in memory of the row. */
struct SIDE(parts) {
    struct SIDE(task) * *tasks;
    struct SIDE(member_future) {
        struct SIDE(future) future;
        uint64_t state[8]; /* 64 bytes of the caller's */
    } * futures;           /* NULL: fibers */
};

static int SIDE(member)(void *arg)
{
    (void)arg;
    SIDE(yield)();
    return 1;
}

/* The first poll wakes itself, as a fiber that yields goes to the end of the queue. */
static int SIDE(poll_member)(struct SIDE(future) * future)
{
    struct SIDE(member_future) *self = (struct SIDE(member_future) *)(void *)future;

    if (self->state[0]++ == 0) {
        SIDE(wake)(SIDE(waker_self)());
        return SIDE(pending);
    }
    return 1;
}

static inline int SIDE(begin_member)(const struct SIDE(parts) * parts, uint32_t i)
{
    if (parts->futures == NULL) {
        return SIDE(begin)(&parts->tasks[i], SIDE(member), NULL);
    }
    parts->futures[i].state[0] = 0;
    return SIDE(begin_future)(&parts->tasks[i], &parts->futures[i].future);
}

static int SIDE(batch)(const struct SIDE(parts) * parts, uint32_t count)
{
    int sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int r = SIDE(begin_member)(parts, i);

        if (r < 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const int r = SIDE(end)(parts->tasks[i]);

        if (r < 0) {
            return r;
        }
        sum += r;
    }
    return sum;
}

static int SIDE(run_batches)(struct rt_bench *bench, const struct SIDE(parts) * parts)
{
    const struct batch *batch = bench->arg;
    const int count = (int)batch->count;
    int r = count;

    if (!batch->cold) {
        r = SIDE(batch)(parts, batch->count); /* so that the kernel has given all its pages */
    }
    if (r == count) {
        rt_bench_start(bench);
        r = SIDE(batch)(parts, batch->count);
        rt_bench_stop(bench, batch->count);
    }
    if (r != count) {
        return rt_bench_fail(bench, r < 0 ? r : -EIO, "of %d tasks not all were made and ended",
                             count);
    }
    return 0;
}

static int SIDE(spawn_batch)(struct rt_bench *bench)
{
    const struct batch *batch = bench->arg;
    struct SIDE(parts) parts = {
        .tasks = calloc(batch->count, sizeof(struct SIDE(task) *)),
        .futures = batch->futures ? calloc(batch->count, sizeof(struct SIDE(member_future))) : NULL,
    };
    int r;

    if (parts.tasks == NULL || (batch->futures && parts.futures == NULL)) {
        r = rt_bench_fail(bench, -ENOMEM, "no memory for %u tasks", batch->count);
    } else {
        for (uint32_t i = 0; batch->futures && i < batch->count; i++) {
            parts.futures[i].future.poll = SIDE(poll_member);
        }
        r = SIDE(run_batches)(bench, &parts);
    }
    free(parts.futures);
    free(parts.tasks);
    return r;
}
