/* SPDX-License-Identifier: MIT */
/*
 * TCP: listeners and streams. See rt/tcp.h for the contract.
 *
 * Sockets are blocking descriptors: with O_NONBLOCK the ring would answer
 * -EAGAIN where we want it to wait. A receive goes straight into the caller's
 * buffer. Whether it asks the kernel to look for data first or to wait for
 * readiness first (POLL_FIRST) depends on what the receive before it left in
 * the socket: a request and its answer leave nothing.
 *
 * K1 `reader` and `writer` are the operations in flight on the stream, in the
 *    frames of the tasks that wait; NULL when there is none.
 * K2 A close lets nobody in any more, aborts both, and closes the descriptor when
 *    both are NULL.
 * K3 Of the connections that wait when a cancelled task comes to accept, `waiting`
 *    are still to be handed to it; those that come later are not, or the stop of
 *    a busy server would have no end.
 */
#include "rt/tcp.h"

#include <netinet/tcp.h>
#include <string.h>

#include "core/future.h"
#include "core/trace.h"
#include "cross/claims.h"
#include "io/address.h"
#include "io/handle.h"
#include "io/tcp_socket.h"
#include "os/sys.h"
#include "rt/timer.h"

/* Accepting pauses so long when there are no descriptors; it doubles up to the second. */
#define BACKOFF_FIRST RT_MILLISECONDS(10)
#define BACKOFF_MAX   RT_SECONDS(1)

/* A connection that waits is there at once, unless another process has the socket too and took it;
 * then the stop goes on after so long. */
#define WAITING_MAX RT_SECONDS(1)

/* The most that one send or receive moves; a short count says so. */
#define TRANSFER_MAX (1u << 30)

struct rt_tcp_listener {
    struct rti_handle handle;
    struct rti_seat seat; /* at the claim of its address */
    bool accepting;       /* a task is in rt_tcp_accept() */
    bool short_warned;    /* the warning about missing descriptors was given */
    bool counted;         /* `waiting` is valid (K3) */
    uint32_t waiting;     /* K3 */
};

struct rt_tcp_stream {
    struct rti_handle handle;
    bool drained;              /* the last receive left nothing in the socket */
    struct rti_op *reader;     /* K1 */
    struct rti_op *writer;     /* K1 */
    struct rti_waiter *closer; /* who waits for K2, or NULL */
};

static const struct rti_wait_kind accept_kind = RTI_OP_KIND("accept");
static const struct rti_wait_kind connect_kind = RTI_OP_KIND("connect");
static void recv_ended(struct rti_waiter *waiter);
static void send_ended(struct rti_waiter *waiter);

static const struct rti_wait_kind recv_kind = { .name = "recv",
                                                .abort = rti_op_abort,
                                                .ended = recv_ended };
static const struct rti_wait_kind send_kind = { .name = "send",
                                                .abort = rti_op_abort,
                                                .ended = send_ended };
static const struct rti_wait_kind shutdown_kind = RTI_OP_KIND("shutdown");

/* Listeners */

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

/* Streams */

