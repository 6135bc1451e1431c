/* SPDX-License-Identifier: MIT */
/*
 * The wheel of the limits: arm and disarm, inlined where fibers use it.
 *
 * A timer goes to the level of the highest group of six bits in which its tick
 * differs from the wheel's, into the slot that these bits name. Its deadline is
 * kept in full; a slot is only where to look for it.
 */
#ifndef LIMIT_WHEEL_H
#define LIMIT_WHEEL_H

#include <stdlib.h>

#include "limit.h"

#define WHEEL_TICK_BITS 16 /* 65 us */
#define WHEEL_SLOT_BITS 6
#define WHEEL_SLOTS     (1 << WHEEL_SLOT_BITS)
#define WHEEL_LEVELS    8 /* 16 + 8 * 6 = 64: every deadline fits */

struct limit_wheel {
    uint64_t tick;                   /* where the wheel stands */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit per slot that may hold a timer */
    struct limit_timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct limit_timer *others; /* that were armed when the wheel was made */
};

static inline void wheel_arm(struct limit_wheel *wheel, struct limit_timer *timer, int64_t deadline)
{
    uint64_t tick = (uint64_t)deadline >> WHEEL_TICK_BITS;
    uint64_t differs;
    unsigned level;
    unsigned slot;
    struct limit_timer **head;

    tick = tick > wheel->tick ? tick : wheel->tick; /* late already: the next look finds it */
    differs = (tick ^ wheel->tick) | 1;             /* | 1: none differs is level 0 too */
    level = (63u - (unsigned)__builtin_clzll(differs)) / WHEEL_SLOT_BITS;
    slot = (unsigned)(tick >> (level * WHEEL_SLOT_BITS)) & (WHEEL_SLOTS - 1);
    head = &wheel->slots[level][slot];
    timer->deadline = deadline;
    timer->next = *head;
    timer->link = head;
    if (timer->next != NULL) {
        timer->next->link = &timer->next;
    }
    *head = timer;
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

/* Only unlinks: the bit of a slot that became empty is cleared by whoever looks there next. */
static inline void wheel_disarm(struct limit_timer *timer)
{
    if (timer->link != NULL) {
        *timer->link = timer->next;
        if (timer->next != NULL) {
            timer->next->link = timer->link;
        }
        timer->link = NULL;
    }
}

#endif /* LIMIT_WHEEL_H */
