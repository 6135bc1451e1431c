/* SPDX-License-Identifier: MIT */
/*
 * Base: what every other header of shardrt builds on.
 *
 * Time is a signed 64-bit count of nanoseconds on the monotonic clock. Every
 * call that may suspend takes an absolute deadline as its last argument:
 *
 *     rt_tcp_recv(peer, buf, sizeof(buf), RT_NEVER);           wait for ever
 *     rt_tcp_recv(peer, buf, sizeof(buf), rt_in(RT_SECONDS(5)));  at most 5 s
 *     rt_tcp_recv(peer, buf, sizeof(buf), 0);                  only try
 *
 * Results are 0 or a count, or a negative errno value; the variable errno is
 * never a result, and its value is undefined after a call that may suspend.
 * Fixed meanings: -ETIME the deadline passed, -ECANCELED the task was
 * cancelled, -EAGAIN a configured limit is reached, or a call that never waits
 * would have to, -EPIPE the other side is closed, -ESHUTDOWN the executor is
 * stopping, -EINVAL a value that may come from a user is wrong (a text goes to
 * config.log), -E2BIG options of a newer library ask for what this one does not
 * know. A programmer's error (an object of another shard, a double join, a
 * suspension where none may happen) aborts with a message.
 */
#ifndef RT_BASE_H
#define RT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define RT_API __attribute__((visibility("default")))
#define RT_MUST_CHECK __attribute__((warn_unused_result))
#else
#define RT_API
#define RT_MUST_CHECK
#endif

/*
 * Where a function may be called, written in its prototype for the reader and
 * for the style check; its comment says it exactly. RT_ANY_THREAD: on threads that
 * are no shards too. RT_ON_SHARD: on a shard, mostly in a task. RT_SUSPENDS: in a
 * task, and other tasks may run before it returns.
 * Hooks (trace, log) may call what RT_ANY_THREAD stands at, and nothing else.
 */
#define RT_ANY_THREAD
#define RT_ON_SHARD
#define RT_SUSPENDS

#ifdef __cplusplus
extern "C" {
#endif

/** Nanoseconds: a moment on CLOCK_MONOTONIC, or a length of time. */
typedef int64_t rt_time;

/** A line of tasks that wait, first come, first served; part of objects that are waited for.
 * All zero is an empty one. */
struct rt_waiters {
    /* private */
    void *first;
    void *last;
};

/** The deadline that never comes. */
#define RT_NEVER INT64_MAX

#define RT_MICROSECONDS(n) ((rt_time)(n) * 1000)
#define RT_MILLISECONDS(n) ((rt_time)(n) * 1000000)
#define RT_SECONDS(n)      ((rt_time)(n) * 1000000000)

/**
 * A text for a result of this library.
 *
 * @param result  an error that a function of this library returned; the sign
 *                does not matter. (A count makes no sense here.)
 * @return a constant string such as "deadline passed" or the C library's
 *         description; never NULL. Not to be freed.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
const char *rt_strerror(int result);

#ifdef __cplusplus
}
#endif

#endif /* RT_BASE_H */
