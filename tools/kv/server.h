/* SPDX-License-Identifier: MIT */
/* Server: what its shards have in common. All of it is fixed before they start, but one counter. */
#ifndef KV_SERVER_H
#define KV_SERVER_H

#include <rt/rt.h>
#include <stdatomic.h>

#include "options.h"
#include "shard.h"
#include "siphash.h"

struct server {
    const struct options *options;
    struct siphash_key key;
    rt_time started;
    char address[RT_TCP_ADDRESS_BYTES]; /* to listen on */
    uint32_t shard_count;
    struct rt_service *service; /* each instance is a struct shard */
    struct rt_call_part *parts; /* for calls to all, of the first task */
    /* Live connections of all shards, for --connections-max; touched when one begins and when it
     * ends. It orders nothing, so relaxed access will do. */
    atomic_uint connections;
};

/* 0, or a negative errno value and a text. */
int server_init(struct server *server, const struct options *options, uint32_t shard_count);
void server_fini(struct server *server);

/* The first task of every shard; arg is the server. That of shard 0 has the service. */
int server_run(void *arg);

/* A connection begins, unless there are too many; or ends. */
static inline bool server_enter(struct server *server)
{
    if (atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed) <
        server->options->connections_max) {
        return true;
    }
    atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
    return false;
}

static inline void server_leave(struct server *server)
{
    atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
}

#endif /* KV_SERVER_H */
