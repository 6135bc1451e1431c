/* SPDX-License-Identifier: MIT */
/*
 * Readiness, as a wait and as cases of a select. See rt/ready.h.
 *
 * A wait is a poll request. Of a case poll(2) says first whether it is so now: else one that can
 * always happen at once would keep these from being heard. The file that the request of a case
 * names is counted as in use until its leg is done.
 */
#include "rt/ready.h"

#include <poll.h>

#include "core/select.h"
#include "io/handle.h"
#include "os/sys.h"

static int fd_of(const struct rt_case *self)
{
    return (int)(uint32_t)(uint64_t)(uintptr_t)self->argument;
}

static unsigned events_of(const struct rt_case *self)
{
    return (unsigned)((uint64_t)(uintptr_t)self->argument >> 32);
}

static void start(struct rt_case *self, struct io_uring_sqe *sqe)
{
    io_uring_prep_poll_add(sqe, fd_of(self), events_of(self));
    rti_op_start(rti_case_memory(self), sqe);
}

static void room(struct rti_waiter *leg)
{
    start(rti_case_of(leg), rti_reactor_granted_sqe(&rti_current->reactor));
}

static void ended(struct rti_waiter *leg)
{
    struct rti_handle *handle = rti_case_of(leg)->object;

    if (handle != NULL) {
        handle->users--;
    }
}

static const struct rti_wait_kind ready_kind = {
    .name = "readiness", .abort = rti_op_abort, .ended = ended, .room = room
};

static bool take_now(struct rt_case *self)
{
    const struct rti_handle *handle = self->object;

    if (handle != NULL) {
        (void)rti_handle_must_own(handle, "rt_select");
        if (handle->closing) {
            self->result = -EPIPE;
            return true;
        }
    }
    self->result = rti_sys_poll(fd_of(self), events_of(self));
    return self->result > 0; /* where it fails the ring is asked */
}

static void link_leg(struct rt_case *self)
{
    struct rti_handle *handle = self->object;
    struct io_uring_sqe *sqe;

    (void)rti_case_leg(self, &ready_kind, handle);
    if (handle != NULL) {
        handle->users++;
    }
    sqe = rti_op_begin_leg(rti_case_memory(self));
    if (sqe != NULL) {
        start(self, sqe);
    }
}

static const struct rti_case_ops ready_ops = { .take_now = take_now, .link = link_leg };

static struct rt_case make(struct rti_handle *handle, int fd, unsigned events)
{
    return (struct rt_case){
        .ops = &ready_ops,
        .object = handle,
        .argument = (void *)(uintptr_t)((uint64_t)events << 32 | (uint32_t)fd),
    };
}

static struct rt_case make_of(void *object, unsigned events, const char *call)
{
    struct rti_handle *handle = object;

    (void)rti_handle_must_own(object, call);
    return make(handle, handle->fd, events);
}

struct rt_case rt_case_readable(struct rt_tcp_stream *stream)
{
    return make_of(stream, POLLIN | POLLRDHUP, "rt_case_readable");
}

struct rt_case rt_case_writable(struct rt_tcp_stream *stream)
{
    return make_of(stream, POLLOUT, "rt_case_writable");
}

struct rt_case rt_case_acceptable(struct rt_tcp_listener *listener)
{
    return make_of(listener, POLLIN, "rt_case_acceptable");
}

struct rt_case rt_case_fd(int fd, unsigned events)
{
    (void)rti_executor_here("rt_case_fd");
    return make(NULL, fd, events);
}

static const struct rti_wait_kind fd_kind = RTI_OP_KIND("descriptor");

int rt_fd_wait(int fd, unsigned events, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    struct rti_op op;
    int r;

    (void)rti_executor_here("rt_fd_wait");
    r = rti_op_begin(&op, &fd_kind, deadline, &sqe);
    if (r < 0) {
        return r;
    }
    io_uring_prep_poll_add(sqe, fd, events);
    return rti_op_await(&op, sqe, deadline);
}
