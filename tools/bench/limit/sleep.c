/* SPDX-License-Identifier: MIT */
/*
 * Rows sleep_many and late_sleep: fibers that sleep until a deadline.
 *
 * A wheel whose slots are vectors: what is there for a sleeper is read in order,
 * so what it will need is fetched ahead of its turn. 2048 slots of 65 us; what
 * lies further away stands in one more vector, which is looked through each time
 * that half of the slots have passed.
 *
 * Deadlines are kept exactly and nothing ends early. A sleep must be able to end
 * otherwise, so a fiber knows its place in its slot: places do not move, and one
 * that has been left stays a hole until the whole slot is empty.
 */
#include <stdlib.h>
#include <sys/prctl.h>

#include "fiber.h"
#include "ring.h"

#define TICK_BITS 16
#define SLOTS     2048
#define HALF      (SLOTS / 2)
#define BATCH     256 /* woken at once: what they touch stays in the cache until they run */
#define AHEAD     16  /* sleepers whose memory is on its way */

struct place {
    int64_t deadline;
    struct limit_task *task; /* NULL: a hole */
};

struct places {
    struct place *all;
    uint32_t count, room;
    uint32_t live; /* that are no holes */
};

struct sleeps {
    uint64_t tick;  /* the slot that was looked at last: all before are empty */
    uint64_t moved; /* the tick at which `later` was looked through */
    uint64_t occupied[SLOTS / 64];
    struct places slots[SLOTS];
    struct places later;
    uint32_t armed;
    int64_t slack;
    int thread_slack; /* what the thread had before */
    struct limit_ring *ring;
};

static void append(struct places *places, int64_t deadline, struct limit_task *task)
{
    if (places->count == places->room) {
        places->room = places->room == 0 ? 16 : 2 * places->room;
        places->all = realloc(places->all, places->room * sizeof(struct place));
        if (places->all == NULL) {
            fiber_misuse("no memory for sleepers");
        }
    }
    task->sleeps_at = places->count;
    places->all[places->count++] = (struct place){ deadline, task };
    places->live++;
}

