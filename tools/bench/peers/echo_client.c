/* SPDX-License-Identifier: MIT */
/*
 * The client of row tcp_echo, for every peer alike: echo-client HOST:PORT CPU,
 * started by the server, whose CPU time it measures. It is the load client of
 * echo_load: 64 connections, 64 bytes, one message in flight on each, polled.
 *
 * The kernel's count of a thread of another process that runs just now is up to
 * a clock tick old. So the count is read only while the server sleeps: all is
 * received, and the count has stood still for longer than a tick.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "peer.h"

#define CONNECTIONS 64
#define BYTES       64
#define TIMEOUT_NS  INT64_C(5000000000)
#define STILL_NS    12000000 /* a clock tick at 100 Hz is 10 ms */
#define SETTLE_MAX  400      /* times STILL_NS: about 5 s */

static struct load load; /* the histogram is too large for the stack */
static clockid_t server_clock;

static int64_t server_cpu_ns(void)
{
    struct timespec used;

    if (clock_gettime(server_clock, &used) < 0) {
        peer_fail("the server's CPU time: %s; has the server ended?", strerror(errno));
    }
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

/* The server's CPU time so far, read while it sleeps. */
static int64_t server_cpu_settled(void)
{
    int64_t before = server_cpu_ns();

    for (int i = 0; i < SETTLE_MAX; i++) {
        struct timespec rest = { .tv_sec = 0, .tv_nsec = STILL_NS };
        int64_t after;

        while (nanosleep(&rest, &rest) < 0 && errno == EINTR) {
            continue;
        }
        after = server_cpu_ns();
        if (after == before) {
            return after;
        }
        before = after;
    }
    peer_fail("the server does not go to sleep, although no request is in flight");
}

/* `units` requests, or a few more, on new connections. Returns what one cost the server, in ns. */
static double serve_requests(uint64_t units)
{
    bool ok = load_open(&load);
    int64_t before = ok ? server_cpu_settled() : 0;
    int64_t after;

    if (!ok || !load_run(&load, INT64_MAX, units) || !load_drain(&load)) {
        peer_fail("the load ended early");
    }
    after = server_cpu_settled();
    load_close(&load);
    return (double)(after - before) / (double)load.completed;
}

static void repeat(struct peer_run *run)
{
    (void)serve_requests(run->units / 10 + 1);
    run->ns = serve_requests(run->units);
}

int main(int argc, char **argv)
{
    struct peer_run run = { .cpus = { -1, -1 } };
    double cpu;

    if (argc != 3) {
        fprintf(stderr, "usage: echo-client HOST:PORT CPU\nStarted by the peers themselves.\n");
        return 2;
    }
    load = (struct load){
        .address = argv[1], .connections = CONNECTIONS, .bytes = BYTES, .timeout_ns = TIMEOUT_NS
    };
    if (!endpoint_parse(&load.server, argv[1]) || !option_number("cpu", argv[2], 0, 1023, &cpu)) {
        return 2;
    }
    if (!pin_to_cpu((int)cpu)) {
        return 1;
    }
    if (clock_getcpuclockid(getppid(), &server_clock) != 0) {
        peer_fail("the server has ended");
    }
    peer_answer(&run, repeat);
    return 0;
}
