/* SPDX-License-Identifier: MIT */
/*
 * Home: an object that was handed to another shard is freed where it was made.
 *
 *     struct order {
 *         struct rt_home_node node;
 *         ...
 *     };
 *
 *     static void put_back(struct rt_home_node *node)       on the shard that made it
 *     {
 *         pool_put(&orders, (struct order *)node);
 *     }
 *
 *     shard 0                                  shard 1
 *     order = pool_get(&orders);
 *     rt_home_init(&order->node, put_back);
 *     rt_spsc_send(to_1, &order, 1, ...);
 *                                              rt_spsc_recv(from_0, &order, 1, ...);
 *                                              rt_home_free(&order->node);
 *
 * A pointer that is sent hands over what it points to. Memory from malloc() may
 * be freed on any shard; what belongs to a shard, its pools, counters, files, may
 * not. The owner, whoever that is at last, calls rt_home_free(), which never
 * fails, waits or takes memory: it links the node, and one message takes all that
 * a turn has freed to each shard.
 */
#ifndef RT_HOME_H
#define RT_HOME_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rt_home_node;

/**
 * Frees the object that has the node. Runs in its home shard's loop, or in the task that
 * frees it there. It is short, must not suspend, and may call rt_home_free() and what may be
 * called from any thread. While a runtime ends, the last ones may run on the thread that ends it,
 * when no shard runs any more.
 */
typedef void (*rt_home_fn)(struct rt_home_node *node);

/** Lies in the object. */
struct rt_home_node {
    /* private */
    struct rt_home_node *next;
    rt_home_fn fn;
    void *home;
};

/**
 * Make the calling shard the home of an object.
 *
 * @param fn  frees it.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_home_init(struct rt_home_node *node, rt_home_fn fn);

/**
 * Free an object at its home: now if that is the calling shard, else soon. What the caller has
 * written to it is seen there. The same object twice aborts if it is noticed.
 *
 * \context{In a task of the same runtime, also a cancelled one, or in an rt_home_fn. Does not
 * suspend.}
 */
RT_API RT_ON_SHARD
void rt_home_free(struct rt_home_node *node);

#ifdef __cplusplus
}
#endif

#endif /* RT_HOME_H */
