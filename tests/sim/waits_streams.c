/* SPDX-License-Identifier: MIT */
/*
 * Waits for streams, connections and readiness. The other side of each stream is a peer of the sim.
 */
#include "waits.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "os/sys.h"
#include "support/sim.h"

/* Streams: one of each waiter, whose other side is a peer of the sim. */

#define ROOM_BYTES 64

static struct {
    struct rt_tcp_stream *stream;
    uint64_t given; /* bytes that one side has sent */
    uint64_t taken; /* and the other side received */
    int peer;
    bool finished; /* the peer sends no more */
} sides[WAITERS_MAX];

static struct rt_tcp_listener *listener;
static struct sockaddr_in near_address;

static unsigned char stream_byte(uint64_t position)
{
    return (unsigned char)(position * 7 + 3);
}

static void listen_make(struct run *run)
{
    char text[RT_TCP_ADDRESS_BYTES];
    const char *port;

    (void)run;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    port = strrchr(text, ':') + 1;
    near_address = (struct sockaddr_in){ .sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static int connect_peer(void)
{
    const int fd = sim_peer_connect((struct sockaddr *)&near_address, sizeof(near_address));

    T_CHECK(fd >= 0);
    return fd;
}

static void stream_make(struct run *run)
{
    listen_make(run);
    memset(sides, 0, sizeof(sides));
}

static void stream_make_waiter(struct waiter *waiter)
{
    sides[waiter->number].peer = connect_peer();
    T_CHECK(rt_tcp_accept(listener, &sides[waiter->number].stream, RT_NEVER) == 0);
}

static void close_all(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        rt_tcp_close(sides[i].stream);
        sim_peer_close(sides[i].peer);
    }
    rt_tcp_listener_close(listener);
}

static void take_bytes(unsigned number, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        T_CHECK(bytes[i] == stream_byte(sides[number].taken));
        sides[number].taken++;
    }
}

static void give_bytes(unsigned number, unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] = stream_byte(sides[number].given + i);
    }
}

/* Receive */

static void peer_sends(struct run *run)
{
    const unsigned number = some_waiter(run)->number;
    unsigned char bytes[8];
    const size_t count = 1 + rand_below(&run->rand, sizeof(bytes));

    if (sides[number].finished) {
        return;
    }
    if (rand_chance(&run->rand, 50)) {
        sides[number].finished = true;
        sim_peer_shutdown(sides[number].peer);
        return;
    }
    give_bytes(number, bytes, count);
    T_CHECK(sim_peer_send(sides[number].peer, bytes, count) == (ssize_t)count);
    sides[number].given += count;
}

static int recv_call(struct waiter *waiter, rt_time deadline)
{
    return (int)rt_tcp_recv(sides[waiter->number].stream, waiter->bytes, 5, deadline);
}

static int recv_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    return rt_poll_tcp_recv(future, sides[waiter->number].stream, waiter->bytes, 5, deadline);
}

static bool recv_got(struct waiter *waiter, int result)
{
    if (result < 0 || result > 5) {
        return false;
    }
    take_bytes(waiter->number, waiter->bytes, (size_t)result);
    T_CHECK(sides[waiter->number].taken <= sides[waiter->number].given);
    return result > 0 || (sides[waiter->number].finished &&
                          sides[waiter->number].taken == sides[waiter->number].given);
}

static bool recv_is_there(const struct waiter *waiter)
{
    return sides[waiter->number].finished ||
           sides[waiter->number].taken < sides[waiter->number].given;
}

/* What nobody has received is still in the stream. A task that was cancelled cannot look. */
static void recv_unmake(struct run *run)
{
    for (unsigned i = 0; !run->stopped && i < run->waiter_count; i++) {
        unsigned char bytes[8];

        while (sides[i].taken < sides[i].given) {
            const ssize_t n = rt_tcp_recv(sides[i].stream, bytes, sizeof(bytes),
                                          rt_in(RT_SECONDS(1)));

            T_CHECK(n > 0);
            if (n <= 0) {
                break;
            }
            take_bytes(i, bytes, (size_t)n);
        }
    }
    close_all(run);
}

