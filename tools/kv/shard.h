/* SPDX-License-Identifier: MIT */
/* Shard: what one shard of the server owns: an instance of its service. Only its own tasks touch
 * it. */
#ifndef KV_SHARD_H
#define KV_SHARD_H

#include <rt/rt.h>
#include <stdint.h>

#include "store.h"

struct round;
struct server;
struct session;

enum shard_stage {
    SHARD_SERVING,
    SHARD_DRAINING, /* accepts no more; sessions answer what was received, and end */
    SHARD_CLOSING,  /* the time to drain is over: sessions end at once */
};

struct shard_counters {
    uint64_t connections;          /* live now */
    uint64_t connections_accepted; /* since the start */
    uint64_t connections_refused;  /* at --connections-max */
    uint64_t requests;             /* of the connections of this shard */
    uint64_t hits;                 /* GET and MGET here that found their key */
    uint64_t misses;               /* those that did not */
    uint64_t batches_sent;         /* calls to other shards */
    uint64_t batches_run;          /* calls of other shards */
};

/* Apart from its neighbours: two cache lines, for they are fetched in pairs. */
struct shard {
    _Alignas(128) struct server *server;
    uint32_t index;
    uint32_t port; /* that it listens on */
    enum shard_stage stage;
    int accept_error; /* why it accepts no more, when nobody has asked it to end */
    struct store store;
    struct shard_counters counters;
    struct round *rounds;     /* free ones, the warmest first */
    struct session *sessions; /* live ones */
    struct rt_tcp_listener *listener;
    struct rt_group acceptors; /* the task that accepts */
    struct rt_waker drainer;   /* waits for the end of the sessions; not while SERVING */
};

#endif /* KV_SHARD_H */
