/* SPDX-License-Identifier: MIT */
/*
 * Stacks: arenas, three lists of free slots per class, and the way between.
 *
 *     unprepared --prepare--> cold --get--> in use --put--> warm --get--> in use
 *                              ^               ^             | age
 *                              |               +---- get --- idle
 *                              |                             | age
 *                              +------------- trim -------- doomed
 *
 * A warm slot was used since the period began, an idle one was not. get() looks
 * at the warm ones first: two loads and two stores. Cold slots come from a batch
 * just prepared or from a trim.
 */
#include "fiber/stack.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/poison.h"
#include "os/mem.h"
#include "os/sys.h"

#define ARENA_BYTES_DEFAULT ((size_t)64 << 20)
#define ARENA_BYTES_MAX     ((size_t)1 << 40)

/* Slots prepared at a time. A guard costs 0.2-0.3 us, so a batch is a pause of about 15 us. */
#define PREPARE_BATCH 64

/* Idle slots that become warm at a time: the next ones are got on the short way. */
#define IDLE_BATCH 16

/* A step of a trim is 0.1 us: what a stack takes in bulk. A call of the kernel takes 1 us, and to
 * mark a slot means a miss of the cache at the worst, as looking at it among others does not. */
#define STEPS_PER_TRIM   2000
#define STEPS_PER_CALL   10
#define MARKS_PER_STEP   2
#define SKIPPED_PER_STEP 32

struct rti_stack_arena {
    struct rti_stack_arena *next; /* in the pool, last made first */
    char *first;                  /* slot 0 */
    size_t bytes;                 /* of all slots */
    size_t slot_bytes;            /* of one, guard included */
    uint32_t slot_count;
    uint32_t prepared;                /* slots [0, prepared) have guards (S2) */
    uint32_t discarding;              /* slots that are; all are at `trim_from` or behind it */
    uint32_t trim_from;               /* valid while some are */
    struct rti_stack_arena *trimming; /* in the pool's list; valid while some are */
    struct rti_stack stacks[];
};

int rti_stack_pool_create(struct rti_stack_pool **out, const struct rti_stack_config *config)
{
    struct rti_stack_pool *pool;

    RTI_ASSERT(out != NULL && config != NULL);
    if (config->arena_bytes > ARENA_BYTES_MAX) {
        return -EINVAL;
    }
    pool = rti_sys_alloc(sizeof(*pool));
    if (pool == NULL) {
        return -ENOMEM;
    }
    pool->stacks_max = config->stacks_max != 0 ? config->stacks_max : UINT32_MAX;
    pool->arena_bytes = config->arena_bytes != 0 ? config->arena_bytes : ARENA_BYTES_DEFAULT;
    pool->guard_installs = !config->guard_by_mprotect;
    *out = pool;
    return 0;
}

static void arena_destroy(struct rti_stack_arena *arena)
{
    for (uint32_t i = 0; i < arena->prepared; i++) {
        rti_sanitize_stack_fini(&arena->stacks[i].sanitizer);
    }
    /* ASan does not forget by itself: the addresses may be mapped again for something else. */
    rti_unpoison(arena->first, arena->bytes);
    (void)rti_mem_release(arena->first, arena->bytes); /* nothing left to undo */
    rti_sys_free(arena);
}

void rti_stack_pool_destroy(struct rti_stack_pool *pool)
{
    struct rti_stack_arena *arena;

    if (pool == NULL) {
        return;
    }
    RTI_ASSERT(pool->in_use == 0); /* S1 */
    while ((arena = pool->arenas) != NULL) {
        pool->arenas = arena->next;
        arena_destroy(arena);
    }
    rti_sys_free(pool);
}

static int arena_create(struct rti_stack_pool *pool, enum rti_stack_class size_class,
                        struct rti_stack_arena **out)
{
    const size_t slot_bytes = rti_stack_class_bytes(size_class) + RTI_STACK_GUARD_BYTES;
    const size_t fitting = pool->arena_bytes / slot_bytes;
    const size_t count = fitting > 0 ? fitting : 1;
    struct rti_stack_arena *arena;
    void *mapping;
    int r;

    arena = rti_sys_alloc(sizeof(*arena) + count * sizeof(arena->stacks[0]));
    if (arena == NULL) {
        return -ENOMEM;
    }
    arena->slot_bytes = slot_bytes;
    arena->slot_count = (uint32_t)count; /* at most 2^40 / 2^14 */
    arena->bytes = count * slot_bytes;
    r = rti_mem_reserve(&mapping, arena->bytes);
    if (r < 0) {
        rti_sys_free(arena);
        return r;
    }
    arena->first = mapping;
    for (uint32_t i = 0; i < arena->slot_count; i++) {
        arena->stacks[i].top = arena->first + (i + 1) * slot_bytes - rti_stack_colour_bytes(i);
        arena->stacks[i].arena = arena;
        arena->stacks[i].index = i;
        arena->stacks[i].size_class = (uint8_t)size_class;
    }
    *out = arena;
    return 0;
}

