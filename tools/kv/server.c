/* SPDX-License-Identifier: MIT */
/*
 * What every shard of the server does: it listens on the common address, and serves the connections
 * that the kernel gives it.
 *
 *     SERVING --> DRAINING --> CLOSING
 *           stop          --drain has passed
 *
 * The first task is cancelled by a stop, and a cancelled task can wait for nothing. So a second
 * task, the drainer, is made at the start, when nothing is short yet: it waits for the end of
 * serving and sees to it that the sessions end.
 */
#include "server.h"

#include <errno.h>
#include <rt/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "round.h"
#include "session.h"

int server_init(struct server *server, const struct options *options, uint32_t shard_count)
{
    const uint64_t memory_max = options->memory_max > 0 ? options->memory_max / shard_count
                                                        : UINT64_MAX;
    int r;

    *server = (struct server){ .options = options, .started = rt_now() };
    if (!options_address(options, server->address, sizeof(server->address))) {
        fprintf(stderr, "rt-kv: --bind %s: expected a numeric address\n", options->bind);
        return -EINVAL;
    }
    r = siphash_key_make(&server->key);
    if (r < 0) {
        fprintf(stderr, "rt-kv: no random numbers: %s\n", rt_strerror(r));
        return r;
    }
    server->shards = aligned_alloc(_Alignof(struct shard), shard_count * sizeof(*server->shards));
    if (server->shards == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < shard_count; i++) {
        server->shards[i] = (struct shard){ .server = server, .index = i };
        r = store_init(&server->shards[i].store, memory_max);
        if (r < 0) {
            server_fini(server);
            return r;
        }
        server->shard_count++;
    }
    return 0;
}

void server_fini(struct server *server)
{
    for (uint32_t i = 0; i < server->shard_count; i++) {
        store_fini(&server->shards[i].store);
        round_free_all(&server->shards[i]);
    }
    free(server->shards);
    server->shards = NULL;
    server->shard_count = 0;
}

static int drainer(void *arg)
{
    struct shard *shard = arg;
    const rt_time drain = shard->server->options->drain;
    rt_time deadline;

    shard->drainer = rt_waker_self();
    while (shard->stage == SHARD_SERVING) {
        (void)rt_park(RT_NEVER);
    }
    session_drain(shard);
    deadline = rt_in(drain);
    while (shard->sessions != NULL) {
        if (rt_park(deadline) < 0) {
            shard->stage = SHARD_CLOSING;
            session_cancel_all(shard);
            deadline = RT_NEVER;
        }
    }
    return 0;
}

static int listen_and_tell(struct shard *shard, struct rt_tcp_listener **out)
{
    char text[RT_TCP_ADDRESS_BYTES];
    int r = rt_tcp_listen(out, shard->server->address, NULL);

    if (r == 0) {
        r = rt_tcp_listener_address(*out, text, sizeof(text));
    }
    if (r < 0) {
        fprintf(stderr, "rt-kv: cannot listen on %s: %s\n", shard->server->address, rt_strerror(r));
        return r;
    }
    shard->port = (uint32_t)strtoul(strrchr(text, ':') + 1, NULL, 10);
    if (shard->index == 0) {
        printf("listening on %s\n", text);
        fflush(stdout);
    }
    return 0;
}

/* Tell a peer that there are too many, as far as it takes the words at once. */
static void refuse(struct shard *shard, struct rt_tcp_stream *peer)
{
    static const char text[] = "-ERR max number of clients reached\r\n";

    shard->counters.connections_refused++;
    if (rt_tcp_send_all(peer, text, sizeof(text) - 1, NULL, 0) > 0) {
        (void)rt_tcp_shutdown_send(peer);
    }
    rt_tcp_close(peer);
}

static int accept_all(struct shard *shard, struct rt_tcp_listener *listener)
{
    struct server *server = shard->server;
    struct rt_tcp_stream *peer;
    int r;

    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        if (!server_enter(server)) {
            refuse(shard, peer);
        } else if (session_start(shard, peer) < 0) {
            server_leave(server); /* closed for want of memory or tasks: shed */
        }
    }
    return r;
}

int server_run(void *arg)
{
    struct server *server = arg;
    struct shard *shard = &server->shards[rt_shard_index()];
    struct rt_group group = RT_GROUP_INIT;
    struct rt_tcp_listener *listener = NULL;
    int r = rt_group_spawn(&group, drainer, shard);

    if (r < 0) {
        return r;
    }
    rt_yield(); /* the drainer tells its waker */
    r = listen_and_tell(shard, &listener);
    if (r == 0) {
        r = accept_all(shard, listener);
    }
    rt_tcp_listener_close(listener);
    shard->stage = SHARD_DRAINING;
    rt_wake(shard->drainer);
    (void)rt_group_leave(&group, RT_NEVER);
    return r;
}
