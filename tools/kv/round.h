/* SPDX-License-Identifier: MIT */
/*
 * Round: the requests that one receive brought, answered in their order.
 *
 *     requests    GET a   PING   MGET b c   SET d
 *     parts       a              b  c       d
 *     batches     shard 0: a c    shard 1: b d
 *
 * 1. Each request is split into parts, one per key, and each part joins the
 *    batch of the shard that owns its key. What needs no key is answered at
 *    once, into `local`.
 * 2. The batches of the other shards are sent, each as one call, and are under
 *    way together.
 * 3. The requests are walked in their order. Parts of this shard run now, and
 *    answer straight into `out`; for others the walk waits until their batch is
 *    back, and copies.
 *
 * N1 A batch holds the parts of its shard in the order of the requests, and all
 *    shards run parts in order: so the walk needs no more than a position per
 *    batch, and requests of one connection that share a key happen in order.
 * N2 The strings of parts lie in the receive buffer, which must stay as it is
 *    until round_run() returns. Calls have ended then, also after an error.
 * N3 Replies take bounded memory however much is asked for: a shard stops
 *    running a batch when REPLY_BYTES_ENOUGH are answered, and is called again
 *    for the rest when the walk gets there; `out` is sent when it is long.
 * N4 All parts run, even if the peer is gone: what was received counts.
 */
#ifndef KV_ROUND_H
#define KV_ROUND_H

#include <rt/rt.h>
#include <stdint.h>

#include "buffer.h"
#include "part.h"
#include "server.h"
#include "slice.h"

/* How a reply is made of what the parts answered. */
enum join {
    JOIN_LOCAL, /* it has none: the reply is in `local` */
    JOIN_ONE,   /* the one part's answer is the reply */
    JOIN_ARRAY, /* the parts' answers are its elements */
    JOIN_SUM,   /* each answered an int64_t; their sum */
    JOIN_INFO,  /* each answered a struct info_shard */
};

struct request {
    enum join join;
    uint32_t parts;
    uint32_t local_len; /* JOIN_LOCAL: bytes of the reply. JOIN_INFO: of the section's name */
};

/* The parts of one shard. Lent to that shard while it is called, so it shares no cache line. */
struct batch {
    struct rt_call call __attribute__((aligned(64)));
    struct part *parts;
    uint32_t *answer_lens; /* of each part that was run: bytes of its answer in `reply` */
    uint32_t index;        /* of the shard that runs it */
    uint32_t count;
    uint32_t capacity;
    uint32_t done;   /* parts that were run */
    uint32_t walked; /* parts whose answers were taken */
    struct buffer reply;
    size_t reply_at; /* first byte that was not taken */
    bool under_way;  /* rt_call_end() is due */
    int error;       /* the parts that were not done cannot be, for this reason */
};

struct round {
    struct round *next; /* in the list of free ones */
    struct shard *shard;
    struct rt_tcp_stream *peer; /* may be NULL */
    int error;                  /* the first: a send that failed, or -ENOMEM */

    struct request *requests;
    uint32_t request_count;
    uint32_t request_capacity;
    uint32_t *routes; /* of each part in order: which shard */
    uint32_t route_count;
    uint32_t route_capacity;
    uint32_t route_walked;
    uint32_t *used; /* the shards that have a part in this round */
    uint32_t used_count;
    struct buffer local;
    size_t local_at; /* first byte that was not taken */
    struct buffer out;
    struct buffer answers;  /* of the parts of one request, where they are no reply */
    struct batch batches[]; /* one per shard */
};

/* A round for the requests of a peer; without one, replies are dropped. NULL without memory. Ends
 * with round_give(). */
struct round *round_take(struct shard *shard, struct rt_tcp_stream *peer);
void round_give(struct round *round);

/* Free those that nobody uses. */
void round_free_all(struct shard *shard);

/* Add a part to the batch of the key's shard, or of a shard by number. */
void round_add_key(struct round *round, part_fn run, struct slice key, struct slice value,
                   uint32_t flags);
void round_add_shard(struct round *round, part_fn run, uint32_t shard);

/* A request out of the parts since the last one, or of what was appended to `local`. */
void round_add_request(struct round *round, enum join join, uint32_t parts, uint32_t local_len);

/* Run all, and send the replies. 0; -ENOMEM, and perhaps not all were run; or an error of sending,
 * after which the peer gets nothing more. */
int round_run(struct round *round);

#endif /* KV_ROUND_H */
