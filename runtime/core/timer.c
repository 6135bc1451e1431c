/* SPDX-License-Identifier: MIT */
/* Timer wheel: see timer.h for the idea and the invariants. */
#include "core/timer.h"

#include "base/assert.h"

/* A far slot with more timers than this is not searched for its earliest: the wheel wakes at the
 * slot's start instead and spreads it over the levels below. So it does with a near one of more
 * than NEAR_CROWDED, and then stays awake for its 65 us. */
#define CROWDED      64
#define NEAR_CROWDED 1024

/* Nodes that are spread, or looked at, in one advance: 0.25 ms or so. */
#define SPREAD_MAX 16384

#define NO_TICK UINT64_MAX

_Static_assert(sizeof(struct rti_timer_node) == 32, "two nodes a cache line");

static inline unsigned shift_of(unsigned level)
{
    return RTI_WHEEL_NEAR_BITS + level * RTI_WHEEL_FAR_BITS;
}

static inline struct rti_timer_node *node_of(struct rti_list *link)
{
    return RTI_CONTAINER_OF(link, struct rti_timer_node, link);
}

static inline struct rti_list *near_slot(struct rti_wheel *wheel, uint64_t tick)
{
    return &wheel->near[tick % RTI_WHEEL_NEAR];
}

/* The slot of a far level in which a tick lies. */
static inline unsigned far_slot(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> shift_of(level)) % RTI_WHEEL_FAR;
}

void rti_wheel_init(struct rti_wheel *wheel, rt_time now)
{
    wheel->tick = (uint64_t)now >> RTI_WHEEL_TICK_BITS;
    wheel->now = now;
    wheel->armed = 0;
    wheel->spread_max = SPREAD_MAX;
    wheel->spreads = false;
    wheel->without = NULL;
    rti_pool_init(&wheel->nodes, sizeof(struct rti_timer_node));
    rti_list_init(&wheel->due);
    wheel->near_words = 0;
    for (unsigned word = 0; word < RTI_WHEEL_NEAR / 64; word++) {
        wheel->near_bits[word] = 0;
    }
    for (unsigned slot = 0; slot < RTI_WHEEL_NEAR; slot++) {
        rti_list_init(&wheel->near[slot]);
    }
    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        wheel->far_bits[level] = 0;
        for (unsigned slot = 0; slot < RTI_WHEEL_FAR; slot++) {
            rti_list_init(&wheel->far[level][slot]);
        }
    }
}

void rti_wheel_fini(struct rti_wheel *wheel)
{
    rti_pool_fini(&wheel->nodes);
}

/* Arming */

static RTI_NOINLINE void place_far(struct rti_wheel *wheel, struct rti_timer_node *node,
                                   uint64_t tick)
{
    unsigned level = 0;
    unsigned slot;

    while ((tick >> shift_of(level)) - (wheel->tick >> shift_of(level)) >= RTI_WHEEL_FAR) {
        level++;
    }
    slot = far_slot(tick, level);
    rti_list_push_back(&wheel->far[level][slot], &node->link);
    wheel->far_bits[level] |= UINT64_C(1) << slot;
}

static inline void place(struct rti_wheel *wheel, struct rti_timer_node *node)
{
    uint64_t tick = node->deadline > 0 ? (uint64_t)node->deadline >> RTI_WHEEL_TICK_BITS : 0;
    unsigned slot;

    if (tick < wheel->tick) {
        tick = wheel->tick; /* W2 */
    }
    if (tick - wheel->tick >= RTI_WHEEL_NEAR) {
        place_far(wheel, node, tick);
        return;
    }
    slot = (unsigned)(tick % RTI_WHEEL_NEAR);
    rti_list_push_back(&wheel->near[slot], &node->link);
    wheel->near_bits[slot / 64] |= UINT64_C(1) << (slot % 64);
    wheel->near_words |= UINT64_C(1) << (slot / 64);
}

static inline void put(struct rti_wheel *wheel, struct rti_timer *timer,
                       struct rti_timer_node *node, rt_time deadline)
{
    node->deadline = deadline;
    node->timer = timer;
    timer->node = node;
    place(wheel, node);
}

rt_time rti_timer_deadline(const struct rti_timer *timer)
{
    if (timer->link != NULL) {
        return timer->deadline;
    }
    return timer->node != NULL ? timer->node->deadline : RT_NEVER;
}

static RTI_NOINLINE void arm_without(struct rti_wheel *wheel, struct rti_timer *timer,
                                     rt_time deadline)
{
    timer->deadline = deadline;
    timer->next = wheel->without;
    timer->link = &wheel->without;
    if (timer->next != NULL) {
        timer->next->link = &timer->next;
    }
    wheel->without = timer;
}

