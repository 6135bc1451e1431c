/* SPDX-License-Identifier: MIT */
/*
 * Channel between two shards: items of one size, from one task to one other.
 *
 *     shard 0                                      shard 1
 *     rt_spsc_create(&channel, sizeof(int), 1024);
 *     (hand `channel` to shard 1, by rt_call())
 *     rt_spsc_send(channel, &item, 1, NULL, RT_NEVER);
 *                                                  n = rt_spsc_recv(channel, items, 64, RT_NEVER);
 *     rt_spsc_close_sender(channel);
 *                                                  n == 0: closed, and all was received
 *                                                  rt_spsc_close_receiver(channel);
 *
 * A channel has two ends. Each is used by one task at a time, of the shard
 * that used it first, and closed once; the channel is gone when both ends are.
 * An end that was never used may be closed by any shard.
 *
 * Items are copied. A pointer that is sent hands over what it points to: it is
 * the receiver's from then on. Memory of malloc() may be freed on any shard; what
 * belongs to a shard goes home (rt/home.h). Sending single items is cheap: they are
 * published together, when the sender's shard ends its turn, after 16 of them, or after 50 us if
 * other tasks run meanwhile; items that are sent in one call are published at
 * once. A cancelled task may send and receive as far as it need not wait.
 */
#ifndef RT_SPSC_H
#define RT_SPSC_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A channel between two shards. */
struct rt_spsc;

/**
 * Make a channel.
 *
 * @param out         gets the channel, on success only.
 * @param item_bytes  size of an item, 1..65536.
 * @param capacity    items that may wait, 1..2^31 / item_bytes; rounded up to a power of two.
 * @return 0; -EINVAL for a size out of range, with a text in config.log; -ENOMEM.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_spsc_create(struct rt_spsc **out, size_t item_bytes, size_t capacity);

/**
 * Send items, waiting for room as long as there is none.
 *
 * @param items     `count` of them, one behind the other; copied.
 * @param done      gets how many were sent, also on failure; may be NULL.
 * @param deadline  0 = as many as there is room for.
 * @return 0 when all were sent; -ETIME; -ECANCELED; -EPIPE when the receiver has closed.
 * \context{In one task at a time, on the sender's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_spsc_send(struct rt_spsc *channel, const void *items, size_t count, size_t *done,
                 rt_time deadline);

/**
 * Receive items that are there: at least one, at most `count`. There may be more.
 *
 * @param items     room for `count` items; `count` must be above 0.
 * @param deadline  0 = only what is there.
 * @return how many were received; 0 when the sender has closed and everything was received;
 *         -ETIME; -ECANCELED. No item is lost then.
 * \context{In one task at a time, on the receiver's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_spsc_recv(struct rt_spsc *channel, void *items, size_t count, rt_time deadline);

/**
 * Publish what was sent, now.
 *
 * \context{On the sender's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_spsc_flush(struct rt_spsc *channel);

/**
 * Close the sending end: the receiver gets what was sent, then 0. No task may be
 * sending. Works in a cancelled task too.
 *
 * \context{On the sender's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_spsc_close_sender(struct rt_spsc *channel);

/**
 * Close the receiving end: the sender gets -EPIPE. Items not received are dropped:
 * what they own must have been received before. No task may be receiving. Works in a
 * cancelled task too.
 *
 * \context{On the receiver's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_spsc_close_receiver(struct rt_spsc *channel);

#ifdef __cplusplus
}
#endif

#endif /* RT_SPSC_H */
