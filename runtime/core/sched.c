/* SPDX-License-Identifier: MIT */
/* Scheduler: see sched.h for the idea and the invariants. */
#include "core/sched.h"

#include <errno.h>
#include <stddef.h>

#include "base/assert.h"
#include "os/sys.h"

/* Virtual time is ticks * 2^SCALE / shares: fine enough that one tick of the richest entity counts
 * (10000 shares). It is computed by a multiplication with 2^INVERSE / shares. */
#define SCALE   16
#define INVERSE 32

/* A single charge is cut to this: three hours or so. With one share that is a step of 2^60, and
 * differences of virtual times must stay below 2^63. */
#define CHARGE_MAX (1ull << 44)

#define ROOM_FIRST 4u

typedef rti_sched_wide wide;
__extension__ typedef unsigned __int128 uwide;

static struct rti_sched_level *level_of(struct rti_sched *sched, struct rti_sched_entity *entity)
{
    return entity->parent != NULL ? &entity->parent->children : &sched->root;
}

static uint64_t virtual_of(const struct rti_sched_entity *entity, uint64_t ticks)
{
    return (uint64_t)((uwide)ticks * entity->inverse >> (INVERSE - SCALE));
}

static void set_shares(struct rti_sched_entity *entity, uint32_t shares)
{
    entity->shares = shares;
    entity->inverse = (1ull << INVERSE) / shares;
}

