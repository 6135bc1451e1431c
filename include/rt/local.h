/* SPDX-License-Identifier: MIT */
/*
 * Task-locals: a few pointers that follow a task, and the tasks that it spawns.
 *
 *     static int trace_id;                            once, before rt_start()
 *     trace_id = rt_local_create();
 *
 *     rt_local_set(trace_id, request);                in the task that serves a request
 *     rt_local_get(trace_id);                         in every task that it spawns from then on
 *
 * A task gets its spawner's values when it is spawned; from then on each sets its
 * own. What a value points to is the program's business: it must live as long
 * as any task that may ask for it. A call to another shard inherits nothing. Tasks
 * that have no value pay nothing; the first value costs a small block.
 */
#ifndef RT_LOCAL_H
#define RT_LOCAL_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** So many keys there are in a process. */
#define RT_LOCALS_MAX 8

/**
 * Make a key. There is no way to give it back.
 *
 * @return the key, 0..RT_LOCALS_MAX - 1; -EAGAIN when there are no more.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_local_create(void);

/**
 * The running task's value.
 *
 * @return NULL until it, or whoever it was inherited from, has set one.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void *rt_local_get(int key);

/**
 * Set the running task's value.
 *
 * @return 0; -ENOMEM, and nothing has changed.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_local_set(int key, void *value);

#ifdef __cplusplus
}
#endif

#endif /* RT_LOCAL_H */
