/* SPDX-License-Identifier: MIT */
/* Fixture: the scheduler and a clock, for tests that run a few entities by hand. */
#ifndef RT_TEST_SCHED_FIXTURE_H
#define RT_TEST_SCHED_FIXTURE_H

#include "core/sched.h"
#include "support/harness.h"

#define SLICE   1000000u
#define POOREST 1u
#define RICHEST 10000u
#define HOURS_3 (1ull << 44) /* ticks, the longest charge that counts in full */

static struct rti_sched sched;
static uint64_t now;

static inline void begin(void)
{
    rti_sched_init(&sched, SLICE);
    now = 0;
}

static inline struct rti_sched_entity make(uint32_t shares)
{
    return (struct rti_sched_entity){ .shares = shares };
}

static inline void add(struct rti_sched_entity *entity, struct rti_sched_entity *parent)
{
    assert_int_equal(rti_sched_add(&sched, entity, parent), 0);
}

static inline void wake(struct rti_sched_entity *entity)
{
    rti_sched_wake(&sched, entity, now);
    rti_sched_check(&sched);
}

static inline void rest(struct rti_sched_entity *entity)
{
    rti_sched_sleep(&sched, entity);
    rti_sched_check(&sched);
}

static inline void charge(struct rti_sched_entity *entity, uint64_t ticks)
{
    now += ticks;
    rti_sched_charge(&sched, entity, ticks);
    rti_sched_check(&sched);
}

/* Let whoever is chosen run for so long. */
static inline struct rti_sched_entity *run(uint64_t ticks)
{
    struct rti_sched_entity *entity = rti_sched_pick(&sched);

    assert_non_null(entity);
    charge(entity, ticks);
    return entity;
}

/* Of `count` slices those that `entity` gets. */
static inline unsigned slices_of(const struct rti_sched_entity *entity, unsigned count)
{
    unsigned got = 0;

    for (unsigned i = 0; i < count; i++) {
        got += run(SLICE) == entity;
    }
    return got;
}

static inline void end(struct rti_sched_entity *const *entities, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (rti_sched_is_runnable(entities[i])) {
            rest(entities[i]);
        }
        rti_sched_remove(&sched, entities[i]);
    }
    rti_sched_fini(&sched);
}

#define END(...) \
    end((struct rti_sched_entity *[]){ __VA_ARGS__ }, \
        sizeof((struct rti_sched_entity *[]){ __VA_ARGS__ }) / sizeof(struct rti_sched_entity *))

/* How far ahead of the average it is, in CPU time. */
static inline double debt_of(const struct rti_sched_level *level,
                             const struct rti_sched_entity *entity)
{
    return (double)(int64_t)(entity->vruntime - level->average) * entity->shares / 65536.0;
}

#endif /* RT_TEST_SCHED_FIXTURE_H */
