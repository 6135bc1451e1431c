/* SPDX-License-Identifier: MIT */
/*
 * Fixture: what tests of TCP on the real kernel share.
 *
 * Nothing sleeps to wait for another task. let_others_wait() lets the executor
 * make two turns: then what other tasks have begun is in the kernel. Where the
 * kernel may do a thing early or late (deliver, acknowledge), every order is
 * legal in a test, and poll(2) tells when an event has happened.
 */
#ifndef RT_TEST_TCP_FIXTURE_H
#define RT_TEST_TCP_FIXTURE_H

#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/handle.h" /* for descriptor_of() */
#include "rt/rt.h"

#define LIMIT rt_in(RT_SECONDS(20)) /* a test that fails ends; one that passes never meets it */

static char warnings[1024];
static unsigned warning_count;

static inline void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    warning_count++;
    snprintf(warnings, sizeof(warnings), "%s", text);
}

/* Runs `first`; afterwards no check has failed and no descriptor is left. */
static inline void run(rt_task_fn first, void *arg)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    warning_count = 0;
    warnings[0] = '\0';
    config.log = keep_line;
    r = rt_run(&config, first, arg);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

/* Files, streams and listeners begin with a struct rti_handle; the header hides it on purpose. */
static inline int descriptor_of(const void *object)
{
    return ((const struct rti_handle *)object)->fd;
}

static inline void let_others_wait(void)
{
    struct rt_stats stats;
    uint64_t turns;

    rt_stats_get(&stats, sizeof(stats));
    turns = stats.turns;
    do {
        rt_yield();
        rt_stats_get(&stats, sizeof(stats));
    } while (stats.turns < turns + 2);
}

/* Until the socket has something to read. The kernel may deliver on another CPU, so "sent" is not
 * yet "arrived". */
static inline void await_readable(const void *object)
{
    struct pollfd poller = { .fd = descriptor_of(object), .events = POLLIN };

    T_CHECK(poll(&poller, 1, 20000) == 1);
}

/* Connections that wait in the queue of a listening socket. */
static inline unsigned queue_length(int listener)
{
    struct tcp_info info = { .tcpi_unacked = 0 };
    socklen_t bytes = sizeof(info);

    T_CHECK(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0);
    return info.tcpi_unacked;
}

/* connect() may return before the last step of the handshake was taken in on another CPU. Ends in
 * the time limit of the test when they never come. */
static inline void await_queue(const int *listeners, unsigned count, unsigned wanted)
{
    unsigned sum;

    do {
        sum = 0;
        for (unsigned i = 0; i < count; i++) {
            sum += queue_length(listeners[i]);
        }
    } while (sum < wanted);
    T_CHECK(sum == wanted);
}

struct pair {
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *near; /* connected */
    struct rt_tcp_stream *far;  /* accepted */
    char address[RT_TCP_ADDRESS_BYTES];
};

static inline void pair_open(struct pair *pair, const char *address,
                             const struct rt_tcp_options *options)
{
    T_CHECK(rt_tcp_listen(&pair->listener, address, options) == 0);
    T_CHECK(rt_tcp_listener_address(pair->listener, pair->address, sizeof(pair->address)) == 0);
    T_CHECK(rt_tcp_connect(&pair->near, pair->address, options, LIMIT) == 0);
    T_CHECK(rt_tcp_accept(pair->listener, &pair->far, LIMIT) == 0);
}

static inline void pair_close(struct pair *pair)
{
    rt_tcp_close(pair->near);
    rt_tcp_close(pair->far);
    rt_tcp_listener_close(pair->listener);
}

static const struct rt_tcp_options small_buffers = {
    .size = sizeof(small_buffers),
    .receive_buffer_bytes = 16384,
    .send_buffer_bytes = 16384,
};

static inline void exchange(struct rt_tcp_stream *one, struct rt_tcp_stream *other)
{
    char buf[8];

    T_CHECK(rt_tcp_send(one, "ping", 4, LIMIT) == 4);
    T_CHECK(rt_tcp_recv(other, buf, sizeof(buf), LIMIT) == 4 && memcmp(buf, "ping", 4) == 0);
    T_CHECK(rt_tcp_send_all(other, "pong!", 5, NULL, LIMIT) == 5);
    T_CHECK(rt_tcp_recv(one, buf, sizeof(buf), LIMIT) == 5 && memcmp(buf, "pong!", 5) == 0);
}

/* Much data */

#define BULK_BYTES ((size_t)8 << 20)

static inline char pattern_at(size_t offset)
{
    return (char)(offset * 31 + (offset >> 12));
}

static inline char *make_bulk(void)
{
    char *bulk = malloc(BULK_BYTES);

    if (bulk == NULL) {
        abort();
    }
    for (size_t i = 0; i < BULK_BYTES; i++) {
        bulk[i] = pattern_at(i);
    }
    return bulk;
}

/* Reads odd amounts, and lets others run in between, until the end. Returns how much came. */
static inline size_t read_slowly(struct rt_tcp_stream *stream)
{
    char buf[4099];
    size_t total = 0;
    bool same = true;
    ssize_t n;

    while ((n = rt_tcp_recv(stream, buf, 1 + total % sizeof(buf), LIMIT)) > 0) {
        for (size_t i = 0; i < (size_t)n; i++) {
            same = same && buf[i] == pattern_at(total + i);
        }
        total += (size_t)n;
        rt_yield();
    }
    T_CHECK(n == 0 && same);
    return total;
}

#endif /* RT_TEST_TCP_FIXTURE_H */
