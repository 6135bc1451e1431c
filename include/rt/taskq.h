/* SPDX-License-Identifier: MIT */
/*
 * Task queues: how the tasks of one shard share its core.
 *
 * Each task belongs to a queue, and a queue runs its tasks first in, first out.
 * Between queues the scheduler divides the core by shares: two queues that are
 * always busy and have 1000 and 3000 get a quarter and three quarters of the CPU
 * time. What a queue leaves, the others get.
 *
 *     struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
 *     struct rt_taskq *compaction;
 *
 *     options.name = "compaction";
 *     options.shares = 200;
 *     r = rt_taskq_create(&compaction, &options);
 *     ...
 *     r = rt_spawn_in(&task, compaction, compact, table);
 *
 * A queue that slept gets no time back for it, and one that took more than its
 * shares before it slept still owes that when it wakes.
 *
 * A latency goal makes a queue quick, not rich: when a task of it becomes
 * runnable, it is the next to run if the queue has not had its shares yet, and
 * the tasks of others are asked to yield (rt_should_yield()). While a shard has
 * a queue with a goal, nobody's slice is longer than the smallest goal.
 *
 * The shares govern a queue's part of a disk in the same way, where its tasks read
 * and write direct files (O_DIRECT), once config.disk_models says what disks can do:
 * while a disk has more to do than it can, the queues get of it by their shares, on
 * one shard and between shards. What the page cache does is the kernel's, and
 * nobody's here.
 *
 * A queue may be part of another one, on one level: the parent's shares say what
 * its children get together, and theirs divide that. A parent has no tasks of
 * its own.
 */
#ifndef RT_TASKQ_H
#define RT_TASKQ_H

#include "rt/base.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A task queue. Belongs to the shard that made it. */
struct rt_taskq;

#define RT_SHARES_MIN     1
#define RT_SHARES_MAX     10000
#define RT_SHARES_DEFAULT 1000

/** The shortest latency goal: below it, switching would take a good part of the time. */
#define RT_LATENCY_MIN RT_MICROSECONDS(20)

/** The most bytes of a queue's name that are kept, with the 0 at its end. */
#define RT_TASKQ_NAME_BYTES 32

/**
 * Says how many shares a queue has now.
 *
 * Called by the scheduler every 250 ms while the queue is runnable, outside of
 * any task: it may not call anything that needs one. What it gives is brought
 * into RT_SHARES_MIN..RT_SHARES_MAX.
 *
 * @param now  the clock at the start of this turn.
 */
typedef uint32_t (*rt_shares_fn)(void *arg, rt_time now);

/** How to make a task queue; start from RT_TASKQ_OPTIONS_INIT. A field of 0 means the default. */
struct rt_taskq_options {
    uint32_t size;          /* sizeof(struct rt_taskq_options) */
    uint32_t shares;        /* RT_SHARES_MIN..RT_SHARES_MAX; default 1000. At first, if shares_fn */
    const char *name;       /* shown in dumps and reports; up to 31 bytes are copied */
    rt_time latency;        /* goal; RT_LATENCY_MIN or more; 0 = none */
    rt_shares_fn shares_fn; /* NULL: the shares stay until rt_taskq_set_shares() */
    void *shares_arg;       /* given to shares_fn */
    struct rt_taskq *parent;           /* NULL = none; a queue without tasks and without a parent */
    uint64_t disk_bytes_per_second;    /* limit for direct files, of each disk; 0 = none */
    uint64_t disk_requests_per_second; /* likewise */
};

#define RT_TASKQ_OPTIONS_INIT \
    { (uint32_t)sizeof(struct rt_taskq_options), 0, NULL, 0, NULL, NULL, NULL, 0, 0 }

