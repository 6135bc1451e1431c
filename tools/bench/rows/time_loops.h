/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of time, written once and compiled twice by time.c: over
 * the limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name.
 * There must be SIDE(begin)(&task, fn, arg) and SIDE(end)(task, &result), beside
 * SIDE(others_begin)(count) and SIDE(others_end)(), sleep_until, yield, park, wake,
 * waker_self, now and in. No include guard: it is meant to be included twice.
 */

/* One of many: sleeps again and again. */
static int SIDE(many_sleeper)(void *arg)
{
    struct many *many = arg;

    while (!many->stop) {
        const int64_t deadline = SIDE(in)(RT_MILLISECONDS(1) +
                                          random_below(&many->random, RT_MILLISECONDS(99)));

        if (SIDE(sleep_until)(deadline) < 0) {
            return -EIO;
        }
        many->slept++;
        if (many->recording) {
            rt_bench_record(many->bench, (uint64_t)(SIDE(now)() - deadline));
        }
    }
    return 0;
}

/* All sleep when it begins, and have slept once: so those that were late while others were made do
 * not count. */
static int SIDE(sleep_window)(struct many *many)
{
    struct rt_bench *bench = many->bench;
    int64_t used;
    uint64_t before;

    if (SIDE(sleep_until)(SIDE(in)(WARM_UP)) < 0) {
        return -EIO;
    }
    rt_bench_start(bench);
    many->recording = bench->recording != 0;
    before = many->slept;
    used = cpu_ns();
    if (SIDE(sleep_until)(SIDE(in)(WINDOW)) < 0) {
        return -EIO;
    }
    used = cpu_ns() - used;
    many->recording = false;
    rt_bench_stop(bench, many->slept - before);
    rt_bench_result(bench, (double)used / (double)(many->slept - before));
    return 0;
}

static int SIDE(sleep_many_loop)(void *arg)
{
    struct many many = { .bench = arg, .random = 1 };
    struct SIDE(task) **tasks = calloc(SLEEPERS, sizeof(struct SIDE(task) *));
    uint32_t made = 0;
    int r = tasks == NULL ? -ENOMEM : 0;
    int result;

    while (r == 0 && made < SLEEPERS) {
        r = SIDE(begin)(&tasks[made], SIDE(many_sleeper), &many);
        made += r == 0;
        if (made % 256 == 0) {
            SIDE(yield)(); /* or all are late together */
        }
    }
    if (r == 0) {
        r = SIDE(sleep_window)(&many);
    }
    many.stop = true;
    for (uint32_t i = 0; i < made; i++) {
        SIDE(end)(tasks[i], &result);
    }
    free(tasks);
    return r;
}

/* It lets others run, and has always something to do. */
static int SIDE(yielder)(void *arg)
{
    const bool *over = arg;

    while (!*over) {
        SIDE(yield)();
    }
    return 0;
}

/* The unit: a sleep of 1 ms and up to a quota more, so that no rhythm of sleeps and quotas decides;
 * what counts is how late it ends. */
static int SIDE(late_sleep_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t sleeps = bench->units > LATE_LEAST ? bench->units : LATE_LEAST;
    static bool over;
    struct SIDE(task) * yielder;
    uint64_t random = 1;
    uint64_t late = 0;
    int result;
    int r = 0;

    over = false;
    if (SIDE(begin)(&yielder, SIDE(yielder), &over) < 0) {
        return -ENOMEM;
    }
    rt_bench_start(bench);
    for (uint64_t i = 0; r == 0 && i < sleeps; i++) {
        const int64_t deadline = SIDE(in)(RT_MILLISECONDS(1) +
                                          random_below(&random, RT_MICROSECONDS(500)));
        int64_t by;

        r = SIDE(sleep_until)(deadline);
        by = SIDE(now)() - deadline;
        late += (uint64_t)by;
        if (bench->recording != 0) {
            rt_bench_record(bench, (uint64_t)by);
        }
    }
    rt_bench_stop(bench, sleeps);
    rt_bench_result(bench, (double)late / (double)sleeps);
    over = true;
    SIDE(end)(yielder, &result);
    return r;
}

static struct SIDE(waker) SIDE(parked);

static int SIDE(parker)(void *arg)
{
    const bool *over = arg;

    SIDE(parked) = SIDE(waker_self)();
    while (!*over) {
        (void)SIDE(park)(SIDE(in)(RT_SECONDS(10)));
    }
    return 0;
}

/* The unit is that of timer_arm, beside a hundred times as many others. */
static int SIDE(timer_arm_1m_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t warm_up = bench->units / 10;
    static bool over;
    struct SIDE(task) * parker;
    int result;
    int r = SIDE(others_begin)(ARMED);

    if (r < 0) {
        return rt_bench_fail(bench, -ENOMEM, "not all of %d timers could be armed", ARMED);
    }
    over = false;
    r = SIDE(begin)(&parker, SIDE(parker), &over);
    if (r == 0) {
        SIDE(yield)();
        for (uint64_t i = 0; i < bench->units + warm_up; i++) {
            if (i == warm_up) {
                rt_bench_start(bench);
            }
            SIDE(wake)(SIDE(parked));
            SIDE(yield)();
        }
        rt_bench_stop(bench, bench->units);
        over = true;
        SIDE(wake)(SIDE(parked));
        SIDE(end)(parker, &result);
    }
    SIDE(others_end)();
    return r;
}
