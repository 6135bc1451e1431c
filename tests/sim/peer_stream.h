/* SPDX-License-Identifier: MIT */
/*
 * Peer stream: one stream of the runtime, whose other side is a peer of the simulated
 * kernel, and what another task does to it while the first one waits.
 *
 *     open_stream();
 *     task = later(&sending);                       in a millisecond: "text"
 *     ... wait for it ...
 *     T_CHECK(join(task) == 0);
 *     close_all();                                  nothing is left in the runtime
 */
#ifndef RT_TEST_PEER_STREAM_H
#define RT_TEST_PEER_STREAM_H

#include "support/first.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h" /* RTI_ASAN */
#include "core/executor.h"
#include "rt/rt.h"

#define MS(n)        RT_MILLISECONDS(n)
#define STREAM_BYTES 64

static inline void run_streams(const struct rt_config *config, rt_task_fn first)
{
    const struct sim_config sim_config = { .seed = 1, .stream_bytes = STREAM_BYTES };

    assert_int_equal(run_sim(&sim_config, config, first, NULL), 0);
}

static inline void pause_for(rt_time duration)
{
    T_CHECK(rt_sleep_until(rt_in(duration)) == 0);
}

static inline uint64_t polls_seen(void)
{
    return sim_stats()->by_opcode[IORING_OP_POLL_ADD];
}

static inline uint32_t in_flight(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.ops_in_flight;
}

static inline int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

/* A stream, its other side, and the listener that they are from */

static struct rt_tcp_listener *listener;
static struct rt_tcp_stream *stream;
static struct sockaddr_in near_address;
static int peer;

static inline int connect_peer(void)
{
    const int fd = sim_peer_connect((struct sockaddr *)&near_address, sizeof(near_address));

    T_CHECK(fd >= 0);
    return fd;
}

static inline void open_listener(void)
{
    char text[RT_TCP_ADDRESS_BYTES];

    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    near_address = (struct sockaddr_in){ .sin_family = AF_INET,
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    near_address.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
}

static inline void open_stream(void)
{
    open_listener();
    peer = connect_peer();
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
}

static inline void close_listener(void)
{
    rt_tcp_listener_close(listener);
    T_CHECK(in_flight() == 0);
    T_CHECK(rti_current->handles.in_use == 0);
}

static inline void close_all(void)
{
    rt_tcp_close(stream);
    sim_peer_close(peer);
    close_listener();
}

static inline void peer_sends(const char *text)
{
    T_CHECK(sim_peer_send(peer, text, strlen(text)) == (ssize_t)strlen(text));
}

static inline void stream_has(const char *text)
{
    char buf[STREAM_BYTES];
    const ssize_t n = rt_tcp_recv(stream, buf, sizeof(buf), 0);

    T_CHECK(n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0);
}

/* What another task does a while later, when the first one waits. */

struct deed {
    void (*what)(void);
};

static inline int after_a_while(void *arg)
{
    const struct deed *deed = arg;

    pause_for(MS(1));
    deed->what();
    return 0;
}

static inline struct rt_task *later(const struct deed *deed)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, after_a_while, (void *)deed) == 0);
    return task;
}

static inline void send_text(void)
{
    peer_sends("text");
}

static inline void finish_sending(void)
{
    sim_peer_shutdown(peer);
}

static inline void reset(void)
{
    sim_peer_reset(peer);
}

static inline void take_all(void)
{
    char bytes[STREAM_BYTES];

    T_CHECK(sim_peer_recv(peer, bytes, sizeof(bytes)) == STREAM_BYTES);
}

static const struct deed sending = { send_text };
static const struct deed finishing = { finish_sending };
static const struct deed resetting = { reset };
static const struct deed taking = { take_all };

#endif /* RT_TEST_PEER_STREAM_H */
