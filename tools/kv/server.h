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
    struct shard *shards;
    /* Live connections of all shards, for --connections-max; touched once when one begins and
     * once when it ends. */
    atomic_uint connections;
};

/* 0, or a negative errno value and a text. */
int server_init(struct server *server, const struct options *options, uint32_t shard_count);
void server_fini(struct server *server);

/* The first task of every shard; arg is the server. */
int server_run(void *arg);

/* Which shard owns the keys of a hash: its high half, for the low half chooses the list there. */
static inline uint32_t server_shard_of(const struct server *server, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * server->shard_count >> 32);
}

#endif /* KV_SERVER_H */
