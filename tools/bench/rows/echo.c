/* SPDX-License-Identifier: MIT */
/*
 * Row tcp_echo: what an echo server pays of its CPU per request. 64 connections,
 * 64 bytes, one message in flight on each; the client compares every byte.
 *
 * The server has the first CPU to itself, as a shard or as a thread of its own.
 * The calling thread is the client and moves to the second CPU for so long: it
 * never sleeps, and what it needs is not measured. The server's CPU time is read
 * from its thread's clock, at both ends of the measured part.
 */
#include <errno.h>
#include <pthread.h>
#include <rt/rt.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "echo_ring.h"
#include "endpoint.h"
#include "load.h"
#include "rows.h"

#define CONNECTIONS 64
#define BYTES       64
#define LEAST       UINT64_C(1024) /* requests: of fewer the server has done some before */
#define BUF_BYTES   4096 /* of a session: as the limit's */
#define TIMEOUT     RT_SECONDS(5)

/* A server that runs: where it listens, and the clock of its thread. */
struct echo_server {
    char address[ENDPOINT_TEXT_BYTES];
    clockid_t cpu_clock;
};

/* The client's side, the same for both servers */

/* Bind the calling thread to one CPU; `before` gets what it was bound to. */
static int move_to(int32_t cpu, cpu_set_t *before)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    if (sched_getaffinity(0, sizeof(*before), before) < 0 ||
        sched_setaffinity(0, sizeof(cpus), &cpus) < 0) {
        return -errno;
    }
    return 0;
}

static int64_t cpu_ns(clockid_t clock)
{
    struct timespec used = { 0 };

    (void)clock_gettime(clock, &used); /* fails only when the server has: the client sees that */
    return used.tv_sec * RT_SECONDS(1) + used.tv_nsec;
}

static void record(void *arg, uint64_t ns)
{
    rt_bench_record(arg, ns);
}

/* False when the client has failed, and said why. */
static bool load_server(struct rt_bench *bench, const struct echo_server *server, struct load *load)
{
    const uint64_t requests = bench->units > LEAST ? bench->units : LEAST;
    int64_t used;
    bool ok = load_open(load) && load_run(load, RT_NEVER, requests / 10);

    if (!ok) {
        return false;
    }
    load_reset(load);
    if (bench->recording != 0) {
        load->record = record;
        load->record_arg = bench;
    }
    rt_bench_start(bench);
    used = cpu_ns(server->cpu_clock);
    ok = load_run(load, RT_NEVER, requests);
    used = cpu_ns(server->cpu_clock) - used;
    rt_bench_stop(bench, load->completed);
    load->record = NULL;
    if (ok) {
        rt_bench_result(bench, (double)used / (double)load->completed);
    }
    return ok && load_drain(load);
}

static int measure(struct rt_bench *bench, const struct echo_server *server)
{
    struct load *load = calloc(1, sizeof(*load)); /* the histogram is too large for the stack */
    cpu_set_t before;
    bool ok;
    int r;

    if (load == NULL) {
        return rt_bench_fail(bench, -ENOMEM, "no memory for the client");
    }
    load->address = server->address;
    load->connections = CONNECTIONS;
    load->bytes = BYTES;
    load->timeout_ns = TIMEOUT;
    r = move_to(bench->cpus[1], &before);
    if (r < 0) {
        free(load);
        return rt_bench_fail(bench, r, "cannot move to CPU %d: %s", bench->cpus[1], rt_strerror(r));
    }
    ok = endpoint_parse(&load->server, server->address) && load_server(bench, server, load);
    load_close(load);
    free(load);
    (void)sched_setaffinity(0, sizeof(before), &before); /* it was valid a moment ago */
    return ok ? 0
              : rt_bench_fail(bench, -EIO, "the client failed; its message is on standard error");
}

/* The runtime's server */

struct shard_server {
    struct echo_server server; /* valid when `error` is 0 */
    int error;                 /* why it does not listen; valid when ready */
    sem_t ready;
};

static int session(void *arg)
{
    struct rt_tcp_stream *peer = arg;
    char buf[BUF_BYTES];
    ssize_t n;

    while ((n = rt_tcp_recv(peer, buf, sizeof(buf), RT_NEVER)) > 0) {
        n = rt_tcp_send_all(peer, buf, (size_t)n, NULL, RT_NEVER);
        if (n < 0) {
            break;
        }
    }
    rt_tcp_close(peer);
    return 0; /* a client that went away is no failure of the server */
}

static int serve(struct rt_tcp_listener *listener)
{
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_stream *peer;
    int r;

    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        r = rt_group_spawn(&sessions, session, peer);
        if (r < 0) {
            rt_tcp_close(peer);
            break;
        }
    }
    (void)rt_group_leave(&sessions, 0);
    return r;
}

