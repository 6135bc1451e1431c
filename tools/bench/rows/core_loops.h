/* SPDX-License-Identifier: MIT */
/*
 * The rows' loops, written once and compiled twice by core.c: over the
 * limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name.
 * There must be SIDE(begin)(&task, fn, arg), SIDE(end)(task, &result) and
 * SIDE(enter)(fn, bench), which runs fn(bench) as the first fiber, beside yield,
 * park, wake, waker_self and in. No include guard: it is meant to be
 * included twice.
 *
 * The two bodies of a yield row are two functions, so that a switch goes from
 * one call site to another, as between tasks that do different things.
 */

static int SIDE(even)(void *arg)
{
    (void)arg;
    while (!stop) {
        SIDE(yield)();
    }
    return 0;
}

static int SIDE(odd)(void *arg)
{
    (void)arg;
    do {
        SIDE(yield)();
    } while (!stop);
    return 1;
}

/* One switch is the unit: each yield of the first fiber lets all others run once. */
static int SIDE(yield_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint32_t fibers = *(const uint32_t *)bench->arg;
    const uint64_t rounds = bench->units / fibers + 1;
    static struct SIDE(task) * tasks[MANY];
    int r = 0;
    int result;

    stop = false;
    for (uint32_t i = 1; r == 0 && i < fibers; i++) {
        r = SIDE(begin)(&tasks[i], i % 2 == 0 ? SIDE(even) : SIDE(odd), NULL);
    }
    if (r < 0) {
        return r;
    }
    for (uint64_t i = 0; i < rounds / 10 + 1; i++) {
        SIDE(yield)();
    }
    rt_bench_start(bench);
    for (uint64_t i = 0; i < rounds; i++) {
        SIDE(yield)();
    }
    rt_bench_stop(bench, rounds * fibers);
    stop = true;
    for (uint32_t i = 1; i < fibers; i++) {
        SIDE(end)(tasks[i], &result);
    }
    return 0;
}

static int SIDE(spawn_join_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t warm_up = bench->units / 10;
    int value = 1;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        struct SIDE(task) * task;
        int result = 0;

        if (i == warm_up) {
            rt_bench_start(bench);
        }
        if (SIDE(begin)(&task, child, &value) < 0) {
            return -ENOMEM;
        }
        SIDE(end)(task, &result);
        sum += (uint64_t)result;
    }
    rt_bench_stop(bench, bench->units);
    return sum == bench->units + warm_up ? 0 : -EBADMSG;
}

static struct SIDE(waker) SIDE(other_wakers)[OTHERS];

/* One of those that keep a timer armed while the row runs; its deadline does not pass. */
static int SIDE(other)(void *arg)
{
    struct SIDE(waker) *mine = arg;
    ptrdiff_t number = mine - SIDE(other_wakers);

    *mine = SIDE(waker_self)();
    (void)SIDE(park)(SIDE(in)(RT_SECONDS(60) + number * (RT_SECONDS(10) / OTHERS)));
    return 0;
}

static struct SIDE(waker) SIDE(sleeper_waker);

static int SIDE(sleeper)(void *arg)
{
    (void)arg;
    SIDE(sleeper_waker) = SIDE(waker_self)();
    while (!stop) {
        (void)SIDE(park)(SIDE(in)(RT_SECONDS(10)));
    }
    return 0;
}

/* The unit: a clock read, a park with a deadline, and a wake long before it; two switches. */
static int SIDE(timer_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t warm_up = bench->units / 10;
    static struct SIDE(task) * tasks[OTHERS];
    struct SIDE(task) * sleeper;
    int r;
    int result;

    stop = false;
    memset(SIDE(other_wakers), 0, sizeof(SIDE(other_wakers)));
    r = SIDE(begin)(&sleeper, SIDE(sleeper), NULL);
    for (uint32_t i = 0; r == 0 && i < OTHERS; i++) {
        r = SIDE(begin)(&tasks[i], SIDE(other), &SIDE(other_wakers)[i]);
    }
    if (r < 0) {
        return r;
    }
    while (SIDE(other_wakers)[OTHERS - 1].task == NULL) {
        SIDE(yield)();
    }
    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        if (i == warm_up) {
            rt_bench_start(bench);
        }
        SIDE(wake)(SIDE(sleeper_waker));
        SIDE(yield)();
    }
    rt_bench_stop(bench, bench->units);
    stop = true;
    SIDE(wake)(SIDE(sleeper_waker));
    SIDE(end)(sleeper, &result);
    for (uint32_t i = 0; i < OTHERS; i++) {
        SIDE(wake)(SIDE(other_wakers)[i]);
        SIDE(end)(tasks[i], &result);
    }
    return 0;
}

/* As sides of a row. */
static int SIDE(yields)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(yield_loop), bench);
}

static int SIDE(spawn_join)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(spawn_join_loop), bench);
}

static int SIDE(timer_arm_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(timer_loop), bench);
}