static const struct kind recv_kind = {
    .name = "tcp receive",
    .make = stream_make,
    .make_waiter = stream_make_waiter,
    .call = recv_call,
    .poll = recv_poll,
    .got = recv_got,
    .happen = peer_sends,
    .is_there = recv_is_there,
    .unmake = recv_unmake,
};

/* Send */

static void receive_at_peer(unsigned number, size_t count)
{
    unsigned char bytes[ROOM_BYTES];
    const ssize_t n = sim_peer_recv(sides[number].peer, bytes, count);

    T_CHECK(n >= 0 || n == -EAGAIN);
    if (n > 0) {
        take_bytes(number, bytes, (size_t)n);
    }
}

static void peer_receives(struct run *run)
{
    receive_at_peer(some_waiter(run)->number, 1 + rand_below(&run->rand, ROOM_BYTES));
}

static int send_call(struct waiter *waiter, rt_time deadline)
{
    give_bytes(waiter->number, waiter->bytes, ITEM_BYTES_MAX);
    return (int)rt_tcp_send(sides[waiter->number].stream, waiter->bytes, ITEM_BYTES_MAX, deadline);
}

static int send_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    give_bytes(waiter->number, waiter->bytes, ITEM_BYTES_MAX);
    return rt_poll_tcp_send(future, sides[waiter->number].stream, waiter->bytes, ITEM_BYTES_MAX,
                            deadline);
}

static bool send_got(struct waiter *waiter, int result)
{
    if (result < 1 || result > ITEM_BYTES_MAX) {
        return false;
    }
    sides[waiter->number].given += (unsigned)result;
    return true;
}

static bool send_is_there(const struct waiter *waiter)
{
    return sides[waiter->number].given == sides[waiter->number].taken;
}

/* All that was sent is with the peer, and nothing else is. */
static void send_unmake(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        receive_at_peer(i, ROOM_BYTES);
        T_CHECK(sides[i].taken == sides[i].given);
    }
    close_all(run);
}

static const struct kind send_kind = {
    .name = "tcp send",
    .stream_bytes = ROOM_BYTES,
    .make = stream_make,
    .make_waiter = stream_make_waiter,
    .call = send_call,
    .poll = send_poll,
    .got = send_got,
    .happen = peer_receives,
    .is_there = send_is_there,
    .unmake = send_unmake,
};

/* Accept */

#define CONNECTIONS_MAX 16

static struct {
    struct rt_tcp_stream *stream;
    int peer;
} connections[CONNECTIONS_MAX];
static unsigned connected;
static unsigned accepted;

static void accept_make(struct run *run)
{
    listen_make(run);
    connected = 0;
    accepted = 0;
}

static int accept_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_tcp_accept(listener, &connections[accepted].stream, deadline);
}

static bool accept_got(struct waiter *waiter, int result)
{
    (void)waiter;
    accepted++;
    return result == 0 && accepted <= connected;
}

static void peer_connects(struct run *run)
{
    (void)run;
    connections[connected++].peer = connect_peer();
}

static bool accept_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return accepted < connected;
}

static void accept_unmake(struct run *run)
{
    for (; !run->stopped && accepted < connected; accepted++) { /* none was lost */
        T_CHECK(rt_tcp_accept(listener, &connections[accepted].stream, rt_in(RT_SECONDS(1))) == 0);
    }
    for (unsigned i = 0; i < connected; i++) {
        if (i < accepted) {
            rt_tcp_close(connections[i].stream);
        }
        sim_peer_close(connections[i].peer);
    }
    rt_tcp_listener_close(listener);
}

static const struct kind accept_kind = {
    .name = "tcp accept",
    .waiters_max = 1, /* one accepts at a time */
    .make = accept_make,
    .call = accept_call,
    .got = accept_got,
    .happen = peer_connects,
    .is_there = accept_is_there,
    .unmake = accept_unmake,
};

/* Readiness: nothing is moved, so what is there stays, until the first task takes it. */

static bool ready_got(struct waiter *waiter, int result)
{
    (void)waiter;
    return result > 0 && (result & (POLLIN | POLLOUT)) != 0;
}

static struct rt_case readable_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    return rt_case_readable(sides[waiter->number].stream);
}

