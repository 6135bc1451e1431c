/* SPDX-License-Identifier: MIT */
/*
 * Sim, attempts: what each opcode does, once it is its turn.
 *
 * This is the only place that touches objects and the user's memory. SIM_WAIT
 * means that nothing could be done (yet).
 */
#include "sim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* After `moved` of the bytes asked for: the result so far, or SIM_WAIT to go on. */
static int32_t moved(struct sim_request *request, int32_t result, uint32_t wanted)
{
    const bool is_short = wanted < request->sqe.len - request->done;
    const bool wants_all = (request->sqe.opcode == IORING_OP_RECV ||
                            request->sqe.opcode == IORING_OP_SEND) &&
                           (request->sqe.msg_flags & MSG_WAITALL) != 0;

    if (result == SIM_WAIT) {
        if (!sim_request_is_nowait(request)) {
            return SIM_WAIT;
        }
        result = -EAGAIN;
    }
    if (result <= 0) {
        return request->done > 0 ? (int32_t)request->done : result;
    }
    request->done += (uint32_t)result;
    if (wants_all && request->done < request->sqe.len && !is_short &&
        !sim_request_is_nowait(request)) {
        return SIM_WAIT;
    }
    return (int32_t)request->done;
}

static int32_t run_recv(struct sim_request *request)
{
    const bool peek = request->sqe.opcode == IORING_OP_RECV &&
                      (request->sqe.msg_flags & MSG_PEEK) != 0;
    uint8_t *bytes = (uint8_t *)(uintptr_t)request->sqe.addr + request->done;
    uint32_t length = request->sqe.len - request->done;

    if (sim_request_socket(request)->inbound_count > 0) {
        sim_request_poison(request);
        length = sim_fault_length(request, length);
    }
    return moved(request, sim_stream_recv(sim_request_socket(request), bytes, length, peek),
                 length);
}

static int32_t run_send(struct sim_request *request)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)request->sqe.addr + request->done;
    uint32_t length = request->sqe.len - request->done;

    if (sim_stream_room(sim_request_socket(request)) > 0) {
        length = sim_fault_length(request, length);
    }
    return moved(request, sim_stream_send(sim_request_socket(request), bytes, length), length);
}

static int32_t run_accept(struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    int error = 0;
    struct sim_socket *socket = sim_socket_accept(sim_request_socket(request), &error);

    if (socket == NULL) {
        return error == SIM_WAIT && sim_request_is_nowait(request) ? -EAGAIN : error;
    }
    socket->is_nonblock = (sqe->accept_flags & SOCK_NONBLOCK) != 0;
    if (sqe->addr != 0) {
        sim_address_write(&socket->remote, (struct sockaddr *)(uintptr_t)sqe->addr,
                          (socklen_t *)(uintptr_t)sqe->addr2);
    }
    return sim_fd_install(&socket->object);
}

static int32_t run_poll(const struct sim_request *request)
{
    const unsigned wanted = request->sqe.poll32_events | POLLERR | POLLHUP;
    const unsigned mask = sim_object_poll(request->object) & wanted;

    return mask != 0 ? (int32_t)mask : SIM_WAIT;
}

static int32_t run_message(const struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    struct sim_ring *target = sim_ring_find(sqe->fd);
    struct sim_request *message;

    if (target == NULL && sim_fd_object(sqe->fd) == NULL && fcntl(sqe->fd, F_GETFD) < 0) {
        return -EBADF; /* neither a descriptor of the sim nor a real one */
    }
    if (target == NULL || target->is_disabled) {
        return -EBADFD;
    }
    if (sqe->addr != 0 || sqe->addr3 != 0 ||
        (sqe->msg_ring_flags & ~SIM_MSG_RING_FLAGS_PASS) != 0 ||
        ((sqe->msg_ring_flags & SIM_MSG_RING_FLAGS_PASS) == 0 && sqe->file_index != 0)) {
        return -EINVAL; /* sending descriptors (command 1) is not simulated */
    }
    message = sim_request_new(target);
    message->is_message = true;
    message->is_forced = true;
    message->sqe.user_data = sqe->off;
    message->forced_result = (int32_t)sqe->len;
    message->message_flags = sqe->file_index;
    if ((target->params.flags & IORING_SETUP_DEFER_TASKRUN) != 0) {
        sim_request_owe(message);
    } else {
        sim_request_end(message, message->forced_result);
    }
    return 0;
}

static int32_t run_opcode(struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;

    switch (sqe->opcode) {
    case IORING_OP_NOP:
        return 0;
    case IORING_OP_READ:
        return sim_request_is_on_socket(request) ? run_recv(request) : sim_file_read(request);
    case IORING_OP_WRITE:
        return sim_request_is_on_socket(request) ? run_send(request) : sim_file_write(request);
    case IORING_OP_READV:
    case IORING_OP_READ_FIXED:
        return sim_file_read(request);
    case IORING_OP_WRITEV:
    case IORING_OP_WRITE_FIXED:
        return sim_file_write(request);
    case IORING_OP_FSYNC:
        return sim_request_is_on_socket(request) ? -EINVAL : sim_file_sync(request);
    case IORING_OP_POLL_ADD:
        return run_poll(request);
    case IORING_OP_TIMEOUT:
        return -ETIME;
    case IORING_OP_ACCEPT:
        return run_accept(request);
    case IORING_OP_ASYNC_CANCEL:
        return sim_cancel_run(request);
    case IORING_OP_CONNECT:
        return sim_socket_connect(sim_request_socket(request), &request->address);
    case IORING_OP_OPENAT:
        return sim_file_open(request);
    case IORING_OP_CLOSE:
        return sqe->fd >= SIM_FD_FIRST ? sim_fd_close(sqe->fd) : -EBADF;
    case IORING_OP_RENAMEAT:
        return sim_file_rename(request);
    case IORING_OP_UNLINKAT:
        return sim_file_unlink(request);
    case IORING_OP_STATX:
        return sim_file_stat(request);
    case IORING_OP_FALLOCATE:
        return sim_file_reserve(request);
    case SIM_OP_FTRUNCATE:
        return sim_file_truncate(request);
    case IORING_OP_SEND:
        return run_send(request);
    case IORING_OP_RECV:
        return run_recv(request);
    case IORING_OP_SHUTDOWN:
        return sim_socket_shutdown(sim_request_socket(request), (int)sqe->len);
    case IORING_OP_MSG_RING:
        return run_message(request);
    case IORING_OP_SOCKET:
        return sim_socket_open(sqe->fd, (int)sqe->off, (int)sqe->len);
    default:
        return -EINVAL;
    }
}

bool sim_request_attempt(struct sim_request *request, int32_t *out_result)
{
    *out_result = run_opcode(request);
    return *out_result != SIM_WAIT;
}
