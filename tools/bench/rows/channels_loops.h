/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of channels within a core, written once and compiled twice
 * by channels.c: over the limit and over the runtime. So both do the same by
 * construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name. Beside
 * what sides.h has there must be SIDE(enter), SIDE(chan_make) and SIDE(receive_case).
 * No include guard: it is meant to be included twice.
 */

/* What a task gets from the row. */
struct SIDE(work) {
    struct SIDE(chan) * there, *back;
    uint64_t units;
};

static int SIDE(make_both)(struct SIDE(work) * work, uint32_t capacity)
{
    int r = SIDE(chan_make)(&work->there, capacity);

    if (r < 0) {
        return r;
    }
    r = SIDE(chan_make)(&work->back, capacity);
    if (r < 0) {
        SIDE(chan_destroy)(work->there);
    }
    return r;
}

static void SIDE(destroy_both)(struct SIDE(work) * work)
{
    SIDE(chan_destroy)(work->there);
    SIDE(chan_destroy)(work->back);
}

static int SIDE(producer)(void *arg)
{
    const struct SIDE(work) *work = arg;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < work->units; i++) {
        wrong += SIDE(chan_send)(work->there, &i, RT_NEVER) != 0;
    }
    return wrong == 0 ? 0 : -EBADMSG;
}

/* `units` items, from a task to this one. */
static int SIDE(stream)(struct SIDE(work) * work, uint64_t units)
{
    struct SIDE(task) * producer;
    uint64_t sum = 0;
    int result = 0;
    int r;

    work->units = units;
    r = SIDE(begin)(&producer, SIDE(producer), work);
    if (r < 0) {
        return r;
    }
    for (uint64_t i = 0; i < units; i++) {
        uint64_t item = 0;

        r |= SIDE(chan_recv)(work->there, &item, RT_NEVER);
        sum += item;
    }
    SIDE(end)(producer, &result);
    return r == 0 && result == 0 && sum == units * (units - 1) / 2 ? 0 : -EBADMSG;
}

static int SIDE(stream_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    struct SIDE(work) work;
    int r = SIDE(chan_make)(&work.there, CAPACITY);

    if (r < 0) {
        return r;
    }
    r = SIDE(stream)(&work, bench->units / 10 + 1);
    if (r == 0) {
        rt_bench_start(bench);
        r = SIDE(stream)(&work, bench->units);
        rt_bench_stop(bench, bench->units);
    }
    SIDE(chan_destroy)(work.there);
    return r;
}

static int SIDE(mirror)(void *arg)
{
    const struct SIDE(work) *work = arg;
    uint64_t item;
    int r = 0;

    while (r == 0 && SIDE(chan_recv)(work->there, &item, RT_NEVER) == 0) {
        item++;
        r = SIDE(chan_send)(work->back, &item, RT_NEVER);
    }
    return r;
}

/* The unit: an item through one channel, and one back through another. */
static int SIDE(bounce)(struct rt_bench *bench, const struct SIDE(work) * work)
{
    const uint64_t warm_up = bench->units / 10;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        uint64_t item = i;

        if (i == warm_up) {
            rt_bench_start(bench);
        }
        wrong += SIDE(chan_send)(work->there, &item, RT_NEVER) != 0;
        wrong += SIDE(chan_recv)(work->back, &item, RT_NEVER) != 0 || item != i + 1;
    }
    rt_bench_stop(bench, bench->units);
    return wrong == 0 ? 0 : -EBADMSG;
}

static int SIDE(bounce_loop)(void *arg)
{
    struct SIDE(work) work;
    struct SIDE(task) * mirror;
    int result;
    int r = SIDE(make_both)(&work, 1);

    if (r < 0) {
        return r;
    }
    r = SIDE(begin)(&mirror, SIDE(mirror), &work);
    if (r == 0) {
        r = SIDE(bounce)(arg, &work);
        SIDE(chan_close)(work.there);
        SIDE(end)(mirror, &result);
    }
    SIDE(destroy_both)(&work);
    return r;
}

