/* SPDX-License-Identifier: MIT */
/*
 * Services: one instance of an object of yours on every shard, started, called and
 * stopped as one.
 *
 *     static int create(void **instance, void *arg) { ... }     runs on every shard
 *     static void destroy(void *instance) { ... }
 *     static int add(void *instance, void *arg) { ... }
 *
 *     struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
 *
 *     options.name = "counter";
 *     options.create = create;
 *     options.destroy = destroy;
 *     r = rt_service_start(&counter, &options, NULL, 0, RT_NEVER);
 *     r = rt_service_call_key(counter, "apples", 6, add, &amount, &result, RT_NEVER);
 *     r = rt_service_stop(counter, rt_in(RT_SECONDS(1)));
 *
 *     STOPPED --start--> STARTING --> RUNNING --stop--> STOPPING --> STOPPED
 *        ^                  | one could not be made        ^
 *        +------------------+                              +-- all first tasks have returned
 *
 * A call runs fn(instance, arg) on a shard, with that shard's instance. While it
 * lasts the instance stays: a stop lets no new call in, waits for those inside, and
 * destroys only then. So an instance is never gone under a call that waits.
 *
 * A handle stays valid until the runtime has ended. A stopped service may be started
 * again, by the same name; it is the same handle then.
 *
 * Services that still run when the last first task has returned are stopped then, in
 * reverse order of start, while shards still talk to each other. A start or a stop that another
 * task is in by then is hurried: after the service's grace the calls inside, and what is being
 * made, are cancelled.
 */
#ifndef RT_SERVICE_H
#define RT_SERVICE_H

#include "rt/base.h"
#include "rt/call.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One object per shard. */
struct rt_service;

/** What is called: runs on the instance's shard, in a task of its own or the caller's. */
typedef int (*rt_service_fn)(void *instance, void *arg);

/** Services that one service may depend on. */
#define RT_SERVICE_DEPENDS_MAX 8

/** Names that the services of a runtime may have, stopped ones included. */
#define RT_SERVICES_MAX 1000

/** Bytes of a name, with its end. */
#define RT_SERVICE_NAME_BYTES 32

/** What a service is; start from RT_SERVICE_OPTIONS_INIT. A field of 0 means the default. */
struct rt_service_options {
    uint32_t size;          /* sizeof(struct rt_service_options) */
    uint32_t depends_count; /* of depends_on */
    const char *name;       /* 1..RT_SERVICE_NAME_BYTES - 1 bytes, copied; no other has it */

    /* Make the shard's instance: 0, with *instance set, or a negative errno value. May wait. */
    int (*create)(void **instance, void *arg);

    /* Runs on the instance's shard, with no call inside; may wait, and is not cancelled. */
    void (*destroy)(void *instance);

    /* These must run now, and cannot be stopped before this one is. Copied. */
    struct rt_service *const *depends_on;

    /* How long calls may go on when the end of the first tasks stops the service; a length.
     * 0: they are cancelled at once, as all tasks are then. */
    rt_time grace;
};

#define RT_SERVICE_OPTIONS_INIT \
    { (uint32_t)sizeof(struct rt_service_options), 0, NULL, NULL, NULL, NULL, 0 }

