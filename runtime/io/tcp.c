/* SPDX-License-Identifier: MIT */
/*
 * TCP: streams; tcp_listener.c has listeners. See rt/tcp.h for the contract.
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
 */
#include "rt/tcp.h"

#include "core/future.h"
#include "io/address.h"
#include "io/handle.h"
#include "io/tcp_socket.h"
#include "io/tcp_stream.h"
#include "os/sys.h"

/* The most that one send or receive moves; a short count says so. */
#define TRANSFER_MAX (1u << 30)

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