/* Sends, or takes all away again. */
static void come_and_go(struct run *run)
{
    const unsigned number = some_waiter(run)->number;
    unsigned char bytes[ITEM_BYTES_MAX];

    if (sides[number].given == sides[number].taken) {
        peer_sends(run);
        return;
    }
    while (sides[number].taken < sides[number].given) {
        const ssize_t n = rt_tcp_recv(sides[number].stream, bytes, sizeof(bytes),
                                      rt_in(RT_SECONDS(1)));

        T_CHECK(n > 0);
        if (n <= 0) {
            return;
        }
        take_bytes(number, bytes, (size_t)n);
    }
}

static void ready_unmake(struct run *run)
{
    close_all(run);
}

static const struct kind readable_kind = {
    .name = "readable",
    .selected_twice = true,
    .make = stream_make,
    .make_waiter = stream_make_waiter,
    .make_case = readable_case,
    .got = ready_got,
    .happen = come_and_go,
    .is_there = recv_is_there,
    .unmake = ready_unmake,
};

static struct rt_case writable_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    return rt_case_writable(sides[waiter->number].stream);
}

/* The stream is full from the start. */
static void full_make_waiter(struct waiter *waiter)
{
    const unsigned number = waiter->number;
    unsigned char bytes[ROOM_BYTES];

    stream_make_waiter(waiter);
    while (sides[number].given < ROOM_BYTES) {
        ssize_t n;

        give_bytes(number, bytes, ROOM_BYTES);
        n = rt_tcp_send(sides[number].stream, bytes, ROOM_BYTES, RT_NEVER);
        T_CHECK(n > 0);
        if (n <= 0) {
            return;
        }
        sides[number].given += (size_t)n;
    }
}

static const struct kind writable_kind = {
    .name = "writable",
    .selected_twice = true,
    .stream_bytes = ROOM_BYTES,
    .make = stream_make,
    .make_waiter = full_make_waiter,
    .make_case = writable_case,
    .got = ready_got,
    .happen = peer_receives,
    .is_there = send_is_there,
    .unmake = send_unmake,
};

static struct rt_case acceptable_case(struct waiter *waiter, unsigned index)
{
    (void)waiter;
    (void)index;
    return rt_case_acceptable(listener);
}

static bool acceptable_got(struct waiter *waiter, int result)
{
    (void)waiter;
    return result == POLLIN && connected > 0;
}

/* A connection comes, or is taken away again. */
static void connect_and_accept(struct run *run)
{
    if (accepted == connected) {
        peer_connects(run);
    } else if (rt_tcp_accept(listener, &connections[accepted].stream, rt_in(RT_SECONDS(1))) == 0) {
        accepted++;
    }
}

static const struct kind acceptable_kind = {
    .name = "acceptable",
    .selected_twice = true,
    .make = accept_make,
    .make_case = acceptable_case,
    .got = acceptable_got,
    .happen = connect_and_accept,
    .is_there = accept_is_there,
    .unmake = accept_unmake,
};

static int counter;

static void counter_make(struct run *run)
{
    (void)run;
    counter = rti_sys_eventfd();
    connected = 0;
    T_CHECK(counter >= 0);
}

static struct rt_case counter_case(struct waiter *waiter, unsigned index)
{
    (void)waiter;
    (void)index;
    return rt_case_fd(counter, POLLIN);
}

static int counter_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_fd_wait(counter, POLLIN, deadline);
}

static void counter_happen(struct run *run)
{
    (void)run;
    connected++;
    T_CHECK(rti_sys_eventfd_signal(counter) == 0);
}

static bool counter_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return connected > 0;
}

static void counter_unmake(struct run *run)
{
    (void)run;
    T_CHECK(rti_sys_close(counter) == 0);
}

static const struct kind counter_kind = {
    .name = "descriptor",
    .selected_twice = true,
    .make = counter_make,
    .call = counter_call,
    .make_case = counter_case,
    .got = acceptable_got,
    .happen = counter_happen,
    .is_there = counter_is_there,
    .unmake = counter_unmake,
};

const struct kind *const waits_streams[] = {
    &recv_kind,     &send_kind,       &accept_kind,  &readable_kind,
    &writable_kind, &acceptable_kind, &counter_kind, NULL,
};
