/* SPDX-License-Identifier: MIT */
/*
 * Semaphore: units, and a line of tasks that want some.
 *
 * P1 The first in line wants more units than there are: whatever makes more, or another
 *    one the first, gives to those at the front as far as they last.
 * P2 Whoever comes while anyone waits stands behind: so many units for one are not
 *    eaten up by those who want few.
 * P3 A closed one has no units and nobody in line.
 */
#include "rt/semaphore.h"

#include "sync/line.h"

_Static_assert(sizeof(struct rt_semaphore) == 24, "as its header says");

/* P1 */
static void give(struct rt_semaphore *semaphore)
{
    struct rti_queued *first;

    while ((first = rti_waiters_first(&semaphore->waiters)) != NULL) {
        const uint32_t wanted = (uint32_t)rti_placed_of(first)->wanted;

        if (wanted > semaphore->units) {
            break;
        }
        semaphore->units -= wanted;
        (void)rti_waiters_pop(&semaphore->waiters);
        rti_waiter_finish(&first->waiter, 0);
    }
}

static void take_abort(struct rti_waiter *waiter, int reason)
{
    struct rt_semaphore *semaphore = (struct rt_semaphore *)waiter->object;

    rti_waiters_remove(&semaphore->waiters, rti_queued_of(waiter));
    rti_waiter_finish(waiter, reason);
    give(semaphore); /* P1 */
}

static const struct rti_wait_kind take_kind = { .name = "semaphore", .abort = take_abort };

static RTI_NOINLINE int wait_for_units(struct rt_semaphore *semaphore, uint32_t units,
                                       rt_time deadline)
{
    if (RTI_UNLIKELY(units == 0)) {
        rti_misuse("rt_semaphore_take(): 0 units");
    }
    if (semaphore->closed != 0) {
        return -EPIPE;
    }
    rti_line_must_own(&semaphore->waiters, "rt_semaphore_take");
    return rti_wait_in_line(&semaphore->waiters, &take_kind, semaphore, units, deadline);
}

int rt_semaphore_take(struct rt_semaphore *semaphore, uint32_t units, rt_time deadline)
{
    (void)rti_executor_here("rt_semaphore_take");
    if (RTI_UNLIKELY(units - 1 >= semaphore->units || /* so also for 0, which wraps around */
                     !rti_waiters_is_empty(&semaphore->waiters))) { /* P2 */
        return wait_for_units(semaphore, units, deadline);
    }
    semaphore->units -= units;
    return 0;
}

static RTI_NOINLINE void put_for_others(struct rt_semaphore *semaphore)
{
    rti_line_must_own(&semaphore->waiters, "rt_semaphore_put");
    give(semaphore);
}

void rt_semaphore_put(struct rt_semaphore *semaphore, uint32_t units)
{
    (void)rti_executor_here("rt_semaphore_put");
    if (RTI_UNLIKELY(semaphore->closed != 0)) {
        return; /* P3 */
    }
    if (RTI_UNLIKELY(__builtin_add_overflow(semaphore->units, units, &semaphore->units))) {
        rti_misuse("rt_semaphore_put(): the semaphore has more than 2^32 - 1 units");
    }
    if (RTI_UNLIKELY(!rti_waiters_is_empty(&semaphore->waiters))) {
        put_for_others(semaphore);
    }
}

void rt_semaphore_close(struct rt_semaphore *semaphore)
{
    (void)rti_executor_here("rt_semaphore_close");
    rti_line_must_own(&semaphore->waiters, "rt_semaphore_close");
    semaphore->closed = 1;
    semaphore->units = 0;
    rti_line_let_all_go(&semaphore->waiters, -EPIPE); /* P3 */
}
