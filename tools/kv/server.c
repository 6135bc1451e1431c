/* SPDX-License-Identifier: MIT */
/*
 * The server as a service: every shard has a store and its connections, listens on the common
 * address, and serves what the kernel gives it.
 *
 *     start        a store on every shard
 *     open         all listen and accept; from here on a shard may call any other
 *     SERVING --> DRAINING --> CLOSING
 *           drain         --drain has passed
 *     stop         the stores go, which nobody calls any more
 *
 * Shard 0's first task takes these steps, on all shards at once; a stop of the runtime cancels it.
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
    int r;

    *server = (struct server){ .options = options,
                               .started = rt_now(),
                               .shard_count = shard_count };
    if (!options_address(options, server->address, sizeof(server->address))) {
        fprintf(stderr, "rt-kv: --bind %s: expected a numeric address\n", options->bind);
        return -EINVAL;
    }
    r = siphash_key_make(&server->key);
    if (r < 0) {
        fprintf(stderr, "rt-kv: no random numbers: %s\n", rt_strerror(r));
        return r;
    }
    server->parts = calloc(shard_count, sizeof(*server->parts));
    return server->parts != NULL ? 0 : -ENOMEM;
}

void server_fini(struct server *server)
{
    free(server->parts);
}

static int listen_and_tell(struct shard *shard)
{
    char text[RT_TCP_ADDRESS_BYTES];
    int r = rt_tcp_listen(&shard->listener, shard->server->address, NULL);

    if (r == 0) {
        r = rt_tcp_listener_address(shard->listener, text, sizeof(text));
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

/* Until it is cancelled. */
static int accept_all(void *arg)
{
    struct shard *shard = arg;
    struct server *server = shard->server;
    struct rt_tcp_stream *peer;
    int r;

    while ((r = rt_tcp_accept(shard->listener, &peer, RT_NEVER)) == 0) {
        if (!server_enter(server)) {
            refuse(shard, peer);
        } else if (session_start(shard, peer) < 0) {
            server_leave(server); /* closed for want of memory or tasks: shed */
        }
    }
    if (shard->stage == SHARD_SERVING) {
        shard->accept_error = r;
        rt_stop(NULL);
    }
    return 0;
}

/* The service's functions */

static int shard_create(void **instance, void *arg)
{
    struct server *server = arg;
    const uint64_t memory_max = server->options->memory_max;
    struct shard *shard = aligned_alloc(_Alignof(struct shard), sizeof(*shard));
    int r;

    if (shard == NULL) {
        return -ENOMEM;
    }
    *shard = (struct shard){ .server = server,
                             .index = rt_shard_index(),
                             .acceptors = RT_GROUP_INIT };
    r = store_init(&shard->store, memory_max > 0 ? memory_max / server->shard_count : UINT64_MAX);
    if (r < 0) {
        free(shard);
        return r;
    }
    *instance = shard;
    return 0;
}

static int shard_open(void *instance, void *arg)
{
    struct shard *shard = instance;
    const int r = listen_and_tell(shard);

    (void)arg;
    return r < 0 ? r : rt_group_spawn(&shard->acceptors, accept_all, shard);
}

/* Accept no more, answer what was received, and close what is not done after `length`. */
static void drain(struct shard *shard, rt_time length)
{
    rt_time deadline = rt_in(length);

    shard->drainer = rt_waker_self();
    shard->stage = SHARD_DRAINING;
    (void)rt_group_leave(&shard->acceptors, 0);
    rt_tcp_listener_close(shard->listener);
    shard->listener = NULL;
    session_drain(shard);
    while (shard->sessions != NULL) {
        if (rt_park(deadline) < 0) {
            shard->stage = SHARD_CLOSING;
            session_cancel_all(shard);
            deadline = RT_NEVER;
        }
    }
}

static int shard_drain(void *instance, void *arg)
{
    struct shard *shard = instance;

    (void)arg;
    drain(shard, shard->server->options->drain);
    return shard->accept_error;
}

static void shard_destroy(void *instance)
{
    struct shard *shard = instance;

    drain(shard, 0); /* of what was not drained: a shard without memory or tasks */
    store_fini(&shard->store);
    round_free_all(shard);
    free(shard);
}

/* Run a function on every shard. The first error, its own or of the call. */
static int on_all(struct server *server, rt_service_fn fn)
{
    int r = rt_service_call_all(server->service, server->parts, fn, NULL, 0, RT_NEVER);

    for (uint32_t i = 0; i < server->shard_count && r == 0; i++) {
        r = server->parts[i].result;
    }
    return r;
}

static int start(struct server *server)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;

    options.name = "kv";
    options.create = shard_create;
    options.destroy = shard_destroy;
    return rt_service_start(&server->service, &options, server, 0, RT_NEVER);
}

/* Works in a cancelled task. */
static int stop(struct server *server)
{
    struct rt_scope shield;
    int stopped;
    int r;

    rt_shield(&shield, RT_NEVER);
    r = on_all(server, shard_drain);
    stopped = rt_service_stop(server->service, 0);
    (void)rt_scope_leave(&shield);
    return r < 0 ? r : stopped;
}

int server_run(void *arg)
{
    struct server *server = arg;
    int stopped;
    int r;

    if (rt_shard_index() != 0) {
        return 0; /* it serves calls, and its connections */
    }
    r = start(server);
    if (r < 0) {
        return r;
    }
    r = on_all(server, shard_open);
    if (r == 0) {
        (void)rt_sleep_until(RT_NEVER); /* until the runtime stops */
    }
    stopped = stop(server);
    return r < 0 ? r : stopped;
}
