/* SPDX-License-Identifier: MIT */
/*
 * Limit locks. What is given back goes to the first who waits, in the same step:
 * it is never free in between, so nobody can barge in.
 */
#include "fiber.h"

/* What a lock need not do that neither waits nor ends a wait; so its registers stay free. */
#define ASIDE __attribute__((noinline))

static ASIDE int wait_for_mutex(struct limit_mutex *mutex, int64_t deadline)
{
    if (__builtin_expect(mutex->holder == fiber_here()->running, 0)) {
        fiber_misuse("a fiber locks the mutex that it holds");
    }
    return fiber_wait_in(&mutex->waiters, deadline);
}

int limit_mutex_lock(struct limit_mutex *mutex, int64_t deadline)
{
    if (mutex->holder != NULL) {
        return wait_for_mutex(mutex, deadline);
    }
    mutex->holder = fiber_here()->running;
    return 0;
}

static ASIDE void hand_over_mutex(struct limit_mutex *mutex)
{
    mutex->holder = fiber_pop(&mutex->waiters);
    fiber_finish(fiber_here(), mutex->holder);
}

void limit_mutex_unlock(struct limit_mutex *mutex)
{
    if (__builtin_expect(mutex->holder != fiber_here()->running, 0)) {
        fiber_misuse("a mutex is unlocked by a fiber that does not hold it");
    }
    if (fiber_nobody_waits(&mutex->waiters)) {
        mutex->holder = NULL;
        return;
    }
    hand_over_mutex(mutex);
}

/* What a waiter of a semaphore or an rwlock wants stands in its `item`, as a number. */

static inline uintptr_t wanted_by_first(const struct limit_link *waiters)
{
    return (uintptr_t)((const struct limit_waiter *)waiters->next)->item;
}

static inline int wait_for(struct limit_link *waiters, uintptr_t wanted, int64_t deadline)
{
    fiber_here()->running->waiting.item = (void *)wanted;
    return fiber_wait_in(waiters, deadline);
}

int limit_semaphore_take(struct limit_semaphore *semaphore, uint32_t units, int64_t deadline)
{
    if (units <= semaphore->free && fiber_nobody_waits(&semaphore->waiters)) {
        semaphore->free -= units;
        return 0;
    }
    return wait_for(&semaphore->waiters, units, deadline);
}

/* Who wants many is served before those behind it, who want few. */
static inline void grant_units(struct limit_semaphore *semaphore)
{
    struct fiber_executor *executor = fiber_here();

    while (!fiber_nobody_waits(&semaphore->waiters) &&
           wanted_by_first(&semaphore->waiters) <= semaphore->free) {
        semaphore->free -= (uint32_t)wanted_by_first(&semaphore->waiters);
        fiber_finish(executor, fiber_pop(&semaphore->waiters));
    }
}

void limit_semaphore_put(struct limit_semaphore *semaphore, uint32_t units)
{
    semaphore->free += units;
    if (!fiber_nobody_waits(&semaphore->waiters)) {
        grant_units(semaphore);
    }
}

#define WRITES 1

int limit_rwlock_read_lock(struct limit_rwlock *lock, int64_t deadline)
{
    if (lock->holders >= 0 && fiber_nobody_waits(&lock->waiters)) {
        lock->holders++;
        return 0;
    }
    return wait_for(&lock->waiters, 0, deadline);
}

int limit_rwlock_write_lock(struct limit_rwlock *lock, int64_t deadline)
{
    if (lock->holders == 0) { /* so nobody waits */
        lock->holders = -1;
        return 0;
    }
    return wait_for(&lock->waiters, WRITES, deadline);
}

/* The lock is free: it goes to the first writer, or to all readers before the next one. */
static inline void grant_lock(struct limit_rwlock *lock)
{
    struct fiber_executor *executor = fiber_here();

    if (wanted_by_first(&lock->waiters) == WRITES) {
        lock->holders = -1;
        fiber_finish(executor, fiber_pop(&lock->waiters));
        return;
    }
    do {
        lock->holders++;
        fiber_finish(executor, fiber_pop(&lock->waiters));
    } while (!fiber_nobody_waits(&lock->waiters) && wanted_by_first(&lock->waiters) != WRITES);
}

void limit_rwlock_read_unlock(struct limit_rwlock *lock)
{
    if (__builtin_expect(lock->holders <= 0, 0)) {
        fiber_misuse("an rwlock is unlocked that nobody reads");
    }
    if (--lock->holders == 0 && !fiber_nobody_waits(&lock->waiters)) {
        grant_lock(lock);
    }
}

void limit_rwlock_write_unlock(struct limit_rwlock *lock)
{
    if (__builtin_expect(lock->holders >= 0, 0)) {
        fiber_misuse("an rwlock is unlocked that nobody writes");
    }
    lock->holders = 0;
    if (!fiber_nobody_waits(&lock->waiters)) {
        grant_lock(lock);
    }
}