static int connect_fd(int fd, const struct rti_address *address, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = rti_op_begin(&op, &connect_kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_connect(sqe, fd, &address->socket.any, address->bytes);
    return rti_op_await(&op, sqe, deadline);
}

int rt_tcp_connect(struct rt_tcp_stream **out, const char *address,
                   const struct rt_tcp_options *options, rt_time deadline)
{
    struct rt_tcp_options complete;
    struct rt_tcp_stream *stream;
    struct rti_address parsed;
    void *handle;
    int r;

    (void)rti_executor_here("rt_tcp_connect");
    r = rti_tcp_open_socket(&handle, sizeof(*stream), &parsed, &complete, address, options);
    if (r < 0) {
        return r;
    }
    stream = handle;
    r = connect_fd(stream->handle.fd, &parsed, deadline);
    if (r < 0) {
        (void)rti_handle_close_fd(stream->handle.fd);
        rti_handle_put(stream);
        return r;
    }
    *out = stream;
    return 0;
}

/* One operation of the stream ends: the closer may go on (K2). */
static void leave(struct rt_tcp_stream *stream, struct rti_op **which)
{
    *which = NULL;
    if (stream->closer != NULL && stream->reader == NULL && stream->writer == NULL) {
        struct rti_waiter *closer = stream->closer;

        stream->closer = NULL;
        rti_waiter_finish(closer, 0);
    }
}

/* A call begins that has an operation on the stream. The stream is in use from here on, also while
 * the task waits for room in the ring: a close that comes meanwhile must not free it (K2). */
static int enter(struct rt_tcp_stream *stream, struct rti_op *op, struct rti_op **which,
                 const struct rti_wait_kind *kind, rt_time deadline, struct io_uring_sqe **sqe)
{
    int r;

    if (stream->handle.closing) {
        return -EPIPE;
    }
    if (RTI_UNLIKELY(*which != NULL)) {
        rti_misuse("rt_tcp_%s(): another task is in it, on the same stream", kind->name);
    }
    op->waiter.done = true; /* not yet to be aborted by a close */
    *which = op;
    r = rti_op_begin(op, kind, deadline, sqe);
    if (RTI_UNLIKELY(r == 0 && stream->handle.closing)) {
        rti_op_drop(*sqe);
        r = -EPIPE;
    }
    if (r < 0) {
        leave(stream, which);
    }
    return r;
}

static unsigned transfer_bytes(size_t bytes)
{
    return bytes < TRANSFER_MAX ? (unsigned)bytes : TRANSFER_MAX;
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_tcp_recv(struct rt_tcp_stream *stream, void *buf, size_t bytes, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    (void)rti_handle_must_own(stream, "rt_tcp_recv");
    if (bytes == 0) {
        return 0; /* the kernel would wait for data all the same */
    }
    r = enter(stream, &op, &stream->reader, &recv_kind, deadline, &sqe);
    if (r < 0) {
        return r;
    }
    io_uring_prep_recv(sqe, stream->handle.fd, buf, transfer_bytes(bytes), 0);
    if (stream->drained) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    r = rti_op_await(&op, sqe, deadline);
    stream->drained = (op.cqe_flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    leave(stream, &stream->reader);
    return r;
}

RTI_RETURNS_AFTER_SWITCH
static ssize_t send_some(struct rt_tcp_stream *stream, const void *buf, size_t bytes,
                         rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = enter(stream, &op, &stream->writer, &send_kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_send(sqe, stream->handle.fd, buf, transfer_bytes(bytes), MSG_NOSIGNAL);
    r = rti_op_await(&op, sqe, deadline);
    leave(stream, &stream->writer);
    return r;
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_tcp_send(struct rt_tcp_stream *stream, const void *buf, size_t bytes, rt_time deadline)
{
    (void)rti_handle_must_own(stream, "rt_tcp_send");
    if (bytes == 0) {
        return 0;
    }
    return send_some(stream, buf, bytes, deadline);
}

/* Without MSG_WAITALL: with it the kernel goes on by itself after a short send, and a cancel that
 * comes while it does is missed again and again. */
RTI_RETURNS_AFTER_SWITCH
ssize_t rt_tcp_send_all(struct rt_tcp_stream *stream, const void *buf, size_t bytes, size_t *done,
                        rt_time deadline)
{
    size_t sent = 0;
    ssize_t r = 0;

    (void)rti_handle_must_own(stream, "rt_tcp_send_all");
    while (sent < bytes) {
        r = send_some(stream, (const char *)buf + sent, bytes - sent, deadline);
        if (r < 0) {
            break;
        }
        sent += (size_t)r;
    }
    if (done != NULL) {
        *done = sent;
    }
    return r < 0 ? r : (ssize_t)sent;
}

/* Of futures: such an operation is known to the stream only while it is the kernel's, for a poll
 * function does not wait for room in between. */

static void recv_ended(struct rti_waiter *waiter)
{
    struct rt_tcp_stream *stream = (struct rt_tcp_stream *)waiter->object;

    stream->drained = (stream->reader->cqe_flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    leave(stream, &stream->reader);
}

static void send_ended(struct rti_waiter *waiter)
{
    struct rt_tcp_stream *stream = (struct rt_tcp_stream *)waiter->object;

    leave(stream, &stream->writer);
}

/* As enter(). True: *result is what the call returns. */
static bool look(struct rt_future *future, struct rt_tcp_stream *stream, struct rti_op **which,
                 const struct rti_wait_kind *kind, size_t bytes, struct io_uring_sqe **sqe,
                 int *result)
{
    const char *call = kind == &recv_kind ? "rt_poll_tcp_recv" : "rt_poll_tcp_send";

    if (rti_future_look(future, kind, call, result)) {
        return true; /* the stream may be gone by now */
    }
    (void)rti_handle_must_own(stream, call);
    if (stream->handle.closing || bytes == 0) {
        *result = bytes == 0 ? 0 : -EPIPE;
        return true;
    }
    if (RTI_UNLIKELY(*which != NULL)) {
        rti_misuse("%s(): another task is in it, on the same stream", call);
    }
    return rti_op_lacks_room(future, kind, sqe, result);
}

static int wait_for(struct rt_future *future, struct rt_tcp_stream *stream, struct rti_op **which,
                    struct io_uring_sqe *sqe, rt_time deadline)
{
    struct rti_op *op = rti_future_memory(future);

    op->waiter.object = stream;
    *which = op;
    return rti_op_wait(future, sqe, deadline);
}

int rt_poll_tcp_recv(struct rt_future *future, struct rt_tcp_stream *stream, void *buf,
                     size_t bytes, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    int r = 0;

    if (look(future, stream, &stream->reader, &recv_kind, bytes, &sqe, &r)) {
        return r;
    }
    io_uring_prep_recv(sqe, stream->handle.fd, buf, transfer_bytes(bytes), 0);
    if (stream->drained) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    return wait_for(future, stream, &stream->reader, sqe, deadline);
}

int rt_poll_tcp_send(struct rt_future *future, struct rt_tcp_stream *stream, const void *buf,
                     size_t bytes, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    int r = 0;

    if (look(future, stream, &stream->writer, &send_kind, bytes, &sqe, &r)) {
        return r;
    }
    io_uring_prep_send(sqe, stream->handle.fd, buf, transfer_bytes(bytes), MSG_NOSIGNAL);
    return wait_for(future, stream, &stream->writer, sqe, deadline);
}

int rt_tcp_shutdown_send(struct rt_tcp_stream *stream)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    (void)rti_handle_must_own(stream, "rt_tcp_shutdown_send");
    if (stream->handle.closing) {
        return -EPIPE;
    }
    if (stream->writer != NULL) {
        rti_misuse("rt_tcp_shutdown_send(): another task is sending on the stream");
    }
    op.waiter.done = true; /* not yet to be looked at by a close */
    op.waiter.mode = RTI_WAIT_EXEMPT;
    stream->writer = &op;
    rti_op_begin_exempt(&op, &shutdown_kind, &sqe);
    io_uring_prep_shutdown(sqe, stream->handle.fd, SHUT_WR);
    r = rti_op_await(&op, sqe, RT_NEVER);
    leave(stream, &stream->writer);
    return r;
}

int rt_tcp_peer_address(const struct rt_tcp_stream *stream, char *text, size_t bytes)
{
    struct rti_address address = { .bytes = sizeof(address.socket) };
    int r;

    (void)rti_handle_must_own(stream, "rt_tcp_peer_address");
    if (stream->handle.closing) {
        return -ENOTCONN; /* the descriptor may name something else already */
    }
    r = rti_sys_getpeername(stream->handle.fd, &address.socket.any, &address.bytes);
    return r < 0 ? r : rti_address_format(&address, text, bytes);
}

static void closer_abort(struct rti_waiter *waiter, int reason)
{
    (void)waiter; /* never: the wait is exempt and has no deadline */
    (void)reason;
}

static const struct rti_wait_kind closer_kind = { .name = "tcp close", .abort = closer_abort };

static void await_users(struct rt_tcp_stream *stream)
{
    struct rti_waiter closer;

    if (stream->reader != NULL) {
        rti_waiter_abort(&stream->reader->waiter, -EPIPE);
    }
    if (stream->writer != NULL &&
        stream->writer->waiter.mode != RTI_WAIT_EXEMPT) { /* a shutdown ends by itself */
        rti_waiter_abort(&stream->writer->waiter, -EPIPE);
    }
    if (stream->reader == NULL && stream->writer == NULL) {
        return;
    }
    rti_waiter_init(&closer, &closer_kind);
    closer.mode = RTI_WAIT_EXEMPT;
    stream->closer = &closer;
    (void)rti_wait(&closer, RT_NEVER);
}

void rt_tcp_close(struct rt_tcp_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    (void)rti_handle_must_own(stream, "rt_tcp_close");
    if (stream->handle.closing) {
        rti_misuse("rt_tcp_close(): the stream is being closed by another task");
    }
    if (stream->handle.users > 0) {
        rti_misuse("rt_tcp_close(): another task selects over the stream");
    }
    stream->handle.closing = true;
    await_users(stream);
    (void)rti_handle_close_fd(stream->handle.fd);
    rti_handle_put(stream);
}

void rt_tcp_drop(struct rt_tcp_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    (void)rti_handle_must_own(stream, "rt_tcp_drop");
    if (stream->reader != NULL || stream->writer != NULL || stream->handle.users > 0 ||
        stream->handle.closing) {
        rti_misuse("rt_tcp_drop(): a task is using the stream");
    }
    (void)rti_sys_close(stream->handle.fd);
    rti_handle_put(stream);
}
