/* SPDX-License-Identifier: MIT */
/*
 * TCP: listeners. See rt/tcp.h for the contract.
 *
 * K3 Of the connections that wait when a cancelled task comes to accept, `waiting`
 *    are still to be handed to it; those that come later are not, or the stop of
 *    a busy server would have no end.
 */
#include "rt/tcp.h"

#include <netinet/tcp.h>
#include <string.h>

#include "cross/claims.h"
#include "io/address.h"
#include "io/handle.h"
#include "io/tcp_socket.h"
#include "io/tcp_stream.h"
#include "os/sys.h"
#include "rt/timer.h"

/* Accepting pauses so long when there are no descriptors; it doubles up to the second. */
#define BACKOFF_FIRST RT_MILLISECONDS(10)
#define BACKOFF_MAX   RT_SECONDS(1)

/* A connection that waits is there at once, unless another process has the socket too and took it;
 * then the stop goes on after so long. */
#define WAITING_MAX RT_SECONDS(1)

struct rt_tcp_listener {
    struct rti_handle handle;
    struct rti_seat seat; /* at the claim of its address */
    bool accepting;       /* a task is in rt_tcp_accept() */
    bool short_warned;    /* the warning about missing descriptors was given */
    bool counted;         /* `waiting` is valid (K3) */
    uint32_t waiting;     /* K3 */
};

static const struct rti_wait_kind accept_kind = RTI_OP_KIND("accept");

/* SO_REUSEADDR lets a server bind while old connections are in TIME_WAIT; a second listener on the
 * same address still gets -EADDRINUSE. */
static int bind_listener(struct rt_tcp_listener *listener, const struct rti_address *address)
{
    struct rti_executor *executor = listener->handle.executor;
    const int fd = listener->handle.fd;
    int r = rti_tcp_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

    if (r == 0 && address->every) { /* IPv4 too, whatever the sysctl bindv6only says */
        r = rti_tcp_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (r < 0) {
        return r;
    }
    return rti_claims_bind(executor->claims, &listener->seat, executor, fd, &address->socket.any,
                           address->bytes);
}

/* Its socket is closed. */
static void put_listener(struct rt_tcp_listener *listener)
{
    rti_claims_leave(listener->handle.executor->claims, &listener->seat);
    rti_handle_put(listener);
}

int rt_tcp_listen(struct rt_tcp_listener **out, const char *address,
                  const struct rt_tcp_options *options)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_options complete;
    struct rti_address parsed;
    void *handle;
    int r;

    (void)rti_executor_here("rt_tcp_listen");
    r = rti_tcp_open_socket(&handle, sizeof(*listener), &parsed, &complete, address, options);
    if (r < 0) {
        return r;
    }
    listener = handle;
    r = bind_listener(listener, &parsed);
    if (r == 0) {
        r = rti_sys_listen(listener->handle.fd, (int)complete.backlog);
    }
    if (r < 0) {
        (void)rti_sys_close(listener->handle.fd);
        put_listener(listener);
        return r;
    }
    *out = listener;
    return 0;
}

int rt_tcp_listener_address(const struct rt_tcp_listener *listener, char *text, size_t bytes)
{
    struct rti_address address = { .bytes = sizeof(address.socket) };
    int r;

    (void)rti_handle_must_own(listener, "rt_tcp_listener_address");
    r = rti_sys_getsockname(listener->handle.fd, &address.socket.any, &address.bytes);
    return r < 0 ? r : rti_address_format(&address, text, bytes);
}

static int accept_once(struct rt_tcp_listener *listener, bool exempt, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = 0;

    if (exempt) {
        rti_op_begin_exempt(&op, &accept_kind, &sqe);
    } else {
        r = rti_op_begin(&op, &accept_kind, deadline, &sqe);
    }
    if (r < 0) {
        return r;
    }
    io_uring_prep_accept(sqe, listener->handle.fd, NULL, NULL, SOCK_CLOEXEC);
    return rti_op_await(&op, sqe, deadline);
}

/* The peer gave up, or its network failed, before the connection was taken (accept(2)). */
static bool is_peers_fault(int r)
{
    return r == -ECONNABORTED || r == -EPROTO || r == -ENETDOWN || r == -ENOPROTOOPT ||
           r == -EHOSTDOWN || r == -ENONET || r == -EHOSTUNREACH || r == -ENETUNREACH;
}