static int64_t ahead(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

void rti_sched_init(struct rti_sched *sched, uint64_t slice)
{
    *sched = (struct rti_sched){ 0 };
    rti_sched_set_slice(sched, slice);
}

void rti_sched_set_slice(struct rti_sched *sched, uint64_t slice)
{
    sched->slice = slice < CHARGE_MAX ? slice : CHARGE_MAX;
}

void rti_sched_fini(struct rti_sched *sched)
{
    RTI_ASSERT(sched->root.members == 0);
    rti_sys_free(sched->root.runnable);
    sched->root.runnable = NULL;
}

/* Members */

static int make_room(struct rti_sched_level *level)
{
    const uint32_t room = level->room == 0 ? ROOM_FIRST : level->room * 2;
    struct rti_sched_entity **runnable;

    if (level->members < level->room) {
        return 0;
    }
    runnable = rti_sys_alloc(room * sizeof(struct rti_sched_entity *));
    if (runnable == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < level->count; i++) {
        runnable[i] = level->runnable[i];
    }
    rti_sys_free(level->runnable);
    level->runnable = runnable;
    level->room = room;
    return 0;
}

/* The entity gets a goal or loses it; its parent counts as having one while a child has. */
static void count_goal(struct rti_sched *sched, struct rti_sched_entity *entity, bool has)
{
    struct rti_sched_level *level = level_of(sched, entity);

    level->goals += has ? 1u : UINT32_MAX;
    if (entity->parent != NULL && level->goals == (has ? 1u : 0u)) {
        count_goal(sched, entity->parent, has);
    }
}

int rti_sched_add(struct rti_sched *sched, struct rti_sched_entity *entity,
                  struct rti_sched_entity *parent)
{
    struct rti_sched_level *level = parent != NULL ? &parent->children : &sched->root;
    const int r = make_room(level);

    RTI_DASSERT(parent == NULL || parent->parent == NULL);
    if (r < 0) {
        return r;
    }
    set_shares(entity, entity->shares);
    entity->parent = parent;
    entity->vruntime = level->average;
    level->members++;
    if (entity->goal != 0) {
        count_goal(sched, entity, true);
    }
    return 0;
}

void rti_sched_remove(struct rti_sched *sched, struct rti_sched_entity *entity)
{
    struct rti_sched_level *level = level_of(sched, entity);

    RTI_ASSERT(entity->place == 0 && entity->children.members == 0);
    if (entity->goal != 0) {
        count_goal(sched, entity, false);
    }
    level->members--;
    rti_sys_free(entity->children.runnable);
    entity->children.runnable = NULL;
}

/* Virtual time */

/* S1. A mean below the average is that of a level which somebody has left who was ahead of it. */
static void raise_average(struct rti_sched_level *level)
{
    uint64_t step;

    if (level->sum <= 0 || level->sum < (wide)level->weight) {
        return;
    }
    /* mostly small: then without a division of 128 bits, which takes a call */
    step = level->sum <= INT64_MAX ? (uint64_t)level->sum / level->weight
                                   : (uint64_t)((uwide)level->sum / level->weight);
    level->average += step;
    level->sum -= (wide)step * level->weight;
}

/* The entity is counted in, or out, where it stands. */
static void count_in(struct rti_sched_level *level, const struct rti_sched_entity *entity)
{
    level->sum += (wide)ahead(entity->vruntime, level->average) * entity->shares;
    level->weight += entity->shares;
}

static void count_out(struct rti_sched_level *level, const struct rti_sched_entity *entity)
{
    level->sum -= (wide)ahead(entity->vruntime, level->average) * entity->shares;
    level->weight -= entity->shares;
}

static void begin_slice(const struct rti_sched *sched, struct rti_sched_entity *entity)
{
    entity->deadline = entity->vruntime + virtual_of(entity, sched->slice);
}

static void charge(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t ticks)
{
    struct rti_sched_level *level = level_of(sched, entity);
    const uint64_t step = virtual_of(entity, ticks);

    entity->vruntime += step;
    if (ahead(entity->vruntime, entity->deadline) >= 0) {
        begin_slice(sched, entity);
    }
    if (entity->place != 0) {
        level->sum += (wide)step * entity->shares;
        raise_average(level);
    }
    if (entity->parent != NULL) {
        charge(sched, entity->parent, ticks);
    }
}

void rti_sched_charge(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t ticks)
{
    charge(sched, entity, ticks < CHARGE_MAX ? ticks : CHARGE_MAX);
}

void rti_sched_catch_up(struct rti_sched *sched, struct rti_sched_entity *entity)
{
    const struct rti_sched_level *level = level_of(sched, entity);

    if (entity->place == 0 && ahead(level->average, entity->vruntime) > 0) {
        entity->vruntime = level->average; /* S2 */
    }
}

void rti_sched_wake(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t now)
{
    struct rti_sched_level *level = level_of(sched, entity);

    RTI_DASSERT(entity->place == 0);
    if (ahead(level->average, entity->vruntime) > 0 || entity->period != level->period) { /* S2 */
        entity->vruntime = level->average;
    }
    entity->period = level->period;
    begin_slice(sched, entity);
    entity->due = now + entity->goal;
    level->runnable[level->count++] = entity;
    entity->place = level->count;
    count_in(level, entity);
    raise_average(level);
    if (entity->parent != NULL && entity->parent->place == 0) {
        rti_sched_wake(sched, entity->parent, now);
    }
}

void rti_sched_sleep(struct rti_sched *sched, struct rti_sched_entity *entity)
{
    struct rti_sched_level *level = level_of(sched, entity);
    struct rti_sched_entity *last = level->runnable[level->count - 1];

    RTI_DASSERT(entity->place != 0);
    level->runnable[entity->place - 1] = last;
    last->place = entity->place;
    entity->place = 0;
    level->count--;
    level->period += level->count == 0;
    count_out(level, entity);
    raise_average(level);
    if (entity->parent != NULL && level->count == 0) {
        rti_sched_sleep(sched, entity->parent);
    }
}

/* Choosing */

/* Whether its lag is 0 or more: it does not stand ahead of the average. */
static bool is_owed(const struct rti_sched_level *level, const struct rti_sched_entity *entity)
{
    return ahead(entity->vruntime, level->average) <= 0;
}

/* Whether the entity has a goal, its own or a child's that is owed time; and when it ends. */
static bool is_urgent(const struct rti_sched_entity *entity, uint64_t *due)
{
    const struct rti_sched_level *level = &entity->children;
    bool urgent = false;

    if (level->members == 0) {
        *due = entity->due;
        return entity->goal != 0;
    }
    if (level->goals == 0) {
        return false;
    }
    for (uint32_t i = 0; i < level->count; i++) {
        const struct rti_sched_entity *child = level->runnable[i];

        if (child->goal != 0 && is_owed(level, child) && (!urgent || ahead(*due, child->due) > 0)) {
            *due = child->due;
            urgent = true;
        }
    }
    return urgent;
}

/* Whether `a`, which is urgent or not, goes before `b`. */
static bool goes_before(const struct rti_sched_entity *a, const struct rti_sched_entity *b)
{
    uint64_t due_a = 0;
    uint64_t due_b = 0;
    const bool urgent_a = is_urgent(a, &due_a);
    const bool urgent_b = is_urgent(b, &due_b);

    if (urgent_a != urgent_b) {
        return urgent_a;
    }
    return urgent_a ? ahead(due_b, due_a) > 0 : ahead(b->deadline, a->deadline) > 0;
}

static struct rti_sched_entity *pick_in(const struct rti_sched_level *level)
{
    struct rti_sched_entity *best = NULL;

    if (level->count <= 1) {
        return level->count == 1 ? level->runnable[0] : NULL;
    }
    for (uint32_t i = 0; i < level->count; i++) {
        struct rti_sched_entity *entity = level->runnable[i];

        if (is_owed(level, entity) && (best == NULL || goes_before(entity, best))) {
            best = entity;
        }
    }
    RTI_DASSERT(best != NULL); /* S4: not all can stand ahead of their average */
    return best;
}

struct rti_sched_entity *rti_sched_pick(const struct rti_sched *sched)
{
    struct rti_sched_entity *entity = pick_in(&sched->root);

    if (entity != NULL && entity->children.members > 0) {
        entity = pick_in(&entity->children);
    }
    return entity;
}

bool rti_sched_preempts(const struct rti_sched *sched, const struct rti_sched_entity *woken,
                        const struct rti_sched_entity *running)
{
    return woken->goal != 0 && woken != running && rti_sched_pick(sched) == woken;
}

/* Changes */

void rti_sched_set_shares(struct rti_sched *sched, struct rti_sched_entity *entity, uint32_t shares)
{
    struct rti_sched_level *level = level_of(sched, entity);
    const int64_t owes = ahead(entity->vruntime, level->average);

    if (entity->place != 0) {
        count_out(level, entity);
    }
    entity->vruntime = level->average + (uint64_t)(int64_t)((wide)owes * entity->shares / shares);
    set_shares(entity, shares);
    begin_slice(sched, entity);
    if (entity->place != 0) {
        count_in(level, entity);
        raise_average(level);
    }
}

void rti_sched_set_goal(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t goal,
                        uint64_t now)
{
    const bool had = entity->goal != 0;

    entity->goal = goal;
    entity->due = now + goal;
    if (had != (goal != 0)) {
        count_goal(sched, entity, goal != 0);
    }
}

/* Checks */

static void check_level(const struct rti_sched_level *level, const struct rti_sched_entity *parent)
{
    wide sum = 0;
    wide weight = 0;
    bool some_is_owed = false;

    RTI_ASSERT(level->count <= level->members && level->members <= level->room);
    for (uint32_t i = 0; i < level->count; i++) {
        const struct rti_sched_entity *entity = level->runnable[i];

        sum += (wide)ahead(entity->vruntime, level->average) * entity->shares;
        weight += entity->shares;
        some_is_owed = some_is_owed || is_owed(level, entity);
        RTI_ASSERT(entity->place == i + 1 && entity->parent == parent);
        RTI_ASSERT(entity->children.members == 0 || entity->children.count > 0); /* S3 */
        check_level(&entity->children, entity);
    }
    RTI_ASSERT(sum == level->sum && weight == level->weight);
    RTI_ASSERT(level->count == 0 || (sum < weight && some_is_owed)); /* S1, S4 */
}

void rti_sched_check(const struct rti_sched *sched)
{
    check_level(&sched->root, NULL);
}
