/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of futures and groups, written once and compiled twice by
 * tasks.c: over the limit and over the runtime. So both do the same by
 * construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name. Beside
 * what sides.h has there must be SIDE(enter), SIDE(pending), SIDE(begin_future),
 * SIDE(group_made) and SIDE(group_end). No include guard: it is meant to be
 * included twice.
 */

/* Two futures that wake each other. */
struct SIDE(turner) {
    struct SIDE(future) future;
    struct SIDE(waker) waker; /* its own, set by its first poll */
    struct SIDE(waker) next;  /* of the other one */
};

static struct SIDE(waker) SIDE(driver); /* of the first task */

static inline __attribute__((always_inline)) int SIDE(turn)(struct SIDE(future) * self, int result)
{
    struct SIDE(turner) *turner = (struct SIDE(turner) *)self;

    if (turner->next.task == NULL) {
        turner->waker = SIDE(waker_self)();
        return SIDE(pending);
    }
    if (stop) {
        return result;
    }
    SIDE(wake)(--left > 0 ? turner->next : SIDE(driver));
    return SIDE(pending);
}

/* Two functions, as tasks do different things. */
static int SIDE(turn_even)(struct SIDE(future) * self)
{
    return SIDE(turn)(self, 0);
}

static int SIDE(turn_odd)(struct SIDE(future) * self)
{
    return SIDE(turn)(self, 1);
}

static void SIDE(drive)(const struct SIDE(turner) * turner, uint64_t units)
{
    left = (int64_t)units;
    SIDE(wake)(turner->waker);
    while (left > 0) {
        (void)SIDE(park)(RT_NEVER);
    }
}

/* The unit: a wake and a poll. */
static int SIDE(wake_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    struct SIDE(turner)
        turners[2] = { { .future.poll = SIDE(turn_even) }, { .future.poll = SIDE(turn_odd) } };
    struct SIDE(task) * tasks[2];
    int sum = 0;

    stop = false;
    SIDE(driver) = SIDE(waker_self)();
    for (int i = 0; i < 2; i++) {
        const int r = SIDE(begin_future)(&tasks[i], &turners[i].future);

        if (r < 0) {
            return r;
        }
    }
    while (turners[1].waker.task == NULL) {
        SIDE(yield)();
    }
    turners[0].next = turners[1].waker;
    turners[1].next = turners[0].waker;
    SIDE(drive)(&turners[0], bench->units / 10 + 1);
    rt_bench_start(bench);
    SIDE(drive)(&turners[0], bench->units);
    rt_bench_stop(bench, bench->units);
    stop = true;
    for (int i = 0; i < 2; i++) {
        int result = 0;

        SIDE(wake)(turners[i].waker);
        SIDE(end)(tasks[i], &result);
        sum += result;
    }
    return sum == 1 ? 0 : -EBADMSG;
}

static int SIDE(ready)(struct SIDE(future) * self)
{
    (void)self;
    return 1;
}

/* The unit: a task made of a future, its end waited for, its result taken. The future itself is
 * made once: to fill the runtime's 128 bytes with zeros took gcc 11 ns (rep stos). */
static int SIDE(join_future_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t warm_up = bench->units / 10;
    struct SIDE(future) future = { .poll = SIDE(ready) };
    uint64_t sum = 0;

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        struct SIDE(task) * task;
        int result = 0;

        if (i == warm_up) {
            rt_bench_start(bench);
        }
        if (SIDE(begin_future)(&task, &future) < 0) {
            return -ENOMEM;
        }
        SIDE(end)(task, &result);
        sum += (uint64_t)result;
    }
    rt_bench_stop(bench, bench->units);
    return sum == bench->units + warm_up ? 0 : -EBADMSG;
}

/* The unit: a task of a group; eight are made and waited for. */
static int SIDE(group_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t rounds = bench->units / GROUP + 1;
    const uint64_t warm_up = rounds / 10;
    struct SIDE(group) group = SIDE(group_made)();

    left = (int64_t)((rounds + warm_up) * GROUP);
    for (uint64_t i = 0; i < rounds + warm_up; i++) {
        if (i == warm_up) {
            rt_bench_start(bench);
        }
        for (int j = 0; j < GROUP; j++) {
            if (SIDE(group_spawn)(&group, count_down, NULL) < 0) {
                return -ENOMEM;
            }
        }
        (void)SIDE(group_wait)(&group, RT_NEVER);
    }
    rt_bench_stop(bench, rounds * GROUP);
    SIDE(group_end)(&group);
    return left == 0 ? 0 : -EBADMSG;
}

/* As sides of a row. */
static int SIDE(future_wake)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(wake_loop), bench);
}

static int SIDE(spawn_join_future)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(join_future_loop), bench);
}

static int SIDE(group_spawn_wait)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(group_loop), bench);
}