void rti_timer_arm(struct rti_wheel *wheel, struct rti_timer *timer, rt_time deadline)
{
    struct rti_timer_node *node = rti_pool_get(&wheel->nodes);

    RTI_DASSERT(!rti_timer_is_armed(timer));
    wheel->armed++;
    if (RTI_UNLIKELY(node == NULL)) {
        arm_without(wheel, timer, deadline);
        return;
    }
    put(wheel, timer, node, deadline);
}

static RTI_NOINLINE void unlink_without(struct rti_timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL) {
        timer->next->link = timer->link;
    }
    rti_timer_init(timer);
}

void rti_timer_unlink(struct rti_wheel *wheel, struct rti_timer *timer)
{
    struct rti_timer_node *node = timer->node;

    wheel->armed--;
    if (RTI_UNLIKELY(timer->link != NULL)) {
        unlink_without(timer);
        return;
    }
    rti_list_remove(&node->link);
    rti_pool_put(&wheel->nodes, node);
    timer->node = NULL;
}

/* Looking for the first */

/* The first slot of the near level, in order of time, whose bit is set: its tick. */
static uint64_t near_marked(struct rti_wheel *wheel)
{
    const unsigned own = (unsigned)(wheel->tick % RTI_WHEEL_NEAR);
    unsigned word = own / 64;
    uint64_t bits = wheel->near_bits[word] & (UINT64_MAX << (own % 64));
    unsigned slot;

    if (bits == 0) { /* the words after it, then those before it, its own is the last of these */
        const uint64_t after = wheel->near_words & ((UINT64_MAX << word) << 1);

        if (wheel->near_words == 0) {
            return NO_TICK;
        }
        word = (unsigned)__builtin_ctzll(after != 0 ? after : wheel->near_words);
        bits = wheel->near_bits[word];
    }
    slot = word * 64 + (unsigned)__builtin_ctzll(bits);
    return wheel->tick + ((slot - own) % RTI_WHEEL_NEAR);
}

/* The first tick of the near level that has a node. */
static uint64_t near_first(struct rti_wheel *wheel)
{
    uint64_t tick;

    while ((tick = near_marked(wheel)) != NO_TICK && rti_list_is_empty(near_slot(wheel, tick))) {
        const unsigned slot = (unsigned)(tick % RTI_WHEEL_NEAR);

        wheel->near_bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64)); /* W3 */
        if (wheel->near_bits[slot / 64] == 0) {
            wheel->near_words &= ~(UINT64_C(1) << (slot / 64));
        }
    }
    return tick;
}

/* The start of the first slot of a far level that has a node. */
static RTI_NOINLINE uint64_t search_far(struct rti_wheel *wheel, unsigned level)
{
    const uint64_t at = wheel->tick >> shift_of(level);
    const unsigned own = (unsigned)at % RTI_WHEEL_FAR;

    while (wheel->far_bits[level] != 0) {
        const uint64_t bits = wheel->far_bits[level];
        const unsigned ahead = (unsigned)__builtin_ctzll((bits >> own) |
                                                         (bits << ((64 - own) % 64)));
        const unsigned slot = (own + ahead) % RTI_WHEEL_FAR;

        if (!rti_list_is_empty(&wheel->far[level][slot])) {
            return (at + ahead) << shift_of(level);
        }
        wheel->far_bits[level] &= ~(UINT64_C(1) << slot); /* W3 */
    }
    return NO_TICK;
}

static inline uint64_t far_first_of(struct rti_wheel *wheel, unsigned level)
{
    return wheel->far_bits[level] == 0 ? NO_TICK : search_far(wheel, level); /* most are empty */
}

static uint64_t far_first(struct rti_wheel *wheel, unsigned *out_level)
{
    uint64_t first = NO_TICK;

    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        const uint64_t start = far_first_of(wheel, level);

        if (start < first) {
            first = start;
            *out_level = level;
        }
    }
    return first;
}

/* Moving on */

/* The wheel stands at the start of a far slot: spread its nodes over lower levels. How many of
 * `max` are left to do. */
static unsigned cascade(struct rti_wheel *wheel, unsigned level, unsigned max)
{
    struct rti_list *slot = &wheel->far[level][far_slot(wheel->tick, level)];
    struct rti_list *link;

    for (; max > 0 && (link = rti_list_first(slot)) != NULL; max--) {
        rti_list_remove(link);
        place(wheel, node_of(link));
    }
    return max;
}