static int install_guard(struct rti_stack_pool *pool, struct rti_stack *stack)
{
    if (pool->guard_installs) {
        int r = rti_mem_guard_install(rti_stack_guard(stack), RTI_STACK_GUARD_BYTES);

        if (r != -EINVAL) {
            return r;
        }
        /* The kernel has it not, or the process has locked its memory: do without from now on. */
        pool->guard_installs = false;
    }
    return rti_mem_guard_protect(rti_stack_guard(stack), RTI_STACK_GUARD_BYTES);
}

/* Make the next batch of the arena cold slots; at least one, or it is an error. */
static int arena_prepare(struct rti_stack_pool *pool, struct rti_stack_list *size_class,
                         struct rti_stack_arena *arena)
{
    const uint32_t begin = arena->prepared;
    const uint32_t left = arena->slot_count - begin;
    const uint32_t end = begin + (left < PREPARE_BATCH ? left : PREPARE_BATCH);
    struct rti_stack **link = &size_class->cold;
    int r = 0;

    RTI_ASSERT(size_class->cold == NULL && begin < end);
    while (arena->prepared < end) {
        struct rti_stack *stack = &arena->stacks[arena->prepared];

        r = install_guard(pool, stack);
        if (r < 0) {
            break;
        }
        *link = stack; /* lowest address first */
        link = &stack->next;
        arena->prepared++;
    }
    if (arena->prepared == begin) {
        return r;
    }
    rti_mem_dump(rti_stack_guard(&arena->stacks[begin]),
                 (arena->prepared - begin) * arena->slot_bytes);
    return 0;
}

/* Let the class have a cold slot, in the arena that it is filling or in a new one. */
static int refill(struct rti_stack_pool *pool, enum rti_stack_class size_class)
{
    struct rti_stack_list *class = &pool->classes[size_class];
    struct rti_stack_arena *arena = class->filling;
    int r;

    if (arena == NULL) {
        r = arena_create(pool, size_class, &arena);
        if (r < 0) {
            return r;
        }
    }
    r = arena_prepare(pool, class, arena);
    if (r < 0) {
        if (class->filling == NULL) {
            arena_destroy(arena);
        }
        return r;
    }
    if (class->filling == NULL) {
        arena->next = pool->arenas;
        atomic_signal_fence(memory_order_release); /* pairs with find_guard() in a handler */
        pool->arenas = arena;
        pool->arena_count++;
    }
    class->filling = arena->prepared < arena->slot_count ? arena : NULL;
    return 0;
}

/* There are idle slots, and no warm ones: some become warm. */
static void warm_up(struct rti_stack_list *class)
{
    struct rti_stack *last = class->idle;

    for (int i = 1; i < IDLE_BATCH && last->next != NULL; i++) {
        last = last->next;
    }
    class->warm = class->idle;
    class->idle = last->next;
    last->next = NULL;
}

static RTI_COLD int pop_cold(struct rti_stack_pool *pool, enum rti_stack_class size_class,
                             struct rti_stack **out)
{
    struct rti_stack_list *class = &pool->classes[size_class];

    if (class->cold == NULL) {
        int r = refill(pool, size_class);

        if (r < 0) {
            return r;
        }
    }
    *out = class->cold;
    class->cold = class->cold->next;
    return 0;
}

int rti_stack_get_cold(struct rti_stack_pool *pool, enum rti_stack_class size_class,
                       struct rti_stack **out)
{
    struct rti_stack *stack;
    int r;

    if (pool->in_use >= pool->stacks_max) {
        return -EAGAIN;
    }
    if (pool->classes[size_class].idle != NULL) {
        warm_up(&pool->classes[size_class]);
        *out = rti_stack_get_warm(pool, size_class);
        return 0;
    }
    r = pop_cold(pool, size_class, &stack);
    if (r < 0) {
        return r;
    }
    RTI_DASSERT(!stack->in_use); /* S1 */
    stack->in_use = true;
    pool->in_use++;
    pool->with_memory++;
    rti_unpoison(rti_stack_low(stack),
                 (size_t)((char *)rti_stack_top(stack) - (char *)rti_stack_low(stack)));
    *out = stack;
    return 0;
}

bool rti_stack_has_surplus(const struct rti_stack_pool *pool, uint32_t keep)
{
    bool settled = true;

    if (pool->with_memory - pool->in_use <= keep || pool->keeps_all) {
        return false;
    }
    for (unsigned i = 0; i < RTI_STACK_CLASSES; i++) {
        settled = settled && pool->classes[i].settled && pool->classes[i].warm == NULL;
    }
    return !settled || rti_stack_is_trimming(pool);
}

/* The idle slots behind the first `keep` go, and the warm ones become idle. */
static void age_class(struct rti_stack_list *class, uint32_t keep)
{
    struct rti_stack **link = &class->idle;

    for (uint32_t i = 0; i < keep && *link != NULL; i++) {
        link = &(*link)->next;
    }
    class->doomed = *link;
    *link = class->warm;
    class->settled = class->warm == NULL;
    class->warm = NULL;
}

