/* SPDX-License-Identifier: MIT */
/*
 * The loops of spawn_batch, written once and compiled twice by batch.c: over the
 * limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name.
 * There must be SIDE(begin)(&task, fn, arg) and SIDE(end)(task), which return
 * below 0 on failure, beside SIDE(yield)(). No include guard: it is meant to be
 * included twice.
 */

static int SIDE(member)(void *arg)
{
    (void)arg;
    SIDE(yield)();
    return 1;
}

static int SIDE(batch)(struct SIDE(task) * tasks[BATCH])
{
    int sum = 0;

    for (uint32_t i = 0; i < BATCH; i++) {
        const int r = SIDE(begin)(&tasks[i], SIDE(member), NULL);

        if (r < 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        const int r = SIDE(end)(tasks[i]);

        if (r < 0) {
            return r;
        }
        sum += r;
    }
    return sum;
}

static int SIDE(spawn_batch)(struct rt_bench *bench)
{
    struct SIDE(task) **tasks = calloc(BATCH, sizeof(struct SIDE(task) *));
    int r;

    if (tasks == NULL) {
        return rt_bench_fail(bench, -ENOMEM, "no memory for %d handles of tasks", BATCH);
    }
    r = SIDE(batch)(tasks); /* so that the kernel has given the stacks their pages */
    if (r == BATCH) {
        rt_bench_start(bench);
        r = SIDE(batch)(tasks);
        rt_bench_stop(bench, BATCH);
    }
    free(tasks);
    if (r != BATCH) {
        return rt_bench_fail(bench, r < 0 ? r : -EIO, "of %d tasks not all were made and ended",
                             BATCH);
    }
    return 0;
}
