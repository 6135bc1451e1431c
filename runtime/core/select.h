/* SPDX-License-Identifier: MIT */
/*
 * Select: one wait made of several, its legs.
 *
 *                 some leg is done              no leg is open
 *   (open) ------------------------> (decided) ----------------> waiter done
 *      |                                ^
 *      +--------------------------------+
 *         deadline or cancel of the whole
 *
 * A leg is a waiter that lies in the case, linked into what the case waits for
 * like any other; that knows nothing of the select. The first leg that is
 * finished wins, and in the same step all others are ended. Those that are
 * not the kernel's are unlinked on the spot, so nothing can be handed to a
 * leg that has lost; an operation is awaited, and what it says is not used.
 *
 * L1 At most one leg is finished before the select is decided.
 * L2 `open` counts legs that are linked and not done, plus one while linking.
 * L3 A leg's effect beyond its finish (the join's handle) is taken by the task, of the
 *    winner only.
 */
#ifndef RTI_CORE_SELECT_H
#define RTI_CORE_SELECT_H

#include "core/wait.h"
#include "core/waiters.h"
#include "rt/select.h"

struct rti_case_ops {
    /* Has it happened already? Then do it, set self->result: true. */
    bool (*take_now)(struct rt_case *self);

    /* Begin to wait: rti_case_leg() with a kind, link it in. It may be finished at once. */
    void (*link)(struct rt_case *self);

    /* It has won by its leg: what is left to do, in the task's flow; NULL: nothing. */
    void (*taken)(struct rt_case *self);
};

/* A case; its leg is filled when it is linked, and not cleared here: that took 5 ns. */
static inline struct rt_case rti_case(const struct rti_case_ops *ops, void *object, void *argument)
{
    struct rt_case made;

    made.result = 0;
    made.index = 0;
    made.ops = ops;
    made.object = object;
    made.argument = argument;
    made.select = NULL;
    return made;
}

#define RTI_CASE_LEG_BYTES 88

/* The leg's memory: a struct that begins with a struct rti_waiter. */
static inline void *rti_case_memory(struct rt_case *self)
{
    return self->leg;
}

static inline struct rt_case *rti_case_of(struct rti_waiter *leg)
{
    return RTI_CONTAINER_OF((void *)leg, struct rt_case, leg);
}

/* Make the leg's waiter. */
struct rti_waiter *rti_case_leg(struct rt_case *self, const struct rti_wait_kind *kind,
                                const void *object);

/* A leg was finished; called by rti_waiter_finish(). */
void rti_select_leg_done(struct rti_waiter *leg);

#endif /* RTI_CORE_SELECT_H */
