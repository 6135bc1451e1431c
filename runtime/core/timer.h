/* SPDX-License-Identifier: MIT */
/*
 * Timer wheel: deadlines of waits, armed and disarmed in constant time.
 *
 * Eight levels of 64 slots. A tick is 65 us; a slot of level n spans 64^n
 * ticks. A timer goes to the level of the highest group of six bits in which
 * its tick differs from the wheel's, so each slot of a level lies in the
 * wheel's current slot of the level above, and moves down when the wheel gets
 * there. (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.)
 *
 * Nothing is rounded: a timer keeps its deadline in nanoseconds, fires at the
 * first advance to a moment not before it, and the next wake-up is computed
 * from deadlines, not from slots.
 *
 * W1 Every armed timer lies in exactly one slot; its tick is not before the wheel's.
 * W2 On one level all timers lie in slots after the wheel's own slot of that
 *    level; on level 0 also in it.
 * W3 A slot that holds a timer has its bit set. A bit may outlive its timers:
 *    disarming only unlinks; whoever finds the slot empty clears the bit.
 *
 * The wheel reads no clock: time is an argument.
 */
#ifndef RTI_CORE_TIMER_H
#define RTI_CORE_TIMER_H

#include <stdbool.h>

#include "base/list.h"
#include "rt/base.h"

#define RTI_WHEEL_TICK_BITS  16
#define RTI_WHEEL_LEVEL_BITS 6
#define RTI_WHEEL_SLOTS      (1 << RTI_WHEEL_LEVEL_BITS)
#define RTI_WHEEL_LEVELS     8 /* 16 + 8 * 6 = 64: every deadline fits */

struct rti_timer {
    struct rti_list link; /* in a slot while armed, else linked to itself */
    rt_time deadline;     /* valid while armed */
};

struct rti_wheel {
    uint64_t tick;                       /* the tick that the wheel stands at */
    uint64_t occupied[RTI_WHEEL_LEVELS]; /* W3 */
    uint32_t armed;                      /* timers in the wheel */
    struct rti_list slots[RTI_WHEEL_LEVELS][RTI_WHEEL_SLOTS];
};

void rti_wheel_init(struct rti_wheel *wheel, rt_time now);

/* Make a timer that is not armed. */
static inline void rti_timer_init(struct rti_timer *timer)
{
    rti_list_init(&timer->link);
}

static inline bool rti_timer_is_armed(const struct rti_timer *timer)
{
    return !rti_list_is_empty(&timer->link);
}

/* Arm a timer that is not armed. A deadline in the past fires at the next advance. */
void rti_timer_arm(struct rti_wheel *wheel, struct rti_timer *timer, rt_time deadline);

/* Disarm; nothing happens when it is not armed. */
static inline void rti_timer_disarm(struct rti_wheel *wheel, struct rti_timer *timer)
{
    if (rti_timer_is_armed(timer)) {
        rti_list_remove(&timer->link);
        wheel->armed--;
    }
}

/* Move the wheel to `now`, and take one timer out whose deadline is not after it; NULL when there
 * is none left. Not in order of deadlines within one tick. */
struct rti_timer *rti_wheel_expire(struct rti_wheel *wheel, rt_time now);

/* A moment at or before the earliest deadline, RT_NEVER when nothing is armed: when to wake. It is
 * the deadline itself unless the timer's slot is crowded and far. */
rt_time rti_wheel_next(struct rti_wheel *wheel);

/* W1-W3, for tests and debug builds. */
void rti_wheel_check(const struct rti_wheel *wheel);

#endif /* RTI_CORE_TIMER_H */