/**
 * Make an instance on every shard, side by side. All or nothing.
 *
 * When one cannot be made, those that were are destroyed, the highest shard first. Each
 * instance has a task that waits on its shard for the stop, and counts in config.tasks_max. It
 * belongs to the queue in which create ran: the caller's keeps it (rt_taskq_destroy()).
 *
 * @param out        gets the service, on success only.
 * @param options    read before the call returns.
 * @param args       shard i's create gets args + i * arg_bytes. Lent until this returns.
 * @param arg_bytes  0: all get `args` itself.
 * @param deadline   past it, or when the caller is cancelled, what is being made is cancelled.
 * @return 0; the first error in order of shards: what create returned, or as of rt_call();
 *         -EEXIST when a service of the name has not stopped; -EINVAL for a name or a grace out of
 *         range, too many dependencies, or one that does not run; -ENOSPC for a name beyond
 *         RT_SERVICES_MAX, as the one before with a text in the log; -ESHUTDOWN when all first
 *         tasks have returned; -ENOMEM; -E2BIG as of rt_spawn_with().
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_start(struct rt_service **out, const struct rt_service_options *options, void *args,
                     size_t arg_bytes, rt_time deadline);

/**
 * Stop: refuse new calls on every shard, wait until those inside have returned, then
 * destroy the instances, the highest shard first.
 *
 * Works in a cancelled task too. Calls that are inside at the deadline are cancelled,
 * as by rt_scope_cancel(), and then waited for: so this may outlast its deadline.
 *
 * @param deadline  0: cancel at once.
 * @return 0; -EBUSY when a service that depends on this one has not stopped; -EALREADY when
 *         it does not run: another task stops it, or has.
 * \context{In a task, but not in a call of this service: that would wait for itself. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_stop(struct rt_service *service, rt_time deadline);

/**
 * The running service of that name.
 *
 * Takes no lock, but looks at each name in turn: find once, and keep the handle.
 *
 * @return NULL when there is none: not started yet, or stopped.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_service *rt_service_find(const char *name);

/**
 * The calling shard's instance.
 *
 * Outside of a call, and of what the instance itself owns, it is there until the task
 * waits next: a stop may come meanwhile. A call to one's own shard keeps it.
 *
 * @return NULL when there is none here.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void *rt_service_local(const struct rt_service *service);

/**
 * Run fn(instance, arg) on a shard, with its instance, and wait for the result.
 *
 * Deadline, cancel and limits are those of rt_call(). On the caller's own shard it runs at
 * once, in the caller's task.
 *
 * @param shard   0..rt_shard_count() - 1; another number aborts.
 * @param result  gets what `fn` returned, on success only; may be NULL. When a stop has cancelled
 *                the call, that is mostly -ECANCELED.
 * @return as rt_call(); -ESHUTDOWN also when the service does not run: `fn` did not run.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_call(struct rt_service *service, uint32_t shard, rt_service_fn fn, void *arg,
                    int *result, rt_time deadline);

/**
 * Send a call and go on without waiting for its result, as rt_call_begin() does.
 *
 * @return as rt_call_begin(). On 0 it must be ended with rt_call_end(), by the same task. That
 *         returns -ESHUTDOWN also when the service did not run: then `fn` did not run either.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_call_begin(struct rt_call *call, struct rt_service *service, uint32_t shard,
                          rt_service_fn fn, void *arg, rt_time deadline);

/**
 * The shard that owns a key: the jump consistent hash (Lamping and Veach, 2014) of the
 * key's SipHash-2-4, under the key of that paper's test vectors: bytes 0, 1 ... 15.
 *
 * The same on every machine, in every run and version: data may be stored by it. With one
 * shard more, only one key of so many moves. The hash is no secret: whoever chooses keys can aim
 * all of them at one shard. Where that matters, hash under a key of your own, and ask
 * rt_service_owner_of().
 *
 * @return 0..rt_shard_count() - 1.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
uint32_t rt_service_owner(const struct rt_service *service, const void *key, size_t bytes);

/**
 * The shard that owns a number: its jump consistent hash. For numbers, and hashes of one's own.
 *
 * @return 0..rt_shard_count() - 1.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
uint32_t rt_service_owner_of(const struct rt_service *service, uint64_t number);

/**
 * rt_service_call() to the shard that owns the key, as rt_service_owner() says.
 *
 * @return as rt_service_call().
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_call_key(struct rt_service *service, const void *key, size_t bytes, rt_service_fn fn,
                        void *arg, int *result, rt_time deadline);

/**
 * Run fn(instance, argument) on every shard at once, and wait for all, as rt_call_each() does.
 *
 * @param parts      rt_shard_count() of them; part i says what has become of shard i: `error` is
 *                   -ESHUTDOWN where the service did not run, `arg` is that shard's argument.
 * @param args       shard i gets args + i * arg_bytes. Lent until this returns.
 * @param arg_bytes  0: all get `args` itself, at the same time: they read it only, or by atomics.
 * @return 0 when every function ran to its end; else the first part's error, in order of shards.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_call_all(struct rt_service *service, struct rt_call_part *parts, rt_service_fn fn,
                        void *args, size_t arg_bytes, rt_time deadline);

/**
 * As rt_service_call_all(), and fold the parts whose functions ran, in order of shards, in the
 * caller's task, as rt_map_reduce() does.
 *
 * @param reduce  is given parts as they are when this returns; NULL: there is no fold.
 * @param into    what `reduce` is given to fold into.
 * @return as rt_service_call_all(). After an error `into` holds the other parts.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_service_map_reduce(struct rt_service *service, struct rt_call_part *parts, rt_service_fn map,
                          void *args, size_t arg_bytes, rt_reduce_fn reduce, void *into,
                          rt_time deadline);

/** Of a service. */
enum rt_service_state {
    RT_SERVICE_STOPPED,
    RT_SERVICE_STARTING,
    RT_SERVICE_RUNNING,
    RT_SERVICE_STOPPING,
};

/** One shard's part of a service. Counts are of all starts together. */
struct rt_service_stats {
    enum rt_service_state state; /* of the service as a whole */
    uint32_t in_flight;          /* calls that are inside */
    uint64_t done;               /* calls whose function has returned */
    uint64_t errors;             /* of those, calls whose function returned below 0 */
    uint64_t refused;            /* calls that found no instance, or one that stops */
};

/**
 * What a shard's instance does. The counters of another shard are a moment old, each by itself.
 *
 * @param shard  0..rt_shard_count() - 1; another number aborts.
 * @param out    filled up to `bytes`.
 * @param bytes  sizeof(struct rt_service_stats) of the caller.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_service_stats(const struct rt_service *service, uint32_t shard,
                      struct rt_service_stats *out, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RT_SERVICE_H */
