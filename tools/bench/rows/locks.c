/* SPDX-License-Identifier: MIT */
/*
 * Rows of locks: eight tasks of one core that take turns at something, and let the
 * others run while they have it. So nearly each lock waits, and each unlock hands
 * over. Beside them, what a mutex costs that nobody else wants.
 */
#include "limit.h"
#include "rows.h"
#include "sides.h"

#define TASKS 8 /* the limits page's */
#define UNITS 2 /* of the semaphore */

static int64_t left;              /* locks that no task has begun */
static uint32_t writers, readers; /* that hold the lock; of the semaphore, units that are taken */
static bool wrong;                /* who must not hold the lock together have done so */
static uint32_t numbers[TASKS] = { 0, 1, 2, 3, 4, 5, 6, 7 };

/* The calls whose shapes differ, made alike. */
static inline void limit_mutex_make(struct limit_mutex *mutex)
{
    *mutex = (struct limit_mutex)LIMIT_MUTEX_INIT(mutex);
}

static inline void limit_semaphore_make(struct limit_semaphore *semaphore, uint32_t units)
{
    *semaphore = (struct limit_semaphore)LIMIT_SEMAPHORE_INIT(semaphore, units);
}

static inline void limit_rwlock_make(struct limit_rwlock *lock)
{
    *lock = (struct limit_rwlock)LIMIT_RWLOCK_INIT(lock);
}

static inline void rt_mutex_make(struct rt_mutex *mutex)
{
    *mutex = (struct rt_mutex)RT_MUTEX_INIT;
}

static inline void rt_semaphore_make(struct rt_semaphore *semaphore, uint32_t units)
{
    *semaphore = (struct rt_semaphore)RT_SEMAPHORE_INIT(units);
}

static inline void rt_rwlock_make(struct rt_rwlock *lock)
{
    *lock = (struct rt_rwlock)RT_RWLOCK_INIT;
}

static int limit_enter(int (*fn)(void *), struct rt_bench *bench)
{
    return limit_run(TASKS, fn, bench);
}

#define SIDE(name) limit_##name
#include "locks_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "locks_loops.h"
#undef SIDE

const struct rt_bench_row bench_rows_locks[] = {
    { .name = "mutex",
      .summary = "lock, yield, unlock; 8 tasks take turns",
      .run = rt_mutex_row,
      .limit = limit_mutex_row },
    { .name = "mutex1",
      .summary = "lock, unlock; nobody else wants it",
      .run = rt_mutex1_row,
      .limit = limit_mutex1_row },
    { .name = "semaphore",
      .summary = "take one of 2 units, yield, put it back; 8 tasks take turns",
      .run = rt_semaphore_row,
      .limit = limit_semaphore_row },
    { .name = "rwlock",
      .summary = "lock, yield, unlock; 8 tasks, every 8th lock is to write",
      .run = rt_rwlock_row,
      .limit = limit_rwlock_row },
};
const size_t bench_rows_locks_count = sizeof(bench_rows_locks) / sizeof(bench_rows_locks[0]);
