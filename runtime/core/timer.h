/* SPDX-License-Identifier: MIT */
/*
 * Timer wheel: deadlines of waits, armed and disarmed in constant time.
 *
 * A tick is 65 us. The near level has a slot for each of the next 2048 ticks
 * (134 ms); six far levels have 64 slots each, of 2048 * 64^n ticks. A timer
 * goes to the lowest level that reaches as far, and moves down when the wheel
 * gets to its slot. (Varghese and Lauck, "Hashed and Hierarchical Timing
 * Wheels", 1987.) Every level rolls: it begins where the wheel stands.
 *
 * Timers lie in the frames of tasks, each on a page of its own. A list through
 * them would cost a miss of the cache and of the TLB per step. So what stands in
 * a slot is a node, 32 bytes out of a pool; the timer only knows its node. Slots
 * are searched and spread without a look at the timers. A pool may find no
 * memory, and arming must not fail: then the timer stands in a list of its own
 * kind, which is searched whole, until it has fired.
 *
 * Nothing is rounded: a node keeps the deadline in nanoseconds, a timer is due
 * at the first advance to a moment not before it, and the next wake-up is computed
 * from deadlines, not from slots.
 *
 * W1 Every armed timer has one node, in one slot or among the due, or it stands
 *    once in the list of those without. Their sum is `armed`.
 * W2 A node's tick is not before the wheel's. On a far level it lies in one of the
 *    63 slots after the wheel's own, on the near one in any of the 2048.
 * W3 A slot that holds a node has its bit set, and its word of the near bits has
 *    one too. Bits may outlive nodes: whoever finds nothing there clears them.
 * W4 A far slot may hold a million nodes. Only so many are spread in one advance; till
 *    the last is, the wheel stands at the start of the slot, and the slot may be its own
 *    (W2). What is on the near level is due at its time nevertheless.
 *
 * The wheel reads no clock: time is an argument.
 */
#ifndef RTI_CORE_TIMER_H
#define RTI_CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "core/pool.h"
#include "rt/base.h"

#define RTI_WHEEL_TICK_BITS 16
#define RTI_WHEEL_NEAR_BITS 11
#define RTI_WHEEL_NEAR      (1 << RTI_WHEEL_NEAR_BITS)
#define RTI_WHEEL_FAR_BITS  6
#define RTI_WHEEL_FAR       (1 << RTI_WHEEL_FAR_BITS)
#define RTI_WHEEL_LEVELS    6 /* 16 + 11 + 6 * 6 = 63: every deadline fits */

struct rti_timer;

/* What stands in a slot for a timer. */
struct rti_timer_node {
    struct rti_list link;
    rt_time deadline;
    struct rti_timer *timer;
};

struct rti_timer {
    union {
        struct rti_timer_node *node; /* NULL: not armed */
        struct rti_timer *next;      /* of those without a node */
    };
    struct rti_timer **link; /* what points here among those without a node; else NULL */
    rt_time deadline;        /* of one without a node */
};

struct rti_wheel {
    uint64_t tick;       /* the tick that the wheel stands at */
    uint64_t near_words; /* W3: a bit per word of near_bits */
    uint64_t near_bits[RTI_WHEEL_NEAR / 64];
    uint64_t far_bits[RTI_WHEEL_LEVELS];
    struct rti_list due;       /* nodes whose deadline has passed */
    struct rti_timer *without; /* timers for whose node there was no memory */
    rt_time now;               /* of the last advance */
    uint32_t armed;            /* timers in all */
    uint32_t spread_max;       /* W4: nodes in one advance */
    bool spreads;              /* W4: goes on with it at the next one */
    struct rti_pool nodes;
    struct rti_list near[RTI_WHEEL_NEAR];
    struct rti_list far[RTI_WHEEL_LEVELS][RTI_WHEEL_FAR];
};

void rti_wheel_init(struct rti_wheel *wheel, rt_time now);
void rti_wheel_fini(struct rti_wheel *wheel); /* timers that are armed are forgotten */

/* Make a timer that is not armed. */
static inline void rti_timer_init(struct rti_timer *timer)
{
    timer->node = NULL;
    timer->link = NULL;
}

static inline bool rti_timer_is_armed(const struct rti_timer *timer)
{
    return timer->node != NULL || timer->link != NULL;
}

/* RT_NEVER when it is not armed. */
rt_time rti_timer_deadline(const struct rti_timer *timer);

/* Arm a timer that is not armed. A deadline in the past fires at the next advance. */
void rti_timer_arm(struct rti_wheel *wheel, struct rti_timer *timer, rt_time deadline);

/* Of one that is armed. */
void rti_timer_unlink(struct rti_wheel *wheel, struct rti_timer *timer);

/* Disarm; nothing happens when it is not armed. */
static inline void rti_timer_disarm(struct rti_wheel *wheel, struct rti_timer *timer)
{
    if (rti_timer_is_armed(timer)) {
        rti_timer_unlink(wheel, timer);
    }
}

/* Move the wheel to `now`: what has a deadline not after it is due. */
void rti_wheel_advance(struct rti_wheel *wheel, rt_time now);

/* Take some timers out that are due, `max` at most; how many. Not in order of deadlines within
 * one tick. */
unsigned rti_wheel_take(struct rti_wheel *wheel, struct rti_timer **out, unsigned max);

/* A moment at or before the earliest deadline, RT_NEVER when nothing is armed: when to wake. It is
 * the deadline itself unless the timer's slot is crowded, or something is due already. */
rt_time rti_wheel_next(struct rti_wheel *wheel);

/* W1-W3, for tests and debug builds. */
void rti_wheel_check(const struct rti_wheel *wheel);

#endif /* RTI_CORE_TIMER_H */