/* All of a slot are due. */
static void all_due(struct rti_wheel *wheel, struct rti_list *slot)
{
    struct rti_list *due = &wheel->due;

    slot->next->prev = due->prev;
    due->prev->next = slot->next;
    slot->prev->next = due;
    due->prev = slot->prev;
    rti_list_init(slot);
}

/* Of the slot in which `now` lies, some are. Of a crowd only so many are looked at, and others the
 * next time: once the slot has passed all are due. */
static void some_due(struct rti_wheel *wheel, struct rti_list *slot, rt_time now)
{
    const struct rti_list *last = slot->prev;
    struct rti_list *link = slot->next;
    bool more = link != slot;

    for (unsigned looks = wheel->spread_max; more && looks > 0; looks--) {
        struct rti_list *next = link->next;

        more = link != last;
        rti_list_remove(link);
        rti_list_push_back(node_of(link)->deadline <= now ? &wheel->due : slot, link);
        link = next;
    }
}

/* Give nodes to those without, now that there may be memory. */
static RTI_NOINLINE void find_nodes(struct rti_wheel *wheel)
{
    struct rti_timer *timer;
    struct rti_timer_node *node;

    while ((timer = wheel->without) != NULL && (node = rti_pool_get(&wheel->nodes)) != NULL) {
        unlink_without(timer);
        put(wheel, timer, node, timer->deadline);
    }
}

/* Near slots before that of `now`. */
static void pass_near(struct rti_wheel *wheel, uint64_t now_tick)
{
    uint64_t near;

    while ((near = near_first(wheel)) < now_tick) {
        all_due(wheel, near_slot(wheel, near));
    }
}

/* All slots before that of `now`, and far ones that begin with it, in order of time. False when a
 * far slot has more nodes than are spread at once; the wheel stands still for it (W4). */
static bool pass_slots(struct rti_wheel *wheel, uint64_t now_tick)
{
    unsigned spread = wheel->spread_max;

    while (spread > 0) {
        unsigned level = 0;
        const uint64_t far = far_first(wheel, &level);
        const uint64_t near = near_first(wheel);

        if (far <= now_tick && far <= near) {
            wheel->tick = far;
            spread = cascade(wheel, level, spread);
        } else if (near < now_tick) {
            wheel->tick = near;
            all_due(wheel, near_slot(wheel, near));
        } else {
            return true;
        }
    }
    pass_near(wheel, now_tick);
    return false;
}

void rti_wheel_advance(struct rti_wheel *wheel, rt_time now)
{
    const uint64_t now_tick = (uint64_t)now >> RTI_WHEEL_TICK_BITS;

    wheel->now = now;
    if (wheel->armed == 0) {
        wheel->tick = wheel->tick < now_tick ? now_tick : wheel->tick;
        wheel->spreads = false;
        return;
    }
    if (RTI_UNLIKELY(wheel->without != NULL)) {
        find_nodes(wheel);
    }
    if (wheel->tick < now_tick || wheel->spreads) {
        wheel->spreads = !pass_slots(wheel, now_tick);
        if (!wheel->spreads && wheel->tick < now_tick) {
            wheel->tick = now_tick;
        }
    }
    if (now_tick - wheel->tick < RTI_WHEEL_NEAR) { /* not so if the time went back, or W4 */
        some_due(wheel, near_slot(wheel, now_tick), now);
    }
}

static RTI_NOINLINE unsigned take_without(struct rti_wheel *wheel, struct rti_timer **out,
                                          unsigned max)
{
    unsigned count = 0;
    struct rti_timer *next;

    for (struct rti_timer *timer = wheel->without; timer != NULL && count < max; timer = next) {
        next = timer->next;
        if (timer->deadline <= wheel->now) {
            unlink_without(timer);
            out[count++] = timer;
        }
    }
    return count;
}

unsigned rti_wheel_take(struct rti_wheel *wheel, struct rti_timer **out, unsigned max)
{
    unsigned count = 0;
    struct rti_list *link;

    while (count < max && (link = rti_list_first(&wheel->due)) != NULL) {
        struct rti_timer_node *node = node_of(link);

        out[count++] = node->timer;
        __builtin_prefetch(node->timer, 1);
        rti_list_remove(link);
        rti_pool_put(&wheel->nodes, node);
    }
    for (unsigned i = 0; i < count; i++) {
        out[i]->node = NULL;
    }
    if (RTI_UNLIKELY(wheel->without != NULL)) {
        count += take_without(wheel, out + count, max - count);
    }
    wheel->armed -= count;
    return count;
}

/* When to wake */

static inline rt_time earlier(rt_time a, rt_time b)
{
    return a < b ? a : b;
}

