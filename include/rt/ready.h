/* SPDX-License-Identifier: MIT */
/*
 * Readiness: waits, and cases of a select, for a stream, a listener or any other
 * descriptor to become ready, without moving a byte.
 *
 *     struct rt_case cases[] = { rt_case_readable(peer), rt_case_event(&stop) };
 *
 *     if (rt_select(cases, 2, RT_NEVER) == 0) {
 *         n = rt_tcp_recv(peer, buf, sizeof(buf), RT_NEVER);
 *     }
 *
 * `result` of the case is a set of events of poll(2), as they were when the kernel
 * looked: POLLIN, POLLOUT, POLLHUP, POLLERR; or an error below 0. What is ready may
 * be so no more when another task was there first.
 *
 * Each look costs a system call, poll(2); a wait costs a request through the ring. A case
 * that loses is cancelled in the kernel, and the select returns after that: some
 * hundred nanoseconds. A stream or listener must not be closed while a task
 * selects over it.
 */
#ifndef RT_READY_H
#define RT_READY_H

#include "rt/base.h"
#include "rt/select.h"
#include "rt/tcp.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The case that a receive on the stream would not wait.
 *
 * \context{In a task of the stream's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_readable(struct rt_tcp_stream *stream);

/**
 * The case that a send on the stream would not wait.
 *
 * \context{In a task of the stream's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_writable(struct rt_tcp_stream *stream);

/**
 * The case that a connection waits to be accepted.
 *
 * \context{In a task of the listener's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_acceptable(struct rt_tcp_listener *listener);

/**
 * The case that a descriptor of the program's own is ready: an eventfd, a pipe, a signalfd.
 *
 * @param fd      must stay open while a task selects over it; may be non-blocking.
 * @param events  of poll(2): POLLIN, POLLOUT.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_fd(int fd, unsigned events);

/**
 * Wait until a descriptor is ready: a socket of a client library, an eventfd, a pipe, the
 * descriptor of another event loop. Moves no byte.
 *
 * @param fd      anything that poll(2) takes, non-blocking or not. Stays the caller's, and must
 *                stay open until the call returns. Several tasks may wait for the same one.
 * @param events  of poll(2): POLLIN, POLLOUT, or'ed.
 * @return what has happened, a set of events above 0, which may have POLLERR and POLLHUP in it
 *         unasked; -ETIME; -ECANCELED; -EBADF.
 * \context{In a task. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_fd_wait(int fd, unsigned events, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_READY_H */