/* The first task: tells where it listens, and serves until the runtime is stopped. */
static int listen_and_serve(void *arg)
{
    struct shard_server *shard = arg;
    struct rt_tcp_listener *listener = NULL;
    int r = rt_tcp_listen(&listener, "127.0.0.1:0", NULL);

    if (r == 0) {
        r = rt_tcp_listener_address(listener, shard->server.address, sizeof(shard->server.address));
    }
    if (r == 0) {
        r = -pthread_getcpuclockid(pthread_self(), &shard->server.cpu_clock);
    }
    shard->error = r;
    (void)sem_post(&shard->ready);
    if (r == 0) {
        r = serve(listener);
    }
    rt_tcp_listener_close(listener);
    return r;
}

static int echo_run(struct rt_bench *bench)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct shard_server shard = { .error = 0 };
    struct rt_runtime *runtime;
    char cpu[16];
    int ended;
    int r;

    snprintf(cpu, sizeof(cpu), "%d", bench->cpus[0]);
    config.cpus = cpu;
    config.shards = 1;
    config.flags = RT_CONFIG_NO_SIGNALS;
    (void)sem_init(&shard.ready, 0, 0);
    r = rt_launch(&runtime, &config, listen_and_serve, &shard);
    if (r < 0) {
        (void)sem_destroy(&shard.ready);
        return rt_bench_fail(bench, r, "a shard on CPU %s: %s", cpu, rt_strerror(r));
    }
    while (sem_wait(&shard.ready) < 0) { /* a signal */
    }
    r = shard.error == 0 ? measure(bench, &shard.server) : 0;
    rt_stop(runtime);
    ended = rt_wait(runtime);
    (void)sem_destroy(&shard.ready);
    if (ended < 0) {
        return rt_bench_fail(bench, ended, "the server failed: %s", rt_strerror(ended));
    }
    return r;
}

/* The limit's server */

struct ring_server {
    struct echo_server server;
    pthread_t thread;
    int32_t cpu;
    int listener, stop_fd;
    bool ok; /* valid when joined */
};

static void *ring_main(void *arg)
{
    struct ring_server *ring = arg;
    cpu_set_t unused;

    ring->ok = move_to(ring->cpu, &unused) == 0 &&
               echo_ring_serve(ring->listener, ring->stop_fd,
                               (struct echo_shape){ false, false, false });
    return NULL;
}

/* Serve in a thread of its own for as long as `measure` takes. */
static int serve_and_measure(struct rt_bench *bench, struct ring_server *ring)
{
    const uint64_t stop = 1;
    int r = -pthread_create(&ring->thread, NULL, ring_main, ring);

    if (r < 0) {
        return rt_bench_fail(bench, r, "a thread of the server: %s", rt_strerror(r));
    }
    r = pthread_getcpuclockid(ring->thread, &ring->server.cpu_clock) == 0
            ? measure(bench, &ring->server)
            : rt_bench_fail(bench, -ENOSYS, "there is no clock of a thread's CPU time");
    if (write(ring->stop_fd, &stop, sizeof(stop)) != (ssize_t)sizeof(stop)) {
        abort(); /* a counter of 0 takes a 1; else the thread would never end */
    }
    pthread_join(ring->thread, NULL);
    if (r == 0 && !ring->ok) {
        r = rt_bench_fail(bench, -EIO, "the server failed; its message is on standard error");
    }
    return r;
}

static int echo_limit(struct rt_bench *bench)
{
    struct ring_server ring = { .cpu = bench->cpus[0], .listener = -1 };
    struct endpoint where;
    int r;

    ring.stop_fd = eventfd(0, EFD_CLOEXEC);
    if (ring.stop_fd < 0) {
        r = -errno;
        return rt_bench_fail(bench, r, "eventfd: %s", rt_strerror(r));
    }
    if (endpoint_parse(&where, "127.0.0.1:0")) {
        ring.listener = endpoint_listen(&where);
    }
    if (ring.listener >= 0 &&
        endpoint_text_of(ring.listener, ring.server.address, sizeof(ring.server.address))) {
        r = serve_and_measure(bench, &ring);
    } else {
        r = rt_bench_fail(bench, -EIO, "cannot listen; the message is on standard error");
    }
    if (ring.listener >= 0) {
        close(ring.listener);
    }
    close(ring.stop_fd);
    return r;
}

const struct rt_bench_row bench_rows_echo[] = {
    {
        .name = "tcp_echo",
        .summary = "CPU of an echo server per request, 64 connections, 64 bytes",
        .run = echo_run,
        .limit = echo_limit,
        .kind = RT_BENCH_PAIR,
        .flags = RT_BENCH_PLAIN | RT_BENCH_SLEEPS | RT_BENCH_RECORDS,
    },
};
const size_t bench_rows_echo_count = sizeof(bench_rows_echo) / sizeof(bench_rows_echo[0]);
