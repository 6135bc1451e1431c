/* SPDX-License-Identifier: MIT */
/*
 * Scheduler: which of the runnable task queues runs next.
 *
 * It knows entities and no tasks, and reads no clock: time is an argument, in
 * ticks. An entity is a task queue, or the parent of some.
 *
 * Each entity has a virtual time, which rises by the CPU time that it is charged
 * for, divided by its shares. All would stand at the same virtual time if the
 * core could be divided at will: at the mean of the runnable ones, weighted by
 * shares. One behind it is owed time (its lag is 0 or more), one ahead of it has
 * had too much. Of those that are owed time the one runs whose deadline is the
 * earliest: the virtual time at which it will have had one slice. (Stoica and
 * Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995; Linux since 6.6
 * does the same with processes.)
 *
 * An entity with a latency goal that is owed time goes before all that have none;
 * among several the one whose goal ends first. It can have no more than its shares
 * so, but has them at once.
 *
 * S1 The average of a level never falls. It is the mean of the runnable entities, or
 *    was it and has been left by one that was ahead: what that one has had too much the
 *    others would still have to wait for, if the core could be divided.
 * S2 An entity that wakes stands at the average or ahead of it: it gains nothing by
 *    having slept, and what it owed it owes still. (At the least virtual time it would
 *    gain: a poor entity waits thousands of a rich one's slices behind the mean.) Only
 *    when none was runnable meanwhile, all had what they wanted, and owe nothing.
 * S3 An entity is runnable if it was woken and has not slept since; a parent is when
 *    one of its children is. The one that runs is runnable too.
 * S4 Some runnable entity has a lag of 0 or more; so one is found when there is one.
 */
#ifndef RTI_CORE_SCHED_H
#define RTI_CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

struct rti_sched_entity;

__extension__ typedef __int128 rti_sched_wide;

/* Entities that compete with each other: those without a parent, or the children of one. */
struct rti_sched_level {
    struct rti_sched_entity **runnable; /* in no order */
    uint32_t count;
    uint32_t room;    /* of `runnable`: at least `members`, so that a wake cannot fail */
    uint32_t members; /* entities of this level, runnable or not */
    uint32_t goals;   /* of these, with a latency goal, their own or a child's */
    uint64_t average; /* S1 */
    uint64_t weight;  /* shares of the runnable ones, together */
    rti_sched_wide
        sum;         /* of how far each is ahead of the average, times its shares: below `weight` */
    uint64_t period; /* how often none was runnable */
};

struct rti_sched_entity {
    uint64_t vruntime; /* runs free: compare differences */
    uint64_t deadline; /* as vruntime */
    uint64_t due;      /* ticks: when the goal of this wake ends; valid with a goal */
    uint64_t goal;     /* ticks; 0 = none */
    uint64_t inverse;  /* of the shares */
    uint64_t period;   /* of its level, when it woke */
    uint32_t shares;
    uint32_t place; /* in `runnable` of its level, + 1; 0 = not runnable */
    struct rti_sched_entity *parent;
    struct rti_sched_level children; /* of a parent */
};

struct rti_sched {
    struct rti_sched_level root;
    uint64_t slice; /* ticks that an entity should get at a time */
};

void rti_sched_init(struct rti_sched *sched, uint64_t slice);
void rti_sched_set_slice(struct rti_sched *sched, uint64_t slice);
void rti_sched_fini(struct rti_sched *sched); /* all entities were removed */

/* Add an entity that is all zero but for shares and goal. 0 or -ENOMEM. */
int rti_sched_add(struct rti_sched *sched, struct rti_sched_entity *entity,
                  struct rti_sched_entity *parent);

/* Take away an entity that is not runnable and has no children. */
void rti_sched_remove(struct rti_sched *sched, struct rti_sched_entity *entity);

static inline bool rti_sched_is_runnable(const struct rti_sched_entity *entity)
{
    return entity->place != 0;
}

/* An entity without children becomes runnable at `now`, which it was not. */
void rti_sched_wake(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t now);

/* A runnable entity without children has nothing to run any more. */
void rti_sched_sleep(struct rti_sched *sched, struct rti_sched_entity *entity);

/* The entity, which has no children, has used so much CPU time. */
void rti_sched_charge(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t ticks);

/* The entity to run, which has no children; NULL when none is runnable. */
struct rti_sched_entity *rti_sched_pick(const struct rti_sched *sched);

/* Whether `woken` has a goal for which `running` is to stop. */
bool rti_sched_preempts(const struct rti_sched *sched, const struct rti_sched_entity *woken,
                        const struct rti_sched_entity *running);

/* What was owed, in CPU time, is owed still. */
void rti_sched_set_shares(struct rti_sched *sched, struct rti_sched_entity *entity,
                          uint32_t shares);
void rti_sched_set_goal(struct rti_sched *sched, struct rti_sched_entity *entity, uint64_t goal,
                        uint64_t now);

/* An entity that is not runnable and has fallen behind comes to where its wake would put it: a
 * difference of virtual times means nothing from 2^63 on, some hours of a poor one's CPU time. */
void rti_sched_catch_up(struct rti_sched *sched, struct rti_sched_entity *entity);

/* S1 to S3, for tests and debug builds. */
void rti_sched_check(const struct rti_sched *sched);

#endif /* RTI_CORE_SCHED_H */
