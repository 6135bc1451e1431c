/* SPDX-License-Identifier: MIT */
/*
 * Stacks: pools of stacks with guards, one pool per executor.
 *
 * A pool maps arenas (64 MiB by default, no memory reserved) of one size class
 * each, and cuts them into slots: a page as guard, and above it the stack. The
 * guard is made by MADV_GUARD_INSTALL where the kernel has it, so that a
 * million guards need no mapping of their own, else by mprotect. Which one works
 * is found out when the pool makes its first guard. Free slots are used again
 * last in, first out, for their pages and cache lines are warm.
 *
 * Where the tops of stacks lie decides what a switch among many costs. All of
 * them at one place of a page would share few sets of the L1 cache; so tops are
 * shifted by 0..15 cache lines from slot to slot ("colouring"). All of them at
 * multiples of 64 KiB would share few sets of the TLB; so the guard comes on top
 * of the power of two, and a slot is an odd number of pages. Measured with 1000
 * fibers of 64 KiB on Zen 5: 3.2 ns a switch, 4.9 with slots of 16 pages.
 *
 * Slots are prepared in batches, in the order of their addresses, when no free
 * one is left: guards are installed and the batch is let into core dumps. The
 * unprepared rest of an arena is not dumped. Free slots are, if they were used
 * and not trimmed: the flag belongs to a mapping of the kernel, and one per
 * free slot would split the arena into as many mappings.
 *
 * Time passes in periods that the owner calls out (rti_stack_age()). What has been
 * free for a whole one is doomed, but for some, and gives its memory back in bulk
 * and in small steps (rti_stack_trim()). To know what was free all the time takes
 * nothing on the way of get and put: a period begins with all free slots in a second
 * list, `idle`, from which is taken only when the first one is empty.
 *
 * A guard catches what touches it. Code that moves the stack pointer by more
 * than a page without touching the pages between may jump over it, unless it
 * is compiled with -fstack-clash-protection.
 *
 * S1 A slot is either free (in the pool) or in use (of exactly one fiber).
 * S2 A slot's guard is installed before the slot is handed out for the first
 *    time and stays until the arena is unmapped.
 * S3 Slots never move, and an arena is unmapped only by rti_stack_pool_destroy().
 * S4 A free slot with memory is in one list: warm, idle or doomed; or it is marked
 *    as discarding, counted by its arena, and that one is in the list `trimming`.
 *
 * All functions: on the thread that owns the pool.
 */
#ifndef RTI_FIBER_STACK_H
#define RTI_FIBER_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/poison.h"
#include "fiber/sanitize.h"

enum rti_stack_class {
    RTI_STACK_16K,
    RTI_STACK_64K,
    RTI_STACK_256K,
    RTI_STACK_CLASSES,
};

#define RTI_STACK_GUARD_BYTES 4096
#define RTI_STACK_COLOURS     16

struct rti_stack_arena;

/* The book-keeping of one slot; lies outside the slot, in memory of the pool. Read it through the
 * functions at the end of this file. */
struct rti_stack {
    char *top;                     /* of the stack; never changes */
    struct rti_stack_arena *arena; /* never changes */
    struct rti_stack *next;        /* in a list of free slots; not valid while in use */
    uint32_t index;                /* in its arena; never changes */
    uint8_t size_class;            /* enum rti_stack_class; never changes */
    bool in_use;                   /* S1 */
    bool discarding;               /* doomed, and counted in its arena */
    struct rti_sanitize_stack sanitizer;
};

_Static_assert(RTI_ASAN || RTI_TSAN || sizeof(struct rti_stack) == 32, "two per cache line");

struct rti_stack_config {
    size_t arena_bytes;     /* 0 = 64 MiB; at least one slot is made of it */
    uint32_t stacks_max;    /* in use at a time, over all classes; 0 = no limit */
    bool guard_by_mprotect; /* do not use MADV_GUARD_INSTALL (feature "guard_install" disabled) */
};

struct rti_stack_stats {
    uint32_t in_use;     /* handed out */
    uint32_t cached;     /* free, with memory of their own */
    uint32_t arenas;     /* mapped */
    uint64_t trimmed;    /* times that a slot gave its memory back */
    bool guard_installs; /* guards are made by MADV_GUARD_INSTALL, as far as tried */
};

/* Private to stack.c and the inline functions below. */
struct rti_stack_pool {
    struct rti_stack_list {
        struct rti_stack *warm;          /* free slots that have memory, last put first */
        struct rti_stack *idle;          /* the same, not needed since the period began */
        struct rti_stack *doomed;        /* the same, to be marked as discarding */
        struct rti_stack *cold;          /* free slots that have none */
        struct rti_stack_arena *filling; /* the only one with unprepared slots, or NULL */
        bool settled;                    /* the next period finds nothing in `idle` to be doomed */
    } classes[RTI_STACK_CLASSES];
    uint32_t in_use;
    uint32_t with_memory; /* in use or warm; so that warm ones need no count at each get and put */
    uint32_t stacks_max;
    struct rti_stack_arena *arenas;   /* all classes */
    struct rti_stack_arena *trimming; /* those with slots that are discarding */
    bool dooming;                     /* a class has doomed slots */
    uint32_t arena_count;
    bool guard_installs;
    bool keeps_all; /* memory is locked: none can be given back */
    size_t arena_bytes;
    uint64_t trimmed;
};

