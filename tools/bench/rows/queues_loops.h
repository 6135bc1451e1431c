/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of task queues, written once and compiled twice by queues.c:
 * over the limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name. There
 * must be what core_loops.h asks for, SIDE(make_queue)(&queue), which makes one with as
 * many shares as the first fiber's, SIDE(take_queue_away)(queue), SIDE(begin_in)(&task,
 * queue, fn, arg), SIDE(hand_over)(waker), which wakes a fiber and parks, and
 * SIDE(wake_in_queue)(waker).
 */

static struct SIDE(waker) SIDE(first_waker), SIDE(other_waker);

static int SIDE(other)(void *arg)
{
    (void)arg;
    SIDE(other_waker) = SIDE(waker_self)();
    while (!stop) {
        SIDE(hand_over)(SIDE(first_waker));
    }
    SIDE(wake_in_queue)(SIDE(first_waker));
    return 0;
}

/* One switch between queues is the unit: a round has two. */
static int SIDE(hand_over_in_turn)(struct rt_bench *bench)
{
    const uint64_t rounds = bench->units / 2 + 1;

    for (uint64_t i = 0; i < rounds / 10 + 1; i++) {
        SIDE(hand_over)(SIDE(other_waker));
    }
    rt_bench_start(bench);
    for (uint64_t i = 0; i < rounds; i++) {
        SIDE(hand_over)(SIDE(other_waker));
    }
    rt_bench_stop(bench, rounds * 2);
    return 0;
}

static int SIDE(queue_switch_loop)(void *arg)
{
    struct SIDE(taskq) * queue;
    struct SIDE(task) * other;
    int result;
    int r = SIDE(make_queue)(&queue);

    if (r < 0) {
        return r;
    }
    stop = false;
    SIDE(first_waker) = SIDE(waker_self)();
    r = SIDE(begin_in)(&other, queue, SIDE(other), NULL);
    if (r == 0) {
        SIDE(wait_in_queue)(); /* until it hands over: then it has said who it is */
        r = SIDE(hand_over_in_turn)(arg);
        stop = true;
        SIDE(hand_over)(SIDE(other_waker)); /* it wakes this one and returns */
        SIDE(end)(other, &result);
    }
    result = SIDE(take_queue_away)(queue);
    return r < 0 ? r : result;
}

/* The answer is yes once in some ten thousand calls, and must be obeyed, or it would stay. */
static uint64_t SIDE(ask)(uint64_t times)
{
    uint64_t yields = 0;

    for (uint64_t i = 0; i < times; i++) {
        if (SIDE(should_yield)()) {
            SIDE(yield)();
            yields++;
        }
    }
    return yields;
}

static int SIDE(should_yield_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    uint64_t yields = SIDE(ask)(bench->units / 10 + 1);

    rt_bench_start(bench);
    yields += SIDE(ask)(bench->units);
    rt_bench_stop(bench, bench->units);
    return yields <= bench->units / 16 + 2 ? 0 : -EBADMSG; /* it looks at every 16th call */
}

/* As sides of a row. */
static int SIDE(queue_switch)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(queue_switch_loop), bench);
}

static int SIDE(should_yield_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(should_yield_loop), bench);
}