static bool is_shortage(int r)
{
    return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

static int back_off(struct rt_tcp_listener *listener, int error, rt_time *pause, rt_time deadline)
{
    struct rti_executor *executor = listener->handle.executor;
    const rt_time until = rt_in(*pause);
    int r;

    executor->accept_backoffs++;
    if (!listener->short_warned) {
        listener->short_warned = true;
        rti_log(&executor->log, RT_LOG_WARNING,
                "accepting pauses: %s (%s); raise the limit (ulimit -n) or close connections",
                strerrordesc_np(-error), strerrorname_np(-error));
    }
    *pause = *pause * 2 < BACKOFF_MAX ? *pause * 2 : BACKOFF_MAX;
    r = rt_sleep_until(until < deadline ? until : deadline);
    if (r == 0 && until >= deadline) {
        r = -ETIME;
    }
    return r;
}

/* A stream without a descriptor, made before its connection is accepted, so that none is lost. */
static int accept_into(struct rt_tcp_listener *listener, struct rt_tcp_stream **out, bool exempt,
                       rt_time deadline)
{
    struct rt_tcp_stream *stream = rti_handle_get(listener->handle.executor, sizeof(*stream));
    int r;

    if (stream == NULL) {
        return -ENOMEM;
    }
    r = accept_once(listener, exempt, deadline);
    if (r < 0) {
        rti_handle_put(stream);
        return r;
    }
    stream->handle.fd = r;
    *out = stream;
    return 0;
}

static int accept_with_patience(struct rt_tcp_listener *listener, struct rt_tcp_stream **out,
                                rt_time deadline)
{
    rt_time pause = BACKOFF_FIRST;

    for (;;) {
        int r = accept_into(listener, out, false, deadline);

        if (is_shortage(r)) {
            r = back_off(listener, r, &pause, deadline);
            if (r < 0) {
                return r;
            }
        } else if (!is_peers_fault(r)) {
            return r;
        }
    }
}

/* Of a listening socket, "unacked" is the length of its accept queue. */
static int count_waiting(struct rt_tcp_listener *listener)
{
    struct tcp_info info = { .tcpi_unacked = 0 };
    socklen_t bytes = sizeof(info);
    const int r = rti_sys_getsockopt(listener->handle.fd, IPPROTO_TCP, TCP_INFO, &info, &bytes);

    if (r == 0) {
        listener->waiting = info.tcpi_unacked;
        listener->counted = true;
    }
    return r;
}

static void give_up_waiting(struct rt_tcp_listener *listener, int error)
{
    rti_log(&listener->handle.executor->log, RT_LOG_WARNING,
            "%u connections that wait to be accepted are given up at the stop: %s (%s)",
            listener->waiting + 1, strerrordesc_np(-error), strerrorname_np(-error));
    listener->waiting = 0;
}

/* The task is cancelled: one of those that waited then, or -ECANCELED (K3). Accepting is exempt
 * from the cancel here, and has a deadline instead. */
static int accept_waiting(struct rt_tcp_listener *listener, struct rt_tcp_stream **out)
{
    int r = listener->counted ? 0 : count_waiting(listener);

    if (r < 0) {
        return r;
    }
    while (listener->waiting > 0) {
        listener->waiting--;
        r = accept_into(listener, out, true, rt_in(WAITING_MAX));
        if (r == 0) {
            return 0;
        }
        if (is_shortage(r)) {
            give_up_waiting(listener, r);
        } else if (r == -ETIME) {
            listener->waiting = 0;
        } else if (!is_peers_fault(r)) {
            return r;
        }
    }
    return -ECANCELED;
}

int rt_tcp_accept(struct rt_tcp_listener *listener, struct rt_tcp_stream **out, rt_time deadline)
{
    int r;

    (void)rti_handle_must_own(listener, "rt_tcp_accept");
    if (listener->handle.closing) {
        return -EPIPE;
    }
    if (listener->accepting) {
        rti_misuse("rt_tcp_accept(): another task is accepting on this listener");
    }
    listener->accepting = true;
    r = accept_with_patience(listener, out, deadline);
    if (r == -ECANCELED) {
        r = accept_waiting(listener, out);
    } else {
        listener->counted = false;
    }
    listener->accepting = false;
    if (r == 0) {
        listener->short_warned = false;
    }
    return r;
}

void rt_tcp_listener_close(struct rt_tcp_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    (void)rti_handle_must_own(listener, "rt_tcp_listener_close");
    if (listener->accepting || listener->handle.closing || listener->handle.users > 0) {
        rti_misuse("rt_tcp_listener_close(): another task is using this listener");
    }
    listener->handle.closing = true;
    (void)rti_handle_close_fd(listener->handle.fd);
    put_listener(listener);
}
