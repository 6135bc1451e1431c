/* SPDX-License-Identifier: MIT */
/*
 * Blocking pool: threads that run what would block a shard; one pool per mesh.
 *
 * A job lies in the frame of the task that waits for it. It stands in a queue
 * under a mutex; a thread takes it out, runs it, marks it done and wakes the task
 * through the wake map. Nothing here is hot: a job costs a switch of threads.
 *
 *          push              a thread takes it            fn has returned
 *   made ---------> WAITING ------------------> RUNNING -----------------> DONE
 *                      | deadline or cancel
 *                      +------------------------------> taken out by its task
 *
 * The mutex covers all of the pool and the state of every job.
 *
 * G1 While a job is WAITING there is a thread that looks at the queue before it
 *    idles or ends. Whoever pushes wakes an idle thread, or makes one, or all that
 *    may be are at work; with no thread at all he does not push.
 * G2 Once a job is DONE no thread touches it; before, its task does not leave the
 *    frame, but by taking it out while it is WAITING.
 * G3 A wake may be spurious: the task looks at the state, and waits again. It is
 *    marked DONE before the wake, so the last wake finds it so.
 * G4 A thread wakes a task only before it is joined, which is before the table of
 *    tasks and the mesh are freed.
 */
#ifndef RTI_CROSS_BLOCKING_H
#define RTI_CROSS_BLOCKING_H

#include <pthread.h>
#include <sched.h>

#include "base/list.h"
#include "base/log.h"
#include "core/wait.h"
#include "rt/blocking.h"

struct rt_config;
struct rti_worker;

struct rti_blocking {
    pthread_mutex_t mutex;
    struct rti_log log;
    struct rti_list jobs;       /* WAITING, oldest first */
    struct rti_list idle;       /* threads; who has idled least is last, and goes first */
    struct rti_worker *workers; /* `threads_limit` of them; NULL: there was no job yet */
    cpu_set_t *cpus;            /* where threads run; NULL: anywhere */
    size_t cpus_bytes;
    struct rt_blocking_stats stats;
    uint32_t threads_limit;
    uint32_t queue_limit;
    bool stops;
};

/* `config` is complete. */
void rti_blocking_init(struct rti_blocking *pool, const struct rt_config *config);

/* End the threads and join them. No task lives, and none of their memory has been freed (G4). */
void rti_blocking_stop(struct rti_blocking *pool);

/* After the stop, or when there never was a job. */
void rti_blocking_fini(struct rti_blocking *pool);

/* A kind of call, by its name in dumps: for rti_blocking_call(), which is rt_blocking() else. */
#define RTI_BLOCKING_KIND(text) \
    { .name = (text), .leave = rti_blocking_leave, .any_wake_is_event = true }
void rti_blocking_leave(struct rti_waiter *waiter);

int rti_blocking_call(const struct rti_wait_kind *kind, rt_blocking_fn fn, void *arg, int *result,
                      rt_time deadline);

#endif /* RTI_CROSS_BLOCKING_H */
