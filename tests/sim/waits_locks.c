/* SPDX-License-Identifier: MIT */
/*
 * Waits for locks and units: mutex, rwlock, condition, semaphore.
 *
 * What was granted is held as long as it is held, by nobody else; all of it is
 * there again in the end; and who came first was served first.
 */
#include "waits.h"

#include <errno.h>

#include "rt/condition.h"
#include "rt/mutex.h"
#include "rt/rwlock.h"
#include "rt/semaphore.h"

static void hold_for_a_while(struct run *run)
{
    if (rand_chance(&run->rand, 500)) {
        rt_yield();
    } else {
        (void)rt_sleep_until(rt_in((rt_time)rand_below(&run->rand, 100000)));
    }
}

static rt_time soon(struct run *run)
{
    return rt_in((rt_time)rand_below(&run->rand, 50000));
}

/* Mutex */

static struct rt_mutex mutex;
static bool mutex_is_held;

static void mutex_make(struct run *run)
{
    (void)run;
    mutex = (struct rt_mutex)RT_MUTEX_INIT;
    mutex_is_held = false;
}

static int mutex_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_mutex_lock(&mutex, deadline);
}

static void mutex_begin(void)
{
    T_CHECK(!mutex_is_held);
    mutex_is_held = true;
}

static void mutex_end(void)
{
    T_CHECK(mutex_is_held);
    mutex_is_held = false;
    rt_mutex_unlock(&mutex);
}

static bool mutex_got(struct waiter *waiter, int result)
{
    check_nobody_was_passed(waiter);
    mutex_begin();
    return result == 0;
}

static void mutex_after(struct waiter *waiter)
{
    hold_for_a_while(waiter->run);
    mutex_end();
}

static void mutex_happen(struct run *run)
{
    if (rt_mutex_lock(&mutex, soon(run)) == 0) {
        mutex_begin();
        hold_for_a_while(run);
        mutex_end();
    }
}

static bool mutex_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return !mutex_is_held;
}

static void mutex_unmake(struct run *run)
{
    (void)run;
    T_CHECK(!mutex_is_held && rt_mutex_lock(&mutex, 0) == 0);
    rt_mutex_unlock(&mutex);
}

static const struct kind mutex_kind = {
    .name = "mutex",
    .make = mutex_make,
    .call = mutex_call,
    .got = mutex_got,
    .after = mutex_after,
    .happen = mutex_happen,
    .is_there = mutex_is_there,
    .unmake = mutex_unmake,
};

/* Read-write lock: `flag` of a waiter says that it writes. */

static struct rt_rwlock rwlock;
static unsigned readers;
static unsigned writers;

static void rwlock_make(struct run *run)
{
    (void)run;
    rwlock = (struct rt_rwlock)RT_RWLOCK_INIT;
    readers = 0;
    writers = 0;
}

static int rwlock_call(struct waiter *waiter, rt_time deadline, unsigned writes_per_mille)
{
    waiter->flag = rand_chance(&waiter->run->rand, writes_per_mille);
    return waiter->flag ? rt_rwlock_write_lock(&rwlock, deadline)
                        : rt_rwlock_read_lock(&rwlock, deadline);
}

static int mostly_read(struct waiter *waiter, rt_time deadline)
{
    return rwlock_call(waiter, deadline, 150);
}

static int mostly_write(struct waiter *waiter, rt_time deadline)
{
    return rwlock_call(waiter, deadline, 700);
}

static void rwlock_begin(bool writes)
{
    T_CHECK(writers == 0 && (!writes || readers == 0));
    readers += !writes;
    writers += writes;
}

static void rwlock_end(bool writes)
{
    if (writes) {
        writers--;
        rt_rwlock_write_unlock(&rwlock);
    } else {
        readers--;
        rt_rwlock_read_unlock(&rwlock);
    }
}

static bool rwlock_got(struct waiter *waiter, int result)
{
    check_nobody_was_passed(waiter);
    rwlock_begin(waiter->flag);
    return result == 0;
}

static void rwlock_after(struct waiter *waiter)
{
    hold_for_a_while(waiter->run);
    rwlock_end(waiter->flag);
}

/* Nobody holds it; or those who do read, as this one would, and nobody before it is to write. */
static bool rwlock_is_there(const struct waiter *waiter)
{
    const struct run *run = waiter->run;

    for (unsigned i = 0; i < run->waiter_count; i++) {
        if (run->waiters[i].ticket < waiter->ticket && stands_in_line(&run->waiters[i])) {
            return false;
        }
    }
    return writers == 0 && (readers == 0 || !waiter->flag);
}

static void check_readers_go_on(const struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        const struct waiter *waiter = &run->waiters[i];

        T_CHECK(!stands_in_line(waiter) || !rwlock_is_there(waiter));
    }
}

static void rwlock_happen(struct run *run)
{
    const bool writes = rand_chance(&run->rand, 500);
    const int r = writes ? rt_rwlock_write_lock(&rwlock, soon(run))
                         : rt_rwlock_read_lock(&rwlock, soon(run));

    if (r < 0) {
        return;
    }
    rwlock_begin(writes);
    for (uint64_t n = 1 + rand_below(&run->rand, 4); n > 0; n--) {
        hold_for_a_while(run);
        check_readers_go_on(run); /* also when a writer before them gave up */
    }
    rwlock_end(writes);
}

static void rwlock_unmake(struct run *run)
{
    (void)run;
    T_CHECK(readers + writers == 0 && rt_rwlock_write_lock(&rwlock, 0) == 0);
    rt_rwlock_write_unlock(&rwlock);
}

