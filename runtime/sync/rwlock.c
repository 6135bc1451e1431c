/* SPDX-License-Identifier: MIT */
/*
 * Rwlock: a writer or a number of readers, and one line for both kinds.
 *
 * R1 `writer` and `readers` are never both there.
 * R2 The first in line cannot have the lock as it is: whatever makes the lock freer, or
 *    another one the first, grants it to those at the front who now can have it.
 * R3 A task that waits stands behind all that came before, so a reader waits
 *    when anyone does.
 */
#include "sync/rwlock.h"

#include "sync/line.h"

_Static_assert(sizeof(struct rt_rwlock) == 32, "as its header says");

static void lock_abort(struct rti_waiter *waiter, int reason);

static const struct rti_wait_kind read_kind = { .name = "rwlock read", .abort = lock_abort };
static const struct rti_wait_kind write_kind = { .name = "rwlock write", .abort = lock_abort };

/* Whether a task with a wait of this kind could have the lock, if it were the first. */
static bool can_have(const struct rt_rwlock *lock, const struct rti_wait_kind *kind)
{
    return lock->writer == NULL && (kind == &read_kind || lock->readers == 0);
}

/* R2 */
static void grant(struct rt_rwlock *lock)
{
    struct rti_queued *first;

    while ((first = rti_waiters_first(&lock->waiters)) != NULL &&
           can_have(lock, first->waiter.kind)) {
        if (first->waiter.kind == &read_kind) {
            lock->readers++;
        } else {
            lock->writer = first->waiter.task;
        }
        (void)rti_waiters_pop(&lock->waiters);
        rti_waiter_finish(&first->waiter, 0);
    }
}

static void lock_abort(struct rti_waiter *waiter, int reason)
{
    struct rt_rwlock *lock = (struct rt_rwlock *)waiter->object;

    rti_waiters_remove(&lock->waiters, rti_queued_of(waiter));
    rti_waiter_finish(waiter, reason);
    grant(lock); /* R2 */
}

static void check_writer(const struct rt_task *writer, const char *call)
{
    rti_executor_must_own(writer->executor, call);
    if (RTI_UNLIKELY(writer == rti_current->running)) {
        rti_misuse("%s(): the task holds the rwlock already, to write", call);
    }
    if (RTI_UNLIKELY((writer->state & (RTI_TASK_COMPLETED | RTI_TASK_CLOSED)) != 0)) {
        rti_misuse("%s(): the task that held the rwlock to write, task %u, has ended", call,
                   writer->index);
    }
}

static RTI_NOINLINE int wait_for_lock(struct rt_rwlock *lock, const struct rti_wait_kind *kind,
                                      const char *call, rt_time deadline)
{
    rti_line_must_own(&lock->waiters, call);
    if (lock->writer != NULL) {
        check_writer(lock->writer, call);
    }
    return rti_wait_in_line(&lock->waiters, kind, lock, 0, deadline);
}

bool rti_rwlock_try_read(struct rt_rwlock *lock)
{
    if (RTI_UNLIKELY(lock->writer != NULL || !rti_waiters_is_empty(&lock->waiters))) { /* R3 */
        return false;
    }
    lock->readers++;
    return true;
}

int rt_rwlock_read_lock(struct rt_rwlock *lock, rt_time deadline)
{
    (void)rti_executor_here("rt_rwlock_read_lock");
    if (RTI_UNLIKELY(!rti_rwlock_try_read(lock))) {
        return wait_for_lock(lock, &read_kind, "rt_rwlock_read_lock", deadline);
    }
    return 0;
}

int rt_rwlock_write_lock(struct rt_rwlock *lock, rt_time deadline)
{
    const struct rti_executor *executor = rti_executor_here("rt_rwlock_write_lock");

    if (RTI_UNLIKELY(lock->writer != NULL || lock->readers != 0)) {
        return wait_for_lock(lock, &write_kind, "rt_rwlock_write_lock", deadline);
    }
    lock->writer = executor->running;
    return 0;
}

static RTI_NOINLINE void grant_after(struct rt_rwlock *lock, const char *call)
{
    rti_line_must_own(&lock->waiters, call);
    grant(lock);
}

void rti_rwlock_end_read(struct rt_rwlock *lock)
{
    if (RTI_UNLIKELY(lock->readers == 0)) {
        rti_misuse("rt_rwlock_read_unlock(): no task holds the rwlock to read");
    }
    lock->readers--;
    if (RTI_UNLIKELY(!rti_waiters_is_empty(&lock->waiters))) {
        grant_after(lock, "rt_rwlock_read_unlock");
    }
}

void rt_rwlock_read_unlock(struct rt_rwlock *lock)
{
    (void)rti_executor_here("rt_rwlock_read_unlock");
    rti_rwlock_end_read(lock);
}

static RTI_NORETURN RTI_COLD void does_not_hold(const struct rt_rwlock *lock)
{
    const struct rt_task *writer = lock->writer;

    if (writer != NULL) {
        rti_executor_must_own(writer->executor, "rt_rwlock_write_unlock");
    }
    rti_misuse("rt_rwlock_write_unlock(): the running task does not hold the rwlock to write");
}

void rt_rwlock_write_unlock(struct rt_rwlock *lock)
{
    const struct rti_executor *executor = rti_executor_here("rt_rwlock_write_unlock");

    if (RTI_UNLIKELY(lock->writer != executor->running)) {
        does_not_hold(lock);
    }
    lock->writer = NULL;
    if (RTI_UNLIKELY(!rti_waiters_is_empty(&lock->waiters))) {
        grant_after(lock, "rt_rwlock_write_unlock");
    }
}
