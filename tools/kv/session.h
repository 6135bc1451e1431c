/* SPDX-License-Identifier: MIT */
/*
 * Session: one connection, and the task that serves it.
 *
 *     receive -> requests -> round -> send -> receive ...
 *
 * How a session ends when the server stops. A session that waits for its peer
 * holds nothing that was received, so its task is cancelled. A cancelled task
 * cannot call other shards or send, and bytes may have come in the moment of
 * the cancel: so the session passes to a fresh task, which takes what the
 * kernel has received, answers it, and ends. A session that is at work is left
 * alone: it does the same when it comes to receive again.
 *
 * E1 session_drain() cancels a task only while it is in rt_tcp_recv(), so no call
 *    and no send is broken off before SHARD_CLOSING.
 * E2 A session is in shard->sessions from its start to its end, whichever task
 *    serves it, and the drainer is woken when the last one has left.
 */
#ifndef KV_SESSION_H
#define KV_SESSION_H

#include <rt/rt.h>

#include "shard.h"

/* Serve a new connection, for which server_enter() was true; it ends with server_leave(). 0; or an
 * error, and it is closed and the caller leaves. */
int session_start(struct shard *shard, struct rt_tcp_stream *peer);

/* Let those that wait for their peers end. */
void session_drain(struct shard *shard);

/* Let all end now. */
void session_cancel_all(struct shard *shard);

#endif /* KV_SESSION_H */
