/* SPDX-License-Identifier: MIT */
/*
 * Scope: what besides its own deadline ends a wait.
 *
 * A fiber's scopes are a list from the inside out. Each may ask for the end of the
 * fiber's wait at some moment: a deadline at its own, a cancel now; so may the
 * cancel of the task, from outside of them all. A shield on the way in holds
 * what comes from further out until the shield's deadline. The earliest of all
 * these moments counts, and the wait's timer is armed for it.
 *
 * S1 While a fiber waits in a scope, its timer is armed for the earliest moment
 *    at which anything asks for the end, unless that is never or the wait is
 *    being ended; whatever changes a moment computes it again.
 * S2 The wait's own deadline stands in the innermost scope: a fiber waits once.
 * S3 Exempt waits do not look here.
 */
#ifndef RTI_CORE_SCOPE_H
#define RTI_CORE_SCOPE_H

#include "core/task.h"
#include "rt/scope.h"

/* A wait with `deadline` begins: what its timer is to be armed for (S1, S2). */
rt_time rti_scope_begin_wait(const struct rt_task *task, rt_time deadline);

/* The timer of the fiber's wait has fired. True when its own deadline has come; else the scopes
 * have ended the wait. */
bool rti_scope_own_deadline(struct rti_waiter *waiter);

/* The moment at which a wait with `deadline` would be ended, as far as is known now; never below 0.
 * RT_NEVER: by nothing. */
rt_time rti_scope_end_at(const struct rt_task *task, rt_time deadline);

/* A wait with `deadline` was ended at that moment, on another shard: the reason, -ETIME or
 * -ECANCELED. Where it was a scope's, its end will say so. */
int rti_scope_ended_elsewhere(const struct rt_task *task, rt_time deadline);

/* As rti_task_must_end(), of a wait that therefore is not begun, or ended at once: where it is a
 * scope that ends it, its end will say so. */
void rti_scope_note_end(const struct rt_task *task);
static inline bool rti_scope_ends(const struct rt_task *task)
{
    const bool ends = rti_task_must_end(task);

    if (RTI_UNLIKELY(ends)) {
        rti_scope_note_end(task);
    }
    return ends;
}

/* Whether a deadline has passed, the given one or a scope's. */
bool rti_scope_has_passed(const struct rt_task *task, rt_time deadline);

/* A cancel came: end the fiber's wait, or arm its timer for when it will count. */
void rti_scope_review(struct rt_task *task);

/* rt_scope_cancel() where no task runs. The scope is one of this executor, and not left. */
void rti_scope_cancel(struct rt_scope *scope);

#endif /* RTI_CORE_SCOPE_H */