static rt_time earliest_without(const struct rti_wheel *wheel)
{
    rt_time earliest = RT_NEVER;

    for (const struct rti_timer *timer = wheel->without; timer != NULL; timer = timer->next) {
        earliest = earlier(earliest, timer->deadline);
    }
    return earliest;
}

/* The earliest deadline of a slot, or the slot's start if there are more than `most`. */
static rt_time earliest_of(const struct rti_list *slot, unsigned most, rt_time start)
{
    rt_time earliest = RT_NEVER;
    unsigned count = 0;

    for (struct rti_list *link = slot->next; link != slot; link = link->next) {
        if (++count > most) {
            return start;
        }
        earliest = earlier(earliest, node_of(link)->deadline);
    }
    return earliest;
}

static rt_time start_of(uint64_t tick)
{
    return (rt_time)(tick << RTI_WHEEL_TICK_BITS);
}

rt_time rti_wheel_next(struct rti_wheel *wheel)
{
    rt_time next;
    uint64_t near;

    if (wheel->armed == 0) {
        return RT_NEVER;
    }
    if (!rti_list_is_empty(&wheel->due)) {
        return node_of(wheel->due.next)->deadline; /* at once, whichever it is */
    }
    next = earliest_without(wheel);
    near = near_first(wheel);
    if (near != NO_TICK) {
        next = earlier(next, earliest_of(near_slot(wheel, near), NEAR_CROWDED, start_of(near)));
    }
    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        const uint64_t tick = far_first_of(wheel, level);
        const rt_time start = start_of(tick);

        if (tick != NO_TICK && start < next) { /* slots overlap those of other levels */
            next = earlier(next,
                           earliest_of(&wheel->far[level][far_slot(tick, level)], CROWDED, start));
        }
    }
    return next;
}

/* W1, of one list of nodes; how many. */
static uint32_t check_nodes(const struct rti_list *list)
{
    uint32_t count = 0;

    for (struct rti_list *link = list->next; link != list; link = link->next) {
        RTI_ASSERT(node_of(link)->timer->node == node_of(link));
        RTI_ASSERT(node_of(link)->timer->link == NULL);
        RTI_ASSERT(link->next->prev == link);
        count++;
    }
    return count;
}

/* The tick that counts for a node (W2). */
static uint64_t tick_of(const struct rti_wheel *wheel, const struct rti_timer_node *node)
{
    const uint64_t tick = node->deadline > 0 ? (uint64_t)node->deadline >> RTI_WHEEL_TICK_BITS : 0;

    return tick > wheel->tick ? tick : wheel->tick;
}

static uint32_t check_near(const struct rti_wheel *wheel, unsigned slot)
{
    const struct rti_list *list = &wheel->near[slot];

    for (struct rti_list *link = list->next; link != list; link = link->next) {
        const uint64_t tick = tick_of(wheel, node_of(link));

        RTI_ASSERT(tick - wheel->tick < RTI_WHEEL_NEAR && tick % RTI_WHEEL_NEAR == slot); /* W2 */
        RTI_ASSERT((wheel->near_bits[slot / 64] >> (slot % 64) & 1) != 0);                /* W3 */
        RTI_ASSERT((wheel->near_words >> (slot / 64) & 1) != 0);
    }
    return check_nodes(list);
}

static uint32_t check_far(const struct rti_wheel *wheel, unsigned level, unsigned slot)
{
    const struct rti_list *list = &wheel->far[level][slot];

    for (struct rti_list *link = list->next; link != list; link = link->next) {
        const uint64_t tick = tick_of(wheel, node_of(link));
        const uint64_t ahead = (tick >> shift_of(level)) - (wheel->tick >> shift_of(level));

        RTI_ASSERT(ahead > 0 || wheel->spreads);                            /* W4 */
        RTI_ASSERT(ahead < RTI_WHEEL_FAR && far_slot(tick, level) == slot); /* W2 */
        RTI_ASSERT((wheel->far_bits[level] >> slot & 1) != 0);              /* W3 */
    }
    return check_nodes(list);
}

void rti_wheel_check(const struct rti_wheel *wheel)
{
    uint32_t count = check_nodes(&wheel->due);

    for (unsigned slot = 0; slot < RTI_WHEEL_NEAR; slot++) {
        count += check_near(wheel, slot);
    }
    for (unsigned level = 0; level < RTI_WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < RTI_WHEEL_FAR; slot++) {
            count += check_far(wheel, level, slot);
        }
    }
    RTI_ASSERT(count == wheel->nodes.in_use);
    for (struct rti_timer *const *link = &wheel->without; *link != NULL; link = &(*link)->next) {
        RTI_ASSERT((*link)->link == link); /* W1 */
        count++;
    }
    RTI_ASSERT(count == wheel->armed);
}
