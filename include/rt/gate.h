/* SPDX-License-Identifier: MIT */
/*
 * Gate: close something when the last who use it have left.
 *
 *     static struct rt_gate gate = RT_GATE_INIT;
 *
 *     r = rt_gate_enter(&gate);               rt_gate_close(&gate, RT_NEVER);
 *     if (r < 0) {                            ... nobody is inside, and nobody comes:
 *         return r;       -EPIPE: closed          free what they used
 *     }
 *     ... use it
 *     rt_gate_leave(&gate);
 *
 * A group waits for tasks; a gate waits for what tasks are doing, whoever's they
 * are and however long they live.
 *
 * It lies in memory of yours, belongs to one shard and takes no other memory.
 */
#ifndef RT_GATE_H
#define RT_GATE_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A gate; 24 bytes. From RT_GATE_INIT: open. Its memory may go when nobody is inside or waits. */
struct rt_gate {
    /* private */
    struct rt_waiters waiters;
    uint32_t inside;
    uint32_t closed;
};

#define RT_GATE_INIT { { NULL, NULL }, 0, 0 }

/**
 * Enter, once or several times. Each has its rt_gate_leave().
 *
 * @return 0; -EPIPE when the gate is closed: then there is nothing to leave.
 * \context{In a task of the gate's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_gate_enter(struct rt_gate *gate);

/**
 * End one rt_gate_enter(), also of another task. Aborts when nobody is inside.
 *
 * The gate is not touched any more when this returns, so the task that closes it may free it.
 *
 * \context{In a task of the gate's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_gate_leave(struct rt_gate *gate);

/**
 * Close: let nobody in from now on, and wait until all have left.
 *
 * Works in a cancelled task too, which waits all the same, also inside of cancel
 * scopes: only `deadline` ends the wait. The gate stays closed; several tasks may close it,
 * and one may do so again to wait on.
 *
 * @param deadline  0 = do not wait.
 * @return 0: nobody is inside; -ETIME.
 * \context{In a task of the gate's shard. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_gate_close(struct rt_gate *gate, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_GATE_H */
