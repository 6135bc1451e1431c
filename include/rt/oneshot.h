/* SPDX-License-Identifier: MIT */
/*
 * Oneshot: one value, once, from one task to another of the same shard.
 *
 *     struct question {
 *         int number;
 *         struct rt_oneshot answer;
 *     };
 *
 *     one task                                    another task
 *     struct question q = { 7, RT_ONESHOT_INIT };
 *     (hand &q over, say through a channel)
 *     r = rt_oneshot_recv(&q.answer, &value,      rt_oneshot_send(&q->answer, value);
 *                         RT_NEVER);              or, to give up:
 *                                                 rt_oneshot_close(&q->answer);
 *
 * The value is a pointer, NULL if you like: what it points to is the receiver's
 * then. Sending never waits, and needs nobody who waits.
 *
 * Who owns what: the struct must live until both sides are done with it. The
 * sender touches it last in rt_oneshot_send() or rt_oneshot_close(), the receiver
 * in an rt_oneshot_recv() that returned 0 or -EPIPE: if that is you, and it lies in your
 * frame, you may go. After -ETIME or -ECANCELED the sender still has a pointer to
 * it. So either receive again, or see to it first that the sender does nothing any
 * more (a group that both are in, a join).
 */
#ifndef RT_ONESHOT_H
#define RT_ONESHOT_H

#include "rt/base.h"
#include "rt/select.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Carries one value, once. From RT_ONESHOT_INIT; assign it anew to use the memory again. */
struct rt_oneshot {
    /* private */
    void *waiter;
    void *value;
    uint32_t state;
    uint32_t reserved;
};

#define RT_ONESHOT_INIT { NULL, NULL, 0, 0 }

/**
 * Send the value. A second time, and after rt_oneshot_close(), it aborts.
 *
 * Works in a cancelled task too.
 *
 * \context{In a task of the receiver's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_oneshot_send(struct rt_oneshot *oneshot, void *value);

/**
 * Wait until the value was sent, and take it. Once it was taken, a further call aborts.
 *
 * One task at a time; a second one aborts.
 *
 * @param value     gets it, on success only.
 * @param deadline  0 = only if it was sent.
 * @return 0; -ETIME; -ECANCELED; -EPIPE when the sender has closed.
 * \context{In a task of the sender's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_oneshot_recv(struct rt_oneshot *oneshot, void **value, rt_time deadline);

/**
 * The sender gives up: the receiver gets -EPIPE.
 *
 * Does nothing after rt_oneshot_send(), or a second time, as long as the struct lives. Works
 * in a cancelled task too.
 *
 * \context{In a task of the receiver's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_oneshot_close(struct rt_oneshot *oneshot);

/**
 * The case that the value was sent, or the sender has closed (`result` is -EPIPE then).
 *
 * When it happens, the value is taken.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_oneshot(struct rt_oneshot *oneshot, void **value);

#ifdef __cplusplus
}
#endif

#endif /* RT_ONESHOT_H */
