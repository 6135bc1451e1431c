/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of locks, written once and compiled twice by locks.c: over
 * the limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name. Beside
 * what sides.h has there must be SIDE(enter), and SIDE(mutex), SIDE(semaphore) and
 * SIDE(rwlock) with their initialisers as functions. No include guard: it is meant
 * to be included twice.
 *
 * Half of the tasks run one function and half another, so that a switch goes from
 * one call site to another, as between tasks that do different things.
 */

/* `units` of work, done by all tasks together. */
static int SIDE(crowd)(uint64_t units, int (*even)(void *), int (*odd)(void *))
{
    struct SIDE(task) * tasks[TASKS];
    int result;

    left = (int64_t)units;
    for (uint32_t i = 0; i < TASKS; i++) {
        const int r = SIDE(begin)(&tasks[i], i % 2 == 0 ? even : odd, &numbers[i]);

        if (r < 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < TASKS; i++) {
        SIDE(end)(tasks[i], &result);
    }
    return 0;
}

static int SIDE(crowd_row)(struct rt_bench *bench, int (*even)(void *), int (*odd)(void *))
{
    int r;

    writers = readers = 0;
    wrong = false;
    r = SIDE(crowd)(bench->units / 10 + 1, even, odd);
    if (r < 0) {
        return r;
    }
    rt_bench_start(bench);
    r = SIDE(crowd)(bench->units, even, odd);
    rt_bench_stop(bench, bench->units);
    if (r < 0) {
        return r;
    }
    return wrong ? -EBADMSG : 0;
}

static struct SIDE(mutex) SIDE(the_mutex);

static inline __attribute__((always_inline)) void SIDE(use_mutex)(void)
{
    bool bad = false;

    while (left-- > 0) {
        bad |= SIDE(mutex_lock)(&SIDE(the_mutex), RT_NEVER) != 0 || writers != 0;
        writers++;
        SIDE(yield)();
        writers--;
        SIDE(mutex_unlock)(&SIDE(the_mutex));
    }
    wrong |= bad;
}

static int SIDE(mutex_even)(void *arg)
{
    (void)arg;
    SIDE(use_mutex)();
    return 0;
}

static int SIDE(mutex_odd)(void *arg)
{
    (void)arg;
    SIDE(use_mutex)();
    return 1;
}

static int SIDE(mutex_loop)(void *arg)
{
    SIDE(mutex_make)(&SIDE(the_mutex));
    return SIDE(crowd_row)(arg, SIDE(mutex_even), SIDE(mutex_odd));
}

/* The unit: a lock and an unlock, and nobody else. */
static int SIDE(mutex1_loop)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t warm_up = bench->units / 10;
    bool bad = false;

    SIDE(mutex_make)(&SIDE(the_mutex));
    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        if (i == warm_up) {
            rt_bench_start(bench);
        }
        bad |= SIDE(mutex_lock)(&SIDE(the_mutex), RT_NEVER) != 0;
        SIDE(mutex_unlock)(&SIDE(the_mutex));
    }
    rt_bench_stop(bench, bench->units);
    return bad ? -EBADMSG : 0;
}

static struct SIDE(semaphore) SIDE(the_semaphore);

static inline __attribute__((always_inline)) void SIDE(use_semaphore)(void)
{
    bool bad = false;

    while (left-- > 0) {
        bad |= SIDE(semaphore_take)(&SIDE(the_semaphore), 1, RT_NEVER) != 0 || writers == UNITS;
        writers++;
        SIDE(yield)();
        writers--;
        SIDE(semaphore_put)(&SIDE(the_semaphore), 1);
    }
    wrong |= bad;
}

static int SIDE(semaphore_even)(void *arg)
{
    (void)arg;
    SIDE(use_semaphore)();
    return 0;
}

static int SIDE(semaphore_odd)(void *arg)
{
    (void)arg;
    SIDE(use_semaphore)();
    return 1;
}

static int SIDE(semaphore_loop)(void *arg)
{
    SIDE(semaphore_make)(&SIDE(the_semaphore), UNITS);
    return SIDE(crowd_row)(arg, SIDE(semaphore_even), SIDE(semaphore_odd));
}

static struct SIDE(rwlock) SIDE(the_rwlock);

/* Of a task's 8 locks one is to write; the tasks do not write in step. */
static inline __attribute__((always_inline)) void SIDE(use_rwlock)(uint32_t turn)
{
    bool bad = false;

    while (left-- > 0) {
        if (turn++ % TASKS == 0) {
            bad |= SIDE(rwlock_write_lock)(&SIDE(the_rwlock), RT_NEVER) != 0;
            bad |= writers + readers != 0;
            writers++;
            SIDE(yield)();
            writers--;
            SIDE(rwlock_write_unlock)(&SIDE(the_rwlock));
        } else {
            bad |= SIDE(rwlock_read_lock)(&SIDE(the_rwlock), RT_NEVER) != 0;
            bad |= writers != 0;
            readers++;
            SIDE(yield)();
            readers--;
            SIDE(rwlock_read_unlock)(&SIDE(the_rwlock));
        }
    }
    wrong |= bad;
}

static int SIDE(rwlock_even)(void *arg)
{
    SIDE(use_rwlock)(*(const uint32_t *)arg);
    return 0;
}

static int SIDE(rwlock_odd)(void *arg)
{
    SIDE(use_rwlock)(*(const uint32_t *)arg);
    return 1;
}

static int SIDE(rwlock_loop)(void *arg)
{
    SIDE(rwlock_make)(&SIDE(the_rwlock));
    return SIDE(crowd_row)(arg, SIDE(rwlock_even), SIDE(rwlock_odd));
}

/* As sides of a row. */
static int SIDE(mutex_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(mutex_loop), bench);
}

static int SIDE(mutex1_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(mutex1_loop), bench);
}

static int SIDE(semaphore_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(semaphore_loop), bench);
}

static int SIDE(rwlock_row)(struct rt_bench *bench)
{
    return SIDE(enter)(SIDE(rwlock_loop), bench);
}