/**
 * Make a task queue on this shard.
 *
 * There may be any number; choosing the next one looks at each that is runnable.
 *
 * @param out      gets the queue, on success only.
 * @param options  read before the call returns; NULL = all defaults.
 * @return 0; -EINVAL for shares or a latency out of range, for a parent that has a
 *         parent or tasks, or is the default queue; -ENOMEM; -E2BIG for options of a
 *         newer library.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_taskq_create(struct rt_taskq **out, const struct rt_taskq_options *options);

/**
 * Take a queue away.
 *
 * Queues that are left when the executor ends go with it.
 *
 * @return 0; -EBUSY while tasks belong to it (also ended ones whose handle has not), or
 *         queues have it as parent; -EINVAL for the default queue, and for one that
 *         rt_taskq_create_all() made.
 * \context{In a task of the queue's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_taskq_destroy(struct rt_taskq *queue);

/**
 * Change the shares; from now on. A shares_fn that the queue has is called no more.
 *
 * @return 0; -EINVAL when out of range.
 * \context{In a task of the queue's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_taskq_set_shares(struct rt_taskq *queue, uint32_t shares);

/**
 * Change the latency goal; from now on.
 *
 * @param latency  nanoseconds, RT_LATENCY_MIN or more; 0 = none.
 * @return 0; -EINVAL when out of range.
 * \context{In a task of the queue's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_taskq_set_latency(struct rt_taskq *queue, rt_time latency);

/**
 * Change the limits of what the queue's tasks read and write on direct files; from its next
 * request on. Each disk has its own count, and so has each shard; a parent's limits are of all its
 * children together.
 *
 * @param bytes_per_second, requests_per_second  0 = no limit.
 * @return 0.
 * \context{In a task of the queue's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
int rt_taskq_set_disk_limits(struct rt_taskq *queue, uint64_t bytes_per_second,
                             uint64_t requests_per_second);

/**
 * Make a queue on every shard of the runtime, with the same number.
 *
 * A call or post to another shard runs in the queue there that has the number of
 * the caller's queue, and in the default queue if there is none. So a service
 * whose parts call each other keeps its shares on the whole way.
 *
 * shares_fn is called on each shard; a parent must be NULL or made by this call.
 *
 * A number is used again once no shard has it. A post of a task of the old queue that is
 * still on its way then runs in the new one.
 *
 * @param id       gets the number, on success only; above 0.
 * @param options  must stay valid until the call returns.
 * @return 0; as rt_taskq_create(), of whichever shard it failed on: then no shard has it;
 *         -EAGAIN when 4095 numbers are in use;
 *         -ECANCELED when the caller was cancelled; -ESHUTDOWN when the runtime is stopping.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_taskq_create_all(uint32_t *id, const struct rt_taskq_options *options);

/**
 * Take a queue of rt_taskq_create_all() away on every shard.
 *
 * @return 0; -EBUSY while on some shard tasks belong to it, or queues have it as parent:
 *         there it stays, and mostly everywhere, and the call can be made again; -EINVAL
 *         when no queue has the number, or another task makes it or takes it away;
 *         -ECANCELED when the caller was cancelled; -ESHUTDOWN when the runtime is stopping.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_taskq_destroy_all(uint32_t id);

/**
 * The queue of this shard with the number of rt_taskq_create_all(); 0 is the default queue.
 *
 * @return NULL when there is none.
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_taskq *rt_taskq_of_id(uint32_t id);

/**
 * The queue of the running task.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_taskq *rt_taskq_self(void);

/**
 * As rt_spawn(), in a queue that is named.
 *
 * @param queue  of this shard; not one that is a parent.
 * @return as rt_spawn(); -EINVAL for a parent.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_spawn_in(struct rt_task **out, struct rt_taskq *queue, rt_task_fn fn, void *arg);

/** What a queue counted so far, and how full it is. Grows at the end in later versions. */
struct rt_taskq_stats {
    char name[RT_TASKQ_NAME_BYTES];
    uint32_t id;         /* of rt_taskq_create_all(); 0: the default queue, or it has none */
    uint32_t shares;     /* now */
    rt_time latency;     /* goal, or 0 */
    uint32_t members;    /* tasks that belong to it */
    uint32_t length;     /* of these, tasks that are runnable and do not run */
    rt_time run;         /* CPU time that was charged to it */
    rt_time wait;        /* time in which it was runnable and another one ran */
    uint64_t runs;       /* times a task was started or continued */
    uint64_t switches;   /* times it was chosen while another one had run before */
    uint64_t slices_cut; /* times its slice ended early, for a queue with a latency goal */
    uint64_t stalls;     /* times a task of it held the core too long (rt/stall.h) */

    /* of transfers on direct files, of all disks together */
    uint64_t disk_requests; /* that a disk was given */
    uint64_t disk_bytes;    /* of these */
    rt_time disk_wait;      /* that they waited for their turn at the disk; sum */
    rt_time disk_time;      /* that the disk took for them, as far as known; sum */
};

/**
 * The counters of a queue.
 *
 * @param out    gets as much as fits into `bytes`; what is beyond this library's is zeroed.
 * @param bytes  sizeof(struct rt_taskq_stats) of the caller.
 * \context{In a task of the queue's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_taskq_stats(const struct rt_taskq *queue, struct rt_taskq_stats *out, size_t bytes);

/**
 * The queues of this shard, one after the other, in the order in which they were made.
 *
 * @param previous  NULL for the first, which is the default queue.
 * @return the next, or NULL after the last.
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_taskq *rt_taskq_next(const struct rt_taskq *previous);

#ifdef __cplusplus
}
#endif

#endif /* RT_TASKQ_H */
