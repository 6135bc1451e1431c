/* SPDX-License-Identifier: MIT */
/*
 * Cancel scopes: a deadline, a cancel or a shield for a block of calls.
 *
 *     struct rt_scope scope;
 *
 *     rt_scope_enter(&scope, rt_in(RT_SECONDS(2)));    all of it within two seconds
 *     r = ask(peer);                                   its waits end with -ETIME then
 *     if (rt_scope_leave(&scope) == -ETIME)
 *         ...
 *
 * Each wait inside ends at the scope's deadline at the latest, as if that had
 * been its own; deadlines of the calls themselves hold as well. Another task
 * may end the waits of a scope by rt_scope_cancel(), which leaves the task
 * alive: outside of the scope it goes on.
 *
 * A shield is a scope that keeps cancels and deadlines from further out away, for
 * a while: so a cancelled task can say goodbye to its peer.
 *
 *     rt_shield(&scope, rt_in(RT_SECONDS(1)));
 *     rt_tcp_send_all(peer, bye, sizeof(bye), NULL, RT_NEVER);
 *     rt_scope_leave(&scope);
 *
 * A call to another shard takes the deadline along: the function there runs in a
 * scope of it, and so do those that it calls. rt_deadline() tells the moment.
 *
 * Scopes nest, lie in the frame of the task that enters them, and are left by
 * it in reverse order. They are a fiber's: a poll function has none. Waits that only give
 * something back (closing, leaving a group) are not touched by scopes.
 */
#ifndef RT_SCOPE_H
#define RT_SCOPE_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rt_scope {
    /* private */
    struct rt_scope *outer;
    void *task;
    rt_time deadline;
    rt_time wait_deadline; /* of the call that waits: innermost scope only */
    int32_t ended;
    uint16_t cancelled;
    uint16_t shield;
};

/**
 * Enter a scope: waits inside end at `deadline` at the latest, with -ETIME.
 *
 * Calls begin to end at once when it has passed: they do what needs no wait.
 *
 * @param deadline  RT_NEVER: a scope to be cancelled only.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_scope_enter(struct rt_scope *scope, rt_time deadline);

/**
 * Enter a shield: until `deadline` a cancel of the task, and cancels and deadlines of
 * scopes further out, do not end waits inside. Then they do, with their own reason.
 *
 * @param deadline  bounds how long a cancelled task may go on; RT_NEVER is for what surely ends.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_shield(struct rt_scope *scope, rt_time deadline);

/**
 * End the waits of a scope, which is no shield: the current one, as rt_cancel() would, and
 * all later ones inside, with -ECANCELED. A shield that was entered within holds it off.
 *
 * \context{In a task of the same shard, while the scope is entered. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_scope_cancel(struct rt_scope *scope);

/**
 * Leave the innermost scope, which must be this one.
 *
 * @return 0; -ETIME when a wait inside was asked to end by the scope's deadline, -ECANCELED when
 *         one was by its cancel: the first counts, also where the event was faster than its
 *         end. Of a shield always 0.
 * \context{In the task that entered it. Does not suspend.}
 */
RT_API RT_ON_SHARD
int rt_scope_leave(struct rt_scope *scope);

/**
 * When waits of the calling task will be ended, whatever deadline of their own they have: by the
 * scopes around this call, by the deadline of a caller on another shard (rt/call.h), or, with a
 * moment that has passed, by a cancel.
 *
 * So work that cannot be done until then need not be begun.
 *
 * @return a moment as of rt_now(); RT_NEVER when nothing ends them.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
rt_time rt_deadline(void);

#ifdef __cplusplus
}
#endif

#endif /* RT_SCOPE_H */