bool rti_stack_age(struct rti_stack_pool *pool, uint32_t keep)
{
    RTI_ASSERT(!rti_stack_is_trimming(pool));
    if (pool->keeps_all) {
        return false;
    }
    for (unsigned i = 0; i < RTI_STACK_CLASSES; i++) {
        age_class(&pool->classes[i], keep);
        pool->dooming = pool->dooming || pool->classes[i].doomed != NULL;
    }
    return pool->dooming;
}

/* Mark a slot for its arena. */
static void mark(struct rti_stack_pool *pool, struct rti_stack *stack)
{
    struct rti_stack_arena *arena = stack->arena;

    if (arena->discarding++ == 0) {
        arena->trimming = pool->trimming;
        pool->trimming = arena;
        arena->trim_from = stack->index;
    } else if (stack->index < arena->trim_from) {
        arena->trim_from = stack->index;
    }
    stack->discarding = true;
}

/* Mark doomed slots: steps that were taken. */
static int mark_doomed(struct rti_stack_pool *pool, int steps_max)
{
    int left = steps_max * MARKS_PER_STEP;

    for (unsigned i = 0; i < RTI_STACK_CLASSES; i++) {
        struct rti_stack **doomed = &pool->classes[i].doomed;

        for (; *doomed != NULL && left > 0; left--) {
            mark(pool, *doomed);
            *doomed = (*doomed)->next;
        }
        if (*doomed != NULL) {
            return steps_max;
        }
    }
    pool->dooming = false;
    return steps_max - left / MARKS_PER_STEP;
}

/* Discard the marked slots [begin, end), which are neighbours. */
static void discard_run(struct rti_stack_pool *pool, struct rti_stack_arena *arena, uint32_t begin,
                        uint32_t end)
{
    struct rti_stack_list *class = &pool->classes[arena->stacks[begin].size_class];
    const size_t bytes = (end - begin) * arena->slot_bytes;
    const bool discarded = rti_mem_discard(rti_stack_guard(&arena->stacks[begin]), bytes) == 0;
    struct rti_stack **list = discarded ? &class->cold : &class->idle;

    for (uint32_t i = end; i-- > begin;) {
        struct rti_stack *stack = &arena->stacks[i];

        stack->discarding = false;
        stack->next = *list;
        *list = stack;
    }
    arena->discarding -= end - begin;
    if (discarded) {
        pool->trimmed += end - begin;
        pool->with_memory -= end - begin;
    } else {
        pool->keeps_all = true; /* they keep their memory, that is all */
    }
}

/* Discard the first run of marked slots of an arena that has some, but not too long a one: steps
 * that were taken. */
static int discard_first(struct rti_stack_pool *pool, struct rti_stack_arena *arena, int steps_max)
{
    uint32_t begin = arena->trim_from;
    uint32_t skipped = 0;
    uint32_t end;

    while (!arena->stacks[begin].discarding) {
        begin++;
        skipped++;
    }
    for (end = begin; end < arena->prepared && arena->stacks[end].discarding &&
                      end - begin < (uint32_t)steps_max;) {
        end++;
    }
    discard_run(pool, arena, begin, end);
    arena->trim_from = end;
    return STEPS_PER_CALL + (int)(end - begin) + (int)(skipped / SKIPPED_PER_STEP);
}

bool rti_stack_trim(struct rti_stack_pool *pool)
{
    int steps = STEPS_PER_TRIM;

    /* All are marked before any is discarded: so runs are as long as can be. */
    if (pool->dooming) {
        steps -= mark_doomed(pool, steps);
    }
    while (pool->trimming != NULL && steps > 0) {
        struct rti_stack_arena *arena = pool->trimming;

        steps -= discard_first(pool, arena, steps);
        if (arena->discarding == 0) {
            pool->trimming = arena->trimming;
        }
    }
    return rti_stack_is_trimming(pool);
}

void rti_stack_get_stats(const struct rti_stack_pool *pool, struct rti_stack_stats *out)
{
    *out = (struct rti_stack_stats){
        .in_use = pool->in_use,
        .cached = pool->with_memory - pool->in_use,
        .arenas = pool->arena_count,
        .trimmed = pool->trimmed,
        .guard_installs = pool->guard_installs,
    };
}

bool rti_stack_pool_find_guard(const struct rti_stack_pool *pool, const void *address,
                               struct rti_stack **out)
{
    struct rti_stack_arena *arena = pool->arenas;

    atomic_signal_fence(memory_order_acquire); /* pairs with the fence in refill() */
    for (; arena != NULL; arena = arena->next) {
        const uintptr_t offset = (uintptr_t)address - (uintptr_t)arena->first;

        if (offset < arena->bytes) {
            *out = &arena->stacks[offset / arena->slot_bytes];
            return offset % arena->slot_bytes < RTI_STACK_GUARD_BYTES;
        }
    }
    return false;
}
