/* SPDX-License-Identifier: MIT */
/*
 * Channel: items of one size, from many tasks to many, all on one shard.
 *
 *     struct rt_chan *jobs;
 *     int r = rt_chan_create(&jobs, sizeof(struct job), 64);
 *
 *     r = rt_chan_send(jobs, &job, RT_NEVER);             waits while 64 are in it
 *
 *     while (rt_chan_recv(jobs, &job, RT_NEVER) == 0) {   in as many tasks as you like
 *         ...
 *     }
 *
 *     rt_chan_close(jobs);      nothing more comes; what is in it is still received
 *     rt_chan_destroy(jobs);    when no task uses it any more
 *
 * Items come out in the order in which they went in. Tasks that wait are served
 * in the order in which they came: an item goes straight into the memory of the
 * receiver that waits first, and room goes to the sender that waits first. A
 * receiver that was handed an item, or a sender whose item was taken, gets 0, also
 * if it was cancelled or its deadline passed just then: nothing is lost, nothing comes twice.
 *
 * Items are copied. A pointer that is sent hands over what it points to. A
 * cancelled task may send and receive as far as it need not wait. Between two shards
 * use rt/spsc.h.
 */
#ifndef RT_CHANNEL_H
#define RT_CHANNEL_H

#include "rt/base.h"
#include "rt/future.h"
#include "rt/select.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A channel between tasks of one shard. */
struct rt_chan;

/**
 * Make a channel of the calling shard.
 *
 * @param out         gets the channel, on success only.
 * @param item_bytes  size of an item, 1..65536; 8 is the fastest.
 * @param capacity    items that may be in it, 1..2^31 / item_bytes.
 * @return 0; -EINVAL for a size out of range, with a text in config.log; -ENOMEM.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_chan_create(struct rt_chan **out, size_t item_bytes, size_t capacity);

/**
 * Free the channel. Items that are in it are dropped: receive them first if they own something.
 *
 * Aborts while a task waits for it: close it before, and let them go.
 *
 * @param chan  NULL does nothing.
 * \context{In a task of the channel's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_chan_destroy(struct rt_chan *chan);

/**
 * Send an item, waiting for room as long as there is none.
 *
 * @param deadline  0 = only if there is room.
 * @return 0; -ETIME; -ECANCELED; -EPIPE when the channel is closed. On failure the item
 *         was not taken, and what it owns is still the caller's.
 * \context{In a task of the channel's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_chan_send(struct rt_chan *chan, const void *item, rt_time deadline);

/**
 * Receive the oldest item, waiting for one as long as there is none.
 *
 * @param item      gets it, on success only.
 * @param deadline  0 = only if there is one.
 * @return 0; -ETIME; -ECANCELED; -EPIPE when the channel is closed and all was received.
 * \context{In a task of the channel's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_chan_recv(struct rt_chan *chan, void *item, rt_time deadline);

/**
 * No more sends: what is in the channel is still received, then receivers get -EPIPE.
 *
 * Senders that wait get -EPIPE, receivers that wait too. Any task may close, and closing what
 * is closed does nothing. Works in a cancelled task too.
 *
 * \context{In a task of the channel's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_chan_close(struct rt_chan *chan);

/**
 * How many items are in the channel, those of waiting senders not counted.
 *
 * \context{In a task of the channel's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
size_t rt_chan_length(const struct rt_chan *chan);

/**
 * The case that an item can be sent; when it happens it is.
 *
 * @param item  what it points to is read in rt_select(), not here.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_chan_send(struct rt_chan *chan, const void *item);

/**
 * The case that an item can be received; when it happens it is in `item`.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_case rt_case_chan_recv(struct rt_chan *chan, void *item);

/**
 * As rt_chan_send(), from a poll function.
 *
 * @param item  must live in the future's memory, unchanged until the result.
 * @return RT_PENDING; as rt_chan_send().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_chan_send(struct rt_future *future, struct rt_chan *chan, const void *item,
                      rt_time deadline);

/**
 * As rt_chan_recv(), from a poll function.
 *
 * @param item  must live in the future's memory. A future that is cancelled may have got an item
 *              all the same: to keep it, call this once more in `drop`.
 * @return RT_PENDING; as rt_chan_recv().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_chan_recv(struct rt_future *future, struct rt_chan *chan, void *item, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_CHANNEL_H */