static const struct kind read_kind = {
    .name = "rwlock read",
    .make = rwlock_make,
    .call = mostly_read,
    .got = rwlock_got,
    .after = rwlock_after,
    .happen = rwlock_happen,
    .is_there = rwlock_is_there,
    .unmake = rwlock_unmake,
};

static const struct kind write_kind = {
    .name = "rwlock write",
    .make = rwlock_make,
    .call = mostly_write,
    .got = rwlock_got,
    .after = rwlock_after,
    .happen = rwlock_happen,
    .is_there = rwlock_is_there,
    .unmake = rwlock_unmake,
};

/* Condition: that there is a token. Each is taken once, or there in the end. */

static struct rt_condition condition;
static unsigned tokens;
static unsigned tokens_made;
static unsigned tokens_taken;

static void condition_make(struct run *run)
{
    mutex_make(run);
    condition = (struct rt_condition)RT_CONDITION_INIT;
    tokens = 0;
    tokens_made = 0;
    tokens_taken = 0;
}

static int take_token(rt_time deadline)
{
    int r = 0;

    while (tokens == 0 && r == 0) {
        mutex_is_held = false;
        r = rt_condition_wait(&condition, &mutex, deadline);
        mutex_begin(); /* whatever came */
    }
    if (tokens == 0) {
        return r;
    }
    tokens--;
    return 0;
}

static int condition_call(struct waiter *waiter, rt_time deadline)
{
    int r = rt_mutex_lock(&mutex, deadline);

    if (r == 0) {
        mutex_begin();
        r = take_token(deadline);
        if (rand_chance(&waiter->run->rand, 200)) {
            rt_yield(); /* others want the mutex too */
        }
        mutex_end();
    }
    return r;
}

static bool condition_got(struct waiter *waiter, int result)
{
    (void)waiter;
    tokens_taken++;
    return result == 0;
}

static void condition_happen(struct run *run)
{
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    mutex_begin();
    tokens++;
    tokens_made++;
    if (rand_chance(&run->rand, 300)) {
        hold_for_a_while(run);
    }
    if (rand_chance(&run->rand, 700)) {
        rt_condition_signal(&condition);
    } else {
        rt_condition_broadcast(&condition);
    }
    if (rand_chance(&run->rand, 300)) {
        hold_for_a_while(run); /* who was signalled waits for the mutex, and nothing else counts */
    }
    mutex_end();
}

static bool condition_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return tokens > 0;
}

static void condition_unmake(struct run *run)
{
    T_CHECK(tokens_made == tokens_taken + tokens);
    mutex_unmake(run);
}

static const struct kind condition_kind = {
    .name = "condition",
    .make = condition_make,
    .call = condition_call,
    .got = condition_got,
    .happen = condition_happen,
    .is_there = condition_is_there,
    .unmake = condition_unmake,
};

/* Semaphore: `count` of a waiter is what it asks for. What is taken is given back, or kept. */

static struct rt_semaphore semaphore;
static uint32_t units_made;
static uint32_t units_kept;
static uint32_t units_held;
static bool semaphore_is_closed;

static void semaphore_make(struct run *run)
{
    units_made = (uint32_t)rand_below(&run->rand, 4);
    units_kept = 0;
    units_held = 0;
    semaphore_is_closed = false;
    semaphore = (struct rt_semaphore)RT_SEMAPHORE_INIT(units_made);
}

static int semaphore_call(struct waiter *waiter, rt_time deadline)
{
    waiter->count = 1 + (unsigned)rand_below(&waiter->run->rand, 3);
    return rt_semaphore_take(&semaphore, waiter->count, deadline);
}

static bool semaphore_got(struct waiter *waiter, int result)
{
    if (result == -EPIPE) {
        return semaphore_is_closed;
    }
    check_nobody_was_passed(waiter);
    units_held += waiter->count;
    return result == 0;
}

static void semaphore_after(struct waiter *waiter)
{
    if (rand_chance(&waiter->run->rand, 300)) {
        units_held -= waiter->count;
        units_kept += waiter->count;
        return;
    }
    hold_for_a_while(waiter->run);
    units_held -= waiter->count;
    rt_semaphore_put(&semaphore, waiter->count);
}

static void semaphore_happen(struct run *run)
{
    const uint32_t units = 1 + (uint32_t)rand_below(&run->rand, 2);

    if (rand_chance(&run->rand, 50)) {
        semaphore_is_closed = true;
        rt_semaphore_close(&semaphore);
    }
    units_made += units;
    rt_semaphore_put(&semaphore, units);
}

/* Of those who wait, the first has to wait for more. */
static bool semaphore_is_there(const struct waiter *waiter)
{
    const struct run *run = waiter->run;

    for (unsigned i = 0; i < run->waiter_count; i++) {
        if (run->waiters[i].waiting && run->waiters[i].ticket < waiter->ticket) {
            return false;
        }
    }
    return semaphore_is_closed || semaphore.units >= waiter->count;
}

static void semaphore_unmake(struct run *run)
{
    (void)run;
    T_CHECK(units_held == 0);
    T_CHECK(semaphore_is_closed || semaphore.units == units_made - units_kept);
}

static const struct kind semaphore_kind = {
    .name = "semaphore",
    .make = semaphore_make,
    .call = semaphore_call,
    .got = semaphore_got,
    .after = semaphore_after,
    .happen = semaphore_happen,
    .is_there = semaphore_is_there,
    .unmake = semaphore_unmake,
};

const struct kind *const waits_locks[] = {
    &mutex_kind, &read_kind, &write_kind, &condition_kind, &semaphore_kind, NULL,
};
