/* SPDX-License-Identifier: MIT */
/*
 * Mesh: channels from each of some shards to each of some others.
 *
 *     static int work(void *arg)                    on every shard
 *     {
 *         struct rt_mesh *mesh = arg;
 *         struct rt_spsc *to_3;
 *
 *         r = rt_mesh_sender(&to_3, mesh, 3);       then rt_spsc_send(to_3, ...)
 *         rt_mesh_close_senders(mesh);              nothing more comes from here
 *         while ((n = rt_mesh_recv_any(mesh, items, 64, &from, RT_NEVER)) > 0) { ... }
 *         rt_mesh_leave(mesh, rt_shard_index());
 *     }
 *
 *     struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;       on one of them
 *
 *     options.item_bytes = sizeof(struct item);
 *     options.capacity = 256;
 *     r = rt_mesh_create(&mesh, &options);          every shard with every one
 *     ...                                           work(mesh) on each, by rt_call_begin()
 *     rt_mesh_destroy(mesh);                        when all have left
 *
 * The mesh is there as soon as it is made: no shard waits for another one to
 * join, and none need be there at all. Between two shards is a channel as of
 * rt/spsc.h, also from a shard to itself, and all that is said there is true of
 * it; but it stays until the mesh is destroyed, and closing an end twice is
 * closing it once. A channel takes memory from its first use on.
 *
 * A handler that sends to shards which send to it may wait for ever when all
 * channels are full: let another task receive, or give sends a deadline.
 */
#ifndef RT_MESH_H
#define RT_MESH_H

#include "rt/base.h"
#include "rt/spsc.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Channels between the shards of two sets. */
struct rt_mesh;

/** How a mesh is made. Start from RT_MESH_OPTIONS_INIT. */
struct rt_mesh_options {
    uint32_t size;             /* sizeof(struct rt_mesh_options) */
    uint32_t capacity;         /* items that may wait from one shard to one other, as of
                                  rt_spsc_create() */
    uint32_t producer_count;   /* how many `producers` names; not read when that is NULL */
    uint32_t consumer_count;   /* likewise */
    const uint32_t *producers; /* numbers of the shards that send; NULL: every shard */
    const uint32_t *consumers; /* and of those that receive; NULL: every shard */
    size_t item_bytes;         /* of an item; as of rt_spsc_create() */
    const char *name;          /* for messages, cut to 31 bytes; copied; NULL: "mesh" */
};

#define RT_MESH_OPTIONS_INIT \
    { (uint32_t)sizeof(struct rt_mesh_options), 0, 0, 0, NULL, NULL, 0, NULL }

/**
 * Make a mesh.
 *
 * @param out      gets the mesh, on success only; its shards get it from the caller.
 * @param options  copied.
 * @return 0; -EINVAL for sizes that are out of range, an empty set, a shard that is not there or
 *         is named twice, with a text in config.log; -E2BIG for options of a newer library;
 *         -ENOMEM.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_mesh_create(struct rt_mesh **out, const struct rt_mesh_options *options);

/**
 * Free a mesh with its channels. Items that were not received are dropped.
 *
 * Nobody may use it any more: a shard that has used it must have left. NULL is allowed.
 *
 * \context{In a task, on any shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_mesh_destroy(struct rt_mesh *mesh);

/**
 * The channel from the calling shard to another one, for the sending functions of rt/spsc.h. The
 * same each time, so it may be kept.
 *
 * @param out  gets the channel, on success only.
 * @param to   a shard that receives; another one aborts, and so does a caller that is no sender.
 * @return 0; -ENOMEM. A receiver that has closed is told by rt_spsc_send().
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_mesh_sender(struct rt_spsc **out, struct rt_mesh *mesh, uint32_t to);

/**
 * The channel to the calling shard from another one, for the receiving functions of rt/spsc.h. From
 * then on its items come by these only: rt_mesh_recv_any() leaves the shard out.
 *
 * @param out   gets the channel, on success only.
 * @param from  a shard that sends; another one aborts, and so does a caller that is no receiver.
 * @return 0; -ENOMEM.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_mesh_receiver(struct rt_spsc **out, struct rt_mesh *mesh, uint32_t from);

/**
 * Send the same items to every shard that receives and has not closed.
 *
 * Goes from one to the next and waits for room as it must, so the slowest sets the pace.
 *
 * @param items     `count` of them, one behind the other; copied.
 * @param deadline  0 = none is waited for.
 * @return 0; -EPIPE when all have closed; -ETIME, -ECANCELED or -ENOMEM: some got all of the
 *         items, one of them perhaps a part, and the others none. That is not taken back.
 * \context{In one task at a time, on a shard that sends. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_mesh_send_all(struct rt_mesh *mesh, const void *items, size_t count, rt_time deadline);

/**
 * Receive items from whoever has sent some: of one shard, at least one, at most `count`.
 *
 * Shards that have something take turns. What a look costs does not grow with those that have
 * nothing. Those that were asked for by rt_mesh_receiver() are left out.
 *
 * @param items     room for `count` items; `count` must be above 0.
 * @param from      gets the number of the shard, on success above 0 only; may be NULL.
 * @param deadline  0 = only what is there.
 * @return how many were received; 0 when every shard that sends, the caller's own if it does, has
 *         closed its end or is left out, and everything was received; -ETIME; -ECANCELED.
 *         No item is lost then.
 * \context{In one task at a time, on a shard that receives. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_mesh_recv_any(struct rt_mesh *mesh, void *items, size_t count, uint32_t *from,
                         rt_time deadline);

/**
 * Close every sending end of the calling shard. Works in a cancelled task too. Does nothing on a
 * shard that does not send.
 *
 * \context{In a task; no other one may be sending. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_mesh_close_senders(struct rt_mesh *mesh);

/**
 * Close every receiving end of the calling shard: its senders get -EPIPE, and items that were not
 * received are dropped. Works in a cancelled task too. Does nothing on a shard that does not
 * receive.
 *
 * \context{In a task; no other one may be receiving. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_mesh_close_receivers(struct rt_mesh *mesh);

/**
 * Close every end of a shard, of both kinds: it neither sends nor receives any more, and the
 * others learn that. Twice is once. Works in a cancelled task too.
 *
 * @param shard  the calling one; or another one that has not used the mesh and will not, because
 *               it could not be reached, say: then nobody waits for it. One shard leaves for it.
 * \context{In a task; no other one may be in a call on these ends. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_mesh_leave(struct rt_mesh *mesh, uint32_t shard);

#ifdef __cplusplus
}
#endif

#endif /* RT_MESH_H */