/* The yield lets the task that selects take what was sent: it waits each time. */
static int SIDE(alternate)(void *arg)
{
    const struct SIDE(work) *work = arg;
    int r = 0;

    for (uint64_t i = 0; r == 0 && i < work->units; i++) {
        r = SIDE(chan_send)(i % 2 == 0 ? work->there : work->back, &i, RT_NEVER);
        SIDE(yield)();
    }
    return r;
}

/* The unit: one select over two channels, that waits and gets an item out of one. */
static int SIDE(selects)(struct rt_bench *bench, const struct SIDE(work) * work)
{
    const uint64_t warm_up = work->units - bench->units;
    uint64_t items[2];
    struct SIDE(case) cases[] = {
        SIDE(receive_case)(work->there, &items[0]),
        SIDE(receive_case)(work->back, &items[1]),
    };
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < work->units; i++) {
        if (i == warm_up) {
            rt_bench_start(bench);
        }
        wrong += SIDE(select)(cases, 2, RT_NEVER) != (int)(i % 2) || items[i % 2] != i;
    }
    rt_bench_stop(bench, bench->units);
    return wrong == 0 ? 0 : -EBADMSG;
}

static int SIDE(select_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    struct SIDE(work) work = { .units = bench->units + bench->units / 10 };
    struct SIDE(task) * sender;
    int result;
    int r = SIDE(make_both)(&work, 1);

    if (r < 0) {
        return r;
    }
    r = SIDE(begin)(&sender, SIDE(alternate), &work);
    if (r == 0) {
        r = SIDE(selects)(bench, &work);
        SIDE(end)(sender, &result);
    }
    SIDE(destroy_both)(&work);
    return r;
}

static struct SIDE(oneshot) * SIDE(asked); /* what the other task is to send into */
static struct SIDE(waker) SIDE(answerer_waker);

static int SIDE(answerer)(void *arg)
{
    uint64_t answers = 0;

    (void)arg;
    SIDE(answerer_waker) = SIDE(waker_self)();
    while (!stop) {
        struct SIDE(oneshot) *oneshot = SIDE(asked);

        if (oneshot != NULL) {
            SIDE(asked) = NULL;
            answers++;
            SIDE(oneshot_send)(oneshot, (void *)(uintptr_t)answers);
        }
        (void)SIDE(park)(RT_NEVER);
    }
    return 0;
}

/* The unit: a oneshot, made, handed to a task that waits, and received from. */
static int SIDE(asks)(struct rt_bench *bench)
{
    const uint64_t warm_up = bench->units / 10;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        struct SIDE(oneshot) oneshot = SIDE(oneshot_made)();
        void *value = NULL;

        if (i == warm_up) {
            rt_bench_start(bench);
        }
        SIDE(asked) = &oneshot;
        SIDE(wake)(SIDE(answerer_waker));
        wrong += SIDE(oneshot_recv)(&oneshot, &value, RT_NEVER) != 0 || (uintptr_t)value != i + 1;
    }
    rt_bench_stop(bench, bench->units);
    return wrong == 0 ? 0 : -EBADMSG;
}

static int SIDE(oneshot_loop)(void *arg)
{
    struct SIDE(task) * answerer;
    int result;
    int r;

    stop = false;
    SIDE(asked) = NULL;
    SIDE(answerer_waker).task = NULL;
    r = SIDE(begin)(&answerer, SIDE(answerer), NULL);
    if (r < 0) {
        return r;
    }
    while (SIDE(answerer_waker).task == NULL) {
        SIDE(yield)();
    }
    r = SIDE(asks)(arg);
    stop = true;
    SIDE(wake)(SIDE(answerer_waker));
    SIDE(end)(answerer, &result);
    return r;
}

/* As sides of a row. */
static int SIDE(chan_local)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(stream_loop), bench);
}

static int SIDE(pingpong_local)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(bounce_loop), bench);
}

static int SIDE(select2)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(select_loop), bench);
}

static int SIDE(oneshot_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(oneshot_loop), bench);
}