/* -EINVAL when arena_bytes is beyond reason (1 TiB); -ENOMEM. Maps nothing yet. */
int rti_stack_pool_create(struct rti_stack_pool **out, const struct rti_stack_config *config);
void rti_stack_pool_destroy(struct rti_stack_pool *pool); /* every stack must be free (S1) */

/* A period is over. Dooms what was free throughout it, but for `keep` slots of each class. True
 * when something is to be trimmed. Nothing may be left of the last trim. */
bool rti_stack_age(struct rti_stack_pool *pool, uint32_t keep);

/* Give memory of doomed slots back to the kernel, neighbours in one call: some 0.25 ms of work.
 * True while more is left. Not by code that runs on a stack that it has put. */
bool rti_stack_trim(struct rti_stack_pool *pool);

static inline bool rti_stack_is_trimming(const struct rti_stack_pool *pool)
{
    return pool->dooming || pool->trimming != NULL;
}

/* Whether a period or two from now something would be given back, if nobody gets a stack. */
bool rti_stack_has_surplus(const struct rti_stack_pool *pool, uint32_t keep);

void rti_stack_get_stats(const struct rti_stack_pool *pool, struct rti_stack_stats *out);

/* Whether the address lies in the guard of a slot; then *out is the slot. Async-signal-safe on the
 * owner's thread, also if the signal interrupts any function of this file. */
bool rti_stack_pool_find_guard(const struct rti_stack_pool *pool, const void *address,
                               struct rti_stack **out);

/* What the class promises in its name; the guard comes on top of it, the colour is taken off. */
static inline size_t rti_stack_class_bytes(enum rti_stack_class size_class)
{
    return (size_t)16384 << (2 * (unsigned)size_class);
}

/* By how much the top is shifted, in a slot of this index. */
static inline size_t rti_stack_colour_bytes(uint32_t index)
{
    return (size_t)(index % RTI_STACK_COLOURS) * RTI_CACHE_LINE;
}

/* Bounds of a stack: usable bytes lie in [low, top); the guard is [guard, low), at the start of the
 * slot. The top is aligned to a cache line. It is what each spawn needs, so it is stored. */
static inline void *rti_stack_top(const struct rti_stack *stack)
{
    return stack->top;
}

static inline void *rti_stack_low(const struct rti_stack *stack)
{
    return stack->top + rti_stack_colour_bytes(stack->index) -
           rti_stack_class_bytes((enum rti_stack_class)stack->size_class);
}

static inline void *rti_stack_guard(const struct rti_stack *stack)
{
    return (char *)rti_stack_low(stack) - RTI_STACK_GUARD_BYTES;
}

/* The part of rti_stack_get() that takes an idle slot, or one without memory, or maps an arena. */
int rti_stack_get_cold(struct rti_stack_pool *pool, enum rti_stack_class size_class,
                       struct rti_stack **out);

/* Whether a stack of the class is there that was used lately. */
static inline bool rti_stack_is_warm(const struct rti_stack_pool *pool,
                                     enum rti_stack_class size_class)
{
    return pool->classes[size_class].warm != NULL && pool->in_use < pool->stacks_max;
}

static inline struct rti_stack *rti_stack_get_warm(struct rti_stack_pool *pool,
                                                   enum rti_stack_class size_class)
{
    struct rti_stack_list *list = &pool->classes[size_class];
    struct rti_stack *stack = list->warm;

    list->warm = stack->next;
    RTI_DASSERT(!stack->in_use); /* S1 */
    stack->in_use = true;
    pool->in_use++;
    rti_unpoison(rti_stack_low(stack),
                 (size_t)((char *)rti_stack_top(stack) - (char *)rti_stack_low(stack)));
    return stack;
}

/* A stack of the class; -ENOMEM, or -EAGAIN at stacks_max. Maps an arena when no slot is free. */
static inline int rti_stack_get(struct rti_stack_pool *pool, enum rti_stack_class size_class,
                                struct rti_stack **out)
{
    if (RTI_UNLIKELY(!rti_stack_is_warm(pool, size_class))) {
        return rti_stack_get_cold(pool, size_class, out);
    }
    *out = rti_stack_get_warm(pool, size_class);
    return 0;
}

/* Poison a free stack, but not under the feet of the code that gives back its own: whoever
 * continues after it does that (sanitize.h). */
static inline void rti_stack_poison_free(struct rti_stack *stack)
{
    char *low = rti_stack_low(stack);
    char *top = rti_stack_top(stack);
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (here < (uintptr_t)low || here >= (uintptr_t)top) {
        rti_poison(low, (size_t)(top - low));
    }
}

/* Give a stack back. May be called by code that still runs on it, as long as nobody gets a stack
 * or trims before that code has switched away for good. */
static inline void rti_stack_put(struct rti_stack_pool *pool, struct rti_stack *stack)
{
    struct rti_stack_list *list = &pool->classes[stack->size_class];

    RTI_ASSERT(stack->in_use); /* S1 */
    stack->in_use = false;
    stack->next = list->warm;
    list->warm = stack;
    pool->in_use--;
    if (RTI_ASAN) {
        rti_stack_poison_free(stack);
    }
}

#endif /* RTI_FIBER_STACK_H */
