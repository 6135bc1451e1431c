/* SPDX-License-Identifier: MIT */
/*
 * Loop: a shard on a thread that has an event loop already.
 *
 *     rt_time next = 0;
 *     int r = rt_loop_open(&loop, NULL, first, NULL);
 *     ...
 *     while (rt_loop_turn(loop, &next)) {
 *         wait until rt_loop_fd(loop) is readable, or it is `next`, or others of the
 *         program's descriptors are ready: by poll(2), epoll(7), libuv, GLib ...
 *     }
 *     r = rt_loop_close(loop);
 *
 * The loop is a runtime of one shard, whose turns the program makes. A turn runs what is
 * runnable, hands to the kernel what tasks want from it, and returns: it never sleeps.
 * What needs a task's attention afterwards (I/O that has ended, a wake, a submission, a
 * stop) makes the descriptor readable; a timer is told by `next`. So is I/O for which a device
 * is polled (rt_file_options.polled): while there is some, the next turn is due at once.
 *
 * Between turns the program's thread is no shard: it may use what any thread may,
 * rt_submit(), rt_wake() and rt_stop() with this loop or other runtimes, and other
 * calls abort.
 */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include <stdbool.h>

#include "rt/base.h"
#include "rt/executor.h"
#include "rt/start.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make a runtime of one shard that the calling thread turns; first(arg) is its first task,
 * which runs in the first turn.
 *
 * While it is open, the thread has what rt_run() gives it: an alternate signal stack, a
 * timer slack of 1 ns, a pin if config.cpus says so. config.spin is not heeded. The ring is
 * one without the feature defer_taskrun, which cannot be polled by all kernels: so a system
 * call of this thread may be interrupted by a completion, and epoll_wait(2) then gives EINTR.
 *
 * @param out  gets the runtime, on success only; ends with rt_loop_close().
 * @return 0, or an error as of rt_run(); -EBUSY also when this thread has a loop already.
 * \context{Any thread that runs no executor.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_loop_open(struct rt_runtime **out, const struct rt_config *config, rt_task_fn first,
                 void *arg);

/**
 * The descriptor to wait for: readable (POLLIN) when a turn is due. Level-triggered; it must be
 * neither read nor closed.
 *
 * \context{Any thread.}
 */
RT_API RT_ANY_THREAD
int rt_loop_fd(const struct rt_runtime *loop);

/**
 * Make one turn: run tasks, for about config.task_quota if they do not stop by themselves.
 *
 * @param next  gets the moment at which a turn is due, though the descriptor be not readable:
 *              in the past when it is at once, RT_NEVER when there is no timer.
 * @return true; false once no task lives and none will: then only rt_loop_close() is left.
 * \context{The thread that opened the loop, in no task.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
bool rt_loop_turn(struct rt_runtime *loop, rt_time *next);

/**
 * End the loop, and free it. Where it has not ended by itself it is stopped, as by rt_stop(),
 * and the call blocks until it has (config.stop_timeout).
 *
 * @return the result of the first task; 0 when that was cancelled and returned -ECANCELED.
 * \context{The thread that opened the loop, in no task, once. Other threads must have returned
 *          from their calls for it.}
 */
RT_API RT_ANY_THREAD
int rt_loop_close(struct rt_runtime *loop);

#ifdef __cplusplus
}
#endif

#endif /* RT_LOOP_H */
