/* SPDX-License-Identifier: MIT */
/*
 * The rows' loops, written once and compiled twice by primitives.c: over the
 * limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name.
 * There must be SIDE(begin)(&task, fn, arg) and SIDE(end)(task, &result) beside
 * yield, park, wake, waker_self and in. No include guard: it is meant to be
 * included twice.
 *
 * The two bodies of a yield row are two functions, so that a switch goes from
 * one call site to another, as between tasks that do different things.
 */

static int SIDE(even)(void *arg)
{
    struct run *run = arg;

    while (!run->stop) {
        SIDE(yield)();
    }
    return 0;
}

static int SIDE(odd)(void *arg)
{
    struct run *run = arg;

    do {
        SIDE(yield)();
    } while (!run->stop);
    return 1;
}

/* One switch is the unit: each yield of the first fiber lets all others run once. */
static int SIDE(yield_row)(void *arg)
{
    struct run *run = arg;
    static struct SIDE(task) * tasks[MANY];
    uint64_t rounds = run->count / run->fibers;
    int result;

    for (uint32_t i = 1; i < run->fibers; i++) {
        SIDE(begin)(&tasks[i], i % 2 == 0 ? SIDE(even) : SIDE(odd), run);
    }
    for (uint64_t i = 0; i < rounds / 10 + 1; i++) {
        SIDE(yield)();
    }
    run_begin(run);
    for (uint64_t i = 0; i < rounds; i++) {
        SIDE(yield)();
    }
    run_end(run, rounds * run->fibers);
    for (uint32_t i = 1; i < run->fibers; i++) {
        SIDE(end)(tasks[i], &result);
    }
    return 0;
}

static int SIDE(spawn_join_row)(void *arg)
{
    struct run *run = arg;
    int value = 1;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < run->count + run->count / 10; i++) {
        struct SIDE(task) * task;
        int result = 0;

        if (i == run->count / 10) {
            run_begin(run);
        }
        SIDE(begin)(&task, child, &value);
        SIDE(end)(task, &result);
        sum += (uint64_t)result;
    }
    run_end(run, run->count);
    return sum == run->count + run->count / 10 ? 0 : -1;
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
    struct run *run = arg;

    SIDE(sleeper_waker) = SIDE(waker_self)();
    while (!run->stop) {
        (void)SIDE(park)(SIDE(in)(RT_SECONDS(10)));
    }
    return 0;
}

/* The unit: a clock read, a park with a deadline, and a wake long before it; two switches. */
static int SIDE(park_timer_row)(void *arg)
{
    struct run *run = arg;
    static struct SIDE(task) * tasks[OTHERS];
    struct SIDE(task) * sleeper;
    int result;

    memset(SIDE(other_wakers), 0, sizeof(SIDE(other_wakers)));
    for (uint32_t i = 0; i < OTHERS; i++) {
        SIDE(begin)(&tasks[i], SIDE(other), &SIDE(other_wakers)[i]);
    }
    SIDE(begin)(&sleeper, SIDE(sleeper), run);
    while (SIDE(other_wakers)[OTHERS - 1].task == NULL) {
        SIDE(yield)();
    }
    SIDE(yield)(); /* the sleeper parks too */
    for (uint64_t i = 0; i < run->count + run->count / 10; i++) {
        if (i == run->count / 10) {
            run_begin(run);
        }
        SIDE(wake)(SIDE(sleeper_waker));
        SIDE(yield)();
    }
    run_end(run, run->count);
    SIDE(wake)(SIDE(sleeper_waker));
    SIDE(end)(sleeper, &result);
    for (uint32_t i = 0; i < OTHERS; i++) {
        SIDE(wake)(SIDE(other_wakers)[i]);
        SIDE(end)(tasks[i], &result);
    }
    return 0;
}
