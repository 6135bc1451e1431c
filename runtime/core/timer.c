/* SPDX-License-Identifier: MIT */
/* Timer wheel: see timer.h for the idea and the invariants. */
#include "core/timer.h"

#include "base/assert.h"

/* A far slot with more timers than this is not searched for its earliest: the wheel wakes at the
 * slot's start instead and spreads it over the level below. */
#define CROWDED 64

static unsigned level_shift(unsigned level)
{
    return level * RTI_WHEEL_LEVEL_BITS;
}

static unsigned slot_index(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> level_shift(level)) & (RTI_WHEEL_SLOTS - 1);
}

void rti_wheel_init(struct rti_wheel *wheel, rt_time now)
{
    wheel->tick = (uint64_t)now >> RTI_WHEEL_TICK_BITS;
    wheel->armed = 0;
    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < RTI_WHEEL_SLOTS; slot++) {
            rti_list_init(&wheel->slots[level][slot]);
        }
    }
}

static inline void place(struct rti_wheel *wheel, struct rti_timer *timer)
{
    uint64_t tick = timer->deadline > 0 ? (uint64_t)timer->deadline >> RTI_WHEEL_TICK_BITS : 0;
    unsigned level = 0;
    unsigned slot;

    if (tick < wheel->tick) {
        tick = wheel->tick; /* W1 */
    }
    if ((tick ^ wheel->tick) >= RTI_WHEEL_SLOTS) {
        level = (63u - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / RTI_WHEEL_LEVEL_BITS;
    }
    slot = slot_index(tick, level);
    rti_list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= 1ull << slot;
}

void rti_timer_arm(struct rti_wheel *wheel, struct rti_timer *timer, rt_time deadline)
{
    RTI_DASSERT(!rti_timer_is_armed(timer));
    timer->deadline = deadline;
    place(wheel, timer);
    wheel->armed++;
}

/* The first slot that holds timers, in order of time. False when the wheel is empty: it may turn
 * then with bits left behind, but no timer (W3). */
static bool find_first(struct rti_wheel *wheel, unsigned *out_level, unsigned *out_slot)
{
    if (wheel->armed == 0) {
        return false;
    }
    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        while (wheel->occupied[level] != 0) { /* W2: no timer lies before the wheel's slot */
            const unsigned slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);

            if (!rti_list_is_empty(&wheel->slots[level][slot])) {
                *out_level = level;
                *out_slot = slot;
                return true;
            }
            wheel->occupied[level] &= ~(1ull << slot); /* W3 */
        }
    }
    return false;
}

/* The tick at which a slot begins, seen from where the wheel stands (W2). */
static uint64_t slot_start(const struct rti_wheel *wheel, unsigned level, unsigned slot)
{
    const unsigned shift = level_shift(level);
    const uint64_t above = wheel->tick >> shift >> RTI_WHEEL_LEVEL_BITS;

    return ((above << RTI_WHEEL_LEVEL_BITS) | slot) << shift;
}

/* The wheel stands at the start of a slot above level 0: spread its timers over lower levels. */
static void cascade(struct rti_wheel *wheel, unsigned level, unsigned slot)
{
    struct rti_list *head = &wheel->slots[level][slot];
    struct rti_list *node;

    wheel->occupied[level] &= ~(1ull << slot);
    while ((node = rti_list_first(head)) != NULL) {
        rti_list_remove(node);
        place(wheel, RTI_CONTAINER_OF(node, struct rti_timer, link));
    }
}

/* A timer of this level-0 slot that is due, unlinked. */
static struct rti_timer *take_due(struct rti_wheel *wheel, unsigned slot, rt_time now)
{
    struct rti_list *head = &wheel->slots[0][slot];

    for (struct rti_list *node = head->next; node != head; node = node->next) {
        struct rti_timer *timer = RTI_CONTAINER_OF(node, struct rti_timer, link);

        if (timer->deadline <= now) {
            rti_list_remove(node);
            wheel->armed--;
            return timer;
        }
    }
    return NULL;
}

struct rti_timer *rti_wheel_expire(struct rti_wheel *wheel, rt_time now)
{
    const uint64_t now_tick = (uint64_t)now >> RTI_WHEEL_TICK_BITS;
    unsigned level;
    unsigned slot;

    while (find_first(wheel, &level, &slot)) {
        const uint64_t start = slot_start(wheel, level, slot);

        if (start > now_tick) {
            break;
        }
        if (start > wheel->tick) {
            wheel->tick = start;
        }
        if (level > 0) {
            cascade(wheel, level, slot);
            continue;
        }
        return take_due(wheel, slot, now); /* none: this is the slot of `now`, all are later */
    }
    if (now_tick > wheel->tick) {
        wheel->tick = now_tick;
    }
    return NULL;
}

rt_time rti_wheel_next(struct rti_wheel *wheel)
{
    rt_time earliest = RT_NEVER;
    unsigned count = 0;
    unsigned level;
    unsigned slot;
    struct rti_list *head;

    if (!find_first(wheel, &level, &slot)) {
        return RT_NEVER;
    }
    head = &wheel->slots[level][slot];
    for (struct rti_list *node = head->next; node != head; node = node->next) {
        const struct rti_timer *timer = RTI_CONTAINER_OF(node, struct rti_timer, link);

        if (level > 0 && ++count > CROWDED) {
            return (rt_time)(slot_start(wheel, level, slot) << RTI_WHEEL_TICK_BITS);
        }
        if (timer->deadline < earliest) {
            earliest = timer->deadline;
        }
    }
    return earliest;
}

void rti_wheel_check(const struct rti_wheel *wheel)
{
    uint32_t count = 0;

    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        const unsigned own = slot_index(wheel->tick, level);

        for (unsigned slot = 0; slot < RTI_WHEEL_SLOTS; slot++) {
            const struct rti_list *head = &wheel->slots[level][slot];

            for (const struct rti_list *node = head->next; node != head; node = node->next) {
                RTI_ASSERT((wheel->occupied[level] & (1ull << slot)) != 0); /* W3 */
                RTI_ASSERT(slot > own || (level == 0 && slot == own));      /* W2 */
                count++;
            }
        }
    }
    RTI_ASSERT(count == wheel->armed); /* W1 */
}