static void arm(struct sleeps *sleeps, int64_t deadline, struct limit_task *task)
{
    uint64_t tick = (uint64_t)deadline >> TICK_BITS;
    unsigned slot;

    tick = tick > sleeps->tick ? tick : sleeps->tick;
    if (tick - sleeps->tick >= SLOTS) {
        append(&sleeps->later, deadline, task);
        return;
    }
    slot = (unsigned)(tick % SLOTS);
    append(&sleeps->slots[slot], deadline, task);
    sleeps->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* What has come near goes to its slot. */
static void move_later(struct sleeps *sleeps)
{
    struct places later = sleeps->later;

    sleeps->moved = sleeps->tick;
    sleeps->later = (struct places){ .count = 0 };
    for (uint32_t i = 0; i < later.count; i++) {
        if (later.all[i].task != NULL) {
            arm(sleeps, later.all[i].deadline, later.all[i].task);
        }
    }
    free(later.all);
}

/* Of one slot, those who are due, until `room` have been woken; how many. */
static uint32_t wake_slot(struct fiber_executor *executor, struct places *slot, int64_t now,
                          uint32_t room)
{
    uint32_t woken = 0;

    for (uint32_t i = 0; i < slot->count && woken < room; i++) {
        struct limit_task *task = slot->all[i].task;

        if (i + AHEAD < slot->count) {
            __builtin_prefetch(slot->all[i + AHEAD].task, 1);
        }
        if (task != NULL && slot->all[i].deadline <= now) {
            __builtin_prefetch(task->stack_pointer);
            __builtin_prefetch((char *)task->stack_pointer + 64);
            slot->all[i].task = NULL;
            fiber_schedule(executor, task);
            woken++;
        }
    }
    slot->live -= woken;
    if (slot->live == 0) {
        slot->count = 0;
    }
    return woken;
}

/* The first slot from where the wheel stands that is occupied; its tick. SLOTS later: none. */
static uint64_t first_slot(const struct sleeps *sleeps)
{
    uint64_t tick = sleeps->tick;

    while (tick < sleeps->tick + SLOTS) {
        const unsigned slot = (unsigned)(tick % SLOTS);
        const uint64_t bits = sleeps->occupied[slot / 64] >> (slot % 64);

        if (bits != 0) {
            return tick + (unsigned)__builtin_ctzll(bits);
        }
        tick += 64 - slot % 64;
    }
    return sleeps->tick + SLOTS;
}

void fiber_wake_sleepers(struct fiber_executor *executor)
{
    struct sleeps *sleeps = executor->sleeps;
    const int64_t now = limit_now();
    const uint64_t now_tick = (uint64_t)now >> TICK_BITS;
    uint32_t room = BATCH;
    uint64_t tick;

    while (room > 0 && (tick = first_slot(sleeps)) <= now_tick) {
        struct places *slot = &sleeps->slots[tick % SLOTS];
        const uint32_t woken = wake_slot(executor, slot, now, room);

        sleeps->tick = tick;
        sleeps->armed -= woken;
        room -= woken;
        if (slot->live > 0) {
            break; /* the slot of now, or no room */
        }
        sleeps->occupied[tick % SLOTS / 64] &= ~(UINT64_C(1) << (tick % 64));
    }
    if (first_slot(sleeps) > now_tick && sleeps->tick < now_tick) {
        sleeps->tick = now_tick;
    }
    if (sleeps->tick - sleeps->moved >= HALF) {
        move_later(sleeps);
    }
}

static int64_t earliest_of(const struct places *places)
{
    int64_t earliest = LIMIT_NEVER;

    for (uint32_t i = 0; i < places->count; i++) {
        if (places->all[i].task != NULL && places->all[i].deadline < earliest) {
            earliest = places->all[i].deadline;
        }
    }
    return earliest;
}

/* In the ring, as whoever has I/O must: with the time as the kernel takes it there. */
static void sleep_in_kernel(struct sleeps *sleeps)
{
    const uint64_t tick = first_slot(sleeps);
    int64_t until = (int64_t)((sleeps->moved + HALF)
                              << TICK_BITS); /* then look at the later ones */
    struct __kernel_timespec limit;
    struct io_uring_cqe *cqe;

    if (tick < sleeps->tick + SLOTS) {
        until = earliest_of(&sleeps->slots[tick % SLOTS]) + sleeps->slack;
    }
    until -= limit_now();
    if (until > 0) {
        limit.tv_sec = until / 1000000000;
        limit.tv_nsec = until % 1000000000;
        (void)io_uring_wait_cqe_timeout(&sleeps->ring->ring, &cqe, &limit); /* -ETIME */
    }
}

void fiber_sleep_all(struct fiber_executor *executor)
{
    struct sleeps *sleeps = executor->sleeps;

    if (sleeps == NULL || sleeps->armed == 0) {
        fiber_misuse("every fiber waits, and nothing is there to wake one");
    }
    fiber_wake_sleepers(executor);
    while (fiber_none_scheduled(executor)) {
        sleep_in_kernel(sleeps);
        fiber_wake_sleepers(executor);
    }
}

int limit_sleeps_begin(int64_t slack)
{
    struct fiber_executor *executor = fiber_here();
    struct sleeps *sleeps = calloc(1, sizeof(*sleeps));

    if (sleeps == NULL) {
        return -1;
    }
    sleeps->ring = limit_ring_create();
    if (sleeps->ring == NULL) {
        free(sleeps);
        return -1;
    }
    sleeps->slack = slack;
    sleeps->tick = (uint64_t)limit_now() >> TICK_BITS;
    sleeps->moved = sleeps->tick;
    sleeps->thread_slack = prctl(PR_GET_TIMERSLACK);
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    executor->sleeps = sleeps;
    return 0;
}

void limit_sleeps_end(void)
{
    struct sleeps *sleeps = fiber_here()->sleeps;

    fiber_here()->sleeps = NULL;
    if (sleeps->armed > 0) {
        fiber_misuse("a fiber sleeps on");
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        free(sleeps->slots[i].all);
    }
    free(sleeps->later.all);
    (void)prctl(PR_SET_TIMERSLACK, (unsigned long)sleeps->thread_slack);
    limit_ring_destroy(sleeps->ring);
    free(sleeps);
}

int limit_sleep_until(int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();

    arm(executor->sleeps, deadline, executor->running);
    executor->sleeps->armed++;
    return fiber_suspend(executor, executor->running);
}
